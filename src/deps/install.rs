//! Lays chosen packages into the packages folder, all at once.

use super::DepsError;
use super::choose::{Pin, Pinned, Workshop};
use crate::base::files;

/// Fetches what is not there yet and puts everything in the place of what was installed before.
pub(super) async fn install(shop: &mut Workshop, pins: &[Pin], say: &(dyn Fn(String) + Sync)) -> Result<(), DepsError> {
    let new = shop.scratch("new");
    files::create_dir(&new)?;
    let mut outdated = Vec::new();
    for pin in pins {
        say(format!("Installing {}", shown(pin)));
        let place = new.join(&pin.name);
        match &pin.pinned {
            Pinned::Hub { version, latest, tarball } => {
                let folder = shop.unpacked(&pin.decl, tarball).await?;
                files::rename(&folder, &place)?;
                say(format!("Installed from version {version}"));
                if latest == version {
                    say("Up to date!".to_owned());
                } else {
                    say(format!("Updated version available: {latest}"));
                    outdated.push(pin.decl.text.as_str());
                }
            }
            Pinned::Git { commit, folder } => {
                files::rename(folder, &place)?;
                files::remove_dir(&place.join(".git"))?;
                say(format!("Installed from revision {commit}"));
            }
            Pinned::Tarball { folder } => {
                files::rename(folder, &place)?;
                say(format!("Installed from tarball (url: {})", pin.decl.text));
            }
            Pinned::Local { folder, shown } => {
                files::link_dir(folder, &place)?;
                say(format!("Installed from <local @ {shown}>"));
            }
        }
    }
    files::remove_dir(&shop.install_path)?;
    if let Some(parent) = shop.install_path.parent() {
        files::create_dir(parent)?;
    }
    files::rename(&new, &shop.install_path)?;
    if !outdated.is_empty() {
        say(format!("Updates available for packages: {}\nUpdate your versions in packages.yml, then run alluvium deps", outdated.join(", ")));
    }
    Ok(())
}

fn shown(pin: &Pin) -> &str {
    match &pin.pinned {
        Pinned::Tarball { .. } => &pin.name,
        Pinned::Hub { .. } | Pinned::Git { .. } | Pinned::Local { .. } => &pin.decl.text,
    }
}
