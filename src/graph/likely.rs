//! "Did you mean" of criteria that name nothing.

use super::method::{Method, Pattern};
use crate::base::nearest;
use crate::manifest::NodeKind;
use crate::resolve::Project;

/// What was likely meant by a criterion that names nothing: the nearest value that names something.
pub(super) fn likely(method: &Method, project: &Project) -> Option<String> {
    let nodes = || project.nodes.values();
    let (prefix, text, values): (&str, &str, Vec<&str>) = match method {
        Method::Fqn(pattern) => {
            let named = nodes().filter(|node| !matches!(node.kind, NodeKind::Source { .. }));
            ("", &pattern.text, named.flat_map(|node| node.fqn.iter().chain([&node.name])).map(String::as_str).collect())
        }
        Method::Path(pattern) => {
            let folders = |path: &'_ str| path.match_indices('/').map(|(at, _)| at).chain([path.len()]).collect::<Vec<_>>();
            let paths = nodes().map(|node| node.original_path.as_str());
            ("", &pattern.text, paths.flat_map(|path| folders(path).into_iter().filter_map(move |end| path.get(..end))).collect())
        }
        Method::File(pattern) => ("", &pattern.text, nodes().filter_map(|node| node.original_path.rsplit('/').next()).collect()),
        Method::Tag(pattern) => ("tag:", &pattern.text, nodes().flat_map(|node| node.config.tags.iter().map(String::as_str)).collect()),
        Method::Package(pattern) => ("package:", &pattern.text, nodes().map(|node| node.package.as_str()).collect()),
        Method::Group(pattern) => ("group:", &pattern.text, nodes().filter_map(|node| node.config.group.as_deref()).collect()),
        Method::TestName(pattern) => {
            let generic = nodes().filter_map(|node| node.test().and_then(|test| test.generic.as_ref()));
            ("test_name:", &pattern.text, generic.map(|generic| generic.name.as_str()).collect())
        }
        Method::Source(parts) => {
            let known = nodes().filter_map(|node| {
                let NodeKind::Source { source_name, .. } = &node.kind else { return None };
                Some(format!("{source_name}.{}", node.name))
            });
            return near_path("source:", parts, &known.collect::<Vec<_>>());
        }
        Method::Named(kind, parts) => {
            let known = nodes().filter(|node| node.resource_type() == *kind).map(|node| node.name.clone());
            return near_path(&format!("{}:", kind.name()), parts, &known.collect::<Vec<_>>());
        }
        Method::Config(..)
        | Method::ResourceType(_)
        | Method::TestType(_)
        | Method::Access(_)
        | Method::Version(_)
        | Method::State(_)
        | Method::Result(_)
        | Method::Fresher => return None,
    };
    nearest(text, values).filter(|found| *found != text).map(|found| format!("{prefix}{found}"))
}

/// As `likely`, of names with several parts.
fn near_path(prefix: &str, parts: &[Pattern], known: &[String]) -> Option<String> {
    let text = parts.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join(".");
    let heads = known.iter().flat_map(|name| name.split_once('.').map(|(head, _)| head).into_iter().chain([name.as_str()]));
    nearest(&text, heads).map(|found| format!("{prefix}{found}"))
}
