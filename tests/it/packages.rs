//! `deps` against a hub on this machine and repositories made for the test. What needs no server is in
//! `tests/cases/packages.md`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use alluvium::cli::Finished;
use flate2::{Compression, write::GzEncoder};
use serde_json::json;

use crate::program::spawned;

/// Serves texts and archives by path until the test ends, and notes what it was asked for.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(make: impl FnOnce(&str) -> BTreeMap<String, Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let files = make(&url);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &files, &noted);
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn answer(mut stream: TcpStream, files: &BTreeMap<String, Vec<u8>>, asked: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut request = String::new();
    reader.read_line(&mut request).unwrap();
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap() > 2 {
        line.clear();
    }
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let (status, body) = files.get(&path).map_or(("404 Not Found", &[][..]), |body| ("200 OK", body.as_slice()));
    asked.lock().unwrap().push(path);
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len()).unwrap();
    stream.write_all(body).unwrap();
}

fn archive(folder: &str, files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, format!("{folder}/{name}"), text.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

/// A hub with `acme/tools` 1.0.0, 1.2.0, 2.0.0-b1 and 2.0.0, of which each but the first needs `acme/base`.
fn hub(url: &str) -> BTreeMap<String, Vec<u8>> {
    let version = |name: &str, version: &str, packages: serde_json::Value| json!({"name": name, "version": version, "packages": packages, "downloads": {"tarball": format!("{url}/{name}-{version}.tar.gz")}});
    let base = json!([{"package": "acme/base", "version": [">=0.1.0", "<0.3.0"]}]);
    let mut future = version("tools", "1.9.0", json!([]));
    future["require_dbt_version"] = json!([">=9.0.0"]);
    let tools = json!({"name": "tools", "namespace": "acme", "versions": {
        "1.0.0": version("tools", "1.0.0", json!([])),
        "1.2.0": version("tools", "1.2.0", base.clone()),
        "1.9.0": future,
        "2.0.0-b1": version("tools", "2.0.0-b1", base.clone()),
        "2.0.0": version("tools", "2.0.0", base),
    }});
    let base = json!({"name": "base", "namespace": "acme", "versions": {
        "0.1.0": version("base", "0.1.0", json!([])),
        "0.2.0": version("base", "0.2.0", json!([])),
        "0.3.0": version("base", "0.3.0", json!([])),
    }});
    let mut files = BTreeMap::from([
        ("/api/v1/acme/tools.json".to_owned(), tools.to_string().into_bytes()),
        ("/api/v1/acme/base.json".to_owned(), base.to_string().into_bytes()),
        ("/api/v1/acme/odd.json".to_owned(), b"<html>".to_vec()),
        ("/evil.tar.gz".to_owned(), b"no archive".to_vec()),
    ]);
    for (name, version) in
        [("tools", "1.0.0"), ("tools", "1.2.0"), ("tools", "2.0.0-b1"), ("tools", "2.0.0"), ("base", "0.1.0"), ("base", "0.2.0"), ("base", "0.3.0")]
    {
        let project = format!("name: {name}\nversion: {version}\n");
        let macros = format!("{{% macro version() %}}'{version}'{{% endmacro %}}");
        let content = [("dbt_project.yml", project.as_str()), ("macros/version.sql", macros.as_str())];
        files.insert(format!("/{name}-{version}.tar.gz"), archive(&format!("{name}-{version}"), &content));
    }
    files
}

struct World {
    folder: tempfile::TempDir,
    server: Server,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = Self { folder, server: Server::start(hub) };
        world.write("project.yml", "name: example\ntargets: {default: local, local: {warehouse: warehouse, schema: main}}\n");
        world
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.root().join(path)).unwrap()
    }

    fn run(&self, args: &[&str]) -> Finished {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        spawned(self.root(), &args, &[("DBT_PACKAGE_HUB_URL".to_owned(), format!("{}/", self.server.url))])
    }

    fn deps(&self, packages: &str, more: &[&str]) -> Finished {
        self.write("packages.yml", packages);
        self.run(&[&["deps"], more].concat())
    }

    /// A repository with a project in its folder `sub`, two commits, and a tag at the first.
    fn repository(&self) -> String {
        let git = |args: &[&str]| {
            let folder = self.root().join("repository");
            let mut command = Command::new("git");
            command.args(["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]).args(args).current_dir(folder);
            assert!(command.output().unwrap().status.success(), "{args:?}");
        };
        self.write("repository/sub/dbt_project.yml", "name: stored\n");
        self.write("repository/sub/macros/a.sql", "{% macro which() %}'first'{% endmacro %}");
        git(&["init", "-q"]);
        git(&["add", "."]);
        git(&["commit", "-qm", "one"]);
        git(&["tag", "v1"]);
        self.write("repository/sub/macros/a.sql", "{% macro which() %}'second'{% endmacro %}");
        git(&["commit", "-qam", "two"]);
        format!("file://{}", self.root().join("repository").display())
    }
}

const TOOLS: &str = "packages:\n  - package: acme/tools\n    version: [\">=1.0.0\", \"<2.0.0\"]\n";

#[test]
fn hub_packages_are_chosen_locked_and_installed_with_what_they_need() {
    let world = World::new();
    let done = world.deps(TOOLS, &[]);
    assert_eq!(done.exit_code, 0, "{}{}", done.stdout, done.stderr);
    for line in [
        "Installing acme/tools",
        "Installed from version 1.2.0",
        "Updated version available: 2.0.0",
        "Installing acme/base",
        "Installed from version 0.2.0",
    ] {
        assert!(done.stdout.contains(line), "no `{line}` in\n{}", done.stdout);
    }
    let lock = world.read("package-lock.yml");
    let expected = "packages:\n  - name: tools\n    package: acme/tools\n    version: 1.2.0\n  - name: base\n    package: acme/base\n    version: 0.2.0\nsha1_hash: ";
    assert!(lock.starts_with(expected), "{lock}");
    world.write("models/a.sql", "select {{ tools.version() }} as tools, {{ base.version() }} as base");
    let shown = world.run(&["show", "--select", "a", "--output", "json", "--quiet"]);
    assert!(shown.stdout.contains("1.2.0") && shown.stdout.contains("0.2.0"), "{}{}", shown.stdout, shown.stderr);
}

#[test]
fn the_lock_holds_until_the_list_changes_or_an_upgrade_is_asked_for() {
    let world = World::new();
    world.deps(TOOLS, &[]);
    let lock = world.read("package-lock.yml").replace("1.2.0", "1.0.0");
    world.write("package-lock.yml", &lock);
    let done = world.run(&["deps"]);
    assert!(done.stdout.contains("Installed from version 1.0.0") && !done.stdout.contains("Updating lock file"), "{}", done.stdout);
    assert!(world.read("dbt_packages/tools/dbt_project.yml").contains("1.0.0"));
    let done = world.run(&["deps", "--upgrade"]);
    assert!(done.stdout.contains("Installed from version 1.2.0"), "{}", done.stdout);
    let done = world.deps(&TOOLS.replace("<2.0.0", "<3.0.0"), &["--lock"]);
    assert!(done.stdout.contains("Updating lock file") && !done.stdout.contains("Installing"), "{}", done.stdout);
    assert!(world.read("package-lock.yml").contains("2.0.0") && world.read("dbt_packages/tools/dbt_project.yml").contains("1.2.0"));
}

#[test]
fn prereleases_come_only_where_they_are_asked_for() {
    let world = World::new();
    let list = "packages:\n  - package: acme/tools\n    version: [\">1.2.0\", \"<2.0.0\"]\n";
    let done = world.deps(list, &[]);
    assert_eq!(done.exit_code, 2);
    assert!(done.stdout.contains("[package-version]: no version of `acme/tools` is `>1.2.0`, `<2.0.0`"), "{}", done.stdout);
    assert!(done.stdout.contains("the hub has 2.0.0, 1.2.0, 1.0.0"), "{}", done.stdout);
    let done = world.deps("packages:\n  - package: acme/tools\n    version: \">=2.0.0-b1,<2.0.0\"\n", &[]);
    // The bound is no prerelease, so those of it are not meant.
    assert_eq!(done.exit_code, 2, "{}", done.stdout);
    let done = world.deps("packages:\n  - package: acme/tools\n    version: 2.0.0-b1\n", &[]);
    assert!(done.stdout.contains("Installed from version 2.0.0-b1"), "{}", done.stdout);
}

#[test]
fn ranges_of_several_packages_must_meet() {
    let world = World::new();
    let done = world.deps("packages:\n  - package: acme/base\n    version: 0.3.0\n  - package: acme/tools\n    version: 1.2.0\n", &[]);
    assert_eq!(done.exit_code, 2);
    assert!(done.stdout.contains("no version of `acme/base` is `0.3.0`, `>=0.1.0`, `<0.3.0`"), "{}", done.stdout);
    assert!(!world.root().join("package-lock.yml").exists());
}

#[test]
fn a_failure_leaves_what_was_installed() {
    let world = World::new();
    world.deps(TOOLS, &[]);
    let tarball = format!("packages:\n  - tarball: {}/evil.tar.gz\n    name: evil\n", world.server.url);
    let done = world.deps(&tarball, &[]);
    assert_eq!(done.exit_code, 2);
    assert!(done.stdout.contains("[package-unavailable]: the archive of `"), "{}", done.stdout);
    for name in ["absent", "odd"] {
        let done = world.deps(&format!("packages:\n  - package: acme/{name}\n    version: 1.0.0\n"), &[]);
        assert!(done.stdout.contains("[package-unavailable]"), "{}", done.stdout);
    }
    assert!(world.root().join("dbt_packages/tools/macros/version.sql").exists());
    let left: Vec<_> = std::fs::read_dir(world.root()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!left.iter().any(|name| name.contains(".tmp")), "{left:?}");
}

#[test]
fn without_a_network_it_says_what_was_looked_for_and_what_to_do() {
    let world = World::new();
    world.write("packages.yml", TOOLS);
    // Nothing listens at the discard port.
    let done = spawned(world.root(), &["deps".to_owned()], &[("DBT_PACKAGE_HUB_URL".to_owned(), "http://127.0.0.1:9/".to_owned())]);
    assert_eq!(done.exit_code, 2);
    for text in [
        "can't fetch the package `acme/tools`",
        "looked for `http://127.0.0.1:9/api/v1/acme/tools.json`",
        "`dbt_packages/tools` by hand",
        "DBT_PACKAGE_HUB_URL",
    ] {
        assert!(done.stdout.contains(text), "no `{text}` in\n{}", done.stdout);
    }
}

#[test]
fn a_hub_may_be_a_folder() {
    let world = World::new();
    let url = format!("file://{}", world.root().join("hub").display());
    for (path, content) in hub(&url) {
        let path = world.root().join("hub").join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    world.write("packages.yml", TOOLS);
    let done = spawned(world.root(), &["deps".to_owned()], &[("DBT_PACKAGE_HUB_URL".to_owned(), url)]);
    assert!(done.stdout.contains("Installed from version 1.2.0"), "{}", done.stdout);
    assert!(world.server.asked().is_empty());
}

#[test]
fn tarballs_are_installed_under_their_name() {
    let world = World::new();
    let done = world.deps(&format!("packages:\n  - tarball: \"{}/tools-1.0.0.tar.gz\"\n    name: tools\n", world.server.url), &[]);
    assert_eq!(done.exit_code, 0, "{}", done.stdout);
    assert!(world.read("dbt_packages/tools/dbt_project.yml").contains("1.0.0"));
    assert!(world.read("package-lock.yml").contains("- name: tools\n    tarball: http://127.0.0.1"));
}

#[test]
fn repositories_are_checked_out_at_a_tag_a_branch_or_a_commit() {
    let world = World::new();
    let url = world.repository();
    let list = |revision: &str| format!("packages:\n  - git: \"{url}\"\n    revision: {revision}\n    subdirectory: sub\n");
    for (revision, expected) in [("v1", "first"), ("main", "second"), ("\"{{ var('revision', 'v1') }}\"", "first")] {
        let done = world.deps(&list(revision), &["--upgrade"]);
        assert_eq!(done.exit_code, 0, "{}", done.stdout);
        assert!(world.read("dbt_packages/stored/macros/a.sql").contains(expected), "{revision}");
        assert_eq!(done.stdout.contains("is not pinned to a revision"), revision == "main", "{}", done.stdout);
    }
    let lock = world.read("package-lock.yml");
    let commit = lock.lines().find_map(|line| line.trim().strip_prefix("revision: ")).unwrap();
    assert_eq!(commit.len(), 40, "{lock}");
    let done = world.deps(&list(commit), &["--upgrade"]);
    assert!(world.read("dbt_packages/stored/macros/a.sql").contains("first"), "{}", done.stdout);
    assert!(!world.root().join("dbt_packages/stored/.git").exists());
    let done = world.deps(&list("v9"), &[]);
    assert!(done.stdout.contains("[package-unavailable]: can't get the repository"), "{}", done.stdout);
    let done = world.deps(&list("v1").replace("sub\n", "../..\n"), &[]);
    assert!(done.stdout.contains("leads out of the repository"), "{}", done.stdout);
}

#[test]
fn a_secret_in_an_address_is_neither_locked_nor_shown() {
    let world = World::new();
    let path = world.repository();
    let folder = path.trim_start_matches("file://");
    world.write("packages.yml", "packages:\n  - git: \"file://{{ env_var('DBT_ENV_SECRET_PLACE') }}\"\n    revision: v1\n    subdirectory: sub\n");
    let deps = |place: &str| spawned(world.root(), &["deps".to_owned()], &[("DBT_ENV_SECRET_PLACE".to_owned(), place.to_owned())]);
    let done = deps(folder);
    assert_eq!(done.exit_code, 0, "{}", done.stdout);
    assert!(world.read("package-lock.yml").contains("git: 'file://{{ env_var(''DBT_ENV_SECRET_PLACE'') }}'"), "{}", world.read("package-lock.yml"));
    // The lock is rendered when it is read.
    assert_eq!(deps(folder).exit_code, 0);
    let done = deps("/nowhere/hunter2");
    assert_eq!(done.exit_code, 2);
    assert!(!done.stdout.contains("hunter2"), "{}", done.stdout);
}

#[test]
fn a_package_is_added_to_the_list_and_installed() {
    let world = World::new();
    let done = world.deps("# ours\npackages:\n  - package: acme/base\n    version: 0.1.0\n", &["--add-package", "acme/tools@>=1.0.0,<2.0.0"]);
    assert_eq!(done.exit_code, 0, "{}", done.stdout);
    assert_eq!(
        world.read("packages.yml"),
        "# ours\npackages:\n  - package: acme/base\n    version: 0.1.0\n  - package: acme/tools\n    version: ['>=1.0.0', '<2.0.0']\n"
    );
    assert!(done.stdout.contains("Installed from version 1.2.0") && done.stdout.contains("Installed from version 0.1.0"), "{}", done.stdout);
    let done = world.run(&["deps", "--add-package", "acme/tools@1.0.0"]);
    assert!(done.stdout.contains("removing: acme/tools"), "{}", done.stdout);
    assert!(world.read("packages.yml").ends_with("  - package: acme/tools\n    version: 1.0.0\n"));
}
