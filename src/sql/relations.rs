//! Tables whose columns depend on types that are known only when they are planned: the fields of a list's items, the fields of
//! structs that are written out, the row of a table as one value. [`super::rewrite`] marks them.

use deltalake::arrow::datatypes::DataType;
use deltalake::datafusion::common::{Column, Result, TableReference, plan_err};
use deltalake::datafusion::functions::core::expr_fn::{get_field, named_struct};
use deltalake::datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use deltalake::datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use deltalake::datafusion::sql::sqlparser::ast::{Ident, TableAlias, TableFactor};

use super::semantics::Semantics;

/// How a column begins whose fields are to stand in its place, and what the table is called that holds it.
pub(super) const FIELDS: &str = "fields of ";

/// The one column of an alias that asks for a column of the row.
pub(super) const ROW: &str = "row of";

/// A table that needs nothing more.
const PLAIN: &str = "plain list";

/// What the column is called that holds the row of a table.
pub(super) fn row_of(table: &str) -> String {
    format!("{ROW} {table}")
}

/// See the module.
#[derive(Debug)]
pub(super) struct Relations {
    pub(super) semantics: Semantics,
}

impl RelationPlanner for Relations {
    fn plan_relation(&self, relation: TableFactor, context: &mut dyn RelationPlannerContext) -> Result<RelationPlanning> {
        match relation {
            TableFactor::UNNEST { alias, array_exprs, with_offset: false, with_offset_alias: None, with_ordinality: false }
                if self.semantics.adapter == "bigquery" =>
            {
                let plain = |alias| TableFactor::UNNEST {
                    alias,
                    array_exprs: array_exprs.clone(),
                    with_offset: false,
                    with_offset_alias: None,
                    with_ordinality: false,
                };
                if alias.as_ref().is_some_and(|alias| alias.name.value == PLAIN) {
                    return Ok(RelationPlanning::Original(Box::new(plain(None))));
                }
                let name = TableAlias { explicit: true, name: Ident::new(PLAIN), columns: Vec::new(), at: None };
                let plan = context.plan(plain(Some(name)))?;
                Ok(planned(items(plan, alias.as_ref())?, alias))
            }
            TableFactor::Derived { lateral, subquery, alias: Some(alias), sample } if alias.name.value == FIELDS => {
                let plan = context.plan(TableFactor::Derived { lateral, subquery, alias: None, sample })?;
                Ok(planned(written_out(plan)?, None))
            }
            TableFactor::Table { .. } | TableFactor::Derived { .. } => with_row(relation, context),
            other => Ok(RelationPlanning::Original(Box::new(other))),
        }
    }
}

fn planned(plan: LogicalPlan, alias: Option<TableAlias>) -> RelationPlanning {
    let alias = alias.map(|alias| TableAlias { columns: Vec::new(), ..alias });
    RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias)))
}

/// The items of a list: the fields of structs, and the item itself beside them.
fn items(plan: LogicalPlan, alias: Option<&TableAlias>) -> Result<LogicalPlan> {
    let mut exprs = Vec::new();
    for (at, (column, field)) in plan.schema().columns().into_iter().zip(plan.schema().fields()).enumerate() {
        let item = Expr::Column(column);
        let given = alias.and_then(|alias| alias.columns.get(at));
        match (field.data_type(), at) {
            (DataType::Struct(fields), 0) => {
                exprs.extend(fields.iter().map(|field| get_field(item.clone(), field.name().as_str()).alias(field.name())));
            }
            _ => exprs.push(match given {
                Some(given) => item.clone().alias(&given.name.value),
                None => item.clone(),
            }),
        }
        if let (Some(alias), 0) = (alias, at) {
            exprs.push(item.alias(row_of(&alias.name.value)));
        }
    }
    LogicalPlanBuilder::from(plan).project(exprs)?.build()
}

/// The fields of the structs that are to be written out, in their places.
fn written_out(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut exprs = Vec::new();
    for (column, field) in plan.schema().columns().into_iter().zip(plan.schema().fields()) {
        match (column.name.strip_prefix(FIELDS), field.data_type()) {
            (Some(_), DataType::Struct(fields)) => {
                exprs.extend(fields.iter().map(|field| get_field(Expr::Column(column.clone()), field.name().as_str()).alias(field.name())));
            }
            (Some(written), found) => {
                return plan_err!("`{written}` is of type {} and has no fields for `{written}.*`", super::type_name(found));
            }
            (None, _) => exprs.push(Expr::Column(column)),
        }
    }
    let names: Vec<String> = exprs.iter().map(|expr| expr.schema_name().to_string()).collect();
    if let Some((_, twice)) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
        return plan_err!("two columns are called `{twice}`, one of them a field of a struct that is written out");
    }
    LogicalPlanBuilder::from(plan).project(exprs)?.build()
}

/// A table with one column more, where its alias asks for it.
fn with_row(mut relation: TableFactor, context: &mut dyn RelationPlannerContext) -> Result<RelationPlanning> {
    let (TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. }) = &mut relation else {
        return Ok(RelationPlanning::Original(Box::new(relation)));
    };
    if alias.columns.last().is_none_or(|column| column.name.value != ROW) {
        return Ok(RelationPlanning::Original(Box::new(relation)));
    }
    alias.columns.pop();
    let name = alias.name.value.clone();
    let plan = context.plan(relation)?;
    let columns = plan.schema().columns();
    let parts = columns.iter().flat_map(|column| [lit(column.name.as_str()), Expr::Column(column.clone())]).collect();
    let row = named_struct(parts).alias_qualified(Some(TableReference::bare(name.as_str())), row_of(&name));
    let exprs: Vec<Expr> = columns.iter().cloned().map(|column: Column| Expr::Column(column)).chain([row]).collect();
    Ok(planned(LogicalPlanBuilder::from(plan).project(exprs)?.build()?, None))
}
