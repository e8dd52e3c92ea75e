//! The rules of the house, held textually: who may use which room and which library, the size and opening of files,
//! a page for every code. `ARCHITECTURE.md` gives the reasons.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;

/// Rooms by layer, as in `ARCHITECTURE.md`. A room uses only rooms of lower layers.
const LAYERS: &[&[&str]] = &[
    &["base"],
    &["manifest", "sql"],
    &["jinja"],
    &["load"],
    &["deps", "resolve"],
    &["graph"],
    &["compile"],
    &["engine"],
    &["plan"],
    &["engine::local"],
    &["exec"],
    &["artifacts", "check"],
    &["cli"],
];

/// Paths, as they stand in code, and the only rooms that may use them; all of them do.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("std::fs", &["base"]),
    ("tokio::fs", &[]),
    ("annotate_snippets", &["base"]),
    ("minijinja", &["jinja"]),
    ("postcard", &["base"]),
    ("blake3", &["base"]),
    ("minijinja_contrib", &["jinja"]),
    ("sqlparser", &["sql", "engine::local"]),
    ("serde_saphyr", &["load"]),
    ("walkdir", &["load"]),
    ("petgraph", &["graph"]),
    ("deltalake::arrow", &["sql", "compile", "engine", "plan", "engine::local", "exec", "check", "cli"]),
    ("deltalake::datafusion", &["sql", "compile", "engine", "engine::local"]),
    ("deltalake", &["sql", "compile", "engine", "plan", "engine::local", "exec", "check", "cli"]),
    ("deltalake::kernel", &["engine::local"]),
    ("deltalake::logstore", &["engine::local"]),
    ("deltalake::protocol", &["engine::local"]),
    ("deltalake::table", &["engine::local"]),
    ("reqwest", &["deps"]),
    ("tar", &["deps"]),
    ("flate2", &["deps"]),
    ("std::process::Command", &["deps", "cli"]),
    ("tokio::task", &["compile", "engine::local", "exec"]),
    ("tokio::spawn", &[]),
    ("clap", &["cli"]),
    ("indicatif", &["cli"]),
];

/// What a facade may show as a module rather than by re-exports.
const OPEN_MODULES: &[(&str, &str)] = &[("base", "files"), ("engine", "local")];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file under `src/`; `code` is its text without comments, cut where the tests begin.
struct Room {
    path: PathBuf,
    name: String,
    text: String,
    code: String,
}

fn rooms() -> Vec<Room> {
    let sources = walkdir::WalkDir::new(root().join("src")).sort_by_file_name().into_iter().map(|entry| entry.unwrap().into_path());
    sources.filter(|path| path.extension().is_some_and(|ending| ending == "rs")).map(room).collect()
}

fn room(path: PathBuf) -> Room {
    let text = std::fs::read_to_string(&path).unwrap();
    let inside = path.strip_prefix(root().join("src")).unwrap().with_extension("");
    let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
    let name = match parts.as_slice() {
        [first, second, ..] if first == "engine" && second == "local" => "engine::local".to_owned(),
        [first, ..] => first.clone().into_owned(),
        [] => String::new(),
    };
    let tests = path.file_stem().is_some_and(|stem| stem == "tests");
    let body = if tests { "" } else { text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default() };
    let code = body.lines().map(|line| if line.trim_start().starts_with("//") { "\n".to_owned() } else { format!("{line}\n") }).collect();
    Room { path: path.strip_prefix(root()).unwrap().to_owned(), name, text, code }
}

fn layer(room: &str) -> Option<usize> {
    LAYERS.iter().position(|rooms| rooms.contains(&room))
}

/// The rooms that a text names as `crate::room`, in a group too.
fn used_rooms(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let items = if rest.starts_with('{') { group(rest) } else { vec![rest.to_owned()] };
        for item in items {
            let path: Vec<&str> = item.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|part| !part.is_empty()).take(2).collect();
            match path.as_slice() {
                ["engine", "local"] => used.insert("engine::local".to_owned()),
                [first, ..] => used.insert((*first).to_owned()),
                [] => false,
            };
        }
    }
    used
}

/// The items of a `{...}` at its first level.
fn group(text: &str) -> Vec<String> {
    let (mut depth, mut items) = (0, vec![String::new()]);
    for next in text.chars() {
        depth += i32::from(next == '{') - i32::from(next == '}');
        match (next, depth) {
            (_, 0) => break,
            (',', 1) => items.push(String::new()),
            _ => items.last_mut().unwrap().push(next),
        }
    }
    items
}

fn fail_if_any(problems: &[String]) {
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn rooms_use_only_what_lies_below() {
    let mut problems = Vec::new();
    for room in rooms().iter().filter(|room| !matches!(room.name.as_str(), "lib" | "main")) {
        let Some(own) = layer(&room.name) else {
            problems.push(format!("{}: the room `{}` is in no layer", room.path.display(), room.name));
            continue;
        };
        for used in used_rooms(&room.code) {
            let inside = used == room.name || (room.name == "engine::local" && used == "engine");
            match layer(&used) {
                Some(other) if other < own || inside => {}
                Some(_) => problems.push(format!("{}: `{}` may not use `{used}`", room.path.display(), room.name)),
                None => problems.push(format!("{}: `crate::{used}` is no room", room.path.display())),
            }
        }
    }
    fail_if_any(&problems);
}

#[test]
fn the_table_of_rooms_is_the_one_held_here() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let row = Regex::new(r"(?m)^\| (\d+) \| `([a-z/]+)/` \|").unwrap();
    let told: Vec<_> = row.captures_iter(&text).map(|found| (found[1].parse().unwrap(), found[2].replace('/', "::"))).collect();
    let held: Vec<_> = LAYERS.iter().enumerate().flat_map(|(layer, rooms)| rooms.iter().map(move |room| (layer, (*room).to_owned()))).collect();
    assert_eq!(told, held, "ARCHITECTURE.md tells of other rooms than `LAYERS`");
}

#[test]
fn libraries_stay_in_their_rooms() {
    let mut problems = Vec::new();
    for (library, allowed) in LIBRARIES {
        let path = Regex::new(&format!(r"(?:^|[^\w:]|deltalake::datafusion::sql::){}(?:::|;|\s+as\s)", regex::escape(library))).unwrap();
        let (mut unused, rooms) = (BTreeSet::from_iter(*allowed), rooms());
        for room in rooms.iter().filter(|room| path.is_match(&room.code)) {
            unused.remove(&room.name.as_str());
            if !allowed.contains(&room.name.as_str()) {
                problems.push(format!("{}: `{library}` belongs to {allowed:?}", room.path.display()));
            }
        }
        problems.extend(unused.iter().map(|room| format!("`{room}` may use `{library}` and does not")));
    }
    fail_if_any(&problems);
}

#[test]
fn facades_hide_their_modules() {
    let open = Regex::new(r"(?m)^\s*pub mod (\w+)").unwrap();
    let mut problems = Vec::new();
    for room in rooms().iter().filter(|room| room.name != "lib") {
        for module in open.captures_iter(&room.code).map(|found| found[1].to_owned()) {
            if !OPEN_MODULES.contains(&(room.name.as_str(), module.as_str())) {
                problems.push(format!("{}: `pub mod {module}`; re-export what others need", room.path.display()));
            }
        }
    }
    fail_if_any(&problems);
}

#[test]
fn files_are_small_and_say_what_they_are_for() {
    let mut problems = Vec::new();
    for room in rooms() {
        let path = room.path.display();
        if room.text.lines().count() > 800 {
            problems.push(format!("{path}: over 800 lines"));
        }
        if !room.text.starts_with("//! ") {
            problems.push(format!("{path}: opens without `//!`"));
        }
        if room.path.ends_with("mod.rs") {
            problems.push(format!("{path}: rooms are `room.rs` beside `room/`"));
        }
        for stub in ["todo!", "unimplemented!", "TODO", "FIXME"] {
            if room.text.contains(stub) {
                problems.push(format!("{path}: `{stub}`"));
            }
        }
    }
    fail_if_any(&problems);
}

#[test]
fn every_code_has_a_page() {
    let mut problems = Vec::new();
    for code in alluvium::base::Code::ALL {
        let page = code.page();
        if page.lines().count() <= 5 || !page.starts_with(&format!("# {code}\n")) || !page.contains("## Mend it") {
            problems.push(format!("docs/codes/{code}.md: wants a heading `# {code}`, what it means, an example and `## Mend it`"));
        }
    }
    let pages = std::fs::read_dir(root().join("docs/codes")).unwrap().map(|entry| entry.unwrap().path());
    for page in pages.filter_map(|path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned())) {
        if page.parse::<alluvium::base::Code>().is_err() {
            problems.push(format!("docs/codes/{page}.md: no such code"));
        }
    }
    fail_if_any(&problems);
}

#[test]
fn nothing_speaks_of_one_machine() {
    let folders = ["work", "root", "farm", "home", "Users"].join("|");
    let machine = Regex::new(&format!(r#"(?m)(?:^|[\s"'`(=])/(?:{folders})/[a-z]"#)).unwrap();
    let kept = ["target", "build", "warehouse", "logs", "exports", ".git"];
    let files =
        walkdir::WalkDir::new(root()).into_iter().filter_entry(|entry| entry.depth() != 1 || !kept.contains(&&*entry.file_name().to_string_lossy()));
    let endings = ["rs", "md", "toml", "yml", "yaml", "sql", "py", "sh", "json", "txt", "run"];
    let mut problems = Vec::new();
    for path in files.map(|entry| entry.unwrap().into_path()) {
        let ending = path.extension().unwrap_or_else(|| path.file_name().unwrap_or_default()).to_string_lossy();
        if !endings.contains(&&*ending) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        if let Some(found) = machine.find(&text) {
            problems.push(format!("{}: {}", path.display(), found.as_str().trim()));
        }
    }
    fail_if_any(&problems);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_are_found_in_groups_and_paths() {
        let code = "use crate::{base::{Code, Span}, sql};\nlet x = crate::engine::local::open();\nuse crate::manifest::NodeId;\n";
        let expected = ["base", "engine::local", "manifest", "sql"].map(str::to_owned);
        assert_eq!(used_rooms(code), BTreeSet::from(expected));
    }
}
