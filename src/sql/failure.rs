//! What a failure of the planner or of a running query says to a user, with its place in the SQL.

use std::ops::Range;

use deltalake::arrow::datatypes::DataType;
use deltalake::datafusion::common::{DataFusionError, Diagnostic};
use deltalake::datafusion::sql::sqlparser::keywords::Keyword;
use deltalake::datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::brief::brief;
use super::said::said;
use super::tokens::tokens;
use super::{place, type_name};
use crate::base::{Code, SourceFile};

/// What planning or running SQL has to say about a place in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    pub code: Code,
    pub message: String,
    /// Byte range in the SQL as it was given.
    pub range: Option<Range<usize>>,
    pub notes: Vec<String>,
    /// Other places that have to do with it, and what they are.
    pub related: Box<[(Range<usize>, String)]>,
    pub help: Option<String>,
}

impl SqlError {
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), range: None, notes: Vec::new(), related: Box::default(), help: None }
    }

    #[must_use]
    pub fn range(mut self, range: Range<usize>) -> Self {
        self.range = Some(range);
        self
    }

    /// Adds another place.
    pub fn relate(&mut self, range: Range<usize>, what: impl Into<String>) {
        self.related = std::mem::take(&mut self.related).into_iter().chain([(range, what.into())]).collect();
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// DataFusion's error about `sql`, with a code, a place where it has one, and without its wrappings.
#[must_use]
pub fn sql_error(error: &DataFusionError, sql: &str) -> SqlError {
    let text = SourceFile::new("", sql.into());
    let raw = bare_message(error);
    let spanned = error.iter().find_map(|error| error.diagnostic());
    if raw.contains("lan does not support logical expression") {
        return correlated(sql);
    }
    let said = match spanned.filter(|_| !["Invalid function '", "No function matches"].iter().any(|words| raw.starts_with(words))) {
        Some(diagnostic) => said(&diagnostic.message),
        None => said(&raw),
    };
    let shown = said.message.clone();
    let (code, mut message) = classify(&shown, &raw);
    if said.help.is_some() {
        message.clone_from(&shown);
    }
    let mut found = SqlError::new(said.code.unwrap_or(code), "");
    if let Some(diagnostic) = spanned {
        if let Some((head, ..)) = split_position(&message) {
            message = head;
        }
        if let Some(span) = diagnostic.span.or_else(|| diagnostic.notes.iter().rev().find_map(|note| note.span)) {
            found.range = Some(offset(&text, span.start.line, span.start.column)..offset(&text, span.end.line, span.end.column));
        }
        found.notes.extend(notes(diagnostic));
        // Help to cast names the planner's own tree.
        let helps = diagnostic.helps.iter().map(|help| lower_first(&help.message.replace('\'', "`")));
        found.help =
            said.help.clone().or_else(|| helps.into_iter().find(|help| !help.starts_with("perhaps you need to cast"))).or_else(|| suggestion(&raw));
    } else if let Some((head, line, column)) = split_position(&message) {
        let start = offset(&text, line, column);
        found.range = Some(start..word_end(sql, start));
        message = head;
    } else if code == Code::SqlSyntax {
        let end = sql.trim_end().len();
        found.range = Some(sql.floor_char_boundary(end.saturating_sub(1))..end);
    }
    found.help = found.help.or(said.help).or_else(|| suggestion(&raw)).or_else(|| place::help(&shown)).or_else(|| which(&found.notes));
    if found.code == Code::SqlSyntax {
        let help = || "a comma, a bracket or a keyword is missing or too many, here or just before".to_owned();
        found.help = Some(found.help.unwrap_or_else(help));
    }
    if found.range.is_none() {
        found.range = place::of_failure(&shown, sql);
    }
    if raw.contains("logical boolean operation") {
        no_operand(&mut found, &mut message, spanned, &text);
    }
    if found.code == Code::UnknownColumn && found.help.is_none() {
        found.help = Some("look at the columns of what this select reads".to_owned());
    }
    if found.code == Code::UnknownFunction {
        known_function(&mut found, &raw);
    } else {
        found.notes.retain(|note| !note.starts_with("possible function "));
    }
    found.message = lower_first(&with_type_names(message.trim_end_matches('.').trim())).replace("found: EOF", "found the end of the text");
    found
}

/// The planner proposes the least unlike function, however unlike it is.
fn known_function(found: &mut SqlError, raw: &str) {
    let name = raw.strip_prefix("Invalid function '").and_then(|rest| rest.split('\'').next());
    let proposed = raw.split_once("Did you mean '").and_then(|(_, rest)| rest.split('\'').next());
    let (Some(name), Some(proposed)) = (name, proposed) else { return };
    if crate::base::nearest(&name.to_lowercase(), [proposed]).is_none() {
        found.notes.retain(|note| !note.starts_with("possible function "));
        found.help = Some("docs/sql.md lists the functions; `functions:` in a properties file describes those of the project".to_owned());
    }
}

/// `and` and `or` take conditions only: the side that is none.
fn no_operand(found: &mut SqlError, message: &mut String, spanned: Option<&Diagnostic>, text: &SourceFile) {
    let notes = spanned.map(|diagnostic| diagnostic.notes.as_slice()).unwrap_or_default();
    let Some(wrong) = notes.iter().find(|note| note.message != "has type Boolean") else { return };
    let Some(arrow) = wrong.message.strip_prefix("has type ") else { return };
    if let Some(span) = wrong.span {
        found.range = Some(offset(text, span.start.line, span.start.column)..offset(text, span.end.line, span.end.column));
    }
    *message = format!("expected a condition, found {}", arrow.parse::<DataType>().map_or_else(|_| arrow.to_owned(), |known| type_name(&known)));
    found.notes.clear();
    found.help = Some("compare it with something".to_owned());
}

/// A subquery that uses columns from outside in a way that can't be turned into a join.
pub(super) fn correlated(sql: &str) -> SqlError {
    let error = SqlError::new(Code::NotAvailable, "a subquery can't be carried out where it stands, or with the columns it uses from outside")
        .help("write it as a join with a grouped query, or number the rows by `row_number() over (partition by .. order by ..)`");
    match only_subquery(sql) {
        Some(range) => error.range(range),
        None => error,
    }
}

/// The place of the subquery, if there is one only.
fn only_subquery(sql: &str) -> Option<Range<usize>> {
    let tokens = tokens(sql).ok()?;
    let text = SourceFile::new("", sql.into());
    let words: Vec<_> = tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
    let is_select = |token: &&TokenWithSpan| matches!(&token.token, Token::Word(word) if word.keyword == Keyword::SELECT);
    let mut found = words.windows(2).filter(|pair| pair[0].token == Token::LParen && is_select(&pair[1])).map(|pair| pair[1]);
    match (found.next(), found.next()) {
        (Some(select), None) => {
            Some(offset(&text, select.span.start.line, select.span.start.column)..offset(&text, select.span.end.line, select.span.end.column))
        }
        _ => None,
    }
}

fn bare_message(error: &DataFusionError) -> String {
    let first = error.iter().next().unwrap_or(error);
    let root = first.find_root();
    let text = match root {
        DataFusionError::SQL(parser, _) => parser.to_string(),
        other => other.message().into_owned(),
    };
    let text = text.split("\n\nbacktrace:").next().unwrap_or_default().to_owned();
    let prefixes = [
        "sql parser error: ",
        "Error during planning: ",
        "Schema error: ",
        "Arrow error: ",
        "Execution error: ",
        "Cast error: ",
        "Compute error: ",
        "External error: ",
        "This feature is not implemented: ",
    ];
    let mut text = text.as_str();
    while let Some(rest) = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        text = rest;
    }
    dumped(text).unwrap_or_else(|| text.to_owned())
}

/// The message in the dump that reading a Parquet file makes of an error in a filter.
fn dumped(text: &str) -> Option<String> {
    let (_, dump) = text.split_once("Error evaluating filter predicate: ")?;
    if dump.contains("DivideByZero") {
        return Some("divide by zero error".into());
    }
    let mut message = String::new();
    let mut letters = dump.split_once('"')?.1.chars();
    loop {
        match letters.next()? {
            '"' => return Some(message),
            '\\' => message.extend(match letters.next()? {
                'n' => Some('\n'),
                't' => Some('\t'),
                other => Some(other),
            }),
            letter => message.push(letter),
        }
    }
}

fn classify(message: &str, raw: &str) -> (Code, String) {
    let lower = message.to_lowercase();
    let code = if lower.contains("at line:") || raw.contains("Expected:") || lower.contains("unterminated") {
        Code::SqlSyntax
    } else if lower.contains("column") && lower.contains("not found") || lower.contains("no field named") {
        Code::UnknownColumn
    } else if lower.starts_with("table") && lower.contains("not found") {
        Code::UnknownTable
    } else if lower.contains("invalid function") {
        Code::UnknownFunction
    } else {
        Code::SqlInvalid
    };
    let message = message.replace("Invalid function '", "there is no function '").replace("it's", "it is").replace('\'', "`");
    let message = if code == Code::UnknownColumn { missing_column(&message) } else { message };
    let message = if code == Code::UnknownFunction { message.split(".\nDid you mean").next().unwrap_or_default().to_owned() } else { message };
    (code, message)
}

/// What the planner says of a column that is not there, without the list of those that are.
fn missing_column(message: &str) -> String {
    let head = message.split("Valid fields are").next().unwrap_or_default().trim().trim_end_matches('.');
    let head = head.split(". Did you mean").next().unwrap_or_default();
    match head.strip_prefix("No field named ") {
        Some(name) => format!("column `{}` not found", name.trim_matches('"')),
        None => head.to_owned(),
    }
}

/// A message with Arrow's names of types in the names that users know. What stands in backticks is the user's.
fn with_type_names(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for (at, part) in text.split('`').enumerate() {
        if at > 0 {
            shown.push('`');
        }
        if at % 2 == 1 {
            shown.push_str(part);
            continue;
        }
        let mut rest = part;
        while let Some(start) = rest.find(|c: char| c.is_ascii_uppercase()) {
            let (before, tail) = rest.split_at(start);
            shown.push_str(before);
            let inside_word = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
            let word = tail.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(tail.len());
            let whole = word + tail.get(word..).map_or(0, closing);
            let named = |length: usize| {
                let name = tail.get(..length).filter(|name| !inside_word && name.contains(|c: char| c.is_ascii_digit() || c == '('))?;
                name.parse::<DataType>().ok().map(|found| (length, type_name(&found)))
            };
            let (length, name) = named(whole).or_else(|| named(word)).unwrap_or_else(|| (word, tail.get(..word).unwrap_or_default().to_owned()));
            shown.push_str(&name);
            rest = tail.get(length..).unwrap_or_default();
        }
        shown.push_str(rest);
    }
    shown
}

/// The length of the brackets that a text begins with.
fn closing(text: &str) -> usize {
    let mut depth = 0;
    for (at, letter) in text.char_indices() {
        depth += i32::from(letter == '(') - i32::from(letter == ')');
        if depth == 0 {
            return if at == 0 { 0 } else { at + 1 };
        }
    }
    0
}

/// "Did you mean 'x'?" and "Valid fields are ..." of DataFusion's texts, as a help line.
fn suggestion(raw: &str) -> Option<String> {
    if let Some((_, tail)) = raw.split_once("Did you mean '") {
        let name = tail.split('\'').next()?;
        // Against the other columns, where there are some.
        let others: Vec<&str> =
            raw.split_once("Valid fields are ").map(|(_, fields)| fields.trim_end_matches('.').split(", ").collect()).unwrap_or_default();
        let all: Vec<&str> = std::iter::once(name).chain(others.into_iter().filter(|other| *other != name)).collect();
        return brief(&all).first().map(|name| format!("did you mean `{name}`?"));
    }
    let (_, fields) = raw.split_once("Valid fields are ")?;
    let fields: Vec<&str> = fields.trim_end_matches('.').split(", ").collect();
    Some(format!("the columns are {}", brief(&fields).join(", ").replace('"', "`")))
}

/// Which of several columns may be meant.
fn which(notes: &[String]) -> Option<String> {
    let columns: Vec<String> = notes.iter().filter_map(|note| note.strip_prefix("possible column ")).map(|column| format!("`{column}`")).collect();
    (columns.len() > 1).then(|| format!("say which one: {}", columns.join(" or ")))
}

/// The notes of the planner, with columns as one writes them and types as users know them.
fn notes(diagnostic: &Diagnostic) -> Vec<String> {
    const COLUMN: &str = "possible column ";
    let columns: Vec<&str> = diagnostic.notes.iter().filter_map(|note| note.message.strip_prefix(COLUMN)).collect();
    let mut columns = brief(&columns).into_iter();
    let mut shown = |note: &str| match note.strip_prefix(COLUMN) {
        Some(_) => columns.next().map(|column| format!("{COLUMN}{}", column.replace('"', "`"))),
        None => Some(match note.strip_prefix("has type ").and_then(|arrow| arrow.parse::<DataType>().ok()) {
            Some(found) => format!("has type {}", type_name(&found)),
            None => lower_first(&with_type_names(&note.replace('\'', "`"))),
        }),
    };
    diagnostic.notes.iter().filter_map(|note| shown(&note.message)).collect()
}

fn offset(text: &SourceFile, line: u64, column: u64) -> usize {
    text.offset(u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX)) as usize
}

/// Splits `... at Line: 1, Column: 8` into the text and the position.
fn split_position(message: &str) -> Option<(String, u64, u64)> {
    let (head, tail) = message.rsplit_once(" at Line: ")?;
    let (line, column) = tail.split_once(", Column: ")?;
    let column: String = column.chars().take_while(char::is_ascii_digit).collect();
    Some((head.to_owned(), line.trim().parse().ok()?, column.parse().ok()?))
}

fn word_end(sql: &str, start: usize) -> usize {
    let rest = sql.get(start..).unwrap_or_default();
    let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    start + word.max(rest.chars().next().map_or(0, char::len_utf8))
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if first.is_uppercase() && !second.is_uppercase() => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::with_type_names;

    #[test]
    fn types_have_the_names_that_users_know() {
        for (text, expected) in [
            ("has type Date32, expected Int64", "has type DATE, expected BIGINT"),
            ("cast Decimal128(5, 2) to List(Int8)", "cast DECIMAL(5,2) to ARRAY<TINYINT>"),
            ("column `Int64` of MyInt64", "column `Int64` of MyInt64"),
            ("Null and Boolean values", "Null and Boolean values"),
        ] {
            assert_eq!(with_type_names(text), expected);
        }
    }
}
