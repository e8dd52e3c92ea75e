//! What properties files say of macros: for readers of the manifest, nothing runs by it.

use serde_json::{Map, Value as Json};

use super::builder::Builder;
use crate::load::{MacroDecl, ParsedPackage, Yaml};
use crate::manifest::{AboutMacro, MacroArgument};

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
