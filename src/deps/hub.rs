//! A hub's answers: the versions of a package, with where each lies and what it needs.

use std::collections::BTreeMap;

use semver::Version;
use serde::Deserialize;
use serde_json::Value as Json;

use super::version::{Range, read_version};
use crate::base::{Span, Spanned};
use crate::load::{GitSource, PackageDecl, PackageSource};

/// What `api/v1/OWNER/NAME.json` holds of a package.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct HubPackage {
    pub versions: BTreeMap<String, HubVersion>,
    #[serde(default)]
    pub namespace: String,
    #[serde(default)]
    pub name: String,
    pub redirectnamespace: Option<String>,
    pub redirectname: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct HubVersion {
    /// The name of the project in it.
    pub name: String,
    #[serde(default)]
    pub packages: Vec<Json>,
    pub downloads: Downloads,
    #[serde(default)]
    pub require_dbt_version: Json,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Downloads {
    pub tarball: String,
}

impl HubPackage {
    /// The name that the package has now, if it has another.
    pub(super) fn renamed(&self) -> Option<String> {
        if self.redirectname.is_none() && self.redirectnamespace.is_none() {
            return None;
        }
        let namespace = self.redirectnamespace.as_ref().unwrap_or(&self.namespace);
        Some(format!("{namespace}/{}", self.redirectname.as_ref().unwrap_or(&self.name)))
    }

    /// The versions that may be installed, the lowest first, as numbers and as the hub writes them.
    pub(super) fn installable(&self, prereleases: bool, dbt: &Version) -> Vec<(Version, &str)> {
        let versions = self.versions.iter().filter(|(_, version)| version.runs_with(dbt));
        let mut found: Vec<_> = versions.filter_map(|(text, _)| Some((read_version(text)?, text.as_str()))).collect();
        found.retain(|(version, _)| prereleases || version.pre.is_empty());
        found.sort_by(|(a, _), (b, _)| a.cmp_precedence(b));
        found
    }
}

impl HubVersion {
    /// Whether `require_dbt_version` lets a version of dbt use it; what can't be read does not stand in the way.
    fn runs_with(&self, dbt: &Version) -> bool {
        let texts: Vec<&str> = match &self.require_dbt_version {
            Json::String(text) => text.split(',').collect(),
            Json::Array(items) => items.iter().filter_map(Json::as_str).flat_map(|text| text.split(',')).collect(),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => Vec::new(),
        };
        texts.into_iter().filter(|text| !text.trim().is_empty()).filter_map(Range::read).all(|range| range.accepts(dbt))
    }

    /// What the version needs, as if it stood where the package is listed.
    pub(super) fn needs(&self, listed: &PackageDecl) -> Vec<PackageDecl> {
        self.packages.iter().filter_map(|json| need(json, listed)).collect()
    }
}

fn need(json: &Json, listed: &PackageDecl) -> Option<PackageDecl> {
    let text = |key: &str| json.get(key).and_then(Json::as_str).map(str::to_owned);
    let decl = |text: String, source| PackageDecl { span: listed.span, entry: listed.entry, text, name: None, source };
    if let Some(package) = text("package") {
        let prerelease = json.get("install_prerelease").or_else(|| json.get("install-prerelease")).and_then(Json::as_bool).unwrap_or(false);
        return Some(decl(package.clone(), PackageSource::Hub { package, versions: versions(json.get("version"), listed.span), prerelease }));
    }
    let url = text("git")?;
    let source = GitSource {
        url: url.clone(),
        revision: text("revision"),
        subdirectory: text("subdirectory"),
        warn_unpinned: true,
        private: false,
        provider: None,
    };
    Some(decl(url, PackageSource::Git(source)))
}

fn versions(json: Option<&Json>, span: Span) -> Vec<Spanned<String>> {
    let texts: Vec<&str> = match json {
        Some(Json::String(text)) => vec![text],
        Some(Json::Array(items)) => items.iter().filter_map(Json::as_str).collect(),
        Some(Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_)) | None => Vec::new(),
    };
    texts.into_iter().flat_map(|text| text.split(',')).map(|text| Spanned::new(text.trim().to_owned(), span)).collect()
}
