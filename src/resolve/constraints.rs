//! The constraints of models: what foreign keys refer to, and whether a constraint says all that it needs.
//!
//! Whether conditions plan is seen when the node is compiled, whether rows keep them when they are written.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::builder::Builder;
use super::config::ConfigValues;
use super::host::ParseHost;
use super::lookup::Lookup;
use crate::base::{Code, Diagnostic, Sources, Spanned};
use crate::jinja::{RenderFailure, Scope, Template, TemplateHost, render};
use crate::manifest::{ConstraintDecl, ConstraintKind, Materialization, Node, NodeId, NodeRef, SourceRef};

/// What the foreign keys of a model refer to becomes one of its parents, as if its query named it; the model itself does not.
pub(super) fn add_parents(builder: &mut Builder, node: &mut Node) {
    let mut found = Vec::new();
    let (mut refs, mut sources) = (Vec::new(), Vec::new());
    for (_, constraint) in node.all_constraints().filter(|_| node.config.contract_enforced) {
        let Some(to) = constraint.to.as_ref().filter(|_| constraint.kind == ConstraintKind::ForeignKey) else { continue };
        match target(builder, node, to) {
            Ok(Target::Ref(call)) if call.name == node.name && call.package.as_ref().is_none_or(|package| *package == node.package) => {}
            Ok(Target::Ref(call)) => refs.push(call),
            Ok(Target::Source(call)) => sources.push(call),
            Err(diagnostics) => found.extend(diagnostics),
        }
    }
    builder.found.extend(found);
    for call in refs {
        if !node.refs.iter().any(|known| (&known.package, &known.name) == (&call.package, &call.name)) {
            node.refs.push(call);
        }
    }
    for call in sources {
        if !node.sources.iter().any(|known| (&known.source, &known.table) == (&call.source, &call.table)) {
            node.sources.push(call);
        }
    }
}

/// What a foreign key's `to` calls.
enum Target {
    Ref(NodeRef),
    Source(SourceRef),
}

fn target(builder: &Builder, node: &Node, to: &Spanned<String>) -> Result<Target, Vec<Diagnostic>> {
    let host = ParseHost::new(&builder.facts, &node.package, &node.name, ConfigValues::default());
    let asked: Arc<dyn TemplateHost> = Arc::clone(&host) as _;
    let template = Template::string(format!("{{{{ {} }}}}", to.value), to.span);
    match render(&template, &Scope { package: node.package.clone() }, &builder.library, &asked).map_err(|failure| *failure) {
        Ok(_) | Err(RenderFailure::Deferred { .. }) => {}
        Err(RenderFailure::Diagnostics(diagnostics)) => return Err(diagnostics),
    }
    let noted = host.noted();
    let call = noted.refs.into_iter().next().map(Target::Ref).or_else(|| noted.sources.into_iter().next().map(Target::Source));
    call.ok_or_else(|| {
        let message = format!("`to` of a foreign key of `{}` is neither a `ref` nor a `source`: {}", node.name, to.value);
        vec![Diagnostic::error(Code::ConstraintInvalid, message).at(to.span, "this target").help("e.g. `to: ref('customer')`")]
    })
}

/// Gives foreign keys the relations that they refer to.
pub(super) fn connect(builder: &mut Builder, lookup: &Lookup) {
    let root = builder.facts.project_name.clone();
    let ids: Vec<NodeId> = builder
        .nodes
        .values()
        .filter(|node| node.config.contract_enforced && node.all_constraints().any(|(_, constraint)| constraint.to.is_some()))
        .map(|node| node.id.clone())
        .collect();
    for id in ids {
        let Some(node) = builder.nodes.get(&id) else { continue };
        let find = |to: &Spanned<String>| {
            // What can't be read was said when the node was taken in.
            let target = target(builder, node, to).ok()?;
            let found = match &target {
                Target::Ref(call) => {
                    let call = NodeRef { package: call.package.clone(), name: call.name.clone(), version: call.version.clone(), span: Some(to.span) };
                    lookup.find_ref(&node.package, &root, &call)
                }
                Target::Source(call) => lookup.find_source(&node.package, &root, &call.source, &call.table, Some(to.span)),
            };
            let relation = builder.nodes.get(&found.ok()?)?.relation.clone();
            Some(relation.ok_or_else(|| {
                Diagnostic::error(Code::ConstraintInvalid, format!("a foreign key of `{}` refers to something without rows of its own", node.name))
                    .at(to.span, "this target")
                    .help("refer to a table, a view, a seed or a source")
            }))
        };
        let (mut places, mut found) = (BTreeMap::new(), Vec::new());
        for to in node.all_constraints().filter_map(|(_, constraint)| constraint.to.as_ref()) {
            match find(to) {
                Some(Ok(relation)) => drop(places.insert(to.span.start, relation)),
                Some(Err(diagnostic)) => found.push(diagnostic),
                None => {}
            }
        }
        builder.found.extend(found);
        let Some(node) = builder.nodes.get_mut(&id) else { continue };
        let of_columns = node.columns.values_mut().flat_map(|column| column.constraints.iter_mut());
        for constraint in of_columns.chain(&mut node.constraints) {
            constraint.references = constraint.to.as_ref().and_then(|to| places.get(&to.span.start).cloned());
        }
    }
}

/// What is wrong with the constraints of a node, or has no effect.
pub(super) fn check(node: &Node, sources: &Sources) -> Vec<Diagnostic> {
    if !node.resource_type().is_referable() {
        return Vec::new();
    }
    if !node.config.contract_enforced {
        return without_contract(node).into_iter().collect();
    }
    let mut found = Vec::new();
    for (column, constraint) in node.all_constraints() {
        found.extend(incomplete(node, constraint, column.is_some()));
        found.extend(unknown_column(node, constraint, sources));
        found.extend(unsupported(node, constraint));
    }
    found
}

/// Constraints count as part of a contract only.
fn without_contract(node: &Node) -> Option<Diagnostic> {
    let (_, first) = node.all_constraints().find(|(_, constraint)| constraint.warn_unenforced)?;
    Some(
        Diagnostic::warning(Code::ConstraintIgnored, format!("the constraints of `{}` have no effect without an enforced contract", node.name))
            .at(first.span, "the first")
            .help("add `contract: {enforced: true}` to the config, or `warn_unenforced: false` to the constraint"),
    )
}

fn incomplete(node: &Node, constraint: &ConstraintDecl, at_column: bool) -> Option<Diagnostic> {
    let kind = constraint.kind.name();
    let wrong = |what: &str, help: &str| {
        let message = format!("the `{kind}` constraint of `{}` {what}", node.name);
        Some(Diagnostic::error(Code::ConstraintInvalid, message).at(constraint.span, "this constraint").help(help))
    };
    match constraint.kind {
        ConstraintKind::Check if constraint.expression.as_deref().is_none_or(|text| text.trim().is_empty()) => {
            wrong("has no `expression`", "say what has to hold for every row, e.g. `expression: amount >= 0`")
        }
        ConstraintKind::NotNull | ConstraintKind::Unique | ConstraintKind::PrimaryKey | ConstraintKind::ForeignKey
            if !at_column && constraint.columns.is_empty() =>
        {
            wrong("names no columns", "add `columns: [...]`, or write the constraint at its column")
        }
        ConstraintKind::ForeignKey => {
            let own = if at_column { 1 } else { constraint.columns.len() };
            match (&constraint.to, &constraint.expression) {
                (Some(_), _) if constraint.to_columns.len() != own => wrong(
                    &format!("has {own} columns and {} in `to_columns`", constraint.to_columns.len()),
                    "name the columns it refers to, in the same order",
                ),
                (None, Some(text)) if constraint.foreign_columns().is_none_or(|columns| columns.len() != own) => {
                    wrong(&format!("can't be read: {text}"), "write the table and its columns, e.g. `expression: schema.customer (id)`")
                }
                (None, None) => wrong("does not say what it refers to", "add `to: ref('...')` and `to_columns: [...]`"),
                (Some(_), _) | (None, Some(_)) => None,
            }
        }
        ConstraintKind::Check | ConstraintKind::NotNull | ConstraintKind::Unique | ConstraintKind::PrimaryKey | ConstraintKind::Custom => None,
    }
}

fn unknown_column(node: &Node, constraint: &ConstraintDecl, sources: &Sources) -> Option<Diagnostic> {
    let known = || node.columns.keys().map(String::as_str);
    let unknown = constraint.columns.iter().find(|column| !known().any(|name| name.eq_ignore_ascii_case(column)))?;
    let message = format!("the `{}` constraint of `{}` names `{unknown}`, which is no column of its contract", constraint.kind.name(), node.name);
    Some(
        Diagnostic::error(Code::ConstraintInvalid, message)
            .at(constraint.place_of(unknown, sources), "named here")
            .help_nearest(crate::base::nearest(unknown, known()), format!("the columns are {}", known().collect::<Vec<_>>().join(", "))),
    )
}

fn unsupported(node: &Node, constraint: &ConstraintDecl) -> Option<Diagnostic> {
    let kind = constraint.kind.name();
    let message = match &node.config.materialization {
        _ if constraint.kind == ConstraintKind::Custom => format!("`custom` constraints have no effect, as that of `{}`", node.name),
        Materialization::View | Materialization::Ephemeral => {
            format!("`{}` is {} and keeps no rows, so its `{kind}` constraint has no effect", node.name, node.config.materialization.name())
        }
        Materialization::Table
        | Materialization::Refreshed(_)
        | Materialization::Incremental
        | Materialization::Snapshot
        | Materialization::Seed
        | Materialization::Test
        | Materialization::External
        | Materialization::Custom(_) => return None,
    };
    constraint.warn_unsupported.then(|| {
        Diagnostic::warning(Code::ConstraintIgnored, message)
            .at(constraint.span, "this constraint")
            .help("test it by a data test, or add `warn_unsupported: false` to the constraint")
    })
}
