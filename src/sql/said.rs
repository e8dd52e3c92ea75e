//! What the planner says in its own terms, in the words of those who write SQL, and what can be done about it.

use deltalake::arrow::datatypes::DataType;

use super::brief::brief;
use super::{type_help, type_name};
use crate::base::Code;

/// A failure in the words of users.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub message: String,
    pub help: Option<String>,
    /// Where the words decide it.
    pub code: Option<Code>,
}

impl Said {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: Some(help.into()), code: None }
    }

    fn code(self, code: Code) -> Self {
        Self { code: Some(code), ..self }
    }
}

/// The words for a text of the planner; the text itself where there are none.
pub(super) fn said(text: &str) -> Said {
    if text.contains("Span(Location(") {
        return Said { message: unsupported(text), help: None, code: None };
    }
    failed_cast(text)
        .or_else(|| without_window(text))
        .or_else(|| no_signature(text))
        .or_else(|| no_condition(text))
        .or_else(|| of_names(text))
        .or_else(|| of_groups(text))
        .or_else(|| of_types(text))
        .unwrap_or_else(|| Said { message: text.to_owned(), help: None, code: None })
}

/// What stands before the tree of something that the planner does not know.
fn unsupported(text: &str) -> String {
    let head = text.split(['{', '[']).next().unwrap_or_default();
    let words = head.trim_end_matches(|c: char| c == '(' || c.is_whitespace());
    let words = words.rsplit_once('(').map_or(words, |(before, _)| before);
    format!("{}: this is not supported", words.trim_end_matches([':', ' ', '(']))
}

/// A call that fits no signature: the planner's text lists every attempt.
fn no_signature(text: &str) -> Option<Said> {
    let (_, rest) = text.split_once("No function matches the given name and argument types '")?;
    let call = rest.split("'.").next()?;
    let (name, types) = call.strip_suffix(')').unwrap_or(call).split_once('(')?;
    let types: Vec<String> = listed(types).into_iter().map(named).collect();
    let message = match types.len() {
        0 => format!("`{name}` takes arguments, and has none here"),
        _ => format!("`{name}` does not take {}", types.join(", ")),
    };
    let head = format!("{name}(");
    let numbers: std::collections::BTreeSet<usize> = text
        .split_once("Candidate functions:")
        .map(|(_, known)| {
            known.lines().filter_map(|line| line.trim().strip_prefix(&head)?.strip_suffix(')')).map(|list| listed(list).len()).collect()
        })
        .unwrap_or_default();
    let variadic = text.contains("..");
    let number = |number: &usize| if *number == 1 { "one argument".to_owned() } else { format!("{number} arguments") };
    let help = match (numbers.first(), numbers.last()) {
        (Some(least), Some(most)) if !variadic && (types.len() < *least || types.len() > *most) => {
            if least == most {
                format!("give it {}", number(least))
            } else {
                format!("give it {least} to {}", number(most))
            }
        }
        _ => "cast what it is given, or use another function; docs/sql.md lists them".to_owned(),
    };
    Some(Said::new(message, help))
}

/// The parts of a list with commas; those in brackets do not count.
fn listed(text: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    let parts = text.split(|letter: char| {
        depth += i32::from(matches!(letter, '(' | '[' | '{')) - i32::from(matches!(letter, ')' | ']' | '}'));
        letter == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn named(arrow: &str) -> String {
    let arrow = arrow.trim();
    if let Ok(found) = arrow.parse::<DataType>() {
        return type_name(&found);
    }
    // Nested types are shown in a way that is not read back.
    match arrow.split(['(', ' ']).next().unwrap_or(arrow) {
        "List" | "LargeList" | "FixedSizeList" => "an array".to_owned(),
        "Struct" => "a struct".to_owned(),
        "Map" => "a map".to_owned(),
        "Timestamp" => "TIMESTAMP".to_owned(),
        _ => arrow.to_owned(),
    }
}

/// A window function without a window, which the planner looks up among the others.
fn without_window(text: &str) -> Option<Said> {
    const KNOWN: [&str; 10] =
        ["row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead", "nth_value", "ratio_to_report"];
    let name = text.strip_prefix("Invalid function '")?.split('\'').next()?;
    KNOWN.contains(&name.to_lowercase().as_str()).then(|| {
        Said::new(format!("`{name}` is a window function and needs `over (..)`"), format!("write `{name}(..) over (partition by .. order by ..)`"))
    })
}

/// A filter that is no condition, with the planner's own names in it.
fn no_condition(text: &str) -> Option<Said> {
    if let Some(found) = text.strip_prefix("expected a condition, found ") {
        return Some(Said::new(format!("expected a condition, found {found}"), "compare it with something"));
    }
    let arrow = if let Some((_, rest)) = text.split_once("Cannot create filter with non-boolean predicate '") {
        rest.rsplit_once(" returning ")?.1
    } else {
        let (_, rest) = text.split_once("oin condition must be boolean type, but got ")?;
        rest
    };
    Some(Said::new(format!("expected a condition, found {}", named(arrow.trim_end_matches('.'))), "compare it with something"))
}

/// A cast that fails, in the names of types that users know.
fn failed_cast(text: &str) -> Option<Said> {
    const HELP: &str = "`try_cast(.. as ..)` gives NULL where a value does not fit";
    let type_of = |arrow: &str| arrow.trim().parse::<DataType>().map_or_else(|_| arrow.to_owned(), |found| type_name(&found));
    if let Some((value, arrow)) = text.strip_prefix("Can't cast value ").and_then(|rest| rest.rsplit_once(" to type ")) {
        return Some(Said::new(format!("`{value}` is out of range for {}", type_of(arrow)), HELP));
    }
    if let Some((value, arrow)) = text.strip_prefix("Cannot cast value '").and_then(|rest| rest.split_once("' to value of ")) {
        return Some(Said::new(format!("`{value}` is not a value of type {}", type_of(arrow.trim_end_matches(" type"))), HELP));
    }
    if let Some((value, _)) = text.strip_prefix("Parser error: Error parsing timestamp from '").and_then(|rest| rest.split_once("': ")) {
        return Some(Said::new(format!("`{value}` is not a value of type TIMESTAMP"), HELP));
    }
    let (value, arrow) = text.strip_prefix("Cannot cast string '").and_then(|rest| rest.rsplit_once("' to value of "))?;
    Some(Said::new(format!("`{value}` is not a value of type {}", type_of(arrow.trim_end_matches(" type"))), HELP))
}

/// Names that are not there, or there twice.
fn of_names(text: &str) -> Option<Said> {
    if let Some(name) = text.strip_prefix("The window ").and_then(|rest| rest.strip_suffix(" is not defined!")) {
        return Some(Said::new(
            format!("there is no window `{name}`"),
            format!("define it behind the conditions: `window {name} as (partition by ..)`"),
        ));
    }
    if let Some(name) = text.strip_prefix("Invalid qualifier ") {
        let help = "use the alias, else the name, of a table in `from`";
        return Some(Said::new(format!("there is no table `{name}` in this select"), help).code(Code::UnknownTable));
    }
    if let Some(name) = text.strip_prefix("Unsupported SQL type ").map(|name| name.trim_matches(['`', '"', '\''])) {
        return Some(Said::new(format!("`{name}` is not a type"), type_help(name)).code(Code::TypeUnknown));
    }
    if let Some(name) = text.strip_prefix("Field ").and_then(|rest| rest.strip_suffix(" not found in struct")) {
        return Some(
            Said::new(format!("the struct has no field `{name}`"), "look at the type of the struct for its fields").code(Code::UnknownColumn),
        );
    }
    let twice = [" contains duplicate unqualified field name ", " contains duplicate qualified field name "];
    let name = match twice.iter().find_map(|words| text.split_once(words)) {
        Some((_, name)) => name,
        None => text.split_once(" and unqualified field name ")?.1.split_once(" which would be ambiguous")?.0,
    };
    let name = brief(&[name.trim()]).concat();
    Some(Said::new(
        format!("two columns are called `{}`", name.trim_matches('"')),
        "give one of them another name with `as`, or leave it out of `*` with `except`",
    ))
}

/// Aggregates, windows and groups in the wrong place.
fn of_groups(text: &str) -> Option<Said> {
    if let Some((what, instead)) = text.split_once("; use ").filter(|(what, _)| what.contains(" cannot stand in ")) {
        return Some(Said::new(what, format!("use {instead}")));
    }
    if text.starts_with("Aggregate functions are not allowed in the WHERE clause") {
        return Some(Said::new("an aggregate can't stand in `where`", "filter groups with `having`, or aggregate in a CTE first"));
    }
    if text.starts_with("Aggregate function calls cannot ") {
        return Some(Said::new(
            "an aggregate or a window function can't stand in an aggregate's arguments",
            "compute the inner one in a CTE, and aggregate its column",
        ));
    }
    if text.starts_with("Window function calls cannot be nested") {
        return Some(Said::new("a window function can't stand in another's arguments", "compute the inner one in a CTE, and use its column here"));
    }
    if text.starts_with("Correlated scalar subquery must be aggregated") {
        return Some(Said::new(
            "a subquery in the place of a value may yield several rows",
            "aggregate it, e.g. `max(..)`, or take one row by `limit 1`",
        ));
    }
    if text.contains("should only return one column") || text.starts_with("Too many columns") {
        return Some(Said::new("a subquery in the place of a value has more than one column", "select one column only"));
    }
    let (head, _) = text.split_once(" must appear in GROUP BY clause").or_else(|| text.split_once(" must appear in the GROUP BY clause"))?;
    let column = ["column ", "references: "].iter().find_map(|words| head.rsplit_once(words)).map_or(head, |(_, column)| column);
    let column = column.trim_matches(['"', '\'', '`']);
    if column.contains(['(', ' ']) {
        return Some(Said::new(
            "this is neither grouped nor aggregated",
            "add it to `group by`, or aggregate it, e.g. with `max(..)` or `any_value(..)`",
        ));
    }
    let column = brief(&[column]).concat();
    Some(Said::new(
        format!("`{column}` is neither grouped nor aggregated"),
        format!("add it to `group by`, or aggregate it, e.g. `max({column})` or `any_value({column})`"),
    ))
}

/// Types that do not go together.
fn of_types(text: &str) -> Option<Said> {
    const CAST: &str = "cast one of them: `cast(.. as ..)`";
    if let Some((_, rest)) = text.split_once("Incompatible inputs for Union: Previous inputs were of type ") {
        let (before, rest) = rest.split_once(", but got incompatible type ")?;
        let (own, column) = rest.split_once(" on column ")?;
        let column = column.trim_matches(['"', '\'', '`', '.']);
        let message = format!("`{column}` is {} here, and the branches before have {} in its place", named(own), named(before));
        return Some(Said::new(message, CAST));
    }
    if text.starts_with("expressions have incompatible types") {
        return Some(Said::new("expressions have incompatible types", CAST));
    }
    if text.contains(" cannot be compared") || text.contains("annot infer common argument type for comparison operation") {
        return Some(Said { message: text.to_owned(), help: Some(CAST.into()), code: None });
    }
    if text.starts_with("NOT cannot be used with ") {
        return Some(Said { message: text.to_owned(), help: Some("compare it with something".into()), code: None });
    }
    if text.contains("can only be applied to array, struct and null") {
        return Some(Said::new("only an array can be unnested", "give it an array; `split(.., ',')` makes one of a text"));
    }
    if let Some((_, rest)) = text.split_once("annot access field at argument ") {
        let found = rest.split_once("type ")?.1.split_once(" is not Struct")?.0;
        return Some(Said::new(
            format!("{} has no fields", named(found)),
            "only structs and maps have them; of a text in JSON, `->>` takes a field out",
        ));
    }
    if text.starts_with("Expected LIMIT to be an integer") || text.starts_with("Expected OFFSET to be an integer") {
        return Some(Said { message: text.to_owned(), help: Some("write a whole number".into()), code: None });
    }
    if text.starts_with("Decimal(precision = ") {
        return Some(Said::new(text.replacen("76", "38", 1), "give at most 38 digits, and no more behind the point than there are in all"));
    }
    let (from, to) = text.split_once(" cannot be cast to ").or_else(|| text.strip_prefix("Unsupported CAST from ")?.split_once(" to "))?;
    Some(Said::new(
        format!("{} cannot be cast to {}", named(from), named(to.trim_end_matches('.'))),
        "there is no such conversion; take a part of the value that has one",
    ))
}

#[cfg(test)]
mod tests {
    use super::{listed, said};

    #[test]
    fn brackets_keep_a_part_together() {
        assert_eq!(listed("Timestamp(µs, \"UTC\"), List(Int64), Utf8"), ["Timestamp(µs, \"UTC\")", "List(Int64)", "Utf8"]);
    }

    #[test]
    fn the_number_of_arguments_is_told() {
        let text = "No function matches the given name and argument types 'f(Int64, Utf8)'. You might need to add explicit type casts.\n\tCandidate functions:\n\tf(Any)";
        let said = said(text);
        assert_eq!((said.message.as_str(), said.help.as_deref()), ("`f` does not take BIGINT, VARCHAR", Some("give it one argument")));
    }
}
