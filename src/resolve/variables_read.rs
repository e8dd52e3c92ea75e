//! Which variables nodes ask for, in their own text and in the macros they call.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use super::Project;
use crate::base::in_parallel;
use crate::manifest::{Node, variable_names};

/// What keeps a variable's value out of artifacts.
const SECRET: &str = "DBT_ENV_SECRET";

impl Project {
    /// The variables that macros ask for, by the macros' ids.
    #[must_use]
    pub fn variables_of_macros(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let named = self.library.macros().map(|info| (info.id.as_str(), variable_names(&info.macro_sql)));
        named.filter(|(_, names)| !names.is_empty()).collect()
    }

    /// The values that a node's templates read, as far as the variables are set.
    #[must_use]
    pub fn variables_of<'n>(&'n self, node: &'n Node, of_macros: &BTreeMap<&str, BTreeSet<&'n str>>) -> BTreeMap<&'n str, Json> {
        let called = node.depends_on_macros.iter().filter_map(|id| of_macros.get(id.as_str())).flatten().copied();
        let names: BTreeSet<&str> = variable_names(&node.raw_code).into_iter().chain(called).filter(|name| !name.starts_with(SECRET)).collect();
        names.into_iter().filter_map(|name| Some((name, self.variables.get(&node.package, name)?))).collect()
    }

    /// The variables that any node reads, by the node's package.
    #[must_use]
    pub fn variables_read(&self) -> Map<String, Json> {
        let of_macros = self.variables_of_macros();
        let mut found: BTreeMap<&str, BTreeMap<&str, Json>> = BTreeMap::new();
        let nodes: Vec<&Node> = self.nodes.values().map(Box::as_ref).collect();
        let all = in_parallel(&nodes, |node| self.variables_of(node, &of_macros));
        for (node, read) in nodes.into_iter().zip(all) {
            if !read.is_empty() {
                found.entry(node.package.as_str()).or_default().extend(read);
            }
        }
        let map = |variables: BTreeMap<&str, Json>| variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>();
        found.into_iter().map(|(package, variables)| (package.to_owned(), Json::Object(map(variables)))).collect()
    }
}
