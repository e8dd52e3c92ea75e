//! Packages: what a project lists is chosen, locked, fetched and laid into its packages folder.
//!
//! The only room that reaches for the network or for `git`. What stands in an installed package is read by `load`, as
//! any project is.

mod add;
mod archive;
mod choose;
mod fetch;
mod git;
mod hub;
mod install;
mod lock;
mod requires;
mod version;

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

pub use add::{Addition, AdditionSource, add_package};
pub use requires::refused_version;

use crate::base::files::FileError;
use crate::base::{Diagnostic, Sources};
use crate::load::{load_dependencies, load_lock};

/// The hub that packages come from unless another is named.
pub const DEFAULT_HUB: &str = "https://hub.getdbt.com/";

/// What is wanted of [`install_packages`].
#[derive(Debug, Clone)]
pub struct DepsOptions {
    pub project_dir: PathBuf,
    pub vars: Map<String, Json>,
    /// An `http`, `https` or `file` URL.
    pub hub: String,
    /// Whether to choose versions anew although the lock belongs to the list.
    pub upgrade: bool,
    /// Whether to stop once the lock is written.
    pub lock_only: bool,
}

/// Why packages could not be installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DepsError {
    #[error("the packages can't be installed")]
    Diagnosed(Vec<Diagnostic>),
    #[error(transparent)]
    File(#[from] FileError),
}

impl From<Vec<Diagnostic>> for DepsError {
    fn from(diagnostics: Vec<Diagnostic>) -> Self {
        Self::Diagnosed(diagnostics)
    }
}

impl From<Diagnostic> for DepsError {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Diagnosed(vec![diagnostic])
    }
}

/// Installs the packages that a project lists: those of its lock, where the lock belongs to the list, else the newest
/// that fit, which are locked. `say` gets a line for each thing done. Gives warnings.
///
/// What was installed before stays until everything has been fetched.
///
/// # Errors
/// If the list can't be read, nothing fits it, or something can't be fetched or written.
pub async fn install_packages(options: &DepsOptions, sources: &Arc<Sources>, say: &(dyn Fn(String) + Sync)) -> Result<Vec<Diagnostic>, DepsError> {
    let mut listed = load_dependencies(&options.project_dir, "", &options.vars, sources)?;
    let mut warnings = std::mem::take(&mut listed.warnings);
    if listed.packages.is_empty() {
        say(format!("No packages were found in {}", listed.listed_in));
        return Ok(warnings);
    }
    let mut shop = choose::Workshop::new(options, &listed, sources);
    let lock = if options.upgrade { None } else { load_lock(&options.project_dir, &options.vars, sources)? };
    let pins = if let Some(lock) = lock.filter(|lock| lock.digest.as_deref() == Some(&listed.digest)) {
        shop.pinned(&lock.packages).await?
    } else {
        let pins = shop.choose(&listed.packages).await?;
        let path = lock::write(&options.project_dir, &pins, &listed.digest)?;
        say(format!("Updating lock file in file path: {}", path.display()));
        pins
    };
    warnings.append(&mut shop.warnings);
    if !options.lock_only {
        install::install(&mut shop, &pins, say).await?;
    }
    Ok(warnings)
}
