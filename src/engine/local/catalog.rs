//! What the names in a query mean: every table reference is resolved once, at one version, into a catalog that lives as
//! long as the query's session.
//!
//! Names resolve without regard to case, to what lies over the warehouse for the query, to bound files, to a view
//! (inlined) or to a Delta table. Leaves opening tables to `warehouse` and reading files to `files`.

mod information_schema;
mod names;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use deltalake::arrow::datatypes::SchemaRef;
use deltalake::datafusion::catalog::TableProvider;
use deltalake::datafusion::common::{DataFusionError, TableReference};
use deltalake::datafusion::datasource::ViewTable;
use deltalake::datafusion::execution::SendableRecordBatchStream;
use deltalake::datafusion::execution::session_state::SessionState;
use deltalake::datafusion::logical_expr::LogicalPlan;
use deltalake::datafusion::physical_plan::{ExecutionPlan, execute_stream};
use deltalake::datafusion::sql::parser::Statement;
use deltalake::datafusion::sql::sqlparser::ast;

use self::names::QueryCatalog;
use super::super::{EngineError, InputVersion, Overlay, RelationKind, RelationState};
use super::locate::located;
use super::streams::Part;
use super::temporary::Temporary;
use super::{LocalEngine, failure, functions, streams};
use crate::base::{Code, nearest};
use crate::manifest::RelationName;
use crate::sql::{self, Semantics, SqlError};

/// A planned query with the session that knows its tables.
pub(super) struct Bound {
    pub(super) state: SessionState,
    pub(super) plan: LogicalPlan,
    /// What was planned, to find the places of errors that come late.
    pub(super) statement: Statement,
    scope: Scope,
    /// The Delta tables it reads, sorted, each at its version.
    pub(super) inputs: Vec<InputVersion>,
}

/// Plans a query in a session of its own. Every table is opened once.
///
/// # Errors
/// If the SQL does not parse or plan, is not a query, or a table it names is missing or damaged.
pub(super) async fn bind_session(engine: &LocalEngine, sql: &str, overlays: &[Overlay]) -> Result<Bound, EngineError> {
    bind_parts(engine, sql, overlays, &BTreeMap::new()).await
}

/// As [`bind_session`], with parts of some relations only.
///
/// # Errors
/// As there.
pub(super) async fn bind_parts(
    engine: &LocalEngine,
    sql: &str,
    overlays: &[Overlay],
    parts: &BTreeMap<RelationName, Part>,
) -> Result<Bound, EngineError> {
    let mut resolver = Resolver { parts: Some(parts), ..Resolver::new(engine, overlays) };
    let default = Scope { database: engine.options.database.clone(), schema: engine.options.schema.clone() };
    let (state, plan, statement) = resolver.plan(sql, &default, engine.options.semantics).await?;
    let state = in_order(engine, state, &plan).map_err(|error| failure::query(error, sql))?;
    Ok(Bound { state, plan, statement, scope: default, inputs: resolver.inputs.into_iter().collect() })
}

/// A session that runs a plan in one partition where the order of rows decides; joins that spill need several.
fn in_order(engine: &LocalEngine, mut state: SessionState, plan: &LogicalPlan) -> Result<SessionState, DataFusionError> {
    if engine.options.memory_limit.is_none() && sql::keeps_order(plan)? {
        state.config_mut().options_mut().execution.target_partitions = 1;
    }
    Ok(state)
}

impl Bound {
    /// The plan that runs.
    ///
    /// # Errors
    /// If types do not fit, or a constant can't be worked out.
    pub(super) async fn physical(&self, sql: &str) -> Result<Arc<dyn ExecutionPlan>, EngineError> {
        match self.state.create_physical_plan(&self.plan).await {
            Ok(plan) => Ok(plan),
            // A sort over a join of unions of constants is planned without the order it needs: sorted in one piece it is not.
            Err(error) if error.to_string().contains("does not satisfy order requirements") => {
                let mut state = self.state.clone();
                state.config_mut().options_mut().optimizer.repartition_sorts = false;
                state.create_physical_plan(&self.plan).await.map_err(|error| failure::query(error, sql))
            }
            Err(error) => Err(blamed(failure::query(error, sql), &self.state, &self.statement, sql).await),
        }
    }
}

/// Plans the query of a view in its schema and with its semantics.
///
/// # Errors
/// As [`bind_session`].
pub(super) async fn bind_view(
    engine: &LocalEngine,
    (name, text): (&RelationName, &ViewText),
    overlays: &[Overlay],
    parts: &BTreeMap<RelationName, Part>,
) -> Result<Bound, EngineError> {
    let mut resolver = Resolver { parts: Some(parts), open: vec![name.clone()], ..Resolver::new(engine, overlays) };
    let scope = Scope { database: name.database.clone(), schema: name.schema.clone() };
    let (state, plan, statement) = resolver.plan(&text.sql, &scope, text.semantics).await?;
    Ok(Bound { state, plan, statement, scope, inputs: resolver.inputs.into_iter().collect() })
}

/// The query that a view stands for, with how it divides.
pub(super) struct ViewText {
    pub(super) sql: String,
    semantics: Semantics,
}

/// The views that a query names, each with its query and the place where it is named first.
///
/// # Errors
/// If it can't be looked up what is a view.
pub(super) async fn views(
    engine: &LocalEngine,
    bound: &Bound,
    sql: &str,
    overlays: &[Overlay],
) -> Result<Vec<(RelationName, ViewText, Range<usize>)>, EngineError> {
    let mut found: Vec<(RelationName, ViewText, Range<usize>)> = Vec::new();
    for (reference, place) in places(&bound.statement, sql) {
        let name = bound.scope.name(&reference);
        if found.iter().any(|(known, ..)| *known == name) {
            continue;
        }
        let semantics = engine.options.semantics;
        let over = overlays.iter().find_map(|overlay| match overlay {
            Overlay::Query { name: over, sql } if *over == name => Some(ViewText { sql: sql.clone(), semantics }),
            Overlay::Query { .. } | Overlay::Stage { .. } => None,
        });
        let temporary = match engine.temporary.get(reference.table()).filter(|_| reference.schema().is_none()) {
            Some(Temporary::View(sql)) => Some(ViewText { sql, semantics }),
            Some(Temporary::Table(_)) | None => None,
        };
        let text = match over.or(temporary) {
            Some(text) => Some(text),
            None => engine.views.get(&name).await?.map(|view| ViewText { sql: view.sql, semantics: view.semantics }),
        };
        found.extend(text.map(|text| (name, text, place)));
    }
    Ok(found)
}

/// An error of planning, with the place of the expression that is to blame.
async fn blamed(error: EngineError, state: &SessionState, statement: &Statement, sql: &str) -> EngineError {
    match error {
        EngineError::Sql(inner) => EngineError::Sql(Box::new(sql::blame(*inner, state, statement, sql).await)),
        other => other,
    }
}

/// Runs a query.
///
/// # Errors
/// As [`bind_session`].
pub(super) async fn query(engine: &LocalEngine, sql: &str, overlays: &[Overlay]) -> Result<SendableRecordBatchStream, EngineError> {
    let bound = bind_session(engine, sql, overlays).await?;
    let started = match bound.physical(sql).await {
        Ok(plan) => execute_stream(plan, bound.state.task_ctx()).map_err(|error| failure::query(error, sql)),
        Err(error) => Err(error),
    };
    match started {
        Ok(rows) => Ok(rows),
        Err(error) => Err(located(engine, error, (sql, overlays), &BTreeMap::new()).await),
    }
}

/// The columns of a view, by planning it.
///
/// # Errors
/// If its query does not plan any more.
pub(super) async fn view_schema(engine: &LocalEngine, name: &RelationName) -> Result<SchemaRef, EngineError> {
    planned_schema(Resolver::new(engine, &[]), name).await
}

/// As [`view_schema`], while the columns of everything are listed: a view that reads this list itself finds it empty.
async fn listed_schema(engine: &LocalEngine, name: &RelationName) -> Result<SchemaRef, EngineError> {
    planned_schema(Resolver { listing: true, ..Resolver::new(engine, &[]) }, name).await
}

async fn planned_schema(mut resolver: Resolver<'_>, name: &RelationName) -> Result<SchemaRef, EngineError> {
    let Some(found) = resolver.relation(name).await? else {
        return Err(EngineError::Damaged { relation: name.short(), reason: "the view went away".into() });
    };
    let Some(plan) = found.get_logical_plan() else { return Ok(found.schema()) };
    // Types are only settled when a plan is analyzed: until then `case when .. then 0 else 1.5 end` is a whole number.
    let state = resolver.engine.session();
    let plan = plan.into_owned();
    let settled =
        state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {}).map_err(|error| within(failure::query(error, ""), name))?;
    Ok(Arc::clone(settled.schema().inner()))
}

/// What the files under a name are; `None` where no files are bound to it.
///
/// # Errors
/// If the files are missing or can't be read.
pub(super) async fn files_state(engine: &LocalEngine, name: &RelationName) -> Result<Option<RelationState>, EngineError> {
    let Some(binding) = engine.files.get(name) else { return Ok(None) };
    let provider = engine.files.provider(&engine.session(), &binding).await?;
    Ok(Some(RelationState {
        kind: RelationKind::Files,
        schema: provider.schema(),
        version: None,
        sql: None,
        partition_by: Vec::new(),
        constraints: BTreeMap::new(),
    }))
}

/// Where names without a schema or database are looked up.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) database: String,
    pub(super) schema: String,
}

impl Scope {
    pub(super) fn name(&self, reference: &TableReference) -> RelationName {
        let schema = reference.schema().unwrap_or(&self.schema);
        RelationName::new(reference.catalog().unwrap_or(&self.database), schema, reference.table())
    }

    /// A name whose parts are given.
    pub(super) fn of_parts(&self, parts: &[String]) -> Option<RelationName> {
        let mut parts = parts.iter().rev();
        let identifier = parts.next()?;
        let schema = parts.next().unwrap_or(&self.schema);
        Some(RelationName::new(parts.next().unwrap_or(&self.database), schema, identifier))
    }
}

/// Resolves the names of one query and of the views it reads.
struct Resolver<'a> {
    engine: &'a LocalEngine,
    overlays: &'a [Overlay],
    /// Relations of which only a part is read.
    parts: Option<&'a BTreeMap<RelationName, Part>>,
    found: BTreeMap<RelationName, Arc<dyn TableProvider>>,
    inputs: BTreeSet<InputVersion>,
    /// The views that are being planned, outermost first.
    open: Vec<RelationName>,
    /// Whether it is the columns of everything that are wanted.
    listing: bool,
}

impl<'a> Resolver<'a> {
    fn new(engine: &'a LocalEngine, overlays: &'a [Overlay]) -> Self {
        Self { engine, overlays, parts: None, found: BTreeMap::new(), inputs: BTreeSet::new(), open: Vec::new(), listing: false }
    }

    async fn plan(&mut self, sql: &str, scope: &Scope, semantics: Semantics) -> Result<(SessionState, LogicalPlan, Statement), EngineError> {
        let mut state = self.engine.session_with(semantics);
        // Once to know the names of tables whatever their case, and once more when their columns are known.
        let statement = parse(&state, &sql::canonical(sql, []), sql)?;
        let references = state.resolve_table_references(&statement).map_err(|error| failure::query(error, sql))?;
        let mut catalog = QueryCatalog::default();
        let mut columns = BTreeSet::new();
        let mut kinds = BTreeMap::new();
        for reference in references.iter().filter(|reference| !sql::is_table_function(&state, reference)) {
            let name = scope.name(reference);
            if let Some(provider) = Box::pin(self.called_files(reference, &statement, sql)).await? {
                columns.extend(provider.schema().fields().iter().map(|field| field.name().clone()));
                catalog.add(&name, provider);
                continue;
            }
            let temporary = self.temporary(reference, &name).await?;
            if kinds.insert(name.clone(), temporary.is_some()).is_some_and(|before| before != temporary.is_some()) {
                let message = format!("`{}` is both temporary and a relation of the warehouse in one query", name.identifier);
                return Err(EngineError::Unsupported { message, help: Some("give the temporary one another name".into()) });
            }
            let found = match temporary {
                Some(provider) => Some(provider),
                None => self.relation(&name).await?,
            };
            let Some(provider) = found else {
                return Err(self.unknown(&statement, reference, &name, sql).await);
            };
            columns.extend(provider.schema().fields().iter().map(|field| field.name().clone()));
            catalog.add(&name, provider);
        }
        let options = state.config_mut().options_mut();
        options.catalog.default_catalog.clone_from(&scope.database);
        options.catalog.default_schema.clone_from(&scope.schema);
        state.register_catalog_list(Arc::new(catalog));
        let statement = parse(&state, &sql::canonical(sql, columns.iter().map(String::as_str)), sql)?;
        functions::register(self.engine, &mut state, (&statement, sql), scope).await?;
        match sql::plan(&state, statement.clone()).await {
            Ok(plan) => Ok((state, plan, statement)),
            Err(error) => Err(blamed(failure::query(error, sql), &state, &statement, sql).await),
        }
    }

    /// The files that a call in the place of a table means; `None` for the name of a table.
    async fn called_files(
        &mut self,
        reference: &TableReference,
        statement: &Statement,
        sql: &str,
    ) -> Result<Option<Arc<dyn TableProvider>>, EngineError> {
        let semantics = self.engine.options.semantics;
        let call =
            Some(reference).filter(|reference| reference.schema().is_none()).and_then(|reference| sql::file_call(reference.table(), semantics));
        let Some(call) = call else { return Ok(None) };
        match self.engine.files.provider_of_call(&self.engine.session(), call).await {
            Ok(provider) => Ok(Some(provider)),
            // One that has a place in a file needs none in the query.
            Err(EngineError::Diagnosed(diagnostic)) if diagnostic.labels.is_empty() => {
                let mut error = SqlError::new(diagnostic.code, diagnostic.message.clone());
                error.range = places(statement, sql).into_iter().find(|(found, _)| found == reference).map(|(_, range)| range);
                error.notes.clone_from(&diagnostic.notes);
                error.help.clone_from(&diagnostic.help);
                Err(EngineError::Sql(Box::new(error)))
            }
            Err(error) => Err(error),
        }
    }

    /// What a name without a schema means if it is temporary.
    async fn temporary(&mut self, reference: &TableReference, name: &RelationName) -> Result<Option<Arc<dyn TableProvider>>, EngineError> {
        if reference.schema().is_some() || self.open.contains(name) {
            return Ok(None);
        }
        match self.engine.temporary.get(reference.table()) {
            None => Ok(None),
            Some(Temporary::Table(rows)) => Ok(Some(rows)),
            Some(Temporary::View(sql)) => Box::pin(self.view(name, &sql, self.engine.options.semantics)).await.map(Some),
        }
    }

    /// What a name means; `None` where nothing does.
    async fn relation(&mut self, name: &RelationName) -> Result<Option<Arc<dyn TableProvider>>, EngineError> {
        if let Some(provider) = self.found.get(name) {
            return Ok(Some(Arc::clone(provider)));
        }
        let provider = Box::pin(self.resolve(name)).await?;
        if let Some(provider) = &provider {
            self.found.insert(name.clone(), Arc::clone(provider));
        }
        Ok(provider)
    }

    async fn resolve(&mut self, name: &RelationName) -> Result<Option<Arc<dyn TableProvider>>, EngineError> {
        let over = self.overlays.iter().find(|overlay| match overlay {
            Overlay::Stage { name: over, .. } | Overlay::Query { name: over, .. } => over == name,
        });
        match over {
            Some(Overlay::Stage { stage, .. }) => return self.engine.stages.provider(*stage, self.engine).await.map(Some),
            // Inside of itself, the name means what lies below.
            Some(Overlay::Query { sql, .. }) if !self.open.contains(name) => {
                return self.view(name, sql, self.engine.options.semantics).await.map(Some);
            }
            Some(Overlay::Query { .. }) | None => {}
        }
        if name.schema.eq_ignore_ascii_case("information_schema") {
            return information_schema::table(self.engine, name, self.listing).await;
        }
        if let Some(binding) = self.engine.files.get(name) {
            let session = self.engine.session();
            return match self.part(name) {
                Some(Part::Files(files, known)) => self.engine.files.provider_of(&session, &binding, files, known.as_deref()).await.map(Some),
                Some(Part::Versions(_)) | None => self.engine.files.provider(&session, &binding).await.map(Some),
            };
        }
        if let Some(view) = self.engine.views.get(name).await? {
            return self.view(name, &view.sql, view.semantics).await.map(Some);
        }
        self.table(name).await
    }

    async fn table(&mut self, name: &RelationName) -> Result<Option<Arc<dyn TableProvider>>, EngineError> {
        let Some(table) = self.engine.warehouse.open_table(name).await? else { return Ok(None) };
        if let Some(version) = table.version() {
            self.inputs.insert(InputVersion { relation: name.to_string(), version });
        }
        table.update_datafusion_session(&self.engine.session()).map_err(|error| failure::reading(&error, name))?;
        if let Some(Part::Versions(files)) = self.part(name) {
            return streams::table_part(self.engine, name, &table, files).await.map(Some);
        }
        let provider = table.table_provider().await.map_err(|error| failure::query(error, ""))?;
        Ok(Some(provider))
    }

    fn part(&self, name: &RelationName) -> Option<&'a Part> {
        self.parts?.get(name)
    }

    /// A query under a name, planned in the schema of its name.
    async fn view(&mut self, name: &RelationName, sql: &str, semantics: Semantics) -> Result<Arc<dyn TableProvider>, EngineError> {
        if self.open.contains(name) {
            let path: Vec<_> = self.open.iter().chain([name]).map(|view| format!("`{}`", view.short())).collect();
            return Err(EngineError::Sql(Box::new(SqlError::new(Code::Cycle, format!("the view reads itself: {}", path.join(" -> "))))));
        }
        self.open.push(name.clone());
        let scope = Scope { database: name.database.clone(), schema: name.schema.clone() };
        let planned = self.plan(sql, &scope, semantics).await;
        self.open.pop();
        let (_, plan, _) = planned.map_err(|error| within(error, name))?;
        Ok(Arc::new(ViewTable::new(plan, Some(sql.to_owned()))))
    }

    async fn unknown(&self, statement: &Statement, reference: &TableReference, name: &RelationName, sql: &str) -> EngineError {
        let mut error = SqlError::new(Code::UnknownTable, format!("there is no table `{reference}`"));
        error.range = places(statement, sql).into_iter().find(|(found, _)| found == reference).map(|(_, range)| range);
        let known = relations(self.engine).await.unwrap_or_default();
        let here: Vec<&str> =
            known.keys().filter(|known| known.schema.eq_ignore_ascii_case(&name.schema)).map(|known| known.identifier.as_str()).collect();
        let elsewhere = known.keys().find(|known| known.identifier.eq_ignore_ascii_case(&name.identifier));
        error.help = match (nearest(&name.identifier, here), elsewhere) {
            (Some(near), _) if reference.schema().is_none() => Some(format!("did you mean `{near}`?")),
            (Some(near), _) => Some(format!("did you mean `{}.{near}`?", name.schema)),
            (None, Some(elsewhere)) => Some(format!("did you mean `{}`?", elsewhere.short())),
            (None, None) if reference.schema().is_none() => Some(format!("names without a schema are looked up in `{}`", name.schema)),
            (None, None) => Some(format!(
                "nothing of that name has been built: build it first (`alluvium build --select {}`), or fill the table; a source of files is declared with `external:`",
                name.identifier
            )),
        };
        EngineError::Sql(Box::new(error))
    }
}

/// Everything that has a name, with its kind: by listing, nothing is opened.
pub(super) async fn relations(engine: &LocalEngine) -> Result<BTreeMap<RelationName, RelationKind>, EngineError> {
    let mut known = BTreeMap::new();
    known.extend(engine.files.names().into_iter().map(|name| (name, RelationKind::Files)));
    known.extend(engine.warehouse.list().await?.into_iter().map(|name| (name, RelationKind::Table)));
    known.extend(engine.views.list().await?.into_iter().map(|(name, _)| (name, RelationKind::View)));
    Ok(known)
}

fn parse(state: &SessionState, canonical: &str, written: &str) -> Result<Statement, EngineError> {
    let statement = sql::parse_query(state, canonical).map_err(EngineError::Sql)?;
    if is_query(&statement) {
        return Ok(statement);
    }
    let word: String = written.trim_start().chars().take_while(|c| c.is_alphanumeric()).collect();
    Err(EngineError::Sql(Box::new(
        SqlError::new(Code::SqlInvalid, format!("expected a query, found `{}`", word.to_lowercase())).help("write a select"),
    )))
}

fn is_query(statement: &Statement) -> bool {
    match statement {
        Statement::Statement(statement) => matches!(**statement, ast::Statement::Query(_) | ast::Statement::ExplainTable { .. }),
        Statement::Explain(explain) => is_query(&explain.statement),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => false,
    }
}

/// The tables that a statement names, each with its place in the text.
fn places(statement: &Statement, sql: &str) -> Vec<(TableReference, Range<usize>)> {
    let mut found = Vec::new();
    let inner = match statement {
        Statement::Statement(inner) => inner.as_ref(),
        Statement::Explain(explain) => return places(&explain.statement, sql),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => return found,
    };
    let text = crate::base::SourceFile::new("", sql.into());
    let offset = |at: deltalake::datafusion::sql::sqlparser::tokenizer::Location| {
        text.offset(u32::try_from(at.line).unwrap_or(u32::MAX), u32::try_from(at.column).unwrap_or(u32::MAX)) as usize
    };
    let _ = ast::visit_relations(inner, |name| {
        let parts: Vec<&ast::Ident> = name.0.iter().filter_map(|part| part.as_ident()).collect();
        if let (Some(first), Some(last)) = (parts.first(), parts.last()) {
            let reference = match parts.as_slice() {
                [table] => Some(TableReference::bare(table.value.clone())),
                [schema, table] => Some(TableReference::partial(schema.value.clone(), table.value.clone())),
                [database, schema, table] => Some(TableReference::full(database.value.clone(), schema.value.clone(), table.value.clone())),
                _ => None,
            };
            let range = offset(first.span.start)..offset(last.span.end);
            found.extend(reference.map(|reference| (reference, range)));
        }
        std::ops::ControlFlow::<()>::Continue(())
    });
    found
}

/// An error inside of a view: its places are in the view's text, not in the query's.
fn within(error: EngineError, view: &RelationName) -> EngineError {
    match error {
        EngineError::Sql(mut inner) => {
            inner.range = None;
            inner.notes.push(format!("in the query of the view `{}`", view.short()));
            EngineError::Sql(inner)
        }
        other => other,
    }
}
