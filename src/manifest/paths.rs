//! Where a node's SQL is written below the target folder. Paths use `/`.

use super::Node;

/// `compiled/<package>/<file of the node>`; generic tests stand in a folder named as their properties file.
#[must_use]
pub fn compiled_path(node: &Node) -> String {
    sql_path("compiled", node)
}

/// Where the SQL of a batch of a node is written: in a folder that is called as the node's file.
#[must_use]
pub fn batch_path(node: &Node, batch: &str) -> String {
    path_of_batch(&compiled_path(node), batch)
}

/// As [`batch_path`], below `run/`.
#[must_use]
pub fn batch_run_path(node: &Node, batch: &str) -> String {
    path_of_batch(&run_path(node), batch)
}

fn path_of_batch(path: &str, batch: &str) -> String {
    let stem = path.strip_suffix(".sql").unwrap_or(path);
    let name = stem.rsplit('/').next().unwrap_or(stem);
    format!("{stem}/{name}_{}.sql", component(batch))
}

/// As [`compiled_path`], below `run/`.
#[must_use]
pub fn run_path(node: &Node) -> String {
    sql_path("run", node)
}

fn sql_path(folder: &str, node: &Node) -> String {
    if let Some(unit) = node.unit_test() {
        let version = unit.version.as_ref().map(|version| format!("_v{version}")).unwrap_or_default();
        let path: Vec<String> = [folder, &node.package].into_iter().chain(node.original_path.split('/')).chain(["models"]).map(component).collect();
        return format!("{}/{}.sql", path.join("/"), component(&format!("{}{version}", node.name)));
    }
    let file_name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let own_file = file_name(&node.path) == file_name(&node.original_path);
    let parts = node.original_path.split(['/', '\\']).chain((!own_file).then_some(node.path.split(['/', '\\'])).into_iter().flatten());
    let mut path = vec![folder.to_owned(), component(&node.package)];
    path.extend(parts.filter(|part| !matches!(*part, "" | "." | "..")).map(component));
    path.join("/")
}

/// A part of a path that no file system takes for something else: names come from the user's files.
fn component(part: &str) -> String {
    part.chars().map(|c| if c.is_control() || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|') { '_' } else { c }).collect()
}
