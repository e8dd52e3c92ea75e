//! `versions` and `latest_version` of a model.

use super::data_tests::read_tests;
use super::decl::VersionDecl;
use super::properties::{read_column, read_constraints, take_config};
use super::reader::{MapReader, string_list, wrong_type};
use super::yaml::{Yaml, YamlValue};
use crate::base::{Code, Diagnostic, Diagnostics, Spanned};
use crate::manifest::Version;

/// A version: a number or a text.
pub(super) fn read_version(yaml: &Yaml, what: &str, out: &mut Diagnostics) -> Option<Spanned<Version>> {
    let found = Version::from_json(&yaml.to_json());
    if found.is_none() {
        out.push(wrong_type(yaml, what, "a number or a text"));
    }
    found.map(|version| Spanned::new(version, yaml.span))
}

pub(super) fn read_versions(reader: &mut MapReader<'_, '_>) -> Vec<VersionDecl> {
    let mut found: Vec<VersionDecl> = Vec::new();
    let what = format!("a version of {}", reader.what());
    for item in reader.items("versions") {
        let Some(decl) = read_entry(item, &what, reader.out) else { continue };
        if let Some(first) = found.iter().find(|other| other.version.value.to_string() == decl.version.value.to_string()) {
            reader.out.push(
                Diagnostic::error(Code::DuplicateName, format!("{what} is there twice: {}", decl.version.value))
                    .at(decl.version.span, "the second")
                    .also(first.version.span, "the first")
                    .help("number one of them otherwise"),
            );
            continue;
        }
        found.push(decl);
    }
    found
}

fn read_entry(item: &Yaml, what: &str, out: &mut Diagnostics) -> Option<VersionDecl> {
    let mut reader = MapReader::new(item, what, out);
    let version = if let Some(yaml) = reader.take("v") {
        read_version(yaml, &format!("`v` of {what}"), reader.out)
    } else {
        reader.lacks("v", "a number or a text");
        None
    };
    let (defined_in, description) = (reader.string("defined_in"), reader.string("description"));
    let config = take_config(&mut reader, &["tags", "meta", "docs", "group", "access"]);
    let deprecation_date = reader.string("deprecation_date");
    let has_tests = item.get("tests").or_else(|| item.get("data_tests")).is_some();
    let tests = read_tests(&mut reader);
    let has_constraints = item.get("constraints").is_some();
    let constraints = read_constraints(&mut reader);
    let (mut include, mut exclude, mut columns) = (None, Vec::new(), Vec::new());
    let mut chosen = false;
    for column in reader.items("columns") {
        if column.get("include").is_none() && column.get("exclude").is_none() {
            columns.extend(read_column(column, reader.out));
            continue;
        }
        if chosen {
            reader.out.push(
                Diagnostic::error(Code::YamlType, format!("{what} chooses its columns twice"))
                    .at(column.span, "the second choice")
                    .help("join the two entries with `include` and `exclude`"),
            );
        }
        chosen = true;
        (include, exclude) = read_choice(column, what, reader.out);
    }
    reader.finish();
    Some(VersionDecl {
        span: item.span,
        version: version?,
        defined_in,
        description,
        config,
        include,
        exclude,
        columns,
        tests: has_tests.then_some(tests),
        constraints: has_constraints.then_some(constraints),
        deprecation_date,
    })
}

/// Columns of the model that a version has, `None` for all of them, and those it does not have.
type Choice = (Option<Vec<Spanned<String>>>, Vec<Spanned<String>>);

fn read_choice(yaml: &Yaml, what: &str, out: &mut Diagnostics) -> Choice {
    let mut reader = MapReader::new(yaml, format!("the columns of {what}"), out);
    let include = match reader.take("include") {
        Some(Yaml { value: YamlValue::String(text), .. }) if matches!(text.as_str(), "all" | "*") => None,
        Some(list) => Some(string_list(list, &format!("`include` of {what}"), reader.out)),
        None => None,
    };
    let exclude = reader.strings("exclude").unwrap_or_default();
    if let (Some(_), Some(first)) = (&include, exclude.first()) {
        reader.out.push(
            Diagnostic::error(Code::YamlType, format!("{what}: `exclude` has a meaning beside `include: all` only"))
                .at(first.span, "excluded here")
                .help("leave the column out of `include`"),
        );
    }
    reader.finish();
    (include, exclude)
}
