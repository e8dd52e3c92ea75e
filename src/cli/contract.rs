//! `contract infer`: writes the contract of a model from what its plan proves.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::args::{Global, Switch};
use super::check::offline;
use super::session::{Session, Stop, command};
use super::{Exit, Invocation, Streams};
use crate::base::{Diagnostic, Memo, nearest};
use crate::check::check as prove;
use crate::compile::{Compilation, CompiledNode, Nulls};
use crate::manifest::{Node, NodeId, ResourceType};
use crate::sql::type_name;

pub(super) async fn infer(model: &str, global: &Global, invocation: Invocation, streams: &Streams) -> Exit {
    let mut quiet = global.clone();
    quiet.switches.set(Switch::Quiet, true);
    command("contract infer", &quiet, &invocation, streams, async |session| carry_out(model, session, streams).await).await
}

async fn carry_out(model: &str, session: &Session, streams: &Streams) -> Result<Exit, Stop> {
    let ready = session.project()?;
    let models = || ready.project.nodes.values().filter(|node| node.resource_type() == ResourceType::Model);
    let Some(node) = models().find(|node| node.name == model || node.id.as_str() == model) else {
        let near = nearest(model, models().map(|node| node.name.as_str()));
        let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        return Err(session.fail(&format!("there is no model `{model}`{hint}")));
    };
    let selected: BTreeSet<NodeId> = [node.id.clone()].into();
    let offline = offline(session, &ready, &selected, &mut Vec::new()).await?;
    let memo = Memo::off();
    let checked = prove(&ready.project, &ready.dag, &selected, &offline, &memo).await;
    match checked.compiled.nodes.get(&node.id) {
        Some(Compilation::Ready(compiled)) if compiled.query_schema.is_some() => {
            streams.print(&contract(node, compiled));
            Ok(Exit::Fine)
        }
        Some(Compilation::Failed(broken)) if broken.found.iter().any(Diagnostic::is_error) => {
            for diagnostic in &broken.found {
                session.diagnosed(diagnostic);
            }
            Ok(Exit::Failed)
        }
        Some(Compilation::Ready(_) | Compilation::Deferred { .. } | Compilation::Failed(_) | Compilation::Skipped { .. }) | None => {
            Err(session.fail(&format!("what `{model}` yields is not known before a run; `alluvium check` says why")))
        }
    }
}

/// An entry of a properties file.
fn contract(node: &Node, compiled: &CompiledNode) -> String {
    let mut out = format!("models:\n  - name: {}\n    config:\n      contract: {{enforced: true}}\n    columns:\n", quoted(&node.name));
    for field in compiled.query_schema.iter().flat_map(|schema| schema.fields()) {
        let _ = writeln!(out, "      - name: {}\n        data_type: {}", quoted(field.name()), quoted(&type_name(field.data_type()).to_lowercase()));
        let proved =
            compiled.facts.iter().flat_map(|facts| &facts.columns).any(|column| column.name == *field.name() && column.nulls == Nulls::Never);
        if proved {
            out.push_str("        constraints: [{type: not_null}]\n");
        }
    }
    out
}

/// A text as YAML takes it.
fn quoted(text: &str) -> String {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && text.chars().next().is_some_and(|c| c.is_ascii_alphabetic());
    let word = matches!(text.to_lowercase().as_str(), "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n");
    if plain && !word { text.to_owned() } else { format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")) }
}
