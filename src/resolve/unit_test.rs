//! Unit tests become nodes: the model they test and its inputs looked up, the rows of fixtures read.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::builder::Builder;
use super::described::Entry;
use super::host::Noted;
use super::lookup::Lookup;
use super::nodes::checksum;
use crate::base::{Code, Diagnostic, Span, Spanned, files, nearest};
use crate::load::{FixtureDecl, FixtureSource, OverridesDecl, ParsedPackage, UnitTestDecl, Yaml};
use crate::manifest::{Fixture, FixtureFormat, FixtureRows, Node, NodeId, NodeKind, NodeRef, Overrides, ResourceType, UnitInput, UnitTest};

/// Adds the unit tests of all packages; models, seeds, snapshots and sources are there.
pub(super) fn add_unit_tests(builder: &mut Builder, lookup: &Lookup) {
    let parsed = Arc::clone(&builder.parsed);
    for package in parsed.all_packages() {
        for decl in &package.properties.unit_tests {
            add_unit_test(builder, lookup, package, decl);
        }
    }
}

fn add_unit_test(builder: &mut Builder, lookup: &Lookup, package: &ParsedPackage, decl: &UnitTestDecl) {
    let models = match tested(builder, lookup, package, decl) {
        Ok(models) => models,
        Err(diagnostic) => return builder.found.push(*diagnostic),
    };
    if models.is_empty() {
        return;
    }
    let files = Files { package };
    let Some(expect) = files.fixture(builder, &decl.expect) else { return };
    let mut given = Vec::new();
    for input in &decl.given {
        let fixture = match input.fixture.source {
            FixtureSource::Seed => None,
            FixtureSource::Rows(_) | FixtureSource::Text(_) | FixtureSource::File(_) => match files.fixture(builder, &input.fixture) {
                Some(fixture) => Some(fixture),
                None => return,
            },
        };
        given.push((&input.input, fixture));
    }
    for model in models {
        add_for(builder, lookup, package, decl, (&model, &given, &expect));
    }
}

/// The models that a unit test is for: one, or several versions of one. None if the model is disabled.
fn tested(builder: &Builder, lookup: &Lookup, package: &ParsedPackage, decl: &UnitTestDecl) -> Result<Vec<NodeId>, Box<Diagnostic>> {
    let name = decl.model.value.as_str();
    let versions = lookup.versions(&package.name, name);
    if versions.is_empty() {
        if lookup.is_disabled(name) {
            return Ok(Vec::new());
        }
        let asked = NodeRef { package: None, name: name.to_owned(), version: None, span: Some(decl.model.span) };
        let id = lookup.find_ref(&package.name, &builder.facts.project_name, &asked).map_err(Box::new)?;
        let of_model = builder.nodes.get(&id).is_some_and(|node| node.resource_type() == ResourceType::Model);
        return if of_model { Ok(vec![id]) } else { Err(Box::new(not_a_model(decl))) };
    }
    let list = |key: &str| -> Option<Vec<(String, Span)>> {
        let yaml = decl.versions.as_ref()?.get(key)?;
        let items = yaml.items().unwrap_or(std::slice::from_ref(yaml));
        Some(items.iter().filter_map(|item| Some((item.scalar_text()?, item.span))).collect())
    };
    let (include, exclude) = (list("include"), list("exclude"));
    for (version, span) in include.iter().flatten().chain(exclude.iter().flatten()) {
        if !versions.iter().any(|(known, _)| known.is(version)) {
            let known: Vec<String> = versions.iter().map(|(known, _)| known.to_string()).collect();
            let message = format!("there is no version {version} of the model `{name}`");
            return Err(Box::new(
                Diagnostic::error(Code::UnresolvedRef, message).at(*span, "this version").help(format!("the versions are {}", known.join(", "))),
            ));
        }
    }
    let wanted = |version: &crate::manifest::Version| {
        include.as_ref().is_none_or(|list| list.iter().any(|(text, _)| version.is(text)))
            && !exclude.iter().flatten().any(|(text, _)| version.is(text))
    };
    Ok(versions.into_iter().filter(|(version, _)| wanted(version)).map(|(_, id)| id).collect())
}

fn not_a_model(decl: &UnitTestDecl) -> Diagnostic {
    Diagnostic::error(Code::UnresolvedRef, format!("`{}` is no model, and unit tests are about models", decl.model.value))
        .at(decl.model.span, "this model")
        .help("name a model")
}

/// An input as written, and the rows given for it.
type GivenRows<'a> = (&'a Spanned<String>, Option<Fixture>);

fn add_for(
    builder: &mut Builder,
    lookup: &Lookup,
    package: &ParsedPackage,
    decl: &UnitTestDecl,
    (model, rows, expect): (&NodeId, &[GivenRows<'_>], &Fixture),
) {
    let Some(tested) = builder.nodes.get(model).cloned() else { return };
    let mut given: Vec<UnitInput> = Vec::new();
    for (input, fixture) in rows {
        let Some(node) = input_node(builder, lookup, package, input, &tested) else { return };
        if let Some(first) = given.iter().find(|other| other.node == node) {
            let message = format!("the unit test `{}` gives `{}` twice", decl.name.value, input.value);
            let diagnostic = Diagnostic::error(Code::DuplicateName, message).at(input.span, "the second").also(first.fixture.span, "the first");
            return builder.found.push(diagnostic.help("join the rows"));
        }
        let fixture = match fixture.clone().map_or_else(|| seed_rows(builder, decl, &node, input), Ok) {
            Ok(fixture) => fixture,
            Err(diagnostic) => return builder.found.push(*diagnostic),
        };
        given.push(UnitInput { input: input.value.clone(), node, fixture });
    }
    missing_inputs(builder, lookup, decl, &tested, &given);
    unknown_overrides(builder, package, decl);
    let overrides = decl.overrides.as_ref().map(overrides);
    incremental_is_said(builder, decl, &tested, overrides.as_ref());
    let version = tested.model.version.clone();
    let suffix = version.as_ref().map(|version| format!("_v{version}")).unwrap_or_default();
    let (name, model_name) = (decl.name.value.clone(), decl.model.value.clone());
    let mut fqn = super::described::fqn(package, &decl.origin, &model_name);
    fqn.push(name.clone());
    let unit = UnitTest {
        model: model_name.clone(),
        tested: model.clone(),
        given,
        expect: expect.clone(),
        overrides,
        versions: decl.versions.as_ref().map(Yaml::to_json),
        version,
        file: decl.origin.file,
    };
    let mut node = builder.entry_node(Entry {
        kind: NodeKind::UnitTest(Box::new(unit)),
        id: format!("unit_test.{}.{model_name}.{name}{suffix}", package.name),
        name,
        package,
        origin: &decl.origin,
        span: decl.name.span,
        fqn,
        description: decl.description.as_ref(),
        config: decl.config.as_ref(),
        tree: package.project.trees.unit_tests.as_ref(),
        noted: Noted::default(),
    });
    node.checksum = checksum(&builder.parsed.sources.text(decl.span));
    node.depends_on = vec![model.clone()];
    builder.add(node, None);
}

/// The rows of the seed that an input without rows stands for.
fn seed_rows(builder: &Builder, decl: &UnitTestDecl, node: &NodeId, input: &Spanned<String>) -> Result<Fixture, Box<Diagnostic>> {
    let failed = |code: Code, message: String, help: &str| Box::new(Diagnostic::error(code, message).at(input.span, "this input").help(help));
    let Some(NodeKind::Seed { path }) = builder.nodes.get(node).map(|node| &node.kind) else {
        let message = format!("the input `{}` of the unit test `{}` has no rows", input.value, decl.name.value);
        return Err(failed(Code::UnitTestInput, message, "add `rows:` (`rows: []` for an empty table); only seeds can do without"));
    };
    let text = files::read_text(path).map_err(|error| failed(Code::InputFile, error.to_string(), "check that the file may be read"))?;
    let delimiter = builder.nodes.get(node).map_or(',', |node| node.config.delimiter);
    let rows = csv_rows(&text, delimiter)
        .map_err(|error| failed(Code::UnitTestInput, format!("the seed can't be read: {}", error.what), "mend the file"))?;
    Ok(Fixture { format: FixtureFormat::Dict, rows: FixtureRows::Rows(rows), file: None, span: input.span })
}

/// The node behind `ref(..)`, `source(..)` or `this`.
fn input_node(builder: &mut Builder, lookup: &Lookup, package: &ParsedPackage, input: &Spanned<String>, tested: &Node) -> Option<NodeId> {
    if input.value.trim() == "this" {
        return Some(tested.id.clone());
    }
    let noted = builder.noted(&package.name, "", &[input]);
    let root = builder.facts.project_name.clone();
    let found = match (noted.refs.as_slice(), noted.sources.as_slice()) {
        ([call], []) => lookup.find_ref(&package.name, &root, &NodeRef { span: Some(input.span), ..call.clone() }),
        ([], [call]) => lookup.find_source(&package.name, &root, &call.source, &call.table, Some(input.span)),
        _ => Err(Diagnostic::error(Code::YamlType, format!("`{}` is no input of a unit test", input.value))
            .at(input.span, "this input")
            .help("write `ref('name')`, `source('source', 'table')` or `this`")),
    };
    found.map_err(|diagnostic| builder.found.push(diagnostic)).ok()
}

/// What is overridden and nothing asks for.
fn unknown_overrides(builder: &mut Builder, package: &ParsedPackage, decl: &UnitTestDecl) {
    let macros = decl.overrides.as_ref().and_then(|overrides| overrides.macros.as_ref()).map(Yaml::entries).unwrap_or_default();
    for (name, _) in macros {
        if !builder.library.knows(&package.name, &name.value) {
            let message = format!("the unit test `{}` overrides `{}`, which is not there", decl.name.value, name.value);
            let names: Vec<&str> = builder.library.macros().map(|info| info.name.as_str()).collect();
            let diagnostic = Diagnostic::warning(Code::UndefinedMacro, message).at(name.span, "this name");
            builder.found.push(diagnostic.help_nearest(nearest(&name.value, names), "name a macro, or one of a package as `package.macro`"));
        }
    }
}

/// What the model reads and the test gives no rows for, and the other way round.
fn missing_inputs(builder: &mut Builder, lookup: &Lookup, decl: &UnitTestDecl, tested: &Node, given: &[UnitInput]) {
    let root = builder.facts.project_name.clone();
    let of_refs = tested.refs.iter().filter_map(|call| lookup.find_ref(&tested.package, &root, call).ok());
    let of_sources = tested.sources.iter().filter_map(|call| lookup.find_source(&tested.package, &root, &call.source, &call.table, None).ok());
    let read: BTreeSet<NodeId> = of_refs.chain(of_sources).collect();
    for input in given.iter().filter(|input| input.node != tested.id && !read.contains(&input.node)) {
        let message = format!("the unit test `{}` gives rows for `{}`, which `{}` does not read", decl.name.value, input.input, tested.label());
        builder.found.push(Diagnostic::warning(Code::UnitTestInput, message).at(input.fixture.span, "these have no effect").help("remove the input"));
    }
    for id in read.iter().filter(|id| !given.iter().any(|input| input.node == **id)) {
        let Some(node) = builder.nodes.get(id) else { continue };
        let call = match (&node.kind, &node.model.version) {
            (NodeKind::Source { source_name, .. }, _) => format!("source('{source_name}', '{}')", node.name),
            (_, Some(version)) => format!("ref('{}', v={})", node.name, version.json()),
            (_, None) => format!("ref('{}')", node.name),
        };
        let message = format!("the unit test `{}` has no rows for `{}`, which `{}` reads", decl.name.value, node.label(), tested.label());
        let span = tested.refs.iter().find(|call| call.name == node.name).and_then(|call| call.span);
        let diagnostic = Diagnostic::error(Code::UnitTestInput, message).at(decl.name.span, "this unit test");
        let diagnostic = match span {
            Some(span) => diagnostic.also(span, "read here"),
            None => diagnostic,
        };
        builder.found.push(diagnostic.help(format!("add `- input: {call}` with `rows:` to `given`, `rows: []` for an empty table")));
    }
}

/// A model that asks `is_incremental()` must be told.
fn incremental_is_said(builder: &mut Builder, decl: &UnitTestDecl, tested: &Node, overrides: Option<&Overrides>) {
    let said = overrides.and_then(|overrides| overrides.macros.get("is_incremental")).is_some_and(Json::is_boolean);
    if said || !tested.raw_code.contains("is_incremental()") {
        return;
    }
    let message = format!("the unit test `{}` does not say whether `{}` is incremental", decl.name.value, tested.label());
    builder.found.push(
        Diagnostic::error(Code::UnitTestInput, message)
            .at(decl.name.span, "this unit test")
            .help("add `overrides: {macros: {is_incremental: true}}`, or false"),
    );
}

fn overrides(decl: &OverridesDecl) -> Overrides {
    let map = |yaml: Option<&Yaml>| match yaml.map(Yaml::to_json) {
        Some(Json::Object(map)) => map,
        _ => Map::new(),
    };
    Overrides { macros: map(decl.macros.as_ref()), vars: map(decl.vars.as_ref()), env_vars: map(decl.env_vars.as_ref()) }
}

/// The fixture files of a package.
struct Files<'a> {
    package: &'a ParsedPackage,
}

impl Files<'_> {
    fn fixture(&self, builder: &mut Builder, decl: &FixtureDecl) -> Option<Fixture> {
        let (rows, file) = match &decl.source {
            // Inputs that are seeds have been dealt with; nothing is expected from one.
            FixtureSource::Seed => return None,
            FixtureSource::Rows(rows) => {
                let row = |row: &Vec<(Spanned<String>, Yaml)>| row.iter().map(|(name, value)| (name.value.clone(), value.to_json())).collect();
                (FixtureRows::Rows(rows.iter().map(row).collect()), None)
            }
            FixtureSource::Text(text) => (of_text(builder, decl.format, &text.value, text.span)?, None),
            FixtureSource::File(name) => {
                let text = self.file(builder, decl.format, name)?;
                (of_text(builder, decl.format, &text, name.span)?, Some(name.value.clone()))
            }
        };
        Some(Fixture { format: decl.format, rows, file, span: decl.span })
    }

    fn file(&self, builder: &mut Builder, format: FixtureFormat, name: &Spanned<String>) -> Option<String> {
        let ending = if format == FixtureFormat::Csv { ".csv" } else { ".sql" };
        let wanted = name.value.trim_end_matches(ending);
        let fixtures = || self.package.fixtures.iter().filter(|file| file.is_csv == (format == FixtureFormat::Csv));
        if let Some(file) = fixtures().find(|file| file.name == wanted) {
            return Some(builder.parsed.sources.file(file.file).text.to_string());
        }
        let near = nearest(wanted, fixtures().map(|file| file.name.as_str()));
        let place = self.package.project.paths.tests.first().map_or("tests", String::as_str);
        builder.found.push(
            Diagnostic::error(Code::UnitTestInput, format!("there is no fixture file `{wanted}{ending}`"))
                .at(name.span, "this fixture")
                .help_nearest(near, format!("put it at `{place}/fixtures/{wanted}{ending}`")),
        );
        None
    }
}

/// The rows of a text. Of CSV an empty value is NULL, and every other one a text that is cast to its column.
fn of_text(builder: &mut Builder, format: FixtureFormat, text: &str, span: Span) -> Option<FixtureRows> {
    if format != FixtureFormat::Csv {
        return Some(FixtureRows::Sql(text.trim().trim_end_matches(';').to_owned()));
    }
    match csv_rows(text, ',') {
        Ok(rows) => Some(FixtureRows::Rows(rows)),
        Err(error) => {
            builder.found.push(
                Diagnostic::error(Code::UnitTestInput, format!("the rows can't be read as CSV: {}", error.what))
                    .at(line_of(builder, span, error.line.as_deref()), "these rows")
                    .help("write a line with the names of the columns, and one line for each row"),
            );
            None
        }
    }
}

/// Why rows can't be read, and the line that is to blame.
struct Unreadable {
    what: String,
    line: Option<String>,
}

impl Unreadable {
    fn of(error: &csv::Error, text: &str) -> Self {
        let line = error.position().and_then(|place| text.lines().nth(usize::try_from(place.line()).ok()?.checked_sub(1)?)).map(str::to_owned);
        let what = match error.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => format!("a row of {len} values under {expected_len} names"),
            _ => error.to_string(),
        };
        Self { what, line }
    }
}

/// The one line of the rows with a text; all of them where it stands there several times.
fn line_of(builder: &Builder, span: Span, line: Option<&str>) -> Span {
    let whole = builder.parsed.sources.text(span);
    let Some(line) = line.map(str::trim).filter(|line| !line.is_empty()) else { return span };
    let mut found = whole.match_indices(line);
    match (found.next(), found.next()) {
        (Some((at, _)), None) => {
            let start = span.start + u32::try_from(at).unwrap_or_default();
            Span { start, end: start + u32::try_from(line.len()).unwrap_or_default(), ..span }
        }
        _ => span,
    }
}

fn csv_rows(text: &str, delimiter: char) -> Result<Vec<Map<String, Json>>, Unreadable> {
    let plain = |what: &str| Unreadable { what: what.to_owned(), line: None };
    let delimiter = u8::try_from(delimiter).map_err(|_| plain("the delimiter is no ASCII character"))?;
    let text = text.trim_start();
    let of_csv = |error: csv::Error| Unreadable::of(&error, text);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).delimiter(delimiter).from_reader(text.as_bytes());
    let names: Vec<String> = reader.headers().map_err(of_csv)?.iter().map(str::to_owned).collect();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(of_csv)?;
        let value = |text: &str| if text.is_empty() { Json::Null } else { Json::from(text) };
        rows.push(names.iter().cloned().zip(record.iter().map(value)).collect());
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::csv_rows;

    #[test]
    fn csv_has_texts_and_nulls() {
        let rows = csv_rows("\n id, name \n1,\n\"2\",\"a, b\"\n", ',').ok().unwrap();
        assert_eq!(json!(rows), json!([{"id": "1", "name": null}, {"id": "2", "name": "a, b"}]));
        assert!(csv_rows("id\n1,2\n", ',').is_err());
    }
}
