//! Files in a `from` clause: a call of `read_csv` and its kin, or a path in single quotes, becomes the name of a table that
//! tells what is to be read.

use deltalake::datafusion::sql::sqlparser::ast::{Ident, ObjectName, ObjectNamePart, TableAlias, TableFactor};
use deltalake::datafusion::sql::sqlparser::tokenizer::{Location, Span};

use super::Rewriter;
use crate::sql::SqlError;
use crate::sql::files::{FileCall, is_file_function};

/// Rewrites one table of a `from` clause, before its arguments are.
pub(super) fn rewrite(factor: &mut TableFactor, rewriter: &Rewriter) -> Result<(), Box<SqlError>> {
    if !rewriter.semantics.reads_files() {
        return Ok(());
    }
    let TableFactor::Table { name, args, alias, .. } = factor else { return Ok(()) };
    let [ObjectNamePart::Identifier(written)] = name.0.as_slice() else { return Ok(()) };
    let span = if written.span.start.line == 0 { place_of_text(&written.value, rewriter).unwrap_or(written.span) } else { written.span };
    let call = match args {
        Some(given) if is_file_function(&written.value) => FileCall::of_call(&written.value, &given.args, span, rewriter.semantics),
        None if written.quote_style == Some('\'') => FileCall::of_path(&written.value, span),
        Some(_) | None => return Ok(()),
    };
    let call = call.map_err(|wrong| rewriter.refuse(&wrong.message, wrong.span, &wrong.help))?;
    alias.get_or_insert_with(|| TableAlias { explicit: true, name: Ident::with_span(span, call.alias()), columns: Vec::new(), at: None });
    *name = ObjectName::from(vec![Ident { value: call.text, quote_style: Some('"'), span }]);
    *args = None;
    Ok(())
}

/// Where a path in single quotes stands, of which the parser does not tell.
fn place_of_text(path: &str, rewriter: &Rewriter) -> Option<Span> {
    let written = format!("'{}'", path.replace('\'', "''"));
    let at = rewriter.text.text.find(&written)?;
    let location = |at: usize| {
        let position = rewriter.text.position(u32::try_from(at).ok()?);
        Some(Location::new(position.line.into(), position.column.into()))
    };
    Some(Span::new(location(at)?, location(at + written.len())?))
}
