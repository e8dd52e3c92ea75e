//! Who may refer to whom: private models are for their group, protected ones for their package where that says so, ephemeral
//! ones not for snapshots. And references to models that are deprecated.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use super::builder::Builder;
use crate::base::{Code, Diagnostic, Span, nearest};
use crate::load::ProjectDialect;
use crate::manifest::{Access, Materialization, Node, NodeId, ResourceType};

pub(super) fn check(builder: &Builder) -> Vec<Diagnostic> {
    let mut found = groups(builder);
    let now = builder.facts.invocation.run_started_at;
    // Of most models nothing is to be said to those that read them.
    let restricted: BTreeSet<&str> =
        builder.parsed.all_packages().filter(|package| package.project.restrict_access).map(|package| package.name.as_str()).collect();
    let guarded: HashMap<&NodeId, &Node> =
        builder.nodes.values().filter(|node| is_guarded(node, &restricted)).map(|node| (&node.id, node.as_ref())).collect();
    for reader in builder.nodes.values() {
        found.extend(own_access(reader));
        if reader.resource_type() == ResourceType::UnitTest {
            continue;
        }
        for read in reader.depends_on.iter().filter_map(|id| guarded.get(id)) {
            found.extend(denied(&restricted, reader, read));
            found.extend(kept_nowhere(builder, reader, read));
            // The tests of a deprecated model are part of it.
            if reader.test().is_none() {
                found.extend(deprecated_ref(reader, read, now));
            }
        }
        found.extend(deprecated(reader, now));
    }
    found
}

/// Whether some reader of a node may be told something.
fn is_guarded(node: &Node, restricted: &BTreeSet<&str>) -> bool {
    node.resource_type() == ResourceType::Model
        && (node.config.access == Access::Private
            || restricted.contains(node.package.as_str())
            || node.config.materialization == Materialization::Ephemeral
            || node.model.deprecation_date.is_some())
}

/// Where a node refers to another one.
fn place(reader: &Node, read: &Node) -> Span {
    let version = read.model.version.as_ref();
    let is_it = |version_asked: Option<&str>| match (version, version_asked) {
        (Some(version), Some(asked)) => version.is(asked),
        (Some(_), None) => read.model.version == read.model.latest,
        (None, _) => true,
    };
    let call = reader.refs.iter().find(|call| call.name == read.name && is_it(call.version.as_deref())).and_then(|call| call.span);
    call.unwrap_or(reader.span)
}

fn denied(restricted: &BTreeSet<&str>, reader: &Node, read: &Node) -> Option<Diagnostic> {
    let restricted = reader.package != read.package && restricted.contains(read.package.as_str());
    let why = match read.config.access {
        Access::Private if reader.config.group != read.config.group || restricted => match &read.config.group {
            Some(group) => format!("private to the group `{group}`"),
            None => "private".to_owned(),
        },
        Access::Protected if restricted => format!("protected in the package `{}`", read.package),
        Access::Private | Access::Protected | Access::Public => return None,
    };
    Some(
        Diagnostic::error(Code::AccessDenied, format!("`{}` refers to `{}`, which is {why}", reader.label(), read.label()))
            .at(place(reader, read), "referred to here")
            .also(read.properties_span.unwrap_or(read.span), "this model")
            .help("put both into one group, or widen the model's `access`"),
    )
}

/// A history of rows that are nowhere to be looked at. dbt builds it, so a project for dbt may have it.
fn kept_nowhere(builder: &Builder, reader: &Node, read: &Node) -> Option<Diagnostic> {
    let is_own = builder.parsed.root.project.dialect == ProjectDialect::Alluvium;
    let is_wrong = is_own && reader.resource_type() == ResourceType::Snapshot && read.config.materialization == Materialization::Ephemeral;
    is_wrong.then(|| {
        let message = format!("the snapshot `{}` reads the ephemeral model `{}`, which has no rows of its own", reader.label(), read.label());
        Diagnostic::error(Code::SnapshotEphemeral, message)
            .at(place(reader, read), "read here")
            .also(read.span, "this model")
            .help("make the model a view, so that its rows can be tested and compared with their history")
    })
}

/// Groups that nobody declared.
fn groups(builder: &Builder) -> Vec<Diagnostic> {
    let known: BTreeSet<&str> = builder.groups.iter().map(|group| group.name.as_str()).collect();
    let unknown = |node: &&Node| node.test().is_none() && node.config.group.as_deref().is_some_and(|group| !known.contains(group));
    builder
        .nodes
        .values()
        .map(Box::as_ref)
        .filter(unknown)
        .map(|node| {
            let group = node.config.group.as_deref().unwrap_or_default();
            Diagnostic::error(Code::UnknownGroup, format!("there is no group `{group}`, to which `{}` is to belong", node.label()))
                .at(group_place(builder, node), "named here")
                .help_nearest(nearest(group, known.iter().copied()), "declare it under `groups:` in a properties file, with an owner")
        })
        .collect()
}

fn group_place(builder: &Builder, node: &Node) -> Span {
    match node.config.place("group") {
        Some(set) => builder.parsed.sources.argument(set, "group"),
        None => node.properties_span.unwrap_or(node.span),
    }
}

fn own_access(node: &Node) -> Option<Diagnostic> {
    (node.config.access == Access::Public && node.config.materialization == Materialization::Ephemeral && node.resource_type() == ResourceType::Model)
        .then(|| {
            Diagnostic::error(Code::ConfigType, format!("the ephemeral model `{}` can't be public", node.label()))
                .at(node.properties_span.unwrap_or(node.span), "this model")
                .help("others can't read it without its SQL; make it a view or a table")
        })
}

fn deprecated(node: &Node, now: DateTime<Utc>) -> Option<Diagnostic> {
    let date = node.model.deprecation_date.filter(|date| *date <= now)?;
    let message = format!("the model `{}` has passed its deprecation date, {}", node.label(), shown(date));
    let place = node.properties_span.unwrap_or(node.span);
    Some(Diagnostic::warning(Code::DeprecatedModel, message).at(place, "this model").help("disable or remove it, or move the date"))
}

fn deprecated_ref(reader: &Node, read: &Node, now: DateTime<Utc>) -> Option<Diagnostic> {
    let date = read.model.deprecation_date?;
    let when = if date <= now { "was deprecated on" } else { "is to be deprecated on" };
    let message = format!("`{}` refers to `{}`, which {when} {}", reader.label(), read.label(), shown(date));
    let newer = match (&read.model.version, &read.model.latest) {
        (Some(version), Some(latest)) if latest > version => Some(format!("refer to the newer version: ref('{}', v={})", read.name, latest.json())),
        _ => None,
    };
    let help = newer.unwrap_or_else(|| "read another model, or talk to its owner".to_owned());
    Some(Diagnostic::warning(Code::DeprecatedModel, message).at(place(reader, read), "referred to here").help(help))
}

fn shown(date: DateTime<Utc>) -> String {
    date.format("%Y-%m-%d").to_string()
}
