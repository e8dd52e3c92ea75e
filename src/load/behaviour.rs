//! dbt's behaviour flags: what the `flags` of the root project's file say about how the project means to be read and run.

use super::reader::MapReader;
use super::yaml::Yaml;
use crate::base::Diagnostics;

/// A flag that is on or off. Those that are not here choose between spellings that are both read, or concern warehouses
/// and services that there are none of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// After a hook `on-run-start` that fails, nodes are skipped.
    SkipNodesIfOnRunStartFails,
    /// `source freshness` runs the hooks of the project.
    SourceFreshnessRunProjectHooks,
    /// Properties of macros are held against the macros.
    ValidateMacroArgs,
    /// A `ref` in a package means the package's own node where the project has one of that name too.
    RefSearchesNodePackageBeforeRoot,
    /// A materialization of dbt's is a package's to override only where the root project says so.
    ExplicitPackageOverridesForBuiltinMaterializations,
    /// `dbt.equals` takes NULL for equal to NULL.
    EnableTruthyNullsEqualsMacro,
}

impl Behaviour {
    const ALL: [Self; 6] = [
        Self::SkipNodesIfOnRunStartFails,
        Self::SourceFreshnessRunProjectHooks,
        Self::ValidateMacroArgs,
        Self::RefSearchesNodePackageBeforeRoot,
        Self::ExplicitPackageOverridesForBuiltinMaterializations,
        Self::EnableTruthyNullsEqualsMacro,
    ];

    /// The key, and what holds where it is not given.
    fn flag(self) -> (&'static str, bool) {
        match self {
            Self::SkipNodesIfOnRunStartFails => ("skip_nodes_if_on_run_start_fails", false),
            Self::SourceFreshnessRunProjectHooks => ("source_freshness_run_project_hooks", true),
            Self::ValidateMacroArgs => ("validate_macro_args", false),
            Self::RefSearchesNodePackageBeforeRoot => ("require_ref_searches_node_package_before_root", false),
            Self::ExplicitPackageOverridesForBuiltinMaterializations => ("require_explicit_package_overrides_for_builtin_materializations", true),
            Self::EnableTruthyNullsEqualsMacro => ("enable_truthy_nulls_equals_macro", false),
        }
    }

    /// The one of a key.
    #[must_use]
    pub fn named(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|behaviour| behaviour.flag().0 == key)
    }

    /// Those that hold under these `flags`.
    pub(super) fn read(flags: Option<&Yaml>, out: &mut Diagnostics) -> Vec<Self> {
        let mut reader = flags.map(|flags| MapReader::new(flags, "`flags`", out));
        let mut holds = |behaviour: &Self| {
            let (key, by_default) = behaviour.flag();
            reader.as_mut().and_then(|reader| reader.bool(key)).unwrap_or(by_default)
        };
        Self::ALL.into_iter().filter(|behaviour| holds(behaviour)).collect()
    }
}
