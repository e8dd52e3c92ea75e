//! Entries of `unit_tests`: a model, the rows that stand for what it reads, and the rows that it must give.

use super::decl::{FixtureDecl, FixtureRow, FixtureSource, Origin, OverridesDecl, UnitInputDecl, UnitTestDecl};
use super::properties::{take_config, title};
use super::reader::{MapReader, entries, items, text, wrong_type};
use super::yaml::{Yaml, YamlValue};
use crate::base::{Code, Diagnostic, Diagnostics, Spanned, nearest};
use crate::manifest::FixtureFormat;

pub(super) fn read_unit_test(entry: &Yaml, origin: &Origin, out: &mut Diagnostics) -> Option<UnitTestDecl> {
    let what = title("unit test", entry);
    let mut reader = MapReader::new(entry, what.as_str(), out);
    let name = reader.required("name");
    let model = reader.required("model");
    let description = reader.string("description");
    let mut given = Vec::new();
    for item in reader.items("given") {
        given.extend(read_input(item, &what, reader.out));
    }
    let expect = if let Some(yaml) = reader.map("expect") {
        read_fixture(yaml, &format!("`expect` of {what}"), false, reader.out)
    } else {
        reader.lacks("expect", "a mapping with `rows`");
        None
    };
    let overrides = reader.map("overrides").map(|yaml| read_overrides(yaml, &what, reader.out));
    let config = take_config(&mut reader, &["tags", "meta", "enabled"]);
    let versions = reader.map("versions").cloned();
    if let Some(versions) = &versions {
        let mut nested = MapReader::new(versions, format!("`versions` of {what}"), reader.out);
        nested.take("include");
        nested.take("exclude");
        nested.finish();
    }
    reader.finish();
    Some(UnitTestDecl {
        origin: origin.clone(),
        span: entry.span,
        name: name?,
        model: model?,
        description,
        given,
        expect: expect?,
        overrides,
        config,
        versions,
    })
}

fn read_input(item: &Yaml, what: &str, out: &mut Diagnostics) -> Option<UnitInputDecl> {
    let what = format!("an input of {what}");
    let input = item.get("input").and_then(|input| Some(Spanned::new(input.as_str()?.to_owned(), input.span)));
    let fixture = read_fixture(item, &what, true, out);
    if input.is_none() && item.is_map() {
        out.push(
            Diagnostic::error(Code::YamlType, format!("{what} lacks `input`"))
                .at(super::reader::beginning(item.span), "this entry")
                .help("add `input: ref('name')`, `input: source('source', 'table')` or `input: this`"),
        );
    }
    Some(UnitInputDecl { input: input?, fixture: fixture? })
}

/// `format`, `rows` and `fixture`. An input may leave out both rows and fixture: it is the seed's own file.
fn read_fixture(yaml: &Yaml, what: &str, is_input: bool, out: &mut Diagnostics) -> Option<FixtureDecl> {
    let mut reader = MapReader::new(yaml, what, out);
    if is_input {
        reader.take("input");
    }
    let format = match reader.string("format") {
        None => FixtureFormat::Dict,
        Some(name) => {
            let format = FixtureFormat::from_name(&name.value);
            if format.is_none() {
                let near = nearest(&name.value, FixtureFormat::NAMES);
                let diagnostic = Diagnostic::error(Code::YamlType, format!("`{}` is no format of rows", name.value)).at(name.span, "this format");
                reader.out.push(diagnostic.help_nearest(near, format!("expected one of {}", FixtureFormat::NAMES.join(", "))));
            }
            format?
        }
    };
    let file = reader.string("fixture");
    let rows = reader.take("rows");
    let source = match (format, file, rows) {
        (FixtureFormat::Csv | FixtureFormat::Sql, Some(file), _) => Some(FixtureSource::File(file)),
        (FixtureFormat::Dict, Some(file), _) => {
            reader.out.push(
                Diagnostic::error(Code::YamlType, format!("{what}: a fixture file has no rows of the format `dict`"))
                    .at(file.span, "this file")
                    .help("add `format: csv` or `format: sql`"),
            );
            None
        }
        (FixtureFormat::Csv | FixtureFormat::Sql, None, Some(rows)) => text(rows, &format!("`rows` of {what}"), reader.out).map(FixtureSource::Text),
        (FixtureFormat::Dict, None, Some(rows)) => read_rows(rows, what, reader.out).map(FixtureSource::Rows),
        (FixtureFormat::Dict, None, None) if is_input => Some(FixtureSource::Seed),
        (_, None, None) => {
            reader.lacks("rows", "rows, or `fixture:` with the name of a file");
            None
        }
    };
    reader.finish();
    Some(FixtureDecl { span: yaml.span, format, source: source? })
}

fn read_rows(yaml: &Yaml, what: &str, out: &mut Diagnostics) -> Option<Vec<FixtureRow>> {
    if matches!(yaml.value, YamlValue::String(_)) {
        out.push(
            wrong_type(yaml, &format!("`rows` of {what}"), "a list of mappings").help("add `format: csv` or `format: sql`, or write a list of rows"),
        );
        return None;
    }
    let what = format!("a row of {what}");
    Some(items(yaml, &what, out).iter().map(|row| entries(row, &what, out).to_vec()).collect())
}

fn read_overrides(yaml: &Yaml, what: &str, out: &mut Diagnostics) -> OverridesDecl {
    let mut reader = MapReader::new(yaml, format!("`overrides` of {what}"), out);
    let found = OverridesDecl { macros: reader.map("macros").cloned(), vars: reader.map("vars").cloned(), env_vars: reader.map("env_vars").cloned() };
    reader.finish();
    found
}
