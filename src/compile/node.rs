//! Compiling one node.

use std::borrow::Cow;
use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use deltalake::arrow::datatypes::SchemaRef;
use deltalake::datafusion::sql::parser::Statement;

use super::ephemeral::{Insertion, insertion};
use super::facts::{NodeFacts, leaf_facts};
use super::host::NodeHost;
use super::planner::{KnownTable, NamedTable, Planned, Planner};
use super::unit_test::{UnitQuery, compile_unit_test};
use super::{Asked, Broken, Compilation, Surroundings, contract, functions};
use crate::base::{Code, Diagnostic, FileId, Severity, Span};
use crate::jinja::{Batch, RenderFailure, Rendered, SourceMap, SpanKind, TemplateHost};
use crate::manifest::{Materialization, Node, NodeId, NodeKind, RelationName, ResourceType};
use crate::resolve::Project;
use crate::sql::{SqlError, output_columns, place_of, respelt_texts, type_name};

/// A node as SQL that plans, with what is known of its result.
#[derive(Debug, Clone)]
pub struct CompiledNode {
    pub id: NodeId,
    /// The whole query, the CTEs of ephemeral parents included. Empty for seeds.
    pub sql: String,
    /// The query registered as a text, so that messages can quote it.
    pub file: Option<FileId>,
    /// What the query yields; `None` where a parent's schema is not known before a run.
    pub query_schema: Option<SchemaRef>,
    /// What the node's relation has for those who read it: the query's columns and what its history adds.
    pub schema: Option<SchemaRef>,
    /// The node's own table, if this build adds to it; `None` for a first build and a full refresh.
    pub history: Option<SchemaRef>,
    /// What the plan of the query proves beside the schema; where that is known.
    pub facts: Option<Arc<NodeFacts>>,
    /// What is worth a word and stops nothing.
    pub warnings: Vec<Diagnostic>,
    /// Macros that were reached, as unique ids.
    pub macros: Vec<String>,
    /// Unit tests only: the comparison with what is expected. `sql` is the tested query over its fixtures.
    pub unit: Option<UnitQuery>,
    /// The query without the CTEs of ephemeral parents.
    pub(super) body: String,
    /// Those CTEs, theirs first.
    pub(super) ctes: Vec<(String, String)>,
    map: SourceMap,
    insertion: Insertion,
    span: Span,
}

impl CompiledNode {
    /// Where the node stands in the user's files.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }

    /// The query without the CTEs of ephemeral parents.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }

    /// A failure in the SQL as a diagnostic that points into the user's file; where a macro or an expression wrote the
    /// SQL, the compiled text is shown as well.
    #[must_use]
    pub fn diagnose(&self, error: &SqlError, what: &str) -> Diagnostic {
        let mut diagnostic = Diagnostic::error(error.code, error.message.clone());
        let place = error.range.as_ref().map(|range| self.place(range));
        match place {
            Some(Some((span, exact))) => {
                diagnostic = diagnostic.at(span, if exact { String::new() } else { "what this wrote".into() });
                if !exact {
                    diagnostic = self.quote(diagnostic, error);
                }
            }
            Some(None) => diagnostic = self.quote(diagnostic.at(self.span, what), error),
            None => diagnostic = diagnostic.at(self.span, what),
        }
        for (range, what) in &error.related {
            if let Some((span, _)) = self.place(range) {
                diagnostic = diagnostic.also(span, what.as_str());
            }
        }
        diagnostic.notes.extend(error.notes.iter().cloned());
        diagnostic.help.clone_from(&error.help);
        diagnostic
    }

    fn quote(&self, diagnostic: Diagnostic, error: &SqlError) -> Diagnostic {
        match (self.file, &error.range) {
            (Some(file), Some(range)) => diagnostic.also(Span::new(file, range.start, range.end), "in the compiled SQL"),
            _ => diagnostic,
        }
    }

    /// The place in the user's file that a range of the query comes from, and whether it is the very text.
    fn place(&self, range: &std::ops::Range<usize>) -> Option<(Span, bool)> {
        let rendered = |at: usize| {
            let behind = at.checked_sub(self.insertion.at).filter(|_| !self.insertion.text.is_empty());
            let at = match behind {
                None => at,
                Some(behind) => self.insertion.at + behind.checked_sub(self.insertion.text.len())?,
            };
            u32::try_from(at).ok()
        };
        let (span, kind) = self.map.lookup_range(rendered(range.start)?, rendered(range.end)?)?;
        Some((span, kind == SpanKind::Literal))
    }
}

/// Renders and plans one node. `done` holds its parents, as far as they were compiled.
pub async fn compile_node(
    project: &Arc<Project>,
    planner: &Planner,
    node: &Node,
    done: &BTreeMap<NodeId, Compilation>,
    surroundings: &Arc<dyn Surroundings>,
) -> Compilation {
    compile_batch(project, planner, (node, None), done, surroundings).await
}

/// The same for one of the batches in which a model is built: what it reads is filtered to the batch's time.
pub async fn compile_batch(
    project: &Arc<Project>,
    planner: &Planner,
    (node, batch): (&Node, Option<Batch>),
    done: &BTreeMap<NodeId, Compilation>,
    surroundings: &Arc<dyn Surroundings>,
) -> Compilation {
    let late = project.found_late(node);
    if !late.is_empty() {
        return Compilation::Failed(late.to_vec().into());
    }
    if matches!(node.kind, NodeKind::Seed { .. }) {
        let schema = surroundings.schema(node).await.filter(|_| !alters(node));
        return Compilation::Ready(Arc::new(without_sql(node, schema)));
    }
    if let NodeKind::UnitTest(unit) = &node.kind {
        return compile_unit_test(project, planner, node, unit, done, surroundings).await;
    }
    let is_python_function = node.language == "python" && node.resource_type() == ResourceType::Function;
    // The macro that builds a function in Python says what is missing.
    if is_python_function || node.is_blank() {
        return Compilation::Ready(Arc::new(without_sql(node, None)));
    }
    if node.language == "python" {
        return Compilation::Failed(vec![python_model(node)].into());
    }
    let history = match &batch {
        None => super::history::history(project, node, surroundings).await,
        Some(batch) if batch.first => None,
        Some(_) => surroundings.table(node).await,
    };
    let host = NodeHost {
        project: Arc::clone(project),
        node: node.id.clone(),
        home: node.package.clone(),
        surroundings: Arc::clone(surroundings),
        // In a full refresh the later batches add to a table that is there, and are told that they begin it, as in dbt.
        incremental: history.is_some() && node.config.materialization == Materialization::Incremental && !project.full_refresh(node),
        ephemeral: Mutex::default(),
        batch,
        unit: None,
    };
    let (rendered, ephemeral) = match render(project, &node.id, host).await {
        Ok(found) => found,
        Err(RenderFailure::Deferred { reason }) => return Compilation::Deferred { reason },
        Err(RenderFailure::Diagnostics(diagnostics)) => return Compilation::Failed(diagnostics.into()),
    };
    if let Some(unready) = ephemeral.iter().find_map(|id| hole(id, done)) {
        return unready;
    }
    let mut compiled = assemble(project, node, rendered, &ephemeral, done);
    compiled.history = history;
    if let Some(details) = node.function().filter(|_| functions::is_scalar(node)) {
        let definition = functions::definition(node, details, &compiled.sql);
        return match functions::function(project, planner, &node.name, &definition, done).await {
            Some(Err(error)) => Compilation::Failed(vec![compiled.diagnose(&error, "this function")].into()),
            Some(Ok(_)) | None => Compilation::Ready(Arc::new(compiled)),
        };
    }
    // What a macro makes of a query is its own business: nothing is known of the relation before it is there.
    if node.resource_type() == ResourceType::Analysis || matches!(node.config.materialization, Materialization::Custom(_)) {
        return Compilation::Ready(Arc::new(compiled));
    }
    match prove(project, planner, node, &mut compiled, done, surroundings).await {
        Ok(()) => {
            compiled.schema = compiled.schema.filter(|_| !alters(node));
            Compilation::Ready(Arc::new(compiled))
        }
        Err(mut diagnostics) => {
            // A hole that the template left may be the cause.
            diagnostics.append(&mut compiled.warnings);
            Compilation::Failed(Broken { found: diagnostics, compiled: Some(Arc::new(compiled)) })
        }
    }
}

fn python_model(node: &Node) -> Diagnostic {
    Diagnostic::error(Code::NotAvailable, format!("`{}` is a model in Python, and only SQL is run", node.name))
        .at(node.span, "this model")
        .note("what reads it is built from the table that is there, where the command does not select this model")
        .help(format!("write it in SQL, leave it out with `--exclude {}`, or disable it with a line in `.dbtignore`", node.name))
}

/// Whether a hook changes the relation after it is built: what columns it has then is not known before.
fn alters(node: &Node) -> bool {
    node.config.raw.get("post_hook").is_some_and(|hook| hook.to_string().to_lowercase().contains("alter "))
}

/// A node of which the columns are known and no query.
pub(super) fn without_sql(node: &Node, schema: Option<SchemaRef>) -> CompiledNode {
    CompiledNode {
        id: node.id.clone(),
        sql: String::new(),
        file: None,
        query_schema: schema.clone(),
        schema,
        history: None,
        facts: None,
        warnings: Vec::new(),
        macros: Vec::new(),
        unit: None,
        body: String::new(),
        ctes: Vec::new(),
        map: SourceMap::default(),
        insertion: Insertion::default(),
        span: node.span,
    }
}

/// Templates may block on queries, so they render on a thread of their own where that can be.
pub(super) async fn render(project: &Arc<Project>, id: &NodeId, host: NodeHost) -> Result<(Rendered, Vec<NodeId>), RenderFailure> {
    let host = Arc::new(host);
    let asked = Arc::clone(&host);
    let rendering = Arc::clone(project);
    let of = id.clone();
    let may_block = host.surroundings.may_block();
    let work = move || {
        let host: Arc<dyn TemplateHost> = host;
        match rendering.nodes.get(&of) {
            Some(node) => rendering.render(node, &host),
            None => Err(RenderFailure::Diagnostics(Vec::new())),
        }
    };
    let mut rendered = if may_block {
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
            let diagnostic = Diagnostic::error(Code::JinjaRuntime, "rendering ended unexpectedly");
            let span = project.nodes.get(id).map(|node| node.span);
            Err(RenderFailure::Diagnostics(vec![diagnostic.at_opt(span, "this node")]))
        })
    } else {
        work()
    }?;
    if let Cow::Owned(text) = respelt_texts(project.target.semantics(), &rendered.text) {
        rendered.text = text;
    }
    let ephemeral = asked.ephemeral.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok((rendered, ephemeral))
}

/// What becomes of a node whose text would have a hole, because the ephemeral model that belongs there has no text yet.
fn hole(parent: &NodeId, done: &BTreeMap<NodeId, Compilation>) -> Option<Compilation> {
    match done.get(parent)? {
        Compilation::Ready(_) => None,
        Compilation::Deferred { reason } => Some(Compilation::Deferred { reason: reason.clone() }),
        Compilation::Failed(_) => Some(Compilation::Skipped { because: parent.clone() }),
        Compilation::Skipped { because } => Some(Compilation::Skipped { because: because.clone() }),
    }
}

/// The rendered text with the CTEs of its ephemeral parents, theirs first.
fn assemble(project: &Project, node: &Node, rendered: Rendered, ephemeral: &[NodeId], done: &BTreeMap<NodeId, Compilation>) -> CompiledNode {
    let mut ctes: Vec<(String, String)> = Vec::new();
    for id in ephemeral {
        if let (Some(parent), Some(Compilation::Ready(compiled))) = (project.nodes.get(id), done.get(id)) {
            let own = (super::ephemeral_cte(parent), compiled.body.clone());
            for cte in compiled.ctes.iter().chain(std::iter::once(&own)) {
                if !ctes.contains(cte) {
                    ctes.push(cte.clone());
                }
            }
        }
    }
    with_ctes(project, node, rendered, ctes)
}

/// The rendered text with CTEs, each a name and a query, in front of it.
pub(super) fn with_ctes(project: &Project, node: &Node, rendered: Rendered, ctes: Vec<(String, String)>) -> CompiledNode {
    let is_own = node.package == project.name;
    let insertion = insertion(&rendered.text, &ctes);
    let body = rendered.text;
    let mut sql = body.clone();
    sql.insert_str(insertion.at, &insertion.text);
    let file = project.sources.add_made(&format!("compiled SQL of {}", node.label()), sql.as_str());
    CompiledNode {
        id: node.id.clone(),
        sql,
        file: Some(file),
        query_schema: None,
        schema: None,
        history: None,
        facts: None,
        warnings: if is_own { rendered.warnings } else { Vec::new() },
        macros: rendered.macros.iter().map(|id| id.as_str().to_owned()).collect(),
        unit: None,
        body,
        ctes,
        map: rendered.map,
        insertion,
        span: node.span,
    }
}

/// Plans the query, holds it against the contract and the naming rules, and notes what it yields.
#[expect(clippy::too_many_arguments, reason = "the node to prove and the four places its parents' schemas come from")]
async fn prove(
    project: &Arc<Project>,
    planner: &Planner,
    node: &Node,
    compiled: &mut CompiledNode,
    done: &BTreeMap<NodeId, Compilation>,
    surroundings: &Arc<dyn Surroundings>,
) -> Result<(), Vec<Diagnostic>> {
    let about = format!("this {}", node.resource_type().name());
    let failed = |compiled: &CompiledNode, error: &SqlError| vec![compiled.diagnose(error, &about)];
    let statement = planner.parse(&compiled.sql).map_err(|error| failed(compiled, &error))?;
    if let Some(error) = Planner::no_query(&statement, &compiled.sql) {
        return Err(failed(compiled, &error));
    }
    let (files, named) = super::files::parted(planner, planner.tables(&statement, &compiled.sql).map_err(|error| failed(compiled, &error))?);
    if named.iter().filter_map(|table| project.node_read_by(node, &table.name)).any(|read| read.id != node.id && !node.depends_on.contains(&read.id))
    {
        surroundings.note(Asked::Beyond);
    }
    if let Some(stranger) = named.iter().find(|table| project.node_of_relation(&table.name).is_none()) {
        surroundings.note(Asked::Beyond);
        let found = super::stranger::unknown_relation(project, planner, (node, compiled), &statement, stranger);
        // Where a warehouse is at hand, it shows whether the table is there.
        if found.is_error() && !surroundings.may_block() {
            return Err(vec![found]);
        }
        let found = Diagnostic { severity: Severity::Warning, ..found };
        compiled.warnings.push(found);
    }
    let files = super::files::schemas((node, compiled), files, &statement, surroundings.as_ref()).await?;
    let (Some(tables), Some(files)) = (schemas(project, planner, (node, named), done, surroundings).await, files) else { return Ok(()) };
    let Some(called) = functions::called(project, planner, &statement, done).await else {
        if let Some(found) = unknown_call(project, planner, node, compiled, &statement) {
            surroundings.note(Asked::Beyond);
            compiled.warnings.push(found);
        }
        return Ok(());
    };
    if !called.is_empty() {
        surroundings.note(Asked::Beyond);
    }
    let wrong = super::batches::wrong_inputs(node, &tables, &project.sources);
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let sources: BTreeSet<RelationName> =
        tables.iter().filter(|table| table.node.resource_type() == ResourceType::Source).map(|table| table.named.name.clone()).collect();
    let planned = planner.plan(&compiled.sql, statement, (tables, files), called).await.and_then(|planned| planned.fit_for(node));
    let Planned { schema, facts, doubts, needs, twice } = planned.map_err(|errors| {
        let shown = |error| compiled.diagnose(&error, &about);
        errors.into_iter().map(|error| super::named::in_properties(project, node, shown(error))).collect::<Vec<_>>()
    })?;
    let mut referred = Vec::new();
    for (constraint, read) in contract::foreign_keys(project, node) {
        let of = if read.id == node.id { Some(Arc::clone(&schema)) } else { known(read, done, surroundings).await.map(|(schema, _)| schema) };
        referred.extend(of.map(|of| (constraint, read, of)));
    }
    // By two columns of one name it can't be planned before the test runs.
    let of_verdict = if twice.is_some() { Vec::new() } else { super::verdict::wrong_verdict(project, node, &schema, planner).await };
    // Few nodes need it again: it is sooner parsed once more than copied for each.
    let statement = LazyCell::new(|| planner.parse(&compiled.sql).ok());
    let named = LazyCell::new(|| statement.as_ref().map(|statement| output_columns(statement, &compiled.sql)).unwrap_or_default());
    let place = |wanted: &str| {
        let (_, range) = named.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
        Some(compiled.place(range)?.0)
    };
    let mut diagnostics: Vec<Diagnostic> = contract::contract_difference(project, node, (&schema, &needs), place).into_iter().collect();
    diagnostics.extend(compiled.history.as_ref().and_then(|table| contract::table_difference(project, node, table)));
    if diagnostics.is_empty() {
        diagnostics.extend(contract::wrong_checks(node, &schema, planner, &project.sources));
        diagnostics
            .extend(referred.iter().filter_map(|(constraint, read, of)| contract::wrong_foreign_key(node, constraint, (read, of), &project.sources)));
    }
    diagnostics.extend(super::doubts::doubts(node, compiled, (&facts, &doubts), place));
    diagnostics.extend(super::doubts::stars(node, compiled, planner, || statement.as_ref(), &sources));
    diagnostics.extend(refused_by_table(node, compiled, &schema, surroundings.may_block(), place));
    diagnostics.extend(of_verdict);
    diagnostics.extend(super::batches::wrong_times(node, &schema, &project.sources));
    diagnostics.extend(super::history::wrong_config(node, &schema, compiled.history.as_ref(), planner, project));
    let columns = schema.fields().iter().map(|field| (field.name().as_str(), Some(type_name(field.data_type()))));
    diagnostics.extend(project.layers.check_columns(node, columns, place));
    compiled.schema = Some(super::history::relation_schema(node, &schema, compiled.history.as_ref(), project.target.semantics()));
    compiled.query_schema = Some(schema);
    compiled.facts = Some(Arc::new(facts));
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Err(diagnostics);
    }
    compiled.warnings.extend(diagnostics);
    Ok(())
}

/// A function under a schema that is none of the project, of which only a run can tell.
fn unknown_call(project: &Project, planner: &Planner, node: &Node, compiled: &CompiledNode, statement: &Statement) -> Option<Diagnostic> {
    let name = functions::stranger(project, planner, statement)?;
    let message = format!("`{}` calls `{name}`, which is no function of the project, so it is not proved", node.name);
    let help = "describe the function under `functions:`, or call one without a schema before it, which is of the dialect";
    let mut error = SqlError::new(Code::NotProved, message).help(help);
    error.range = name.rsplit('.').next().and_then(|last| place_of(&compiled.sql, last));
    let found = compiled.diagnose(&error, &format!("this {}", node.resource_type().name()));
    Some(Diagnostic { severity: Severity::Warning, ..found })
}

/// Columns that the node's table does not take, each at its place in the query.
fn refused_by_table(node: &Node, compiled: &CompiledNode, schema: &SchemaRef, is_run: bool, place: impl Fn(&str) -> Option<Span>) -> Vec<Diagnostic> {
    let about = format!("this {}", node.resource_type().name());
    let wrong = super::held::unheld(node, schema).into_iter().map(|(column, error)| (Some(column), error));
    // Before a run nothing else tells; in a run the table does, which hooks may have changed by then.
    let grown = compiled.history.as_ref().filter(|_| !is_run);
    let all = wrong.chain(grown.and_then(|table| super::held::changed(node, schema, table)));
    all.map(|(column, error)| {
        let of_model = Diagnostic { labels: Vec::new(), ..compiled.diagnose(&error, &about) };
        match column.as_deref().and_then(&place) {
            Some(found) => of_model.at(found, ""),
            None => of_model.at(compiled.span, about.as_str()),
        }
    })
    .collect()
}

/// The tables that the query of a node names, with what is known of them; `None` if one of them is not known before a run.
pub(super) async fn schemas<'p>(
    project: &'p Arc<Project>,
    planner: &Planner,
    (reader, named): (&Node, Vec<NamedTable>),
    done: &BTreeMap<NodeId, Compilation>,
    surroundings: &Arc<dyn Surroundings>,
) -> Option<Vec<KnownTable<'p>>> {
    let mut tables = Vec::with_capacity(named.len());
    for named in named {
        let node = project.node_read_by(reader, &named.name)?;
        let (schema, query) = known(node, done, surroundings).await?;
        let facts = leaf_facts(node, &schema, query, planner.tested(&node.id));
        tables.push(KnownTable { named, schema, node, facts });
    }
    Some(tables)
}

/// The schema of a node that another one reads, with what its query tells where it is compiled; `None` if that is not known before a
/// run.
async fn known<'d>(
    node: &Node,
    done: &'d BTreeMap<NodeId, Compilation>,
    surroundings: &Arc<dyn Surroundings>,
) -> Option<(SchemaRef, Option<&'d NodeFacts>)> {
    match done.get(&node.id) {
        Some(Compilation::Ready(parent)) => Some((parent.schema.clone()?, parent.facts.as_deref())),
        Some(Compilation::Deferred { .. } | Compilation::Failed(_) | Compilation::Skipped { .. }) => None,
        // A seed that this command does not load is what was loaded before, if anything.
        None => match surroundings.table(node).await.filter(|_| matches!(node.kind, NodeKind::Seed { .. })) {
            Some(loaded) => Some((loaded, None)),
            None => Some((surroundings.schema(node).await?, None)),
        },
    }
}
