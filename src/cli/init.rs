//! `init`: a small project that runs at once.

use std::path::Path;

use super::{Exit, Streams};
use crate::base::files;

/// The files of the project; `{name}` stands for its name.
const FILES: [(&str, &str); 8] = [
    ("project.yml", include_str!("init/project.yml")),
    ("seeds/raw_orders.csv", include_str!("init/raw_orders.csv")),
    ("models/staging/stg_orders.sql", include_str!("init/stg_orders.sql")),
    ("models/staging/staging.yml", include_str!("init/staging.yml")),
    ("models/marts/orders_by_day.sql", include_str!("init/orders_by_day.sql")),
    ("models/marts/marts.yml", include_str!("init/marts.yml")),
    ("tests/totals_agree.sql", include_str!("init/totals_agree.sql")),
    (".gitignore", include_str!("init/gitignore")),
];

pub(super) fn init(name: &str, current: &Path, streams: &Streams) -> Exit {
    if !is_name(name) {
        streams.complain(&format!("error: `{name}` is no name for a project: use lower-case letters, digits and underscores, with a letter first\n"));
        return Exit::Unusable;
    }
    let folder = current.join(name);
    if files::is_dir(&folder) || files::is_file(&folder) {
        streams.complain(&format!("error: there is something called `{name}` here already\n"));
        return Exit::Unusable;
    }
    for (path, text) in FILES {
        if let Err(error) = files::write_text(&folder.join(path), &text.replace("{name}", name)) {
            streams.complain(&format!("error: {error}\n"));
            return Exit::Unusable;
        }
    }
    streams.print(&format!("Created the project `{name}`. Next:\n\n    cd {name}\n    alluvium build\n    alluvium show --select orders_by_day\n"));
    Exit::Fine
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}
