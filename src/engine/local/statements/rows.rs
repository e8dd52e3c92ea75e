//! Rows changed and removed by statements: delta-rs rewrites the files they touch, in one commit.
//!
//! delta-rs knows conditions on the row only. Subqueries that stand for themselves are run first and replaced by what they
//! yield; what else a condition may have is for [`related`](super::related).

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use deltalake::DeltaTableError;
use deltalake::arrow::array::{Array, AsArray as _, RecordBatch};
use deltalake::arrow::datatypes::{DataType, Int64Type, SchemaRef};
use deltalake::arrow::util::display::{ArrayFormatter, FormatOptions};
use deltalake::datafusion::common::DFSchema;
use deltalake::datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use deltalake::datafusion::logical_expr::Expr;
use deltalake::datafusion::sql::sqlparser::ast::{
    self, AssignmentTarget, FromTable, Query, TableFactor, TableWithJoins, UpdateTableFromKind, Visit, VisitMut, Visitor, VisitorMut,
};
use deltalake::delta_datafusion::planner::DeltaPlanner;
use futures::TryStreamExt as _;

use super::super::super::EngineError;
use super::super::failure::{self, without_place};
use super::super::{LocalEngine, catalog, rules};
use super::related::{self, Related};
use super::tables::{position, table_schema, typed};
use super::{existing, relation_name, unknown};
use crate::manifest::RelationName;
use crate::sql::{self, quote_ident};

/// How many values of a subquery are put in its place.
const LONGEST_LIST: usize = 10_000;

/// The table that a statement changes.
pub(super) struct Target {
    pub(super) relation: RelationName,
    pub(super) alias: Option<String>,
    pub(super) schema: SchemaRef,
    pub(super) state: SessionState,
}

/// `update t set c = e [from u] [where p]`.
pub(super) async fn update(engine: &LocalEngine, update: &ast::Update, text: &str) -> Result<(), EngineError> {
    let Some(target) = target(engine, &update.table).await? else { return Err(unknown(text)) };
    let beside: &[TableWithJoins] = match &update.from {
        Some(UpdateTableFromKind::AfterSet(tables)) => tables,
        Some(UpdateTableFromKind::BeforeSet(_)) => return Err(unknown(text)),
        None => &[],
    };
    if update.returning.is_some() || update.limit.is_some() {
        return Err(not_there("`returning` and `limit` of `update` are not available"));
    }
    let mut sets = Vec::new();
    for assignment in &update.assignments {
        let AssignmentTarget::ColumnName(column) = &assignment.target else { return Err(unknown(text)) };
        let name = column.0.last().and_then(|part| part.as_ident()).map(|part| part.value.clone()).unwrap_or_default();
        sets.push((position(&target.schema, &name, &target.relation)?, &assignment.value));
    }
    let related = Related { target: &target, beside, sets, condition: update.selection.as_ref() };
    let Some((condition, sets)) = target.alone(engine, &related).await? else { return related::run(engine, &related).await };
    let Some(table) = engine.warehouse.open_table(&target.relation).await? else { return existing(engine, &target.relation).await.map(|_| ()) };
    let mut builder = table.update().with_session_state(delta_session(&target.state));
    for (place, value) in sets {
        let field = target.schema.field(place);
        builder = builder.with_update(quote_ident(field.name()), target.expression(&typed(&format!("({value})"), field))?);
    }
    if let Some(condition) = condition {
        builder = builder.with_predicate(target.expression(&condition.to_string())?);
    }
    let table = match builder.await {
        Ok((table, _)) => table,
        Err(error) => return Err(refused(engine, &target.relation, error).await),
    };
    engine.warehouse.remember(&target.relation, &table).await;
    Ok(())
}

fn not_there(message: &str) -> EngineError {
    EngineError::Unsupported { message: message.into(), help: Some("name the rows by a condition".into()) }
}

/// What delta-rs says of a change that it refuses; of rows that break a rule of the table, with the rule.
pub(super) async fn refused(engine: &LocalEngine, relation: &RelationName, error: DeltaTableError) -> EngineError {
    if let Ok(Some(table)) = engine.warehouse.open_table(relation).await
        && let Ok(snapshot) = table.snapshot()
        && let Some(violation) = rules::named(&error.to_string(), snapshot, &engine.session(), &relation.short())
    {
        return EngineError::Violated(Box::new(violation));
    }
    failure::writing(error, relation)
}

/// `delete from t [using u] [where p]`.
pub(super) async fn delete(engine: &LocalEngine, delete: &ast::Delete, text: &str) -> Result<(), EngineError> {
    let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) = &delete.from;
    let [table] = tables.as_slice() else { return Err(unknown(text)) };
    let Some(target) = target(engine, table).await? else { return Err(unknown(text)) };
    if delete.returning.is_some() || delete.limit.is_some() {
        return Err(not_there("`returning` and `limit` of `delete` are not available"));
    }
    let beside = delete.using.as_deref().unwrap_or_default();
    let related = Related { target: &target, beside, sets: Vec::new(), condition: delete.selection.as_ref() };
    let Some((condition, _)) = target.alone(engine, &related).await? else { return related::run(engine, &related).await };
    let Some(table) = engine.warehouse.open_table(&target.relation).await? else { return existing(engine, &target.relation).await.map(|_| ()) };
    let mut builder = table.delete().with_session_state(delta_session(&target.state));
    if let Some(condition) = condition {
        builder = builder.with_predicate(target.expression(&condition.to_string())?);
    }
    let (table, _) = builder.await.map_err(|error| failure::writing(error, &target.relation))?;
    engine.warehouse.remember(&target.relation, &table).await;
    Ok(())
}

async fn target(engine: &LocalEngine, table: &TableWithJoins) -> Result<Option<Target>, EngineError> {
    match &table.relation {
        TableFactor::Table { name, alias, .. } if table.joins.is_empty() => {
            let relation = relation_name(engine, name)?;
            let schema = table_schema(engine, &relation).await?;
            Ok(Some(Target { relation, alias: alias.as_ref().map(|alias| alias.name.value.clone()), schema, state: engine.session() }))
        }
        _ => Ok(None),
    }
}

/// The same session with the plan nodes that delta-rs counts rows by.
pub(super) fn delta_session(state: &SessionState) -> Arc<SessionState> {
    Arc::new(SessionStateBuilder::new_from_existing(state.clone()).with_query_planner(DeltaPlanner::new()).build())
}

/// The number that a query yields.
///
/// # Errors
/// If the query fails.
pub(super) async fn first_number(engine: &LocalEngine, query: &str) -> Result<i64, EngineError> {
    let rows = catalog::query(engine, query, &[]).await.map_err(without_place)?;
    let batches: Vec<RecordBatch> = rows.try_collect().await.map_err(|error| without_place(failure::query(error, query)))?;
    let first = batches.iter().find(|batch| batch.num_rows() > 0);
    Ok(first.and_then(|batch| batch.column(0).as_primitive_opt::<Int64Type>()).map_or(0, |column| column.value(0)))
}

impl Target {
    /// What the statement calls the table.
    pub(super) fn called(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.relation.identifier)
    }

    fn expression(&self, text: &str) -> Result<Expr, EngineError> {
        let text = sql::canonical(text, self.schema.fields().iter().map(|field| field.name().as_str()));
        let schema = DFSchema::try_from(Arc::clone(&self.schema)).map_err(|error| failure::query(error, &text))?;
        sql::plan_expression(&self.state, &text, &schema).map_err(|error| without_place(failure::query(error, &text)))
    }

    /// The condition and the values of a statement as expressions of the row alone; `None` where they need other rows.
    async fn alone(&self, engine: &LocalEngine, related: &Related<'_>) -> Result<Option<Alone>, EngineError> {
        if !related.beside.is_empty() {
            return Ok(None);
        }
        let condition = match related.condition {
            Some(condition) => match self.row_only(engine, condition).await? {
                Some(condition) => Some(condition),
                None => return Ok(None),
            },
            None => None,
        };
        let mut sets = Vec::new();
        for (column, value) in &related.sets {
            let Some(value) = self.row_only(engine, value).await? else { return Ok(None) };
            sets.push((*column, value));
        }
        Ok(Some((condition, sets)))
    }

    /// The expression with subqueries replaced by what they yield, and columns without their table; `None` where a subquery
    /// uses columns of the row, or yields too much.
    async fn row_only(&self, engine: &LocalEngine, expression: &ast::Expr) -> Result<Option<ast::Expr>, EngineError> {
        let mut found = Subqueries::default();
        let _ = Visit::visit(expression, &mut found);
        let mut values = HashMap::new();
        for query in found.queries {
            let Some(list) = self.values(engine, &query).await? else { return Ok(None) };
            values.insert(query, list);
        }
        let own = [self.called().to_lowercase()];
        let mut replace = Replace { values, own, depth: 0, error: None };
        let mut expression = expression.clone();
        let _ = VisitMut::visit(&mut expression, &mut replace);
        replace.error.map_or(Ok(Some(expression)), Err)
    }

    /// The values of a query's only column, as expressions; `None` where it does not plan by itself, or there are too many.
    async fn values(&self, engine: &LocalEngine, query: &str) -> Result<Option<Vec<ast::Expr>>, EngineError> {
        let failed = |error| without_place(failure::query(error, query));
        if matches!(catalog::bind_session(engine, query, &[]).await, Err(EngineError::Sql(_))) {
            return Ok(None);
        }
        let mut rows = catalog::query(engine, query, &[]).await.map_err(without_place)?;
        let mut values = Vec::new();
        while let Some(batch) = rows.try_next().await.map_err(failed)? {
            let column = batch.column(0);
            let format = FormatOptions::default();
            let shown = ArrayFormatter::try_new(column, &format).map_err(|error| failure::query(error.into(), query))?;
            for row in 0..batch.num_rows() {
                let text = if column.is_null(row) { "null".to_owned() } else { literal(&shown.value(row).to_string(), column.data_type()) };
                let dialect = self.state.config_options().sql_parser.dialect;
                values.push(self.state.sql_to_expr(&text, &dialect).map_err(|error| failure::query(error, query))?);
            }
            if values.len() > LONGEST_LIST {
                return Ok(None);
            }
        }
        Ok(Some(values))
    }
}

/// A condition, and the values of columns by their places.
type Alone = (Option<ast::Expr>, Vec<(usize, ast::Expr)>);

fn literal(text: &str, data_type: &DataType) -> String {
    let quoted = format!("'{}'", text.replace('\'', "''"));
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => quoted,
        DataType::Boolean => text.to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => format!("x{quoted}"),
        other => format!("arrow_cast({quoted}, '{}')", other.to_string().replace('\'', "''")),
    }
}

/// The outermost subqueries of an expression.
#[derive(Default)]
struct Subqueries {
    depth: usize,
    queries: Vec<String>,
}

impl Visitor for Subqueries {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if self.depth == 0 {
            self.queries.push(query.to_string());
        }
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}

/// Puts what subqueries yield in their place.
struct Replace {
    values: HashMap<String, Vec<ast::Expr>>,
    /// How the changed table is called.
    own: [String; 1],
    depth: usize,
    error: Option<EngineError>,
}

impl VisitorMut for Replace {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &mut ast::Expr) -> ControlFlow<()> {
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        let replaced = match expression {
            ast::Expr::Subquery(query) => self.scalar(&query.to_string()),
            ast::Expr::Exists { subquery, negated } => self.values.get(&subquery.to_string()).map(|rows| truth(rows.is_empty() == *negated)),
            ast::Expr::InSubquery { expr, subquery, negated } => self.values.get(&subquery.to_string()).map(|rows| match rows.as_slice() {
                [] => truth(*negated),
                list => ast::Expr::InList { expr: expr.clone(), list: list.to_vec(), negated: *negated },
            }),
            ast::Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [.., table, column] if self.own.contains(&table.value.to_lowercase()) => Some(ast::Expr::Identifier(column.clone())),
                _ => None,
            },
            _ => None,
        };
        if let Some(replaced) = replaced {
            *expression = replaced;
        }
        ControlFlow::Continue(())
    }
}

impl Replace {
    fn scalar(&mut self, query: &str) -> Option<ast::Expr> {
        match self.values.get(query)?.as_slice() {
            [] => Some(ast::Expr::Value(ast::Value::Null.into())),
            [one] => Some(one.clone()),
            [_, ..] => {
                self.error = Some(super::invalid(format!("the subquery `{query}` yields more than one row"), "aggregate it, or add `limit 1`"));
                None
            }
        }
    }
}

fn truth(value: bool) -> ast::Expr {
    ast::Expr::Value(ast::Value::Boolean(value).into())
}
