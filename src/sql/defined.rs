//! Functions that are defined in SQL: a body that is one expression over the arguments becomes a function of the session.
//!
//! The body is planned by itself, over a table of nothing but the arguments, so that its names can't mean anything of the
//! query that calls it, and each argument is worked out once. Where definitions are kept is the caller's affair.

use std::hash::{Hash, Hasher};
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use deltalake::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use deltalake::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use deltalake::datafusion::catalog::{
    CatalogProvider as _, CatalogProviderList as _, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider, SchemaProvider as _,
};
use deltalake::datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use deltalake::datafusion::common::{DFSchema, DataFusionError, Result, exec_datafusion_err, plan_err};
use deltalake::datafusion::datasource::empty::EmptyTable;
use deltalake::datafusion::execution::FunctionRegistry as _;
use deltalake::datafusion::execution::session_state::SessionState;
use deltalake::datafusion::logical_expr::{
    self as expr, ColumnarValue, Expr, ExprSchemable as _, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use deltalake::datafusion::physical_plan::PhysicalExpr;
use deltalake::datafusion::scalar::ScalarValue;
use deltalake::datafusion::sql::parser::Statement;
use deltalake::datafusion::sql::sqlparser::ast;

use super::commands::Volatility;
use super::{Semantics, SqlError, canonical, parse_query, plan, plan_expression, rewritten_expression, sql_error, type_help, type_name};
use crate::base::Code;

/// The table of the arguments, while a body is planned.
const ARGUMENTS: &str = "__arguments";

/// What a function is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    pub arguments: Vec<Argument>,
    pub returns: String,
    pub volatility: Option<Volatility>,
    /// An expression, or a `select` of one without tables.
    pub body: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    pub name: String,
    pub data_type: String,
    /// What it is where a call leaves it out, as SQL.
    pub default: Option<String>,
}

/// A call by a name of several parts, as functions that are defined in SQL are called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CalledFunction {
    /// The name as the planner looks it up.
    pub key: String,
    pub parts: Vec<String>,
}

/// The functions with names of several parts that a statement calls, each once.
#[must_use]
pub fn called_functions(statement: &Statement) -> Vec<CalledFunction> {
    let inner = match statement {
        Statement::Statement(inner) => inner.as_ref(),
        Statement::Explain(explain) => return called_functions(&explain.statement),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => return Vec::new(),
    };
    let mut found = std::collections::BTreeSet::new();
    let _ = ast::visit_expressions(inner, |expression| {
        if let ast::Expr::Function(call) = expression
            && call.name.0.len() > 1
        {
            let parts = call.name.0.iter().filter_map(|part| part.as_ident()).map(|part| part.value.clone()).collect();
            found.insert(CalledFunction { key: call.name.to_string(), parts });
        }
        ControlFlow::<()>::Continue(())
    });
    found.into_iter().collect()
}

/// The function under a name, ready to be registered; functions that its body calls must be known to the session.
///
/// # Errors
/// If a type is unknown or the body does not plan as one expression over the arguments. Ranges are those of the body.
pub async fn scalar_function(state: &SessionState, name: &str, definition: &Definition) -> std::result::Result<ScalarUDF, Box<SqlError>> {
    let fields = definition.arguments.iter().map(|argument| Ok(Field::new(&argument.name, known_type(state, &argument.data_type)?, true)));
    let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<std::result::Result<Vec<_>, Box<SqlError>>>()?));
    let returns = known_type(state, &definition.returns)?;
    let defaults = definition.arguments.iter().zip(schema.fields()).map(|(argument, field)| match &argument.default {
        Some(text) => constant(state, text, field.data_type()).map(Some),
        None => Ok(None),
    });
    let defaults = defaults.collect::<std::result::Result<Vec<_>, Box<SqlError>>>()?;
    let first = defaults.iter().position(Option::is_some).unwrap_or(defaults.len());
    if let Some(argument) = definition.arguments.iter().skip(first).zip(defaults.iter().skip(first)).find(|(_, default)| default.is_none()) {
        let message = format!("the argument `{}` stands behind one with a default and has none", argument.0.name);
        return Err(Box::new(SqlError::new(Code::SqlInvalid, message).help("put arguments that must be given first")));
    }
    let text = body_text(definition);
    let lead = text.len() - definition.body.trim_end().trim_end_matches(';').len();
    let body = planned(state, &text, &schema).await.map_err(|error| shifted(*error, lead))?;
    let volatility = match definition.volatility {
        Some(Volatility::Stable) => expr::Volatility::Stable,
        Some(Volatility::NonDeterministic) => expr::Volatility::Volatile,
        None if body.is_volatile() => expr::Volatility::Volatile,
        Some(Volatility::Deterministic) | None => expr::Volatility::Immutable,
    };
    let failed = |error: DataFusionError| Box::new(shifted(sql_error(&error, &text), lead));
    let known = DFSchema::try_from(Arc::clone(&schema)).map_err(failed)?;
    let body = if body.get_type(&known).map_err(failed)? == returns { body } else { expr::cast(body, returns.clone()) };
    let body = state.create_physical_expr(body, &known).map_err(failed)?;
    Ok(ScalarUDF::from(Defined {
        name: name.to_owned(),
        definition: definition.clone(),
        schema,
        defaults,
        returns,
        body,
        signature: Signature::user_defined(volatility),
    }))
}

/// Makes a function known to a session.
pub fn register(state: &mut SessionState, function: ScalarUDF) {
    // A session takes every function in; one of the same name goes.
    drop(state.register_udf(Arc::new(function)));
}

/// The body as a statement, to see what it calls; `None` where it does not parse.
#[must_use]
pub fn parsed_body(state: &SessionState, definition: &Definition) -> Option<Statement> {
    parse_query(state, &body_text(definition)).ok()
}

/// The body as a query.
fn body_text(definition: &Definition) -> String {
    let body = definition.body.trim_end().trim_end_matches(';');
    let word: String = body.trim_start().chars().take_while(|c| c.is_alphabetic()).collect();
    if word.eq_ignore_ascii_case("select") || word.eq_ignore_ascii_case("with") { body.to_owned() } else { format!("select {body}") }
}

fn shifted(mut error: SqlError, lead: usize) -> SqlError {
    error.range = error.range.and_then(|range: Range<usize>| Some(range.start.checked_sub(lead)?..range.end.checked_sub(lead)?));
    error
}

fn known_type(state: &SessionState, text: &str) -> std::result::Result<DataType, Box<SqlError>> {
    Semantics::of_session(state).parse_type(text).map_err(|reason| Box::new(SqlError::new(Code::TypeUnknown, reason).help(type_help(text))))
}

fn constant(state: &SessionState, text: &str, data_type: &DataType) -> std::result::Result<ScalarValue, Box<SqlError>> {
    let text = rewritten_expression(state, text)?;
    let value = || {
        let none = DFSchema::empty();
        let value = expr::cast(plan_expression(state, &text, &none)?, data_type.clone());
        let row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &RecordBatchOptions::new().with_row_count(Some(1)))?;
        match state.create_physical_expr(value, &none)?.evaluate(&row)? {
            ColumnarValue::Scalar(value) => Ok(value),
            ColumnarValue::Array(values) => ScalarValue::try_from_array(&values, 0),
        }
    };
    value().map_err(|error: DataFusionError| Box::new(SqlError { range: None, ..sql_error(&error, &text) }))
}

/// The body as an expression over the arguments.
async fn planned(state: &SessionState, text: &str, schema: &SchemaRef) -> std::result::Result<Expr, Box<SqlError>> {
    let spelt = canonical(text, schema.fields().iter().map(|field| field.name().as_str()));
    if !is_one_expression(&parse_query(state, &spelt)?) {
        let error = SqlError::new(Code::NotAvailable, "the body of a function is one expression over its arguments, without tables");
        return Err(Box::new(error.help("put queries over tables into a model, and join it")));
    }
    let over = format!("{spelt}\nfrom {ARGUMENTS}");
    let statement = parse_query(state, if schema.fields().is_empty() { &spelt } else { &over })?;
    let failed = |error: DataFusionError| Box::new(sql_error(&error, &spelt));
    let state = with_arguments(state, schema).map_err(failed)?;
    let plan = plan(&state, statement).await.map_err(failed)?;
    let plan = state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {}).map_err(failed)?;
    let LogicalPlan::Projection(projection) = plan else { return Err(more_than_a_row()) };
    if !matches!(*projection.input, LogicalPlan::TableScan(_) | LogicalPlan::EmptyRelation(_)) {
        return Err(more_than_a_row());
    }
    let Some(body) = projection.expr.into_iter().next() else { return Err(more_than_a_row()) };
    let mut subquery = false;
    let _ = body.apply(|part| {
        subquery |= matches!(part, Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_));
        Ok(if subquery { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    if subquery {
        return Err(more_than_a_row());
    }
    let body = expr::expr_rewriter::unnormalize_col(body.unalias());
    Ok(body)
}

#[expect(clippy::unnecessary_box_returns, reason = "every caller gives it on as an error, which is boxed")]
fn more_than_a_row() -> Box<SqlError> {
    let error = SqlError::new(Code::NotAvailable, "a function can't hold aggregates, window functions or subqueries");
    Box::new(error.help("write it as a macro, which puts its text into the query"))
}

/// `select` of one expression and nothing else.
fn is_one_expression(statement: &Statement) -> bool {
    let Statement::Statement(inner) = statement else { return false };
    let ast::Statement::Query(query) = inner.as_ref() else { return false };
    let ast::SetExpr::Select(select) = query.body.as_ref() else { return false };
    let bare = query.with.is_none() && query.order_by.is_none() && query.limit_clause.is_none() && query.fetch.is_none();
    let one = matches!(select.projection.as_slice(), [ast::SelectItem::UnnamedExpr(_) | ast::SelectItem::ExprWithAlias { .. }]);
    bare && one && select.from.is_empty() && select.selection.is_none() && select.having.is_none() && select.distinct.is_none()
}

/// The session with the arguments as its only table.
fn with_arguments(state: &SessionState, schema: &SchemaRef) -> Result<SessionState> {
    let mut state = state.clone();
    let names = state.config_options().catalog.clone();
    let folder = MemorySchemaProvider::new();
    folder.register_table(ARGUMENTS.to_owned(), Arc::new(EmptyTable::new(Arc::clone(schema))))?;
    let catalog = MemoryCatalogProvider::new();
    catalog.register_schema(&names.default_schema, Arc::new(folder))?;
    let catalogs = MemoryCatalogProviderList::new();
    catalogs.register_catalog(names.default_catalog, Arc::new(catalog));
    state.register_catalog_list(Arc::new(catalogs));
    Ok(state)
}

/// A function with the plan of its body.
#[derive(Debug)]
struct Defined {
    name: String,
    definition: Definition,
    schema: SchemaRef,
    defaults: Vec<Option<ScalarValue>>,
    returns: DataType,
    body: Arc<dyn PhysicalExpr>,
    signature: Signature,
}

impl PartialEq for Defined {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.definition == other.definition
    }
}

impl Eq for Defined {}

impl Hash for Defined {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.definition.body.hash(state);
    }
}

impl Defined {
    /// `f(a INTEGER, b INTEGER default 1)`.
    fn shape(&self) -> String {
        let arguments = self.definition.arguments.iter().zip(self.schema.fields()).map(|(argument, field)| {
            let default = argument.default.as_ref().map(|text| format!(" default {text}")).unwrap_or_default();
            format!("{} {}{default}", argument.name, type_name(field.data_type()))
        });
        format!("{}({})", self.name, arguments.collect::<Vec<_>>().join(", "))
    }
}

impl ScalarUDFImpl for Defined {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let needed = self.defaults.iter().filter(|default| default.is_none()).count();
        if given.len() < needed || given.len() > self.defaults.len() {
            return plan_err!("`{}` was given {} arguments", self.shape(), given.len());
        }
        let wanted: Vec<DataType> = self.schema.fields().iter().take(given.len()).map(|field| field.data_type().clone()).collect();
        for (place, (found, wanted)) in given.iter().zip(&wanted).enumerate() {
            if !fits(found, wanted) {
                return plan_err!("argument {} of `{}` is {}", place + 1, self.shape(), type_name(found));
            }
        }
        Ok(wanted)
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = given.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let constant = constant && self.signature.volatility != expr::Volatility::Volatile;
        let rows = if constant { 1 } else { given.number_rows };
        let mut columns: Vec<ArrayRef> = given.args.into_iter().map(|value| value.into_array(rows)).collect::<Result<_>>()?;
        for default in self.defaults.iter().skip(columns.len()) {
            let value = default.as_ref().ok_or_else(|| exec_datafusion_err!("`{}` lacks an argument", self.name))?;
            columns.push(value.to_array_of_size(rows)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let value = self.body.evaluate(&RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)?;
        match value {
            ColumnarValue::Array(values) if constant => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?)),
            value => Ok(value),
        }
    }
}

/// Whether a value of one type may be given for another: numbers for numbers, times for times, and what is the same.
fn fits(found: &DataType, wanted: &DataType) -> bool {
    let text = |kind: &DataType| matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let time = |kind: &DataType| matches!(kind, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..));
    found == wanted
        || found.is_null()
        || (found.is_numeric() && wanted.is_numeric())
        || (text(found) && text(wanted))
        || (time(found) && time(wanted))
        || (found.is_nested() && wanted.is_nested())
}
