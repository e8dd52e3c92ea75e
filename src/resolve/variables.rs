//! `var()`: what the command line says wins over what the root project says for a package, over what it says for all,
//! over what the package says of itself.

use std::collections::HashMap;

use serde_json::{Map, Value as Json};

/// The variables of every package.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    command_line: Map<String, Json>,
    root: Map<String, Json>,
    packages: HashMap<String, Map<String, Json>>,
}

impl Variables {
    /// `root` are the root project's `vars`, in which a map under a package's name holds that package's; `packages`
    /// are the `vars` of the packages' own project files.
    #[must_use]
    pub fn new(command_line: Map<String, Json>, root: Map<String, Json>, packages: HashMap<String, Map<String, Json>>) -> Self {
        Self { command_line, root, packages }
    }

    /// A variable as a package sees it.
    #[must_use]
    pub fn get(&self, package: &str, name: &str) -> Option<Json> {
        let scoped = |vars: &Map<String, Json>| match vars.get(package) {
            Some(Json::Object(own)) => own.get(name).cloned(),
            _ => None,
        };
        let own = self.packages.get(package);
        self.command_line
            .get(name)
            .cloned()
            .or_else(|| scoped(&self.root))
            .or_else(|| self.root.get(name).cloned())
            .or_else(|| own.and_then(scoped))
            .or_else(|| own.and_then(|vars| vars.get(name)).cloned())
    }

    /// Every name that a package can ask for, for suggestions.
    pub fn names<'a>(&'a self, package: &'a str) -> impl Iterator<Item = &'a str> {
        let scoped = self.root.get(package).and_then(Json::as_object);
        let maps = [Some(&self.command_line), Some(&self.root), scoped, self.packages.get(package)];
        maps.into_iter().flatten().flat_map(|map| map.keys().map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Json) -> Map<String, Json> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn the_nearest_definition_wins() {
        let packages = HashMap::from([("dep".to_owned(), object(json!({"a": "own", "b": "own", "c": "own"})))]);
        let vars = Variables::new(object(json!({"z": 1})), object(json!({"b": "root", "dep": {"a": "scoped"}, "z": 2})), packages);
        assert_eq!(vars.get("dep", "a"), Some(json!("scoped")));
        assert_eq!(vars.get("dep", "b"), Some(json!("root")));
        assert_eq!(vars.get("dep", "c"), Some(json!("own")));
        assert_eq!(vars.get("dep", "z"), Some(json!(1)));
        assert_eq!(vars.get("other", "c"), None);
    }
}
