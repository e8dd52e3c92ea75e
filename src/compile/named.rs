//! Where a generic test names what is wrong: the column it stands at, or an argument of its own. Its query is the macro's.

use crate::base::{Code, Diagnostic};
use crate::manifest::Node;
use crate::resolve::Project;

/// A finding about the query of a generic test, at the name in the properties file that it is about.
pub(super) fn in_properties(project: &Project, node: &Node, mut diagnostic: Diagnostic) -> Diagnostic {
    let Some(details) = node.test() else { return diagnostic };
    let (Some(test), Code::UnknownColumn) = (&details.generic, diagnostic.code) else { return diagnostic };
    let Some(name) = diagnostic.message.strip_prefix("column `").and_then(|rest| rest.split('`').next()).map(str::to_owned) else {
        return diagnostic;
    };
    let argument = project.sources.word(test.span, &name);
    let attached = details.attached.as_ref().and_then(|id| project.nodes.get(id));
    let column = attached.filter(|_| details.column.as_deref().is_some_and(|column| column.eq_ignore_ascii_case(&name)));
    let column = column.and_then(|attached| attached.columns.values().find(|column| column.name.eq_ignore_ascii_case(&name)));
    let place = if argument == test.span { column.map(|column| column.span) } else { Some(argument) };
    if let (Some(place), Some(label)) = (place, diagnostic.labels.first_mut()) {
        label.span = place;
        label.text = format!("named here for the test `{}`", test.name);
        // Other places in the macro's query are this one.
        diagnostic.labels.retain(|label| label.primary || label.span.file != test.span.file);
    }
    diagnostic
}
