//! What killed processes left beside a table on a local disk: data files that no commit names.
//!
//! Every write keeps a journal of its files beside the table (`_staging-<id>`), held by a lock. The next write of the table
//! takes the journals that nobody holds. Their files are removed, unless the commit that names them was made after all.

use std::collections::HashSet;
use std::path::Path;

use deltalake::DeltaTable;
use deltalake::kernel::Action;
use deltalake::logstore::get_actions;

use super::warehouse::Folder;
use crate::base::Abandoned;
use crate::base::files;

/// The name of a journal.
pub(super) const JOURNAL: &str = "_staging-";
/// The word in front of the version on which a write began, in the first line of its journal.
pub(super) const BASE: &str = "base";

/// Removes what killed writes left. What can't be read or removed stays for the next time.
pub(super) async fn sweep(folder: &Folder, table: Option<&DeltaTable>) {
    let Some(local) = folder.local_path() else { return };
    let journals = files::list(&local).unwrap_or_default().into_iter().filter(|path| is_journal(path));
    for journal in journals.filter_map(|path| Abandoned::take(&path)) {
        let mut lines = journal.lines.iter();
        let base = lines.next().and_then(|line| line.strip_prefix(BASE)?.trim().parse::<i64>().ok());
        let written: Vec<String> = lines.cloned().collect();
        match (base, table) {
            (Some(base), Some(table)) => {
                if committed(table, base, &written).await == Some(false) {
                    journal.remove_files(&local, &written);
                }
            }
            (Some(_), None) => journal.remove_files(&local, &written),
            // It was killed before it wrote anything.
            (None, _) => {}
        }
        journal.end();
    }
}

fn is_journal(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(JOURNAL))
}

/// Whether a commit behind `base` names one of the files; `None` where the log does not say any more.
async fn committed(table: &DeltaTable, base: i64, files: &[String]) -> Option<bool> {
    let wanted: HashSet<&str> = files.iter().map(String::as_str).collect();
    let newest = i64::try_from(table.version()?).ok()?;
    for version in base + 1..=newest {
        let version = u64::try_from(version).ok()?;
        let entry = table.log_store().read_commit_entry(version).await.ok()??;
        for action in get_actions(version, &entry).ok()? {
            let path = match &action {
                Action::Add(add) => add.path.as_str(),
                Action::Cdc(change) => change.path.as_str(),
                Action::Metadata(_)
                | Action::Protocol(_)
                | Action::Remove(_)
                | Action::Txn(_)
                | Action::CommitInfo(_)
                | Action::DomainMetadata(_) => continue,
            };
            // A stage is committed as a whole.
            if wanted.contains(path) || percent_encoding::percent_decode_str(path).decode_utf8().is_ok_and(|path| wanted.contains(&*path)) {
                return Some(true);
            }
        }
    }
    Some(false)
}
