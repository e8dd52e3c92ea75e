//! Files that a query names as a table: their columns, where they can be known before a run.

use deltalake::arrow::datatypes::SchemaRef;
use deltalake::datafusion::common::TableReference;
use deltalake::datafusion::sql::parser::Statement;

use super::planner::NamedTable;
use super::{Asked, CompiledNode, Planner, Surroundings};
use crate::base::{Code, Diagnostic, Severity};
use crate::manifest::Node;
use crate::sql::{FileCall, SqlError, place_of_table};

/// Files with their columns, by the name that the statement has for them.
pub(super) type KnownFiles = Vec<(TableReference, SchemaRef)>;

/// Parts the files that a statement names from its tables.
pub(super) fn parted(planner: &Planner, named: Vec<NamedTable>) -> (Vec<(TableReference, FileCall)>, Vec<NamedTable>) {
    let mut files = Vec::new();
    let mut tables = Vec::with_capacity(named.len());
    for table in named {
        match planner.file_call(&table) {
            Some(call) => files.push((table.reference(), call)),
            None => tables.push(table),
        }
    }
    (files, tables)
}

/// The columns of the files; `None` where some are not known, of which `compiled` warns.
///
/// # Errors
/// What is wrong with files that are there.
pub(super) async fn schemas(
    (node, compiled): (&Node, &mut CompiledNode),
    files: Vec<(TableReference, FileCall)>,
    statement: &Statement,
    surroundings: &dyn Surroundings,
) -> Result<Option<KnownFiles>, Vec<Diagnostic>> {
    let about = format!("this {}", node.resource_type().name());
    let mut known = KnownFiles::new();
    let mut all = true;
    for (reference, call) in files {
        surroundings.note(Asked::Beyond);
        let place = place_of_table(statement, &compiled.sql, reference.table());
        let at = |code: Code, message: String, help: Option<String>| {
            let mut error = SqlError::new(code, message);
            (error.range, error.help) = (place.clone(), help);
            compiled.diagnose(&error, &about)
        };
        match surroundings.files(&call).await {
            Ok(Some(schema)) => known.push((reference, schema)),
            Ok(None) => {
                all = false;
                let shown = call.paths.join("`, `");
                let message = format!("`{}` reads `{shown}`, which can't be looked at before a run, so it is not proved", node.name);
                let help = "files in the project's folder are looked at where they are there".to_owned();
                let found = at(Code::NotProved, message, Some(help));
                compiled.warnings.push(Diagnostic { severity: Severity::Warning, ..found });
            }
            Err(found) => {
                let named = at(found.code, found.message.clone(), found.help.clone());
                if found.labels.is_empty() {
                    return Err(vec![Diagnostic { notes: found.notes.clone(), ..named }]);
                }
                let place = named.primary_span();
                return Err(vec![match place {
                    Some(place) => found.also(place, "the file is named here"),
                    None => *found,
                }]);
            }
        }
    }
    Ok(all.then_some(known))
}
