//! Rows changed and removed by what other rows say of them: `delete from t using u where ..`, `update t set .. from u`, and
//! subqueries that use columns of the changed row.
//!
//! A condition says the same of all rows that are alike in the columns it uses. So a query yields those columns where it holds,
//! each combination once, and beside them what an update sets; delta-rs joins them to the table's rows and rewrites the files
//! that they touch, in one commit.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use deltalake::datafusion::common::{Column, TableReference};
use deltalake::datafusion::logical_expr::{BinaryExpr, Expr, Operator, lit};
use deltalake::datafusion::prelude::SessionContext;
use deltalake::datafusion::sql::sqlparser::ast::{self, visit_expressions};

use super::super::super::EngineError;
use super::super::failure::{self, without_place};
use super::super::{LocalEngine, catalog, change};
use super::rows::{Target, delta_session, refused};
use super::tables::typed;
use super::{existing, invalid};
use crate::sql::quote_ident;

/// What the table and the query are called where they are joined.
const TARGET: &str = "target";
const SOURCE: &str = "found";

/// A statement that changes rows.
pub(super) struct Related<'a> {
    pub(super) target: &'a Target,
    /// The tables behind `using` or `from`.
    pub(super) beside: &'a [ast::TableWithJoins],
    /// The columns that an update sets, by their places in the table; none of a statement that deletes.
    pub(super) sets: Vec<(usize, &'a ast::Expr)>,
    pub(super) condition: Option<&'a ast::Expr>,
}

/// Changes the rows.
///
/// # Errors
/// If the condition or a value is wrong, several rows give one row different values, or the table can't be written.
pub(super) async fn run(engine: &LocalEngine, related: &Related<'_>) -> Result<(), EngineError> {
    let target = related.target;
    let Some(table) = engine.warehouse.open_table(&target.relation).await? else { return existing(engine, &target.relation).await.map(|_| ()) };
    let keys = related.keys();
    let query = related.query(&keys);
    let failed = |error| without_place(failure::query(error, &query));
    let rows = catalog::query(engine, &query, &[]).await.map_err(without_place)?;
    let found = change::kept(engine, rows).await.map_err(failed)?;
    if found.rows == 0 {
        return Ok(());
    }
    let on = keys.iter().enumerate().map(|(place, key)| {
        let name = |table: &str, name: &str| Box::new(Expr::Column(Column::new(Some(TableReference::bare(table)), name)));
        let operator = if found.nulls.get(place) == Some(&0) { Operator::Eq } else { Operator::IsNotDistinctFrom };
        Expr::BinaryExpr(BinaryExpr::new(name(TARGET, target.schema.field(*key).name()), operator, name(SOURCE, &key_name(place))))
    });
    let on = on.reduce(Expr::and).unwrap_or_else(|| lit(true));
    let source = SessionContext::new_with_state(target.state.clone()).read_table(found.provider).map_err(failed)?;
    let builder = table.merge(source, on).with_source_alias(SOURCE).with_target_alias(TARGET).with_session_state(delta_session(&target.state));
    let builder = if related.sets.is_empty() {
        builder.when_matched_delete(|action| action)
    } else {
        builder.when_matched_update(|action| {
            related.sets.iter().enumerate().fold(action, |action, (place, (column, _))| {
                let value = Expr::Column(Column::new(Some(TableReference::bare(SOURCE)), value_name(place)));
                action.update(Column::from_name(target.schema.field(*column).name()), value)
            })
        })
    };
    let table = match builder.map_err(|error| without_place(failure::writing(error, &target.relation)))?.await {
        Ok((table, _)) => table,
        Err(error) if error.to_string().contains("MERGE matched a target row") => {
            let message = format!("several rows give one row of `{}` different values", target.relation.short());
            return Err(invalid(message, "make the rows behind `from` unique by what they are joined by"));
        }
        Err(error) => return Err(without_place(refused(engine, &target.relation, error).await)),
    };
    engine.warehouse.remember(&target.relation, &table).await;
    Ok(())
}

fn key_name(place: usize) -> String {
    format!("__alluvium_key_{place}")
}

fn value_name(place: usize) -> String {
    format!("__alluvium_value_{place}")
}

impl Related<'_> {
    /// The columns of the table that the statement may use, by their places. Where it uses none, one stands for all rows.
    fn keys(&self) -> Vec<usize> {
        let (mut names, mut whole) = (BTreeSet::new(), false);
        let called = self.target.called();
        let mut note = |expr: &ast::Expr| {
            match expr {
                ast::Expr::Identifier(name) if name.value.eq_ignore_ascii_case(called) => whole = true,
                ast::Expr::Identifier(name) => drop(names.insert(name.value.to_lowercase())),
                ast::Expr::CompoundIdentifier(parts) => names.extend(parts.iter().map(|part| part.value.to_lowercase())),
                _ => {}
            }
            ControlFlow::<()>::Continue(())
        };
        let _ = self.condition.map(|condition| visit_expressions(condition, &mut note));
        for (_, value) in &self.sets {
            let _ = visit_expressions(*value, &mut note);
        }
        for table in self.beside {
            let _ = visit_expressions(table, &mut note);
        }
        let schema = &self.target.schema;
        let is_used = |place: &usize| whole || names.contains(&schema.field(*place).name().to_lowercase());
        let used: Vec<usize> = (0..schema.fields().len()).filter(is_used).collect();
        if used.is_empty() { (0..1).collect() } else { used }
    }

    fn query(&self, keys: &[usize]) -> String {
        let target = self.target;
        let called = quote_ident(target.called());
        let keys =
            keys.iter().enumerate().map(|(place, key)| format!("{called}.{} as {}", quote_ident(target.schema.field(*key).name()), key_name(place)));
        let values = self
            .sets
            .iter()
            .enumerate()
            .map(|(place, (column, value))| format!("{} as {}", typed(&format!("({value})"), target.schema.field(*column)), value_name(place)));
        let columns: Vec<String> = keys.chain(values).collect();
        let name = [&target.relation.database, &target.relation.schema, &target.relation.identifier].map(|part| quote_ident(part)).join(".");
        let alias = target.alias.as_ref().map_or_else(String::new, |alias| format!(" as {}", quote_ident(alias)));
        let beside: String = self.beside.iter().map(|table| format!(", {table}")).collect();
        let condition = self.condition.map_or_else(String::new, |condition| format!(" where {condition}"));
        format!("select distinct {} from {name}{alias}{beside}{condition}", columns.join(", "))
    }
}
