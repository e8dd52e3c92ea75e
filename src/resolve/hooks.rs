//! What the hooks of a node refer to: the node runs after it, as after what its query reads.

use std::sync::Arc;

use serde_json::Value as Json;

use super::builder::Builder;
use super::config::ConfigValues;
use super::host::ParseHost;
use crate::base::{Code, Diagnostic, Span};
use crate::jinja::{RenderFailure, Scope, Template, TemplateHost, render};
use crate::load::ParsedPackage;
use crate::manifest::{NodeRef, ResourceType, SourceRef};

/// The node whose hooks are looked at.
pub(super) struct Hooked<'a> {
    pub name: &'a str,
    pub package: &'a str,
    pub kind: ResourceType,
    pub span: Span,
}

/// What the hooks of a node ask for.
#[derive(Default)]
pub(super) struct AskedByHooks {
    pub refs: Vec<NodeRef>,
    pub sources: Vec<SourceRef>,
    /// Ids of macros.
    pub macros: Vec<String>,
}

/// The refs, sources and macros of a node's hooks. A hook that can't be rendered yet is left for when its time has come.
pub(super) fn references(builder: &mut Builder, hooked: &Hooked<'_>, values: &ConfigValues) -> AskedByHooks {
    let AskedByHooks { mut refs, mut sources, mut macros } = AskedByHooks::default();
    for Hook { sql: text, .. } in
        ["pre_hook", "post_hook"].iter().filter_map(|key| values.get(key)).flat_map(|value| node_hooks(value).unwrap_or_default())
    {
        if !text.contains("{{") && !text.contains("{%") {
            continue;
        }
        let host = ParseHost::new(&builder.facts, hooked.package, hooked.name, ConfigValues::default());
        let asked: Arc<dyn TemplateHost> = host.clone();
        let scope = Scope { package: hooked.package.to_owned() };
        match render(&Template::string(text, hooked.span), &scope, &builder.library, &asked).map_err(|failure| *failure) {
            Ok(rendered) => {
                let noted = host.noted();
                macros.extend(rendered.macros.iter().map(|id| id.as_str().to_owned()));
                refs.extend(noted.refs.into_iter().filter(|call| call.name != hooked.name));
                sources.extend(noted.sources);
            }
            Err(failure) => builder.found.extend(certain(failure)),
        }
    }
    if hooked.kind == ResourceType::Seed && !(refs.is_empty() && sources.is_empty()) {
        let read = refs.first().map(|call| call.name.clone()).or_else(|| sources.first().map(|call| format!("{}.{}", call.source, call.table)));
        let message = format!("a hook of the seed `{}` refers to `{}`: seeds cannot depend on other nodes", hooked.name, read.unwrap_or_default());
        builder.found.push(
            Diagnostic::error(Code::ConfigType, message)
                .at(hooked.span, "this seed")
                .help("name the relation by its parts, or move the hook to a model"),
        );
        return AskedByHooks { macros, ..AskedByHooks::default() };
    }
    AskedByHooks { refs, sources, macros }
}

/// The hooks around a run, which nothing depends on.
pub(super) fn of_runs(builder: &mut Builder, package: &ParsedPackage) {
    for hook in package.project.on_run_start.iter().chain(&package.project.on_run_end) {
        let host: Arc<dyn TemplateHost> = ParseHost::new(&builder.facts, &package.name, &package.name, ConfigValues::default());
        let scope = Scope { package: package.name.clone() };
        let template = Template::string(hook.value.clone(), hook.span);
        if let Err(failure) = render(&template, &scope, &builder.library, &host) {
            builder.found.extend(certain(*failure));
        }
    }
}

/// What is wrong with a hook whenever it is rendered: what it asks of the warehouse or of results is not there yet.
fn certain(failure: RenderFailure) -> Vec<Diagnostic> {
    let RenderFailure::Diagnostics(mut found) = failure else { return Vec::new() };
    found.retain(|diagnostic| {
        matches!(diagnostic.code, Code::JinjaSyntax | Code::UndefinedMacro | Code::UndefinedVar | Code::UndefinedEnvVar | Code::MacroArguments)
    });
    found
}

/// A hook of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    pub sql: String,
    /// dbt runs these within the node's transaction, so nearest to its own statements.
    pub inside: bool,
}

/// Hooks as config has them: a text, a map with `sql` and perhaps `transaction`, or a list of them. A text may be such a map as
/// JSON.
///
/// # Errors
/// What one of them is instead, as a message.
pub fn node_hooks(value: &Json) -> Result<Vec<Hook>, String> {
    match value {
        Json::Null => Ok(Vec::new()),
        Json::String(text) => match serde_json::from_str::<Json>(text).ok().filter(Json::is_object) {
            Some(map) => node_hooks(&map),
            None => Ok(vec![Hook { sql: text.clone(), inside: true }]),
        },
        Json::Array(values) => Ok(values.iter().map(node_hooks).collect::<Result<Vec<_>, _>>()?.concat()),
        Json::Object(map) => {
            let sql = map.get("sql").and_then(Json::as_str).ok_or("a hook is a text, or a map with `sql`")?;
            let inside = map.get("transaction").and_then(Json::as_bool).unwrap_or(true);
            Ok(vec![Hook { sql: sql.to_owned(), inside }])
        }
        Json::Bool(_) | Json::Number(_) => Err(format!("a hook is a text or a map with `sql`, found `{value}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_are_texts_maps_and_lists_of_them() {
        let value = serde_json::json!(["a", {"sql": "b", "transaction": false}, "{\"sql\": \"c\", \"transaction\": false}", null]);
        let hooks = node_hooks(&value).unwrap();
        let found: Vec<_> = hooks.iter().map(|hook| (hook.sql.as_str(), hook.inside)).collect();
        assert_eq!(found, [("a", true), ("b", false), ("c", false)]);
        assert!(node_hooks(&serde_json::json!({"text": "a"})).is_err() && node_hooks(&serde_json::json!(1)).is_err());
    }
}
