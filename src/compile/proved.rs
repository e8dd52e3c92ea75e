//! Data tests whose outcome follows from plans: they pass whatever the rows are.

use std::collections::{BTreeMap, BTreeSet};

use super::Compilation;
use super::facts::{Nulls, leaf_facts};
use crate::manifest::{Node, NodeId, TestConfig};
use crate::resolve::Project;

/// Why a generic test can't fail, if that is so. Only `not_null` and `unique`, with the usual conditions, are proved; what
/// rests on other tests is no proof.
#[must_use]
pub fn proved_test(project: &Project, nodes: &BTreeMap<NodeId, Compilation>, test: &Node) -> Option<String> {
    let details = test.test()?;
    let generic = details.generic.as_ref().filter(|generic| generic.package.as_deref().is_none_or(|package| package == "dbt"))?;
    let usual = TestConfig::default();
    let config = &test.config.test;
    if config.error_if != usual.error_if || config.warn_if != usual.warn_if || config.fail_calc != usual.fail_calc {
        return None;
    }
    // A macro of the project may have taken the name.
    if test.depends_on_macros.iter().any(|id| !id.starts_with("macro.dbt.") && id.ends_with(&format!(".test_{}", generic.name))) {
        return None;
    }
    let node = project.nodes.get(details.attached.as_ref()?)?;
    let Compilation::Ready(ready) = nodes.get(&node.id)? else { return None };
    let (schema, column) = (ready.schema.as_ref()?, details.column.as_ref()?);
    let known = leaf_facts(node, schema, ready.facts.as_deref(), &[]);
    match generic.name.as_str() {
        "not_null" => {
            let (_, nulls) = known.columns.iter().find(|(name, _)| name.eq_ignore_ascii_case(column))?;
            (*nulls == Nulls::Never).then(|| format!("the query of `{}` never gives NULL for `{column}`", node.name))
        }
        "unique" => {
            let wanted = BTreeSet::from([column.to_lowercase()]);
            let key = known
                .keys
                .iter()
                .find(|key| !key.assumed && key.columns.iter().map(|name| name.to_lowercase()).collect::<BTreeSet<_>>().is_subset(&wanted))?;
            let own = ready.facts.iter().flat_map(|facts| &facts.keys).find(|own| own.columns == key.columns && !own.assumed).unwrap_or(key);
            Some(format!("`{column}` of `{}` is unique: {}", node.name, own.because))
        }
        _ => None,
    }
}
