//! Functions of SQL Server that take a type or the name of a method: `convert`, whose style says how texts are written, and `hashbytes`.

use deltalake::datafusion::sql::sqlparser::ast::{Expr, Spanned};
use deltalake::datafusion::sql::sqlparser::tokenizer::Span;

use super::Rewriter;
use super::calls::{literal, text};
use super::engines::{as_text, bytes_of, number};
use super::expand::expand;
use crate::sql::SqlError;

pub(super) fn call(name: &str, arguments: &[Expr], span: Span, rewriter: &Rewriter) -> Result<Option<Expr>, Box<SqlError>> {
    Ok(match (name, arguments) {
        ("convert" | "try_convert", [kind, value]) => converted(name, kind, value, span, rewriter),
        ("convert" | "try_convert", [kind, value, style]) => styled(name, (kind, value), style, span, rewriter)?,
        ("hashbytes", [method, value]) => {
            let hash = match text(method).map(str::to_lowercase).as_deref() {
                Some("md5") => "md5($1)",
                Some("sha" | "sha1") => "sha1($1)",
                Some("sha2_256") => "sha256($1)",
                Some("sha2_512") => "sha512($1)",
                _ => return Err(rewriter.refuse("this method of `hashbytes` is not known", method.span(), "take MD5, SHA1, SHA2_256 or SHA2_512")),
            };
            bytes_of(hash, value, span)
        }
        ("upper" | "lower" | "trim" | "ltrim" | "rtrim", [value]) => {
            as_text(value, span).and_then(|value| expand(&format!("{name}($1)"), &[value], span))
        }
        _ => None,
    })
}

/// How a style writes a time, as a pattern of chrono.
const STYLES: [(u64, &str); 14] = [
    (23, "%Y-%m-%d"),
    (101, "%m/%d/%Y"),
    (102, "%Y.%m.%d"),
    (103, "%d/%m/%Y"),
    (104, "%d.%m.%Y"),
    (105, "%d-%m-%Y"),
    (108, "%H:%M:%S"),
    (110, "%m-%d-%Y"),
    (111, "%Y/%m/%d"),
    (112, "%Y%m%d"),
    (120, "%Y-%m-%d %H:%M:%S"),
    (121, "%Y-%m-%d %H:%M:%S.%3f"),
    (126, "%Y-%m-%dT%H:%M:%S.%3f"),
    (127, "%Y-%m-%dT%H:%M:%S.%3fZ"),
];

fn is_text(kind: &str) -> bool {
    ["varchar", "nvarchar", "char", "nchar"].iter().any(|known| kind.split('(').next().is_some_and(|base| base.trim() == *known))
}

fn is_bytes(kind: &str) -> bool {
    kind.starts_with("binary") || kind.starts_with("varbinary")
}

/// The name of a type, which was read as a column or a call; what was `char(..)` is the function of that name by now.
fn named(kind: &Expr) -> Option<String> {
    matches!(kind, Expr::Identifier(_) | Expr::Function(_)).then(|| {
        let written = kind.to_string().to_lowercase();
        written.strip_prefix("chr(").map_or_else(|| written.clone(), |length| format!("char({length}"))
    })
}

fn converted(name: &str, kind: &Expr, value: &Expr, span: Span, rewriter: &Rewriter) -> Option<Expr> {
    let kind = named(kind)?;
    let cast = if name == "convert" { "cast" } else { "try_cast" };
    let written = match &*kind {
        kind if is_bytes(kind) => "bytea",
        // A length cuts.
        kind if is_text(kind) => {
            let length = kind.split_once('(').and_then(|(_, length)| length.trim_end_matches(')').trim().parse::<u32>().ok());
            let length = length.map_or_else(|| format!("{cast}($1 as varchar)"), |length| format!("left({cast}($1 as varchar), {length})"));
            return expand(&length, std::slice::from_ref(value), span);
        }
        kind => &rewriter.semantics.plain_type(kind),
    };
    expand(&format!("{cast}($1 as {written})"), std::slice::from_ref(value), span)
}

/// With a style: bytes as hexadecimal digits, with `0x` or without, and times in one of several orders.
fn styled(name: &str, (kind, value): (&Expr, &Expr), style: &Expr, span: Span, rewriter: &Rewriter) -> Result<Option<Expr>, Box<SqlError>> {
    let Some(written) = named(kind) else { return Ok(None) };
    let pattern = number(style).and_then(|style| STYLES.iter().find(|(known, _)| *known == style)).map(|(_, pattern)| *pattern);
    Ok(match (number(style), pattern) {
        (Some(1 | 2), _) if is_bytes(&written) && text(value).is_some() => {
            let digits = text(value).map(|digits| digits.trim_start_matches("0x").to_owned()).unwrap_or_default();
            expand("decode($1, 'hex')", &[literal(&digits, value.span())], span)
        }
        (Some(1), _) if is_text(&written) => expand("'0x' || upper(encode(cast($1 as bytea), 'hex'))", std::slice::from_ref(value), span),
        (Some(2), _) if is_text(&written) => expand("upper(encode(cast($1 as bytea), 'hex'))", std::slice::from_ref(value), span),
        (_, Some(pattern)) if is_text(&written) => {
            expand("to_char(cast($1 as timestamp), $2)", &[value.clone(), literal(pattern, style.span())], span)
        }
        (_, Some(pattern)) if !is_bytes(&written) && !pattern.starts_with("%Y-") && text(value).is_some() => {
            let template = format!("cast(parse_time($1, $2, $3) as {})", rewriter.semantics.plain_type(&written));
            expand(&template, &[value.clone(), literal(pattern, style.span()), literal(&style.to_string(), style.span())], span)
        }
        (Some(0..=2), _) => converted(name, kind, value, span, rewriter),
        (_, Some(pattern)) if !is_bytes(&written) && (pattern.starts_with("%Y-") || pattern == "%Y%m%d") => {
            converted(name, kind, value, span, rewriter)
        }
        _ => {
            let help = "the styles are 0 to 2, 23, 101 to 105, 108, 110 to 112, 120, 121, 126 and 127";
            return Err(rewriter.refuse("this style of `convert` is not supported", style.span(), help));
        }
    })
}
