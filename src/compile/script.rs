//! Texts that a run executes and no node selects from: hooks and operations. They are rendered when their time has come,
//! with everything a run knows.

use std::sync::{Arc, Mutex};

use serde_json::{Map, Value as Json};

use super::Surroundings;
use super::history::is_incremental;
use super::host::NodeHost;
use crate::base::{Code, Diagnostic, Span};
use crate::jinja::{MacroCall, RenderFailure, Rendered, Scope, Template, TemplateHost};
use crate::manifest::NodeId;
use crate::resolve::Project;

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
    let host = host(project, &script.node, surroundings, incremental);
    let library = Arc::clone(&project.library);
    let span = script.span;
    let rendered = tokio::task::spawn_blocking(move || {
        let template = Template::string(script.text, span);
        crate::jinja::render_script(&template, &Scope { package: script.package }, &script.values, &library, &host)
    });
    outcome(rendered.await, span).map(|rendered| rendered.text)
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
    let host = host(project, node, surroundings, false);
    let library = Arc::clone(&project.library);
    let scope = Scope { package: project.name.clone() };
    let span = call.span;
    let rendered = tokio::task::spawn_blocking(move || crate::jinja::render_operation(&call, &scope, &library, &host));
    outcome(rendered.await, span)
}

fn host(project: &Arc<Project>, node: &NodeId, surroundings: &Arc<dyn Surroundings>, incremental: bool) -> Arc<dyn TemplateHost> {
    let surroundings = Arc::clone(surroundings);
    Arc::new(NodeHost { project: Arc::clone(project), node: node.clone(), surroundings, incremental, ephemeral: Mutex::default(), unit: None })
}

fn outcome(result: Result<Result<Rendered, Box<RenderFailure>>, tokio::task::JoinError>, span: Span) -> Result<Rendered, Vec<Diagnostic>> {
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
