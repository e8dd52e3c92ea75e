//! What the command line leaves open is taken from the environment's older names and from the project file's `flags`:
//! a flag wins over the environment, and that over the project.

use std::path::Path;

use clap::ValueEnum;
use serde_json::{Map, Value as Json};

use super::args::{Global, Switch};
use crate::load::{log_folder, project_flags};

/// Fills what was not given; `lists` says whether the command is `ls`.
///
/// # Errors
/// With one sentence, if a value is not one of those there are.
pub(super) fn settle(global: &mut Global, lists: bool, current_dir: &Path) -> Result<(), String> {
    refuse(global)?;
    if global.warn_error_options.is_some() && global.switches.given(Switch::WarnError) == Some(true) {
        return Err("--warn-error-options goes without --warn-error, which makes errors of all warnings: write '{error: all, ..}'".into());
    }
    take_models(global, lists)?;
    old_names(global);
    let project_dir = &super::session::project_dir(global, current_dir);
    let profiles_dir = global.profiles_dir.as_ref().map(|dir| current_dir.join(dir));
    let flags = project_flags(project_dir, current_dir, profiles_dir.as_deref());
    for switch in Switch::ALL {
        if let Some(on) = flags.get(&switch.key()).map(|value| truth(&switch.key(), value)).transpose()? {
            global.switches.default_to(*switch, on);
        }
    }
    global.indirect_selection = choice(global.indirect_selection, &flags, "indirect_selection")?;
    let own_file_format = global.log_format_file;
    global.log_format_file = choice(own_file_format, &flags, "log_format_file")?.or(global.log_format);
    global.log_format = choice(global.log_format, &flags, "log_format")?;
    global.log_format_file = global.log_format_file.or(global.log_format);
    global.log_level_file = choice(global.log_level_file, &flags, "log_level_file")?.or(global.log_level);
    global.log_level = choice(global.log_level, &flags, "log_level")?;
    if let (None, Some(options)) = (&global.warn_error_options, flags.get("warn_error_options")) {
        global.warn_error_options = Some(options.to_string());
    }
    if let (None, Some(width)) = (global.printer_width, flags.get("printer_width").and_then(Json::as_u64)) {
        global.printer_width = u16::try_from(width).ok();
    }
    global.log_path = global.log_path.take().or_else(|| log_folder(project_dir));
    if global.is_on(Switch::SingleThreaded) {
        global.threads = Some(1);
    }
    Ok(())
}

/// `--models` is an older name of `--select`, but that `ls` lists models alone for it.
fn take_models(global: &mut Global, lists: bool) -> Result<(), String> {
    let models = std::mem::take(&mut global.models);
    if lists && !models.is_empty() {
        if !global.select.is_empty() {
            return Err("--models and --select exclude each other for `ls`: leave one of them out".into());
        }
        if !global.resource_types.is_empty() {
            return Err("--models lists models: leave --resource-type out, or write --select".into());
        }
        global.resource_types = vec!["model".to_owned()];
    }
    global.select.extend(models);
    Ok(())
}

/// What would be ignored where it matters is refused.
fn refuse(global: &Global) -> Result<(), String> {
    if global.retired.record_timing_info.is_some() {
        return Err("--record-timing-info profiles Python, which does not run here; `timing` in run_results.json has the times of each node".into());
    }
    if global.retired.export_saved_queries && !global.retired.no_export_saved_queries {
        return Err("--export-saved-queries makes tables of saved queries, which are described here and not run".into());
    }
    if global.retired.upload_to_artifacts_ingest_api && !global.retired.no_upload_to_artifacts_ingest_api {
        return Err("--upload-to-artifacts-ingest-api sends artifacts to a service; nothing is ever sent from here".into());
    }
    Ok(())
}

/// Environment variables as they were called before dbt 1.5.
fn old_names(global: &mut Global) {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let yes = |name: &str| set(name).is_some_and(|value| matches!(value.to_lowercase().as_str(), "1" | "true" | "t" | "yes" | "y" | "on"));
    global.state = global.state.take().or_else(|| set("DBT_ARTIFACT_STATE_PATH").map(Into::into));
    for (name, switch, on) in
        [("DBT_DEFER_TO_STATE", Switch::Defer, true), ("DBT_FAVOR_STATE_MODE", Switch::FavorState, true), ("DBT_NO_PRINT", Switch::Print, false)]
    {
        if yes(name) {
            global.switches.default_to(switch, on);
        }
    }
}

/// A flag that is on or off; a text that says so is as good.
fn truth(key: &str, value: &Json) -> Result<bool, String> {
    let text = value.as_str().map(str::to_lowercase);
    match (value.as_bool(), text.as_deref()) {
        (Some(on), _) => Ok(on),
        (None, Some("true")) => Ok(true),
        (None, Some("false")) => Ok(false),
        (None, _) => Err(format!(
            "`{key}` of the project file's `flags` is `{}`: expected true or false",
            value.as_str().map_or_else(|| value.to_string(), str::to_owned)
        )),
    }
}

fn choice<T: ValueEnum>(given: Option<T>, flags: &Map<String, Json>, key: &str) -> Result<Option<T>, String> {
    let Some(text) = flags.get(key).and_then(Json::as_str).filter(|_| given.is_none()) else { return Ok(given) };
    let names = || T::value_variants().iter().filter_map(|variant| Some(variant.to_possible_value()?.get_name().to_owned())).collect::<Vec<_>>();
    T::from_str(text, true)
        .map(Some)
        .map_err(|_| format!("`{key}` of the project file's `flags` is `{text}`: expected one of {}", names().join(", ")))
}
