//! Texts that a run executes and no node selects from: hooks and operations. They are rendered when their time has come,
//! with everything a run knows.

use std::sync::{Arc, Mutex};

use serde_json::{Map, Value as Json};

use super::history::is_incremental;
use super::host::NodeHost;
use super::{CompiledNode, Surroundings};
use crate::base::{Code, Diagnostic, Span};
use crate::jinja::{MacroCall, RenderFailure, Rendered, Scope, Template, TemplateHost};
use crate::manifest::{Node, NodeId, RelationName};
use crate::resolve::{Hook, Project, node_hooks};

/// A hook's text and what it belongs to.
#[derive(Debug, Clone)]
pub struct ScriptText {
    pub text: String,
    /// Where the text is written, or else the node it belongs to.
    pub span: Span,
    /// The package whose macros it sees.
    pub package: String,
    /// The node whose `this`, `model` and `config` it sees; one that is not in the project has none of them.
    pub node: NodeId,
    /// Names that only it sees, such as `results`.
    pub values: Map<String, Json>,
}

/// Renders a hook.
///
/// # Errors
/// If the template fails.
pub async fn render_script(project: &Arc<Project>, script: ScriptText, surroundings: &Arc<dyn Surroundings>) -> Result<String, Vec<Diagnostic>> {
    let incremental = match project.nodes.get(&script.node) {
        Some(node) => is_incremental(project, node, surroundings).await,
        None => false,
    };
    let host = host(project, (&script.node, &script.package), surroundings, incremental);
    let library = Arc::clone(&project.library);
    let span = script.span;
    let work = move || {
        let template = Template::string(script.text, span);
        crate::jinja::render_script(&template, &Scope { package: script.package }, &script.values, &library, &host)
    };
    // What only checks has no threads for what blocks, and nothing does.
    let rendered = if surroundings.may_block() { tokio::task::spawn_blocking(work).await } else { Ok(work()) };
    outcome(rendered, span).map(|rendered| rendered.text)
}

/// What is wrong with a node's hooks whenever they are rendered: macros that are not there, arguments that a macro does not
/// take. What a hook asks of the warehouse is known in a run alone.
#[must_use]
pub fn wrong_hooks(project: &Arc<Project>, node: &Node, surroundings: &Arc<dyn Surroundings>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for key in ["pre_hook", "post_hook"] {
        let span = node.config.place(key).unwrap_or(node.span);
        for Hook { sql: text, .. } in node.config.raw.get(key).and_then(|value| node_hooks(value).ok()).unwrap_or_default() {
            if !text.contains("{{") && !text.contains("{%") {
                continue;
            }
            let host = host(project, (&node.id, &node.package), surroundings, false);
            let scope = Scope { package: node.package.clone() };
            let rendered = crate::jinja::render_script(&Template::string(text, span), &scope, &Map::new(), &project.library, &host);
            if let Err(RenderFailure::Diagnostics(diagnostics)) = rendered.map_err(|failure| *failure) {
                found.extend(diagnostics.into_iter().filter(|diagnostic| matches!(diagnostic.code, Code::UndefinedMacro | Code::MacroArguments)));
            }
        }
    }
    found
}

/// Calls a macro by itself, for `run-operation`. `node` is what its log lines are about.
///
/// # Errors
/// If the macro fails.
pub async fn render_operation(
    project: &Arc<Project>,
    call: MacroCall,
    node: &NodeId,
    surroundings: &Arc<dyn Surroundings>,
) -> Result<Rendered, Vec<Diagnostic>> {
    let home = call.id.package().unwrap_or(&project.name).to_owned();
    let host = host(project, (node, &home), surroundings, false);
    let library = Arc::clone(&project.library);
    let scope = Scope { package: project.name.clone() };
    let span = call.span;
    let rendered = tokio::task::spawn_blocking(move || crate::jinja::render_operation(&call, &scope, &library, &host));
    outcome(rendered.await, span)
}

/// Runs the macro that builds a node. Gives the relations that it says it made.
///
/// # Errors
/// If the macro or a statement of it fails.
pub async fn render_materialization(
    project: &Arc<Project>,
    call: MacroCall,
    compiled: &CompiledNode,
    hooks: Map<String, Json>,
    surroundings: &Arc<dyn Surroundings>,
) -> Result<Vec<RelationName>, Vec<Diagnostic>> {
    let host = host(project, (&compiled.id, &project.name), surroundings, compiled.history.is_some());
    let node = project.nodes.get(&compiled.id);
    let mut model = node.map_or(Json::Null, |node| project.node_json(node));
    if let Some(map) = model.as_object_mut() {
        map.insert("compiled_code".into(), Json::from(compiled.sql.as_str()));
        map.insert("compiled_sql".into(), Json::from(compiled.sql.as_str()));
    }
    let mut values = hooks;
    values.extend([
        ("sql".to_owned(), Json::from(compiled.sql.as_str())),
        ("compiled_code".to_owned(), Json::from(compiled.sql.as_str())),
        ("model".to_owned(), model),
    ]);
    let library = Arc::clone(&project.library);
    let scope = Scope { package: node.map_or_else(|| project.name.clone(), |node| node.package.clone()) };
    let span = call.span;
    let rendered = tokio::task::spawn_blocking(move || crate::jinja::render_materialization(&call, &values, &scope, &library, &host));
    outcome(rendered.await, span)
}

/// The comment that the project file puts on SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryComment {
    text: String,
    append: bool,
}

impl QueryComment {
    /// SQL with the comment before it, or behind it.
    #[must_use]
    pub fn on(&self, sql: &str) -> String {
        let Self { text, append } = self;
        if *append { format!("{}\n/* {text} */;", sql.trim_end().trim_end_matches(';')) } else { format!("/* {text} */\n{sql}") }
    }
}

/// The `query-comment` of the project file, rendered for a node; `None` where there is none.
///
/// # Errors
/// If the template fails, or what it gives would end the comment.
pub async fn query_comment(
    project: &Arc<Project>,
    node: &NodeId,
    surroundings: &Arc<dyn Surroundings>,
) -> Result<Option<QueryComment>, Vec<Diagnostic>> {
    let Some(yaml) = &project.parsed.root.project.query_comment else { return Ok(None) };
    let comment = yaml.get("comment").unwrap_or(yaml);
    let append = yaml.get("append").and_then(crate::load::Yaml::as_bool).unwrap_or(false);
    let Some(text) = comment.as_str().filter(|text| !text.trim().is_empty()) else { return Ok(None) };
    let about = project.nodes.get(node).map_or(Json::Null, |node| project.node_json(node));
    let values = [("node".to_owned(), about), ("connection_name".to_owned(), Json::from(node.as_str()))];
    // dbt wraps the text into a macro, where `return` means something; here the value is what is printed anyway.
    let text = text.trim();
    let returned = text.strip_prefix("{{").and_then(|rest| rest.trim_start().strip_prefix("return("));
    let text = returned.map_or_else(|| text.to_owned(), |rest| format!("{{{{ ({rest}"));
    let script = ScriptText { text, span: comment.span, package: project.name.clone(), node: node.clone(), values: values.into_iter().collect() };
    let text =
        if script.text.contains("{{") || script.text.contains("{%") { render_script(project, script, surroundings).await? } else { script.text };
    let text = text.trim().to_owned();
    if text.contains("*/") {
        return Err(vec![Diagnostic::error(Code::ConfigType, "a query comment can't hold `*/`, which ends it").at(comment.span, "this comment")]);
    }
    Ok(Some(QueryComment { text, append }).filter(|comment| !comment.text.is_empty()))
}

fn host(project: &Arc<Project>, (node, home): (&NodeId, &str), surroundings: &Arc<dyn Surroundings>, incremental: bool) -> Arc<dyn TemplateHost> {
    let surroundings = Arc::clone(surroundings);
    Arc::new(NodeHost {
        project: Arc::clone(project),
        node: node.clone(),
        home: home.to_owned(),
        surroundings,
        incremental,
        ephemeral: Mutex::default(),
        batch: None,
        unit: None,
    })
}

fn outcome<T>(result: Result<Result<T, Box<RenderFailure>>, tokio::task::JoinError>, span: Span) -> Result<T, Vec<Diagnostic>> {
    let failed = |message: String| vec![Diagnostic::error(Code::JinjaRuntime, message).at(span, "here")];
    match result {
        Ok(Ok(rendered)) => Ok(rendered),
        Ok(Err(failure)) => Err(match *failure {
            RenderFailure::Diagnostics(diagnostics) => diagnostics,
            RenderFailure::Deferred { reason } => failed(format!("can't be rendered: {reason}")),
        }),
        Err(_) => Err(failed("rendering ended unexpectedly".to_owned())),
    }
}
