//! Layers and naming: who may read whom, what models and columns are called, what a layer requires.

use crate::base::{Code, Diagnostic, Span};
use crate::load::{LayerDecl, LayersDecl, MayRead, NamingDecl, Pattern, Requirement};
use crate::manifest::{Materialization, Node, NodeKind, ResourceType};
use crate::sql::{parse_type, type_name};

/// The rules of a project; without a `layers` section there are none.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    layers: Option<LayersDecl>,
    naming: NamingDecl,
}

impl Layers {
    pub(super) fn new(layers: Option<LayersDecl>, naming: NamingDecl) -> Self {
        Self { layers, naming }
    }

    /// Whether nothing is ruled.
    pub(super) fn is_empty(&self) -> bool {
        self.layers.is_none() && self.naming.columns.is_empty() && self.naming.models.is_empty()
    }

    /// Layer names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.layers.iter().flat_map(|decl| decl.layers.iter().map(|layer| layer.name.value.as_str()))
    }

    fn layer(&self, name: &str) -> Option<&LayerDecl> {
        self.layers.as_ref()?.layers.iter().find(|layer| layer.name.value == name)
    }

    /// The layer of a file of the project.
    pub(super) fn layer_of(&self, path: &str) -> Option<String> {
        Some(self.layers.as_ref()?.layer_of(path)?.name.value.clone())
    }

    /// What a model and its layer disagree about, but for what it reads and its columns.
    pub(super) fn check_node(&self, node: &Node, tested: bool) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        if node.resource_type() != ResourceType::Model {
            return found;
        }
        let layer = node.layer.as_deref().and_then(|name| self.layer(name));
        if let Some(layer) = layer {
            if let Some(pattern) = layer.names.as_ref().filter(|pattern| !pattern.matches(&node.name)) {
                found.push(misnamed(node, pattern, &format!("a model of the layer `{}`", layer.name.value)));
            }
            found.extend(wrong_materialization(node, layer));
            found.extend(layer.require.iter().filter(|requirement| !fulfils(node, requirement.value, tested)).map(|requirement| {
                Diagnostic::error(
                    Code::LayerRequirement,
                    format!("`{}` has no {}, which its layer `{}` requires", node.name, what(requirement.value), layer.name.value),
                )
                .at(node.properties_span.unwrap_or(node.span), "this model")
                .also(requirement.span, "required here")
                .help(remedy(requirement.value))
            }));
        }
        for rule in self.naming.models.iter().filter(|rule| applies(&rule.layers, node)) {
            if !rule.pattern.matches(&node.name) {
                found.push(misnamed(node, &rule.pattern, "a model"));
            }
        }
        found
    }

    /// What a model reads and its layer does not allow.
    pub(super) fn check_read(&self, reader: &Node, read: &Node) -> Option<Diagnostic> {
        let layer = reader.layer.as_deref().and_then(|name| self.layer(name))?;
        let allowed = layer.may_read.as_ref()?;
        let permitted = allowed.iter().any(|entry| match &entry.value {
            MayRead::Sources => matches!(read.kind, NodeKind::Source { .. }),
            MayRead::Seeds => matches!(read.kind, NodeKind::Seed { .. }),
            MayRead::Snapshots => matches!(read.kind, NodeKind::Snapshot),
            MayRead::Layer(name) => read.layer.as_ref() == Some(name),
        });
        // Models of packages have layers of their own, or none; a model of this project that is in no layer is in none
        // of those that may be read.
        let ruled = read.layer.is_some() || !matches!(read.kind, NodeKind::Model) || read.package == reader.package;
        if permitted || !ruled {
            return None;
        }
        let place = match (&read.layer, &read.kind) {
            (Some(layer), _) => format!("`{}` of the layer `{layer}`", read.name),
            (None, NodeKind::Model) => format!("`{}`, which is in no layer", read.name),
            (None, _) => format!("the {} `{}`", read.resource_type().name(), read.name),
        };
        let call = reader.refs.iter().find(|call| call.name == read.name).and_then(|call| call.span);
        let call = call.or_else(|| reader.sources.iter().find(|call| call.table == read.name).and_then(|call| call.span));
        let names: Vec<String> = allowed.iter().map(|entry| may_read_name(&entry.value)).collect();
        let list = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        Some(
            Diagnostic::error(Code::LayerRead, format!("`{}` of the layer `{}` reads {place}", reader.name, layer.name.value))
                .at(call.unwrap_or(reader.span), "read here")
                .also(layer.span, format!("this layer may read {list}"))
                .help(if read.layer.is_none() && matches!(read.kind, NodeKind::Model) {
                    "move it below the paths of a layer that may be read, or name its folder in `paths` of one"
                } else {
                    "read it through a model of a layer in between, or change `may_read`"
                }),
        )
    }

    /// Columns of a model whose names break a rule; `columns` are names with the names of their types, where known.
    /// `place` tells where the query names one.
    pub fn check_columns<'a>(
        &self,
        node: &Node,
        columns: impl Iterator<Item = (&'a str, Option<String>)>,
        place: impl Fn(&str) -> Option<Span>,
    ) -> Vec<Diagnostic> {
        if node.resource_type() != ResourceType::Model {
            return Vec::new();
        }
        let rules: Vec<_> = self.naming.columns.iter().filter(|rule| applies(&rule.layers, node)).collect();
        let mut found = Vec::new();
        for (name, data_type) in columns {
            let Some(rule) = rules.iter().find(|rule| is_about(&rule.types, data_type.as_deref()) && !rule.pattern.matches(name)) else { continue };
            let declared = node.columns.values().find(|column| column.name.eq_ignore_ascii_case(name)).map(|column| column.span);
            let declared = declared.or_else(|| place(name));
            let message = format!("the column `{name}` of `{}` is not named as `{}` demands", node.name, rule.pattern.text.value);
            found.push(
                Diagnostic::error(Code::NamingColumn, message)
                    .at(declared.unwrap_or(node.span), if declared.is_some() { "this column" } else { "this model yields it" })
                    .also(rule.span, "the rule")
                    .help("give it another name with `as`"),
            );
        }
        found
    }
}

/// Whether a rule for certain types concerns a column. Types are compared without their arguments: `decimal` is every
/// decimal.
fn is_about(types: &[crate::base::Spanned<String>], data_type: Option<&str>) -> bool {
    let base = |name: &str| name.split(['(', '<']).next().unwrap_or_default().trim().to_lowercase();
    let shown = |name: &str| parse_type(name).map_or_else(|_| base(name), |found| base(&type_name(&found)));
    types.is_empty() || data_type.is_some_and(|data_type| types.iter().any(|wanted| shown(&wanted.value) == shown(data_type)))
}

fn applies(layers: &[crate::base::Spanned<String>], node: &Node) -> bool {
    layers.is_empty() || layers.iter().any(|layer| node.layer.as_ref() == Some(&layer.value))
}

fn misnamed(node: &Node, pattern: &Pattern, what: &str) -> Diagnostic {
    Diagnostic::error(Code::NamingModel, format!("`{}` is no name for {what}: it has to match `{}`", node.name, pattern.text.value))
        .at(node.span, "this model")
        .also(pattern.text.span, "the rule")
        .help("rename the file, and the refs to it")
}

fn wrong_materialization(node: &Node, layer: &LayerDecl) -> Option<Diagnostic> {
    let allowed = layer.materializations.as_ref()?;
    let found = &node.config.materialization;
    if allowed.iter().any(|entry| entry.value == *found) || *found == Materialization::Ephemeral && allowed.is_empty() {
        return None;
    }
    let names: Vec<&str> = allowed.iter().map(|entry| entry.value.name()).collect();
    Some(
        Diagnostic::error(
            Code::LayerMaterialization,
            format!("`{}` is materialized as {}, and its layer `{}` allows {}", node.name, found.name(), layer.name.value, names.join(", ")),
        )
        .at(node.span, "this model")
        .also(layer.span, "this layer")
        .help("change `materialized` of the model, or `materializations` of the layer"),
    )
}

fn fulfils(node: &Node, requirement: Requirement, tested: bool) -> bool {
    match requirement {
        Requirement::Description => !node.description.trim().is_empty(),
        Requirement::ColumnDescriptions => !node.columns.is_empty() && node.columns.values().all(|column| !column.description.trim().is_empty()),
        Requirement::Tests => tested,
        Requirement::Contract => node.config.contract_enforced,
    }
}

fn what(requirement: Requirement) -> &'static str {
    match requirement {
        Requirement::Description => "description",
        Requirement::ColumnDescriptions => "descriptions of all its columns",
        Requirement::Tests => "data test",
        Requirement::Contract => "contract",
    }
}

fn remedy(requirement: Requirement) -> &'static str {
    match requirement {
        Requirement::Description => "add `description:` to its entry in a properties file",
        Requirement::ColumnDescriptions => "list its columns in a properties file, each with a `description:`",
        Requirement::Tests => "add `data_tests:` to it or to one of its columns",
        Requirement::Contract => "add `contract: {enforced: true}` to its config and list its columns with their types",
    }
}

fn may_read_name(entry: &MayRead) -> String {
    match entry {
        MayRead::Sources => "sources".into(),
        MayRead::Seeds => "seeds".into(),
        MayRead::Snapshots => "snapshots".into(),
        MayRead::Layer(name) => name.clone(),
    }
}
