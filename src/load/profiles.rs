//! `profiles.yml`: where it is looked for, and the one output of it that is used.

use std::path::{Path, PathBuf};

use super::LoadOptions;
use super::connection;
use super::project::read_yaml;
use super::target::unknown_target;
use super::text::TextRenderer;
use super::yaml::{Yaml, YamlValue};
use crate::base::{Code, Diagnostic, Diagnostics, Sources, Span, Spanned, files, nearest};

/// One entry of `outputs`, or of `targets` in a project file; rendered.
#[derive(Debug)]
pub(super) struct Output {
    pub name: String,
    pub profile: Option<String>,
    pub span: Span,
    pub yaml: Yaml,
}

/// What a profile is read for and with.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub options: &'a LoadOptions,
    pub renderer: &'a TextRenderer,
    pub sources: &'a Sources,
}

fn folders(profiles_dir: Option<&Path>, working_dir: &Path, project_dir: &Path) -> Vec<PathBuf> {
    if let Some(folder) = profiles_dir {
        return vec![folder.to_owned()];
    }
    let home = std::env::home_dir().map(|home| home.join(".dbt"));
    let mut folders = vec![working_dir.to_owned()];
    folders.extend(Some(project_dir.to_owned()).into_iter().filter(|folder| *folder != working_dir).chain(home));
    folders
}

/// The first `profiles.yml` of the folders in which one may be.
pub(super) fn find(profiles_dir: Option<&Path>, working_dir: &Path, project_dir: &Path) -> Option<PathBuf> {
    folders(profiles_dir, working_dir, project_dir).into_iter().map(|folder| folder.join("profiles.yml")).find(|path| files::is_file(path))
}

/// Where it was looked for, for messages.
pub(super) fn looked(options: &LoadOptions) -> String {
    let folders = folders(options.profiles_dir.as_deref(), &options.working_dir, &options.project_dir);
    let folders: Vec<String> = folders.iter().map(|folder| format!("`{}`", folder.display())).collect();
    format!("looked in {}", folders.join(", "))
}

/// The output that the options, or else the profile itself, ask for. Only that one is rendered, so that others may need
/// variables that are not set.
pub(super) fn output(path: &Path, (profile, asked_at): (&str, Option<Span>), asking: &Asking<'_>, out: &mut Diagnostics) -> Option<Output> {
    let Asking { options, renderer, sources } = *asking;
    let (_, yaml) = read_yaml(path, &shown(path, options), sources, out)?;
    let Some((key, section)) = yaml.entries().iter().find(|(key, _)| key.value == profile) else {
        let names = || yaml.entries().iter().map(|(key, _)| key.value.as_str()).filter(|name| *name != "config");
        let list = names().collect::<Vec<_>>().join(", ");
        out.push(
            Diagnostic::error(Code::ProfileInvalid, format!("no profile `{profile}` in `{}`", shown(path, options)))
                .at_opt(asked_at, "asked for here")
                .help_nearest(nearest(profile, names()), format!("expected one of {list}")),
        );
        return None;
    };
    let outputs = section.get("outputs").map(Yaml::entries).unwrap_or_default();
    let named = section.get("target").map(|target| renderer.yaml(target, out));
    let sole = if let [(only, _)] = outputs { Some(only.value.clone()) } else { None };
    let name = options.target.clone().or_else(|| named.as_ref()?.scalar_text()).or(sole).unwrap_or_else(|| "default".to_owned());
    let Some((entry, value)) = outputs.iter().find(|(key, _)| key.value == name) else {
        let names: Vec<&str> = outputs.iter().map(|(key, _)| key.value.as_str()).collect();
        let place = options.target.is_none().then(|| named.as_ref().map_or(key.span, |named| named.span));
        out.push(unknown_target(&name, place, &names, &format!("the profile `{profile}`")));
        return None;
    };
    let before = out.len();
    let yaml = rendered(value, asking, out);
    (out.len() == before).then(|| Output { name, profile: Some(profile.to_owned()), span: entry.span, yaml })
}

/// Keys that count of an output of another adapter. The others say how to reach a database that is not reached, and may
/// need variables that are set only where it is: templates may look at them where they can be read.
const KEYS_THAT_COUNT: [&str; 4] = ["type", "schema", "dataset", "threads"];

fn rendered(output: &Yaml, asking: &Asking<'_>, out: &mut Diagnostics) -> Yaml {
    let renderer = asking.renderer;
    let adapter = output.get("type").map(|kind| renderer.yaml(kind, &mut Diagnostics::new()));
    let adapter = adapter.as_ref().and_then(Yaml::as_str).unwrap_or_default();
    if adapter == "alluvium" {
        return renderer.yaml(output, out);
    }
    let entry = |(key, value): &(Spanned<String>, Yaml)| {
        if KEYS_THAT_COUNT.contains(&key.value.as_str()) {
            return Some((key.clone(), renderer.yaml(value, out)));
        }
        let mut wrong = Diagnostics::new();
        let is_shown = connection::keys(adapter).contains(&key.value.as_str()) && value.as_str().is_none_or(|text| !text.contains("DBT_ENV_SECRET"));
        let value = is_shown.then(|| renderer.yaml(value, &mut wrong))?;
        wrong.is_empty().then(|| (key.clone(), value))
    };
    Yaml { span: output.span, value: YamlValue::Map(output.entries().iter().filter_map(entry).collect()) }
}

/// The path as messages show it: relative to the project where it lies there.
fn shown(path: &Path, options: &LoadOptions) -> String {
    path.strip_prefix(&options.project_dir).unwrap_or(path).to_string_lossy().replace('\\', "/")
}
