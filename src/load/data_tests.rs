//! Data tests as they stand in properties files: a name, or a mapping with arguments and config in several places.

use super::decl::{Origin, SingularTestDecl, TestDecl};
use super::properties::{joined_config, take_config, title};
use super::reader::{MapReader, beginning, entries, wrong_type};
use super::yaml::{Yaml, YamlValue};
use crate::base::{Code, Diagnostic, Diagnostics, Span, Spanned};

/// Config keys that may stand among the arguments of a test.
const CONFIG_KEYS: [&str; 17] = [
    "alias",
    "audit",
    "database",
    "enabled",
    "error_if",
    "fail_calc",
    "group",
    "limit",
    "meta",
    "schema",
    "severity",
    "sql_header",
    "store_failures",
    "store_failures_as",
    "tags",
    "warn_if",
    "where",
];

/// Keys of a test that are neither arguments nor config.
const OWN_KEYS: [&str; 5] = ["name", "description", "config", "arguments", "test_name"];

/// The tests under `data_tests:` and under `tests:`, its older name.
pub(super) fn read_tests(reader: &mut MapReader<'_, '_>) -> Vec<TestDecl> {
    let mut tests = Vec::new();
    for key in ["data_tests", "tests"] {
        for item in reader.items(key) {
            if let Some(name) = item.as_str() {
                tests.push(named(name, item.span, item.span));
                continue;
            }
            let what = format!("a data test of {}", reader.what());
            tests.extend(read_test(item, &what, reader.out));
        }
    }
    tests
}

fn read_test(item: &Yaml, what: &str, out: &mut Diagnostics) -> Option<TestDecl> {
    match &item.value {
        YamlValue::String(name) => Some(named(name, item.span, item.span)),
        YamlValue::Map(outer) => read_test_map(item, outer, what, out),
        YamlValue::Null => None,
        YamlValue::Bool(_) | YamlValue::Int(_) | YamlValue::Float(_) | YamlValue::Seq(_) => {
            out.push(wrong_type(item, what, "the name of a test, or a mapping"));
            None
        }
    }
}

fn named(text: &str, name_span: Span, span: Span) -> TestDecl {
    let (package, name) = text.trim().split_once('.').map_or((None, text.trim()), |(package, name)| (Some(package.to_owned()), name));
    TestDecl { span, package, test: Spanned::new(name.to_owned(), name_span), name: None, description: None, arguments: Vec::new(), config: None }
}

fn read_test_map(item: &Yaml, outer: &[(Spanned<String>, Yaml)], what: &str, out: &mut Diagnostics) -> Option<TestDecl> {
    let is_other = |key: &str| OWN_KEYS.contains(&key) || CONFIG_KEYS.contains(&key);
    // `test_name: unique` beside its arguments is one spelling, `unique: {arguments}` is the other.
    if let Some(name) = item.get("test_name") {
        let text = name.as_str()?;
        return Some(fill(named(text, name.span, item.span), &outer.iter().collect::<Vec<_>>(), what, out));
    }
    let candidates: Vec<&(Spanned<String>, Yaml)> = outer.iter().filter(|(key, _)| !is_other(&key.value)).collect();
    let &[(key, value)] = candidates.as_slice() else {
        let message = format!("{what}: expected the name of one test, found {}", if candidates.is_empty() { "none" } else { "several keys" });
        let place = candidates.get(1).map_or_else(|| beginning(item.span), |(key, _)| key.span);
        out.push(Diagnostic::error(Code::YamlType, message).at(place, "here").help("indent the arguments below the name of the test"));
        return None;
    };
    let inner = entries(value, &format!("test `{}`", key.value), out);
    let beside = outer.iter().filter(|(other, _)| other.value != key.value);
    Some(fill(named(&key.value, key.span, item.span), &inner.iter().chain(beside).collect::<Vec<_>>(), what, out))
}

/// Sorts the keys of a test into what they are.
fn fill(mut test: TestDecl, keys: &[&(Spanned<String>, Yaml)], what: &str, out: &mut Diagnostics) -> TestDecl {
    let what = format!("`{}`, {what}", test.test.value);
    let (mut inline, mut config) = (Vec::new(), None);
    // dbt lets config stand below `arguments:` as well.
    let nested = |(key, value): &&(Spanned<String>, Yaml)| key.value == "arguments" && value.is_map();
    let configured = |(key, _): &&(Spanned<String>, Yaml)| key.value == "config" || CONFIG_KEYS.contains(&key.value.as_str());
    let below = keys.iter().copied().filter(nested).flat_map(|(_, value)| value.entries()).filter(configured);
    for entry @ (key, value) in below.chain(keys.iter().copied()) {
        match key.value.as_str() {
            "test_name" => {}
            "name" => test.name = super::reader::text(value, &format!("`name` of {what}"), out),
            "description" if value.as_str().is_some() => test.description = super::reader::text(value, "a description", out),
            "config" => {
                entries(value, &format!("`config` of {what}"), out);
                config = Some(value);
            }
            "arguments" if value.is_map() || value.is_null() => {
                test.arguments.extend(value.entries().iter().filter(|entry| !configured(entry)).cloned());
            }
            name if CONFIG_KEYS.contains(&name) => inline.push(entry),
            _ => test.arguments.push((key.clone(), value.clone())),
        }
    }
    test.config = joined_config(&inline, config);
    test
}

/// An entry of the top level `data_tests:`.
pub(super) fn read_singular(entry: &Yaml, origin: &Origin, out: &mut Diagnostics) -> Option<SingularTestDecl> {
    let mut reader = MapReader::new(entry, title("data test", entry), out);
    let name = reader.required("name");
    let description = reader.string("description");
    let config = take_config(&mut reader, &["tags", "meta", "docs"]);
    reader.finish();
    Some(SingularTestDecl { origin: origin.clone(), span: entry.span, name: name?, description, config })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Sources;
    use crate::load::yaml::parse_yaml;

    fn read(text: &str) -> (Vec<TestDecl>, Diagnostics) {
        let sources = Sources::new();
        let file = sources.add("a.yml", text);
        let yaml = parse_yaml(&sources, file).unwrap();
        let mut out = Diagnostics::new();
        let mut reader = MapReader::new(&yaml, "model `a`", &mut out);
        (read_tests(&mut reader), out)
    }

    #[test]
    fn all_spellings_of_a_test_are_read() {
        let (tests, out) = read(
            "data_tests:\n\
             - unique\n\
             - not_null: {severity: warn, config: {severity: error, where: x > 1}}\n\
             - dbt_utils.equality:\n    name: mine\n    arguments: {compare_model: ref('b')}\n    compare_columns: [a]\n\
             - {test_name: accepted_values, values: [a], tags: t}\n\
             - relationships:\n  config: {limit: 5}\n\
             tests: [positive]\n",
        );
        assert_eq!(out, []);
        let names: Vec<_> = tests.iter().map(|test| test.test.value.as_str()).collect();
        assert_eq!(names, ["unique", "not_null", "equality", "accepted_values", "relationships", "positive"]);
        assert_eq!(tests[1].config.as_ref().unwrap().to_json(), serde_json::json!({"severity": "error", "where": "x > 1"}));
        assert_eq!((tests[2].package.as_deref(), tests[2].name.as_ref().unwrap().value.as_str()), (Some("dbt_utils"), "mine"));
        assert_eq!(tests[2].arguments.iter().map(|(key, _)| key.value.as_str()).collect::<Vec<_>>(), ["compare_model", "compare_columns"]);
        assert_eq!(tests[3].arguments.len(), 1);
        assert_eq!(tests[4].config.as_ref().unwrap().to_json(), serde_json::json!({"limit": 5}));
    }

    #[test]
    fn arguments_that_are_not_indented_are_reported() {
        let (tests, out) = read("tests:\n- accepted_values:\n  values: [a]\n- [x]\n");
        assert!(tests.is_empty());
        assert!(out[0].message.contains("found several keys") && out[1].message.contains("found a list"), "{out:?}");
    }
}
