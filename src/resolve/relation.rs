//! Names of relations: `generate_database_name`, `generate_schema_name` and `generate_alias_name`, which projects may
//! override.

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::config::ConfigValues;
use super::host::{Facts, ParseHost};
use crate::base::{Diagnostic, Span};
use crate::jinja::{MacroCall, MacroLibrary, RenderFailure, Scope, TemplateHost, render_call};
use crate::manifest::{Node, NodeConfig, RelationName, Version};

/// The package of the program's own macros.
pub(super) const OWN: &str = "dbt";

/// What a name is made for.
pub(super) struct Named<'a> {
    pub name: &'a str,
    pub package: &'a str,
    pub version: Option<&'a Version>,
    pub config: &'a NodeConfig,
    /// The custom schema.
    pub schema: Option<&'a str>,
    /// Makes the node as macros see it.
    pub node: &'a dyn Fn() -> Json,
    pub span: Span,
}

/// The relation of a node.
///
/// Without overrides: the target's database or the custom one, `<target schema>` or `<target schema>_<custom schema>`,
/// the alias or the name.
pub(super) fn relation_name(facts: &Arc<Facts>, library: &MacroLibrary, named: &Named<'_>, found: &mut Vec<Diagnostic>) -> RelationName {
    let custom_schema = named.schema.map(str::trim);
    // `target_schema` of a snapshot is taken as it stands.
    let as_it_stands = custom_schema.is_some() && !named.config.raw.contains_key("schema") && named.config.raw.contains_key("target_schema");
    let schema = match custom_schema {
        None => facts.schema.clone(),
        Some(custom) if as_it_stands => custom.to_owned(),
        Some(custom) => format!("{}_{custom}", facts.schema),
    };
    let mut ask = |macro_name: &str, custom: Option<&str>, default: String| -> String {
        overridden(facts, library, named, (macro_name, custom), found).unwrap_or(default)
    };
    let alias = named.config.alias.as_deref();
    let database = named.config.database.as_deref();
    RelationName {
        database: ask("generate_database_name", database, database.unwrap_or(&facts.database).to_owned()),
        schema: if as_it_stands { schema } else { ask("generate_schema_name", custom_schema, schema) },
        identifier: ask("generate_alias_name", alias, alias.map_or_else(|| plain_alias(named), str::to_owned)),
    }
}

/// The name, with its version behind it.
fn plain_alias(named: &Named<'_>) -> String {
    let version = named.version.map(|version| format!("_v{}", version.to_string().replace('.', "_"))).unwrap_or_default();
    format!("{}{version}", named.name)
}

/// What the project's own macro says of a custom name and the node, which it is given by position, as in dbt; `None` where it has
/// none.
fn overridden(
    facts: &Arc<Facts>,
    library: &MacroLibrary,
    named: &Named<'_>,
    (macro_name, custom): (&str, Option<&str>),
    found: &mut Vec<Diagnostic>,
) -> Option<String> {
    let own = library.find(&facts.project_name, macro_name)?;
    if own.package == OWN {
        return None;
    }
    let mut names = own.arguments.iter().map(|argument| argument.split('=').next().unwrap_or_default().trim().to_owned());
    let mut arguments = Map::new();
    arguments.extend(names.next().map(|name| (name, custom.map_or(Json::Null, Json::from))));
    arguments.extend(names.next().map(|name| (name, (named.node)())));
    let host: Arc<dyn TemplateHost> = ParseHost::new(facts, named.package, named.name, ConfigValues::default());
    let call = MacroCall { id: own.id.clone(), arguments, span: named.span };
    match render_call(&call, &Scope { package: facts.project_name.clone() }, library, &host).map_err(|failure| *failure) {
        Ok(rendered) => Some(rendered.text.trim().to_owned()),
        Err(RenderFailure::Diagnostics(diagnostics)) => {
            found.extend(diagnostics);
            None
        }
        Err(RenderFailure::Deferred { .. }) => None,
    }
}

/// The `node` argument of the macros.
pub(super) fn node_json(node: &Node, config: &NodeConfig) -> Json {
    json!({
        "unique_id": node.id.as_str(),
        "name": node.name,
        "package_name": node.package,
        "resource_type": node.resource_type().name(),
        "fqn": node.fqn,
        "path": node.path,
        "original_file_path": node.original_path,
        "tags": config.tags,
        "config": config.raw,
        "unrendered_config": config.raw,
        "meta": config.meta,
        "alias": config.alias,
        "version": node.model.version.as_ref().map(Version::json),
    })
}
