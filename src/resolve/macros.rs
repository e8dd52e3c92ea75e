//! What properties files say of macros: for readers of the manifest, nothing runs by it; and where the project asks for it with
//! `validate_macro_args`, held against the macros.

use std::collections::HashSet;

use serde_json::{Map, Value as Json};

use super::builder::Builder;
use crate::base::{Code, Diagnostic, nearest};
use crate::jinja::MacroInfo;
use crate::load::{Behaviour, MacroArgumentDecl, MacroDecl, ParsedPackage, Yaml};
use crate::manifest::{AboutMacro, MacroArgument};

/// dbt's types of arguments, and how many types stand behind each in brackets.
const TYPES: [(&str, usize); 12] = [
    ("str", 0),
    ("string", 0),
    ("bool", 0),
    ("int", 0),
    ("integer", 0),
    ("float", 0),
    ("any", 0),
    ("list", 1),
    ("dict", 2),
    ("optional", 1),
    ("relation", 0),
    ("column", 0),
];

pub(super) fn add_macros(builder: &mut Builder, package: &ParsedPackage) {
    for decl in &package.properties.macros {
        let about = about(builder, package, decl);
        // As in dbt, of two that describe one macro the last is heard.
        builder.macros.insert((package.name.clone(), decl.name.value.clone()), about);
    }
}

fn about(builder: &mut Builder, package: &ParsedPackage, decl: &MacroDecl) -> AboutMacro {
    let mut text = |text: Option<&crate::base::Spanned<String>>| {
        let span = text.map_or(decl.span, |text| text.span);
        builder.described(&package.name, text.map(|text| text.value.as_str()), span)
    };
    let description = text(decl.description.as_ref());
    let arguments = decl.arguments.iter().map(|argument| MacroArgument {
        name: argument.name.value.clone(),
        data_type: argument.data_type.as_ref().map(|name| name.value.clone()),
        description: text(argument.description.as_ref()),
    });
    let arguments = arguments.collect();
    let object = |key: &str| match decl.config.as_ref().and_then(|config| config.get(key)).map(Yaml::to_json) {
        Some(Json::Object(map)) => map,
        _ => Map::new(),
    };
    AboutMacro { description, arguments, meta: object("meta"), docs: object("docs"), path: decl.origin.path.clone() }
}

/// Warns of macros that the project describes and does not have and, where it asks for that, of arguments that a macro does not
/// have in this order and of types that there are none of.
pub(super) fn check(builder: &Builder) -> Vec<Diagnostic> {
    let mut found = missing(builder);
    found.extend(passed_over(builder));
    if !builder.parsed.root.project.behaves(Behaviour::ValidateMacroArgs) {
        return found;
    }
    for package in builder.parsed.all_packages() {
        for decl in package.properties.macros.iter().filter(|decl| !decl.arguments.is_empty()) {
            if let Some(info) = builder.library.find(&package.name, &decl.name.value) {
                of_macro(decl, info, &mut found);
            }
        }
    }
    found
}

/// Macros by which dbt manages relations and wraps tests, with what stands in their place here. One of the project's own is called
/// by macros alone.
const PASSED_OVER: [(&str, &str); 17] = [
    ("alter_column_comment", "comments are part of the commit that makes a table"),
    ("alter_relation_comment", "comments are part of the commit that makes a table"),
    ("apply_grants", "who may read a table is up to the storage that it lies in"),
    ("check_schema_exists", "a schema is a folder of the warehouse, made with its first table"),
    ("create_indexes", "Delta tables have no indexes"),
    ("create_schema", "a schema is a folder of the warehouse, made with its first table"),
    ("drop_relation", "what is replaced is replaced by one commit"),
    ("drop_schema", "a schema is a folder of the warehouse"),
    ("get_limit_subquery_sql", "`show` limits the rows of the query itself"),
    ("get_test_sql", "tests count failing rows by `fail_calc` and compare them themselves"),
    ("get_unit_test_sql", "unit tests compare rows themselves"),
    ("list_relations_without_caching", "the warehouse's folders tell what is there"),
    ("list_schemas", "the warehouse's folders tell what is there"),
    ("persist_docs", "descriptions are part of the commit that makes a table"),
    ("post_snapshot", "a snapshot leaves nothing behind that has to be removed"),
    ("rename_relation", "what is replaced is replaced by one commit"),
    ("truncate_relation", "what is replaced is replaced by one commit"),
];

/// Warns of macros of the project that dbt would call, and that are called here only where another macro does.
fn passed_over(builder: &Builder) -> Vec<Diagnostic> {
    let own = PASSED_OVER.iter().filter_map(|(name, instead)| Some((builder.library.overridden(&[name])?, name, instead)));
    own.map(|(info, name, instead)| {
        Diagnostic::warning(Code::NotAvailable, format!("the project's macro `{}` has no effect on what is built", info.name))
            .at(info.span, "called by other macros alone")
            .note(format!("where dbt calls `{name}`, {instead}"))
            .help("remove it, or put what it has to do into a hook")
    })
    .collect()
}

fn missing(builder: &Builder) -> Vec<Diagnostic> {
    let root = &builder.parsed.root;
    let known = || builder.library.macros().filter(|info| info.package == root.name).map(|info| info.name.as_str());
    let names: HashSet<&str> = if root.properties.macros.is_empty() { HashSet::new() } else { known().collect() };
    let decls = root.properties.macros.iter().filter(|decl| !names.contains(decl.name.value.as_str()));
    decls
        .map(|decl| {
            let name = decl.name.value.as_str();
            Diagnostic::warning(Code::OrphanProperties, format!("properties are set for the macro `{name}`, which is not there"))
                .at(decl.name.span, "this entry has no effect")
                .help_nearest(nearest(name, known()), "remove the entry, or add the macro to the project")
        })
        .collect()
}

fn of_macro(decl: &MacroDecl, info: &MacroInfo, found: &mut Vec<Diagnostic>) {
    let warning = |message: String, argument: &MacroArgumentDecl| {
        Diagnostic::warning(Code::MacroArguments, message).at(argument.name.span, "described here").also(info.span, "the macro")
    };
    let defined: Vec<&str> = info.arguments.iter().filter(|argument| !argument.starts_with('*')).map(|argument| name_of(argument)).collect();
    let help = format!("`{}` takes: {}", info.name, if defined.is_empty() { "nothing".to_owned() } else { defined.join(", ") });
    for (at, argument) in decl.arguments.iter().enumerate() {
        let name = &argument.name.value;
        match defined.get(at) {
            Some(there) if there == name => {}
            Some(there) => {
                let message = format!("the macro `{}` has `{there}` where its properties have `{name}`", info.name);
                found.push(warning(message, argument).help(&help));
            }
            None => found.push(warning(format!("the macro `{}` has no argument `{name}` in this place", info.name), argument).help(&help)),
        }
        if let Some(data_type) = argument.data_type.as_ref().filter(|data_type| !data_type.value.trim().is_empty() && !is_type(&data_type.value)) {
            let message = format!("`{}` is no type of an argument", data_type.value);
            let names: Vec<&str> = TYPES.iter().map(|(name, _)| *name).collect();
            let help = format!("there are {}; `list[..]` and `optional[..]` name one type, `dict[.., ..]` two", names.join(", "));
            found.push(Diagnostic::warning(Code::MacroArguments, message).at(data_type.span, "given here").help(help));
        }
    }
    if let (Some(missing), Some(last)) = (defined.get(decl.arguments.len()), decl.arguments.last()) {
        found.push(warning(format!("the properties of the macro `{}` end before its argument `{missing}`", info.name), last).help(&help));
    }
}

fn name_of(argument: &str) -> &str {
    argument.split('=').next().unwrap_or_default().trim()
}

fn is_type(text: &str) -> bool {
    let text: String = text.chars().filter(|letter| !matches!(letter, ' ' | '\t')).collect();
    after_type(&text, 0) == Some("")
}

/// What stands behind the type that a text begins with. Types nest no deeper than people write them.
fn after_type(text: &str, depth: usize) -> Option<&str> {
    const DEEPEST: usize = 20;
    let end = text.find(|letter: char| !letter.is_ascii_lowercase()).unwrap_or(text.len());
    let (name, mut rest) = text.split_at(end);
    let (_, inner) = TYPES.iter().find(|(known, _)| *known == name).filter(|_| depth < DEEPEST)?;
    for at in 0..*inner {
        rest = after_type(rest.strip_prefix(if at == 0 { '[' } else { ',' })?, depth + 1)?;
    }
    if *inner == 0 { Some(rest) } else { rest.strip_prefix(']') }
}

#[cfg(test)]
mod tests {
    use super::is_type;

    #[test]
    fn types_of_arguments_nest() {
        for text in ["string", "list[string]", "dict[str, list[int]]", "optional[ relation ]", "any"] {
            assert!(is_type(text), "{text}");
        }
        for text in ["", "text", "list", "list[]", "dict[str]", "string]", "list[string", "String", &"list[".repeat(100)] {
            assert!(!is_type(text), "{text}");
        }
    }
}
