//! `require-dbt-version`: whether a project or package says that it runs with the dbt that this program speaks.

use semver::Version;

use super::version::Range;
use crate::base::{Code, Diagnostic};
use crate::load::{Yaml, YamlValue};
use crate::manifest::DBT_VERSION;

/// What is wrong with `require-dbt-version` of a package: it is no version, or this program is none of those it names.
#[must_use]
pub fn refused_version(package: &str, required: &Yaml) -> Option<Diagnostic> {
    let items: &[Yaml] = match &required.value {
        YamlValue::Seq(items) => items,
        YamlValue::Null => return None,
        YamlValue::Bool(_) | YamlValue::Int(_) | YamlValue::Float(_) | YamlValue::String(_) | YamlValue::Map(_) => std::slice::from_ref(required),
    };
    let installed = Version::parse(DBT_VERSION).ok()?;
    for item in items {
        let YamlValue::String(text) = &item.value else { return Some(malformed(item, "it")) };
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match Range::read(part) {
                None => return Some(malformed(item, &format!("`{part}`"))),
                Some(range) if !range.accepts(&installed) => {
                    let message = format!("`{package}` needs dbt {part}, and this program speaks that of dbt {DBT_VERSION}");
                    let help = format!("take a version of `{package}` that runs with dbt {DBT_VERSION}, or try it with --no-version-check");
                    return Some(Diagnostic::error(Code::PackageVersion, message).at(item.span, "required here").help(help));
                }
                Some(_) => {}
            }
        }
    }
    None
}

fn malformed(item: &Yaml, what: &str) -> Diagnostic {
    Diagnostic::error(Code::PackageVersion, format!("`require-dbt-version`: {what} is no version of dbt"))
        .at(item.span, "required here")
        .help("give a version of three numbers, a bound or a list of bounds, e.g. [\">=1.7.0\", \"<2.0.0\"]")
}
