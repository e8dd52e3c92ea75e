//! Planning without data: a query against tables that are nothing but schemas.

use std::collections::BTreeMap;
use std::sync::Arc;

use deltalake::arrow::array::{RecordBatch, RecordBatchOptions};
use deltalake::arrow::datatypes::{DataType, Schema, SchemaRef};
use deltalake::datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider};
use deltalake::datafusion::catalog::{CatalogProviderList, MemoryCatalogProviderList};
use deltalake::datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use deltalake::datafusion::common::{DFSchema, DataFusionError, TableReference};
use deltalake::datafusion::datasource::empty::EmptyTable;
use deltalake::datafusion::execution::runtime_env::RuntimeEnv;
use deltalake::datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use deltalake::datafusion::logical_expr::{Expr, ExprSchemable as _, LogicalPlan, ScalarUDF, cast};
use deltalake::datafusion::sql::parser::Statement;

use super::division::divisions;
use super::ephemeral_cte;
use super::facts::{Doubt, Leaf, LeafFacts, NodeFacts, derive};
use super::files::KnownFiles;
use super::literals::{Need, needs};
use super::sessions::{Session, Sessions};
use crate::base::Code;
use crate::manifest::{Node, NodeId, NodeMap, OnViolation, RelationName, ResourceType};
use crate::resolve::Project;
use crate::sql::{
    Definition, FileCall, Semantics, SessionOptions, SqlError, canonical, changes_rows, cte_names, failures, file_call, file_functions,
    is_table_function, parse_query, plan, plan_expression, register, repeated, rewritten_expression, scalar_function, session_state, sql_error,
    type_name, wrong_subquery,
};

/// Plans queries of one project. Cheap to use many times.
pub struct Planner {
    base: SessionState,
    sessions: Sessions,
    database: String,
    schema: String,
    /// CTEs that stand for ephemeral models.
    ephemeral: BTreeMap<String, NodeId>,
    /// Keys that tests look after.
    tested: NodeMap<Vec<Vec<String>>>,
}

/// A table as a query names it.
pub(super) struct NamedTable {
    reference: TableReference,
    pub name: RelationName,
}

impl NamedTable {
    pub(super) fn new(reference: TableReference, name: RelationName) -> Self {
        Self { reference, name }
    }

    pub(super) fn reference(&self) -> TableReference {
        self.reference.clone()
    }

    /// Whether it is named without a schema.
    pub(super) fn is_bare(&self) -> bool {
        matches!(self.reference, TableReference::Bare { .. })
    }
}

/// A table of a known schema that a query reads.
pub(super) struct KnownTable<'a> {
    pub named: NamedTable,
    pub schema: SchemaRef,
    pub node: &'a Node,
    pub facts: LeafFacts,
}

/// What planning a query tells.
pub(super) struct Planned {
    pub schema: SchemaRef,
    pub facts: NodeFacts,
    pub doubts: Vec<Doubt>,
    /// What the values of each column need.
    pub needs: Vec<Need>,
    /// That two columns of the result have one name, with which they have no place in a table.
    pub twice: Option<Box<SqlError>>,
}

impl Planned {
    /// Refuses two columns of one name, but for a test that keeps no rows: those are counted and nothing else.
    pub(super) fn fit_for(self, node: &Node) -> Result<Self, Vec<SqlError>> {
        let counted = node.test().is_some() && node.relation.is_none();
        match self.twice {
            Some(twice) if !counted => Err(vec![*twice]),
            Some(_) | None => Ok(self),
        }
    }
}

impl Planner {
    #[must_use]
    pub fn new(project: &Project) -> Self {
        let semantics = project.target.semantics();
        let options = SessionOptions { threads: 1, runtime: Arc::new(RuntimeEnv::default()), spilling_joins: false, semantics };
        let is_ephemeral = |node: &&Node| node.resource_type() == ResourceType::Model && node.relation.is_none();
        let base = session_state(&options);
        let config = base.config().clone().with_default_catalog_and_schema(&project.target.database, &project.target.schema);
        let base = SessionStateBuilder::new_from_existing(base).with_config(config).build();
        Self {
            sessions: Sessions::new(base.clone()),
            base,
            database: project.target.database.clone(),
            schema: project.target.schema.clone(),
            ephemeral: project.nodes.values().map(Box::as_ref).filter(is_ephemeral).map(|node| (ephemeral_cte(node), node.id.clone())).collect(),
            tested: tested_keys(project),
        }
    }

    /// The name of a table whose parts are given, from the last one backwards.
    pub(super) fn full_name(&self, parts: &[String]) -> Option<RelationName> {
        let mut parts = parts.iter().rev();
        let identifier = parts.next()?;
        let schema = parts.next().unwrap_or(&self.schema);
        Some(RelationName::new(parts.next().unwrap_or(&self.database), schema, identifier))
    }

    /// The keys of a node that its tests look after.
    #[must_use]
    pub fn tested(&self, id: &NodeId) -> &[Vec<String>] {
        self.tested.get(id).map_or(&[], Vec::as_slice)
    }

    /// The one query in `sql`.
    pub(super) fn parse(&self, sql: &str) -> Result<Statement, Box<SqlError>> {
        parse_query(&self.base, sql)
    }

    /// Functions that yield rows, sorted.
    pub(super) fn table_functions(&self) -> Vec<String> {
        let mut names: Vec<String> = self.base.table_functions().keys().cloned().chain(["unnest".to_owned()]).collect();
        if Semantics::of_session(&self.base).reads_files() {
            names.extend(file_functions().map(str::to_owned));
        }
        names.sort();
        names
    }

    /// The files that a table of a statement stands for.
    pub(super) fn file_call(&self, table: &NamedTable) -> Option<FileCall> {
        Some(table).filter(|table| table.is_bare()).and_then(|table| file_call(table.reference.table(), Semantics::of_session(&self.base)))
    }

    /// What is wrong with a statement that is no query.
    pub(super) fn no_query(statement: &Statement, sql: &str) -> Option<SqlError> {
        changes_rows(statement).then(|| not_a_query(sql))
    }

    /// The tables that a query names, its own CTEs left out.
    pub(super) fn tables(&self, statement: &Statement, sql: &str) -> Result<Vec<NamedTable>, Box<SqlError>> {
        let resolved = |statement: &Statement| self.base.resolve_table_references(statement).map_err(|error| Box::new(sql_error(&error, sql)));
        let mut references = resolved(statement)?;
        // CTEs are told from tables to the letter.
        let spelt_otherwise = |reference: &TableReference, cte: &str| matches!(reference, TableReference::Bare { table } if table.eq_ignore_ascii_case(cte) && **table != *cte);
        let any_bare = references.iter().any(|reference| matches!(reference, TableReference::Bare { .. }));
        let ctes = if any_bare { cte_names(statement) } else { Vec::new() };
        if references.iter().any(|reference| ctes.iter().any(|cte| spelt_otherwise(reference, cte))) {
            references = resolved(&self.parse(&canonical(sql, []))?)?;
        }
        Ok(references
            .into_iter()
            .filter(|reference| !is_table_function(&self.base, reference))
            .map(|reference| {
                let full = reference.clone().resolve(&self.database, &self.schema);
                NamedTable { name: RelationName::new(&*full.catalog, &*full.schema, &*full.table), reference }
            })
            .collect())
    }

    pub(super) fn base(&self) -> &SessionState {
        &self.base
    }

    /// A function that is defined in SQL, from what its body calls.
    pub(super) async fn function(&self, key: &str, definition: &Definition, inner: Vec<ScalarUDF>) -> Result<ScalarUDF, Box<SqlError>> {
        let mut state = Box::new(self.base.clone());
        for called in inner {
            register(&mut state, called);
        }
        scalar_function(&state, key, definition).await
    }

    /// What a query yields over tables of the given schemas and with the given functions, and what follows from its plan.
    /// `statement` is what `sql` was parsed to; where something is wrong it is parsed again, which is rarer than copying it
    /// each time.
    pub(super) async fn plan(
        &self,
        sql: &str,
        statement: Statement,
        (tables, files): (Vec<KnownTable<'_>>, KnownFiles),
        functions: Vec<ScalarUDF>,
    ) -> Result<Planned, Vec<SqlError>> {
        let schemas = tables.iter().map(|table| &table.schema).chain(files.iter().map(|(_, schema)| schema));
        let columns: Vec<&str> = schemas.flat_map(|schema| schema.fields().iter().map(|field| field.name().as_str())).collect();
        let spelt = canonical(sql, columns);
        let statement = if spelt == sql { statement } else { self.parse(&spelt).map_err(|error| vec![*error])? };
        let session = self.session_over(&tables, &files).map_err(|error| vec![sql_error(&error, sql)])?;
        let own;
        let state: &SessionState = if functions.is_empty() {
            &session
        } else {
            own = with_functions(&session, functions);
            &own
        };
        let plan = match plan(state, statement).await {
            Ok(plan) => plan,
            Err(error) => return Err(self.failures(error, state, &spelt).await),
        };
        if matches!(plan, LogicalPlan::Dml(_) | LogicalPlan::Ddl(_) | LogicalPlan::Copy(_) | LogicalPlan::Statement(_)) {
            return Err(vec![not_a_query(sql)]);
        }
        let needs = needs(&plan);
        let leaves = tables.into_iter().map(|table| Leaf { name: table.named.reference, node: &table.node.id, facts: table.facts }).collect();
        let (facts, mut doubts) = derive(&plan, &spelt, leaves, &self.ephemeral);
        doubts.extend(divisions(&plan, &spelt));
        let plan = match state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {}) {
            Ok(plan) => plan,
            Err(error) => return Err(self.failures(error, state, &spelt).await),
        };
        if let Some(error) = wrong_subquery(&plan, state, &spelt) {
            return Err(vec![error]);
        }
        let schema: Schema = plan.schema().as_arrow().clone();
        let twice =
            repeated_column(&schema).map(|name| self.parse(&spelt).map_or_else(|error| error, |statement| Box::new(twice(name, &statement, &spelt))));
        Ok(Planned { schema: Arc::new(schema), facts, doubts, needs, twice })
    }

    async fn failures(&self, error: DataFusionError, state: &SessionState, sql: &str) -> Vec<SqlError> {
        match self.parse(sql) {
            Ok(statement) => Box::pin(failures(error, state, &statement, sql)).await,
            Err(error) => vec![*error],
        }
    }

    /// The type of an expression over rows of the given aliases and schemas.
    pub(super) fn type_of(&self, text: &str, over: &[(&str, &SchemaRef)]) -> Result<DataType, Box<SqlError>> {
        let columns = over.iter().flat_map(|(_, schema)| schema.fields().iter().map(|field| field.name().as_str()));
        let spelt = canonical(text, columns.chain(over.iter().map(|(alias, _)| *alias)).collect::<Vec<_>>());
        let spelt = rewritten_expression(&self.base, &spelt)?;
        let planned = || {
            let mut known = DFSchema::empty();
            for (alias, schema) in over {
                known = known.join(&DFSchema::try_from_qualified_schema(TableReference::bare(*alias), schema)?)?;
            }
            let expression = plan_expression(&self.base, &spelt, &known)?;
            Ok((expression.get_type(&known)?, looks_around(&expression)?))
        };
        match planned().map_err(|error: DataFusionError| Box::new(sql_error(&error, &spelt)))? {
            (_, Some(what)) => Err(Box::new(
                SqlError::new(Code::SqlInvalid, format!("{what} has no place here"))
                    .help("use columns of the row only, and compute the rest in the query"),
            )),
            (data_type, None) => Ok(data_type),
        }
    }

    /// What is wrong with a value that is the same for all rows and is to have a type.
    pub(super) fn wrong_constant(&self, text: &str, data_type: &DataType) -> Option<Box<SqlError>> {
        if let Err(error) = self.type_of(text, &[]) {
            return Some(error);
        }
        let value = || {
            let none = DFSchema::empty();
            let rewritten = rewritten_expression(&self.base, text).map_err(|error| DataFusionError::Plan(error.message))?;
            let expression = cast(plan_expression(&self.base, &rewritten, &none)?, data_type.clone());
            let row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &RecordBatchOptions::new().with_row_count(Some(1)))?;
            self.base.create_physical_expr(expression, &none)?.evaluate(&row)
        };
        value().err().map(|error| Box::new(sql_error(&error, text)))
    }

    /// What is wrong with a value that is computed from such rows.
    #[must_use]
    pub fn wrong_value(&self, text: &str, over: &[(&str, &SchemaRef)]) -> Option<Box<SqlError>> {
        self.type_of(text, over).err()
    }

    /// What is wrong with a condition over such rows.
    #[must_use]
    pub fn wrong_condition(&self, text: &str, over: &[(&str, &SchemaRef)]) -> Option<Box<SqlError>> {
        match self.type_of(text, over) {
            Ok(DataType::Boolean | DataType::Null) => None,
            Ok(other) => Some(Box::new(
                SqlError::new(Code::SqlInvalid, format!("expected a condition, found {}", type_name(&other))).help("compare it with something"),
            )),
            Err(error) => Some(error),
        }
    }

    fn session_over(&self, tables: &[KnownTable<'_>], files: &KnownFiles) -> deltalake::datafusion::common::Result<Session<'_>> {
        let catalogs = Arc::new(MemoryCatalogProviderList::new());
        let tables = tables.iter().map(|table| (&table.named.reference, &table.schema));
        for (reference, schema) in tables.chain(files.iter().map(|(reference, schema)| (reference, schema))) {
            let full = reference.clone().resolve(&self.database, &self.schema);
            let catalog = catalogs.catalog(&full.catalog).unwrap_or_else(|| {
                let catalog: Arc<dyn CatalogProvider> = Arc::new(MemoryCatalogProvider::new());
                catalogs.register_catalog(full.catalog.to_string(), Arc::clone(&catalog));
                catalog
            });
            let folder = if let Some(folder) = catalog.schema(&full.schema) {
                folder
            } else {
                let folder: Arc<dyn SchemaProvider> = Arc::new(MemorySchemaProvider::new());
                catalog.register_schema(&full.schema, Arc::clone(&folder))?;
                folder
            };
            folder.register_table(full.table.to_string(), Arc::new(EmptyTable::new(Arc::clone(schema))))?;
        }
        Ok(self.sessions.over(catalogs))
    }
}

fn with_functions(session: &SessionState, functions: Vec<ScalarUDF>) -> Box<SessionState> {
    let mut state = Box::new(session.clone());
    for function in functions {
        register(&mut state, function);
    }
    state
}

/// What in an expression looks at more than one row.
fn looks_around(expression: &Expr) -> Result<Option<&'static str>, DataFusionError> {
    let mut found = None;
    expression.apply(|part| {
        found = match part {
            Expr::AggregateFunction(_) => Some("an aggregate"),
            Expr::WindowFunction(_) => Some("a window function"),
            Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) => Some("a subquery"),
            _ => return Ok(TreeNodeRecursion::Continue),
        };
        Ok(TreeNodeRecursion::Stop)
    })?;
    Ok(found)
}

/// Statements that change something have their place in hooks and in the `sql` command.
fn not_a_query(sql: &str) -> SqlError {
    let begin = sql.len() - sql.trim_start().len();
    let word: String = sql.trim_start().chars().take_while(|c| c.is_alphanumeric()).collect();
    let error = SqlError::new(Code::SqlInvalid, format!("expected a query, found `{}`", word.to_lowercase())).help("write a select");
    if word.is_empty() { error } else { error.range(begin..begin + word.len()) }
}

/// Two columns of the result that have one name.
fn twice(name: &str, statement: &Statement, sql: &str) -> SqlError {
    let mut error = SqlError::new(Code::SqlInvalid, format!("two columns of the result are called `{name}`"))
        .help("give one of them another name with `as`, or leave it out of `*` with `except`");
    if let Some((place, first)) = repeated(statement, name, sql) {
        error.range = Some(place);
        if let Some(first) = first {
            error.relate(first, "the other");
        }
    }
    error
}

/// A name that stands twice in a schema, if letters' case is no difference, as in Delta.
fn repeated_column(schema: &Schema) -> Option<&str> {
    let mut seen = std::collections::HashSet::new();
    schema.fields().iter().map(|field| field.name().as_str()).find(|name| !seen.insert(name.to_lowercase()))
}

/// Keys that `unique` tests of severity error look after, and those of `dbt_utils` that take several columns.
fn tested_keys(project: &Project) -> NodeMap<Vec<Vec<String>>> {
    let mut found: NodeMap<Vec<Vec<String>>> = NodeMap::default();
    for details in project
        .nodes
        .values()
        .filter(|node| node.config.test.severity == OnViolation::Error && node.config.test.filter.is_none())
        .filter_map(|node| node.test())
    {
        let (Some(generic), Some(attached)) = (&details.generic, &details.attached) else { continue };
        let columns: Option<Vec<String>> = match generic.name.as_str() {
            "unique" => details.column.as_ref().map(|column| vec![column.clone()]),
            "unique_combination_of_columns" => generic
                .arguments
                .get("combination_of_columns")
                .and_then(|list| list.as_array())
                .and_then(|list| list.iter().map(|item| item.as_str().map(str::to_owned)).collect()),
            _ => None,
        };
        if let Some(columns) = columns {
            found.entry(attached.clone()).or_default().push(columns);
        }
    }
    found
}
