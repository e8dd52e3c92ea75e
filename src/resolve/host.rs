//! What templates may ask for while the project is parsed: names are noted, not looked up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value as Json};

use super::Variables;
use super::config::ConfigValues;
use super::kept::{Asked, AskedSet};
use crate::base::{Code, Diagnostic, Heard, Span};
use crate::jinja::{HostError, Invocation, QueryTable, RefCall, RelationFacts, SourceCall, TemplateHost};
use crate::load::config_key;
use crate::manifest::{DocsBlock, Node, NodeRef, RelationName, SourceRef};

/// What all templates of a project see alike.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub project_name: String,
    pub variables: Variables,
    pub target: Json,
    pub adapter: String,
    pub database: String,
    pub schema: String,
    pub invocation: Invocation,
    pub dispatch: BTreeMap<String, Vec<String>>,
    /// Whether database, schema and identifier are printed in quotes, as the project file says.
    pub quoting: [bool; 3],
    /// Docs blocks by package and name.
    pub docs: BTreeMap<(String, String), DocsBlock>,
}

impl Facts {
    /// A docs block: of the asking package, else of the root, else of any.
    pub(super) fn doc(&self, package: &str, name: &str) -> Option<&str> {
        let key = |package: &str| (package.to_owned(), name.to_owned());
        let any = || self.docs.iter().find(|((_, block), _)| block == name).map(|(_, block)| block);
        self.docs.get(&key(package)).or_else(|| self.docs.get(&key(&self.project_name))).or_else(any).map(|block| block.text.as_str())
    }

    /// The id of that docs block.
    pub(super) fn doc_id(&self, package: &str, name: &str) -> Option<String> {
        let has = |package: &str| self.docs.contains_key(&(package.to_owned(), name.to_owned()));
        let any = || self.docs.keys().find(|(_, block)| block == name).map(|(package, _)| package.as_str());
        let package = [package, &self.project_name].into_iter().find(|package| has(package)).or_else(any)?;
        Some(format!("doc.{package}.{name}"))
    }

    /// An error about a docs block that is not there.
    pub(super) fn no_doc(&self, name: &str) -> Diagnostic {
        let names = self.docs.keys().map(|(_, name)| name.as_str());
        Diagnostic::error(Code::UnresolvedRef, format!("there is no docs block `{name}`"))
            .help_nearest(crate::base::nearest(name, names), "write it in a .md file: {% docs name %} ... {% enddocs %}")
    }
}

/// Notes what one template asks for.
pub(super) struct ParseHost {
    pub facts: Arc<Facts>,
    pub package: String,
    pub name: String,
    /// The relation that `this` is, where it is known by now.
    relation: Option<RelationName>,
    /// What `model` is, where more than its name is known.
    model: Option<Json>,
    pub noted: Mutex<Noted>,
    asked: AskedSet,
}

/// What a template asked for.
#[derive(Debug, Default, Clone)]
pub(super) struct Noted {
    pub refs: Vec<NodeRef>,
    pub sources: Vec<SourceRef>,
    /// The config so far, and what the template adds to it.
    pub config: ConfigValues,
}

impl ParseHost {
    pub(super) fn new(facts: &Arc<Facts>, package: &str, name: &str, config: ConfigValues) -> Arc<Self> {
        let noted = Mutex::new(Noted { config, ..Noted::default() });
        let (facts, package, name) = (Arc::clone(facts), package.to_owned(), name.to_owned());
        Arc::new(Self { facts, package, name, relation: None, model: None, noted, asked: AskedSet::default() })
    }

    /// For a text about a source, whose relation is known.
    pub(super) fn of_relation(facts: &Arc<Facts>, package: &str, relation: &RelationName) -> Arc<Self> {
        let (facts, package, name) = (Arc::clone(facts), package.to_owned(), relation.identifier.clone());
        Arc::new(Self { facts, package, name, relation: Some(relation.clone()), model: None, noted: Mutex::default(), asked: AskedSet::default() })
    }

    /// For a macro that is asked about a node whose config is known; `model` is the node as the macro sees it.
    pub(super) fn of_node(facts: &Arc<Facts>, node: &Node, model: Json) -> Arc<Self> {
        let mut config = ConfigValues::default();
        for (key, value) in &node.config.raw {
            config.restore(key.clone(), value.clone(), None);
        }
        let noted = Mutex::new(Noted { config, ..Noted::default() });
        let (facts, package, name) = (Arc::clone(facts), node.package.clone(), node.name.clone());
        Arc::new(Self { facts, package, name, relation: node.place().cloned(), model: Some(model), noted, asked: AskedSet::default() })
    }

    pub(super) fn noted(&self) -> Noted {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was asked for beyond the project.
    pub(super) fn asked(&self) -> BTreeSet<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn asks(&self, asked: Asked) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(asked);
    }

    fn note(&self, change: impl FnOnce(&mut Noted)) {
        change(&mut self.noted.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What stands for an answer of the warehouse, which counts for nothing while the project is read.
    fn without_warehouse<T>(&self, placeholder: T) -> Result<T, HostError> {
        if self.model.is_none() {
            return Ok(placeholder);
        }
        let message = format!("this is asked of `{}` before there is a connection, so it can't ask the warehouse", self.name);
        Err(Diagnostic::error(Code::NotAvailable, message).help("decide by the target, `var`, `flags` or the node's config").into())
    }

    fn placeholder(&self, name: &str) -> RelationName {
        RelationName::new(&self.facts.database, &self.facts.schema, name)
    }
}

impl TemplateHost for ParseHost {
    /// A macro that is asked about a node is asked in earnest.
    fn execute(&self) -> bool {
        self.model.is_some()
    }

    fn reference(&self, call: &RefCall) -> Result<RelationName, HostError> {
        let found = NodeRef { package: call.package.clone(), name: call.name.clone(), version: call.version.clone(), span: call.span };
        self.note(|noted| noted.refs.push(found));
        Ok(self.placeholder(call.name.trim_end_matches("()")))
    }

    fn source(&self, call: &SourceCall) -> Result<RelationName, HostError> {
        let found = SourceRef { source: call.source.clone(), table: call.table.clone(), span: call.span };
        self.note(|noted| noted.sources.push(found));
        Ok(self.placeholder(&call.table))
    }

    fn config(&self, values: Map<String, Json>, span: Option<Span>) -> Result<(), HostError> {
        for (one, other) in [("pre_hook", "pre-hook"), ("post_hook", "post-hook")] {
            if values.contains_key(one) && values.contains_key(other) {
                let message = format!("`{one}` and `{other}` are two spellings of one key");
                return Err(Diagnostic::error(Code::ConfigType, message).help(format!("put the hooks into one list, `{one}=[...]`")).into());
            }
        }
        self.note(|noted| {
            for (key, value) in values {
                noted.config.set(config_key(&self.facts.adapter, &key), value, span);
            }
        });
        Ok(())
    }

    fn config_get(&self, key: &str) -> Option<Json> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).config.get(key).cloned()
    }

    fn var(&self, name: &str) -> Option<Json> {
        self.facts.variables.get(&self.package, name)
    }

    fn this(&self) -> Option<RelationName> {
        Some(self.relation.clone().unwrap_or_else(|| self.placeholder(&self.name)))
    }

    fn target(&self) -> Json {
        self.facts.target.clone()
    }

    fn model(&self) -> Json {
        self.model.clone().unwrap_or_else(|| serde_json::json!({ "name": self.name, "package_name": self.package }))
    }

    fn graph(&self) -> Json {
        serde_json::json!({ "nodes": {}, "sources": {}, "exposures": {} })
    }

    fn project_name(&self) -> String {
        self.facts.project_name.clone()
    }

    fn invocation(&self) -> Invocation {
        self.asks(Asked::Beyond);
        self.facts.invocation.clone()
    }

    fn flags(&self) -> Json {
        self.asks(Asked::Flags);
        self.facts.invocation.flags.clone()
    }

    fn note_environment(&self, name: &str) {
        self.asks(Asked::Environment(name.to_owned()));
    }

    fn is_incremental(&self) -> bool {
        false
    }

    fn query(&self, _sql: &str) -> Result<QueryTable, HostError> {
        self.without_warehouse(QueryTable::default())
    }

    fn relation(&self, _name: &RelationName) -> Result<Option<RelationFacts>, HostError> {
        self.without_warehouse(None)
    }

    fn doc(&self, package: Option<&str>, name: &str) -> Result<String, HostError> {
        self.asks(Asked::Beyond);
        let found = self.facts.doc(package.unwrap_or(&self.package), name);
        found.map(str::to_owned).ok_or_else(|| HostError::from(self.facts.no_doc(name)))
    }

    fn yaml(&self, text: &str) -> Option<Json> {
        crate::load::yaml_json(text)
    }

    /// Messages are for the run; a template is parsed more often than it runs.
    fn log(&self, _message: &str, _heard: Heard) {}

    fn dispatch_order(&self) -> BTreeMap<String, Vec<String>> {
        self.facts.dispatch.clone()
    }
}
