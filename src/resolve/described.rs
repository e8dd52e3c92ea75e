//! Exposures, groups, metrics, semantic models and saved queries: they become nodes that nothing runs, and what they
//! refer to is looked up.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map, Value as Json, json};

use super::builder::Builder;
use super::config::{ConfigValues, typed};
use super::host::{Noted, ParseHost};
use super::nodes::checksum;
use super::trees::YamlRenderer;
use crate::base::{Code, Diagnostic, Span, Spanned, nearest};
use crate::jinja::{RenderFailure, Scope, Template, TemplateHost, render};
use crate::load::{ExposureDecl, GroupDecl, MeasureDecl, Origin, ParsedPackage, SemanticDecl, Yaml};
use crate::manifest::{Described, DescribedKind, Group, ModelDetails, Node, NodeId, NodeKind, ResourceType};

/// What a described resource refers to by name, until all of them are known.
#[derive(Debug, Clone)]
pub(super) struct Uses {
    id: NodeId,
    measures: Vec<(Spanned<String>, Json)>,
    metrics: Vec<Spanned<String>>,
}

/// What a node made of an entry of a properties file has in common with others of its kind.
pub(super) struct Entry<'a> {
    pub kind: NodeKind,
    /// `kind.package.name`
    pub id: String,
    pub name: String,
    pub package: &'a ParsedPackage,
    pub origin: &'a Origin,
    pub span: Span,
    pub fqn: Vec<String>,
    pub description: Option<&'a Spanned<String>>,
    pub config: Option<&'a Yaml>,
    pub tree: Option<&'a Yaml>,
    pub noted: Noted,
}

/// The package, the folders of the properties file, and the name.
pub(super) fn fqn(package: &ParsedPackage, origin: &Origin, name: &str) -> Vec<String> {
    std::iter::once(package.name.clone()).chain(origin.folders.iter().cloned()).chain([name.to_owned()]).collect()
}

impl Builder {
    /// A node of an entry, with its config merged.
    pub(super) fn entry_node(&mut self, entry: Entry<'_>) -> Node {
        let mut values = self.tree_values(entry.package, entry.tree, &entry.fqn);
        if let Some(config) = entry.config {
            let renderer = YamlRenderer::new(&self.library, &self.facts, &entry.package.name);
            values.extend(&renderer.config(config, &mut self.found));
        }
        let config = typed(&values, entry.kind.resource_type(), entry.span, (&self.parsed.sources, entry.package.project.dialect), &mut self.found);
        let span = entry.description.map_or(entry.span, |text| text.span);
        let description = self.described(&entry.package.name, entry.description.map(|text| text.value.as_str()), span);
        Node {
            id: NodeId::new(entry.id),
            kind: entry.kind,
            name: entry.name,
            package: entry.package.name.clone(),
            path: below(&entry.origin.path),
            original_path: entry.origin.path.clone(),
            fqn: entry.fqn,
            span: entry.span,
            file: entry.origin.file,
            properties_span: Some(entry.span),
            properties_path: Some(entry.origin.path.clone()),
            raw_code: String::new(),
            language: "sql",
            checksum: checksum(""),
            config: Box::new(config),
            description,
            doc_blocks: Vec::new(),
            columns: IndexMap::new(),
            constraints: Vec::new(),
            model: ModelDetails::default(),
            relation: None,
            unbuilt: None,
            refs: entry.noted.refs,
            sources: entry.noted.sources,
            depends_on: Vec::new(),
            depends_on_macros: Vec::new(),
            layer: None,
        }
    }

    /// What a text such as `ref('x')` refers to.
    pub(super) fn noted(&mut self, package: &str, name: &str, texts: &[&Spanned<String>]) -> Noted {
        let host = ParseHost::new(&self.facts, package, name, ConfigValues::default());
        for text in texts {
            let asked: Arc<dyn TemplateHost> = host.clone();
            let bare = text.value.trim().trim_start_matches("{{").trim_end_matches("}}").trim();
            let template = Template::string(format!("{{{{ {bare} }}}}"), text.span);
            let rendered = render(&template, &Scope { package: package.to_owned() }, &self.library, &asked).map_err(|failure| *failure);
            if let Err(RenderFailure::Diagnostics(diagnostics)) = rendered {
                self.found.extend(diagnostics);
            }
        }
        host.noted()
    }
}

/// A path without its first folder, as dbt has it for what stands in properties files.
fn below(path: &str) -> String {
    path.split_once('/').map_or(path, |(_, rest)| rest).to_owned()
}

pub(super) fn add_exposures(builder: &mut Builder, package: &ParsedPackage) {
    for decl in &package.properties.exposures {
        add_exposure(builder, package, decl);
    }
}

fn add_exposure(builder: &mut Builder, package: &ParsedPackage, decl: &ExposureDecl) {
    let name = decl.name.value.clone();
    let (metrics, nodes): (Vec<&Spanned<String>>, Vec<_>) = decl.depends_on.iter().partition(|text| metric_call(&text.value).is_some());
    let metrics: Vec<Spanned<String>> = metrics.into_iter().filter_map(|text| Some(Spanned::new(metric_call(&text.value)?, text.span))).collect();
    let owner = match decl.owner.as_ref().map(Yaml::to_json) {
        Some(Json::Object(mut owner)) => {
            for key in ["email", "name"] {
                owner.entry(key).or_insert(Json::Null);
            }
            owner
        }
        _ => Map::new(),
    };
    let text = |value: Option<&Spanned<String>>| value.map(|text| text.value.clone());
    let fields = json!({
        "type": text(decl.kind.as_ref()), "owner": owner, "label": text(decl.label.as_ref()), "maturity": text(decl.maturity.as_ref()),
        "url": text(decl.url.as_ref()),
        "metrics": metrics.iter().map(|metric| [&metric.value]).collect::<Vec<_>>(),
    });
    let noted = builder.noted(&package.name, &name, &nodes);
    let node = builder.entry_node(Entry {
        kind: described(DescribedKind::Exposure, fields),
        id: format!("exposure.{}.{name}", package.name),
        fqn: fqn(package, &decl.origin, &name),
        name,
        package,
        origin: &decl.origin,
        span: decl.name.span,
        description: decl.description.as_ref(),
        config: decl.config.as_ref(),
        tree: package.project.trees.exposures.as_ref(),
        noted,
    });
    builder.uses.push(Uses { id: node.id.clone(), measures: Vec::new(), metrics });
    builder.add(node, None);
}

fn described(kind: DescribedKind, fields: Json) -> NodeKind {
    let fields = match fields {
        Json::Object(fields) => fields,
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => Map::new(),
    };
    NodeKind::Described(Box::new(Described { kind, fields }))
}

/// The name in `metric('name')`.
fn metric_call(text: &str) -> Option<String> {
    let inner = text.trim().strip_prefix("metric")?.trim_start().strip_prefix('(')?.strip_suffix(')')?;
    let last = inner.rsplit(',').next()?.trim();
    Some(last.trim_matches(['"', '\'']).to_owned()).filter(|name| !name.is_empty())
}

pub(super) fn add_groups(builder: &mut Builder, package: &ParsedPackage) {
    for decl in &package.properties.groups {
        add_group(builder, package, decl);
    }
}

fn add_group(builder: &mut Builder, package: &ParsedPackage, decl: &GroupDecl) {
    let object = |yaml: Option<&Yaml>| match yaml.map(Yaml::to_json) {
        Some(Json::Object(map)) => map,
        _ => Map::new(),
    };
    let description = builder.described(&package.name, decl.description.as_ref().map(|text| text.value.as_str()), decl.name.span);
    let group = Group {
        id: format!("group.{}.{}", package.name, decl.name.value),
        name: decl.name.value.clone(),
        package: package.name.clone(),
        path: below(&decl.origin.path),
        original_path: decl.origin.path.clone(),
        description,
        owner: object(decl.owner.as_ref()),
        meta: object(decl.config.as_ref().and_then(|config| config.get("meta"))),
        span: decl.name.span,
    };
    if let Some(first) = builder.groups.iter().find(|other| other.id == group.id) {
        builder.found.push(
            Diagnostic::error(Code::DuplicateName, format!("two groups are called `{}`", group.name))
                .at(group.span, "the second")
                .also(first.span, "the first")
                .help("rename one of them"),
        );
        return;
    }
    builder.groups.push(group);
}

pub(super) fn add_semantics(builder: &mut Builder, package: &ParsedPackage) {
    for decl in &package.properties.semantics {
        add_semantic(builder, package, decl);
        for measure in decl.measures.iter().filter(|measure| measure.create_metric) {
            add_measured(builder, package, decl, measure);
        }
    }
}

fn add_semantic(builder: &mut Builder, package: &ParsedPackage, decl: &SemanticDecl) {
    let name = decl.name.value.clone();
    let trees = &package.project.trees;
    let tree = match decl.kind {
        DescribedKind::Metric => trees.metrics.as_ref(),
        DescribedKind::SemanticModel => trees.semantic_models.as_ref(),
        DescribedKind::SavedQuery => trees.saved_queries.as_ref(),
        DescribedKind::Exposure => trees.exposures.as_ref(),
    };
    let noted = match &decl.model {
        Some(model) => builder.noted(&package.name, &name, &[model]),
        None => Noted::default(),
    };
    if let Some(model) = decl.model.as_ref().filter(|_| noted.refs.is_empty()) {
        builder.found.push(
            Diagnostic::error(Code::UnresolvedRef, format!("the semantic model `{name}` is of no model"))
                .at(model.span, "expected a ref")
                .help("write `model: ref('name')`"),
        );
    }
    let node = builder.entry_node(Entry {
        kind: described(decl.kind, Json::Object(decl.fields.clone())),
        id: format!("{}.{}.{name}", decl.kind.resource_type().name(), package.name),
        fqn: fqn(package, &decl.origin, &name),
        name,
        package,
        origin: &decl.origin,
        span: decl.name.span,
        description: decl.description.as_ref(),
        config: decl.config.as_ref(),
        tree,
        noted,
    });
    let id = node.id.clone();
    if decl.kind == DescribedKind::SemanticModel {
        builder.measures.extend(decl.measures.iter().map(|measure| (measure.name.value.clone(), id.clone(), measure.name.span)));
    }
    builder.uses.push(Uses { id, measures: decl.uses_measures.clone(), metrics: decl.uses_metrics.clone() });
    builder.add(node, None);
}

/// The metric that comes with a measure.
fn add_measured(builder: &mut Builder, package: &ParsedPackage, decl: &SemanticDecl, measure: &MeasureDecl) {
    let name = measure.name.value.clone();
    let input = json!({"name": name, "filter": null, "alias": null, "join_to_timespine": false, "fill_nulls_with": null});
    let expr = if measure.expr.is_null() { json!(name) } else { measure.expr.clone() };
    let fields = json!({
        "label": measure.label.as_ref().unwrap_or(&name), "type": "simple", "filter": null, "metadata": null, "time_granularity": null,
        "type_params": {
            "measure": input, "input_measures": [], "numerator": null, "denominator": null, "expr": expr, "window": null, "grain_to_date": null,
            "metrics": [], "conversion_type_params": null, "cumulative_type_params": null, "metric_aggregation_params": null,
        },
    });
    let mut node = builder.entry_node(Entry {
        kind: described(DescribedKind::Metric, fields),
        id: format!("metric.{}.{name}", package.name),
        fqn: fqn(package, &decl.origin, &name),
        name: name.clone(),
        package,
        origin: &decl.origin,
        span: measure.name.span,
        description: None,
        config: None,
        tree: package.project.trees.metrics.as_ref(),
        noted: Noted::default(),
    });
    node.description = format!("Metric created from measure {name}");
    builder.uses.push(Uses { id: node.id.clone(), measures: vec![(measure.name.clone(), input)], metrics: Vec::new() });
    builder.add(node, None);
}

/// Looks up measures and metrics by name, and fills in what follows from them.
pub(super) fn connect(builder: &mut Builder) {
    let enabled = |id: &NodeId, builder: &Builder| builder.nodes.contains_key(id);
    let mut measures: HashMap<String, (NodeId, Span)> = HashMap::new();
    for (name, id, span) in std::mem::take(&mut builder.measures) {
        if !enabled(&id, builder) {
            continue;
        }
        if let Some((_, first)) = measures.insert(name.clone(), (id, span)) {
            builder.found.push(
                Diagnostic::error(Code::DuplicateName, format!("two measures are called `{name}`"))
                    .at(span, "the second")
                    .also(first, "the first")
                    .help("rename one of them; metrics know measures by name alone"),
            );
        }
    }
    let metrics: BTreeMap<String, NodeId> =
        builder.nodes.values().filter(|node| node.resource_type() == ResourceType::Metric).map(|node| (node.name.clone(), node.id.clone())).collect();
    let uses: Vec<Uses> = std::mem::take(&mut builder.uses).into_iter().filter(|uses| enabled(&uses.id, builder)).collect();
    for uses in &uses {
        let mut parents = BTreeSet::new();
        for (measure, _) in &uses.measures {
            match measures.get(&measure.value) {
                Some((id, _)) => drop(parents.insert(id.clone())),
                None => builder.found.push(
                    Diagnostic::error(Code::UnresolvedRef, format!("no semantic model has a measure `{}`", measure.value))
                        .at(measure.span, "this measure")
                        .help_nearest(
                            nearest(&measure.value, measures.keys().map(String::as_str)),
                            "declare it among the `measures` of a semantic model",
                        ),
                ),
            }
        }
        for metric in &uses.metrics {
            match metrics.get(&metric.value) {
                Some(id) => drop(parents.insert(id.clone())),
                None => builder.found.push(
                    Diagnostic::error(Code::UnresolvedRef, format!("there is no metric `{}`", metric.value))
                        .at(metric.span, "this metric")
                        .help_nearest(nearest(&metric.value, metrics.keys().map(String::as_str)), "declare it under `metrics:`"),
                ),
            }
        }
        if let Some(node) = builder.nodes.get_mut(&uses.id) {
            node.depends_on = node.depends_on.iter().cloned().chain(parents).collect();
        }
    }
    input_measures(builder, &uses, &metrics);
}

/// The measures that a metric comes to, its own or those of the metrics it is made of.
fn input_measures(builder: &mut Builder, uses: &[Uses], metrics: &BTreeMap<String, NodeId>) {
    let by_id: HashMap<&NodeId, &Uses> = uses.iter().map(|uses| (&uses.id, uses)).collect();
    for uses in uses {
        let (mut found, mut seen, mut open): (Vec<Json>, BTreeSet<&NodeId>, Vec<&NodeId>) = (Vec::new(), BTreeSet::new(), vec![&uses.id]);
        while let Some(id) = open.pop() {
            let Some(uses) = by_id.get(id).filter(|_| seen.insert(id)) else { continue };
            for (_, input) in &uses.measures {
                if !found.contains(input) {
                    found.push(input.clone());
                }
            }
            open.extend(uses.metrics.iter().rev().filter_map(|metric| metrics.get(&metric.value)));
        }
        if let Some(NodeKind::Described(described)) = builder.nodes.get_mut(&uses.id).map(|node| &mut node.kind)
            && described.kind == DescribedKind::Metric
            && let Some(params) = described.fields.get_mut("type_params").and_then(Json::as_object_mut)
        {
            params.insert("input_measures".into(), Json::Array(found));
        }
    }
}

/// The relation behind each semantic model, once relations are known.
pub(super) fn relations_of_semantic_models(builder: &mut Builder) {
    let relation = |node: &Node, builder: &Builder| {
        let model = node.depends_on.iter().find_map(|id| builder.nodes.get(id))?;
        let relation = model.relation.as_ref()?;
        Some(json!({
            "alias": relation.identifier, "schema_name": relation.schema, "database": relation.database, "relation_name": relation.written(builder.facts.quoting),
        }))
    };
    let found: Vec<(NodeId, Json)> = builder
        .nodes
        .values()
        .filter(|node| node.resource_type() == ResourceType::SemanticModel)
        .map(|node| (node.id.clone(), relation(node, builder).unwrap_or(Json::Null)))
        .collect();
    for (id, relation) in found {
        if let Some(NodeKind::Described(described)) = builder.nodes.get_mut(&id).map(|node| &mut node.kind) {
            described.fields.insert("node_relation".into(), relation);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::metric_call;

    #[test]
    fn metrics_of_exposures_are_told_from_refs() {
        assert_eq!(metric_call(" metric( 'revenue' )").as_deref(), Some("revenue"));
        assert_eq!(metric_call("metric('shop', \"revenue\")").as_deref(), Some("revenue"));
        assert_eq!(metric_call("ref('metric')"), None);
    }
}
