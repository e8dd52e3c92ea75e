//! Whether incremental models may be built from nothing, where the project's own `should_full_refresh` says so.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Map;

use super::builder::Builder;
use super::host::ParseHost;
use super::relation::{OWN, node_json};
use crate::jinja::{MacroCall, RenderFailure, Scope, TemplateHost, render_call};
use crate::manifest::{Materialization, Node, NodeId};

/// The macro that dbt asks before it drops what is there.
const MACRO: &str = "should_full_refresh";

/// What the macro says of each incremental model whose package or project has one of its own.
pub(super) fn decided(builder: &mut Builder) -> BTreeMap<NodeId, bool> {
    let mut found = Vec::new();
    let incremental = builder.nodes.values().filter(|node| node.config.materialization == Materialization::Incremental);
    let said = incremental.filter_map(|node| Some((node.id.clone(), said_of(builder, node)?)));
    let mut decided = BTreeMap::new();
    for (id, said) in said {
        match said {
            Ok(refreshes) => drop(decided.insert(id, refreshes)),
            Err(RenderFailure::Diagnostics(diagnostics)) => found.extend(diagnostics),
            Err(RenderFailure::Deferred { .. }) => {}
        }
    }
    builder.found.extend(found);
    decided
}

fn said_of(builder: &Builder, node: &Node) -> Option<Result<bool, RenderFailure>> {
    let own = builder.library.find(&node.package, MACRO).filter(|own| own.package != OWN)?;
    let call = MacroCall { id: own.id.clone(), arguments: Map::new(), span: node.span };
    let host: Arc<dyn TemplateHost> = ParseHost::of_node(&builder.facts, node, node_json(node, &node.config));
    let rendered = render_call(&call, &Scope { package: node.package.clone() }, &builder.library, &host);
    // What a macro gives is text here; these are Python's values that count as false.
    Some(rendered.map(|rendered| !matches!(rendered.text.trim(), "" | "False" | "None" | "0")).map_err(|failure| *failure))
}
