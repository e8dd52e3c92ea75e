//! `like any`, `like all` and `similar to`, as what DataFusion has.

use deltalake::datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Spanned};

use super::calls::{literal, text};
use super::expand::name_of;
use super::{Rewriter, meant};
use crate::sql::SqlError;

/// Rewrites an operator that compares with patterns.
pub(super) fn rewrite(expr: &mut Expr, rewriter: &Rewriter) -> Result<(), Box<SqlError>> {
    let replacement = match &*expr {
        Expr::RLike { negated, expr, pattern, .. } => {
            let op = if *negated { BinaryOperator::PGRegexNotMatch } else { BinaryOperator::PGRegexMatch };
            let whole = || meant::whole_pattern(pattern, pattern.span());
            let pattern = rewriter.semantics.regexp_matches_whole.then(whole).flatten().map_or_else(|| pattern.clone(), Box::new);
            Some(Expr::BinaryOp { left: expr.clone(), op, right: pattern })
        }
        Expr::Like { negated, any, expr: subject, pattern, escape_char } => chain(pattern, *any, |pattern| Expr::Like {
            negated: *negated,
            any: false,
            expr: subject.clone(),
            pattern,
            escape_char: escape_char.clone(),
        }),
        Expr::ILike { negated, any, expr: subject, pattern, escape_char } => chain(pattern, *any, |pattern| Expr::ILike {
            negated: *negated,
            any: false,
            expr: subject.clone(),
            pattern,
            escape_char: escape_char.clone(),
        }),
        Expr::SimilarTo { negated, expr, pattern, escape_char } => {
            let Some(written) = text(pattern) else {
                let help = "write the pattern as a text, or use `~` with a regular expression";
                return Err(rewriter.refuse("a pattern of SIMILAR TO that is not a literal is not supported", pattern.span(), help));
            };
            let escape = escape_char.as_ref().map_or(Some('\\'), |escape| escape.to_string().trim_matches('\'').chars().next());
            let op = if *negated { BinaryOperator::PGRegexNotMatch } else { BinaryOperator::PGRegexMatch };
            let regex = literal(&similar(written, escape), pattern.span());
            Some(Expr::BinaryOp { left: expr.clone(), op, right: Box::new(regex) })
        }
        _ => None,
    };
    if let Some(replacement) = replacement {
        *expr = replacement;
    }
    Ok(())
}

/// One comparison for each pattern in parentheses, joined by `or` behind `any` and by `and` behind `all`.
fn chain(pattern: &Expr, any: bool, each: impl Fn(Box<Expr>) -> Expr) -> Option<Expr> {
    let (patterns, any) = match pattern {
        Expr::Tuple(patterns) if any => (patterns.clone(), true),
        Expr::Nested(pattern) if any => (vec![(**pattern).clone()], true),
        // The parser takes `all (..)` and `some (..)` for calls of functions.
        Expr::Function(function) if matches!(name_of(function).as_str(), "all" | "some") => {
            let FunctionArguments::List(list) = &function.args else { return None };
            let patterns: Option<Vec<Expr>> = list
                .args
                .iter()
                .map(|argument| if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument { Some(expr.clone()) } else { None })
                .collect();
            (patterns?, name_of(function) == "some")
        }
        _ => return None,
    };
    let op = if any { BinaryOperator::Or } else { BinaryOperator::And };
    let chain = patterns.into_iter().map(|pattern| each(Box::new(pattern))).reduce(|left, right| Expr::BinaryOp {
        left: Box::new(left),
        op: op.clone(),
        right: Box::new(right),
    })?;
    Some(Expr::Nested(Box::new(chain)))
}

/// A pattern of the SQL standard as a regular expression over the whole text: `%` and `_` as in LIKE; `|`, `*`, `+`, `?`,
/// `{..}`, `(..)` and `[..]` as in a regular expression.
fn similar(pattern: &str, escape: Option<char>) -> String {
    let mut regex = String::from("^(?s:");
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        match letter {
            _ if Some(letter) == escape => {
                let meant = letters.next().unwrap_or(letter);
                regex.push('\\');
                regex.push(meant);
            }
            '%' => regex.push_str(".*"),
            '_' => regex.push('.'),
            '.' | '^' | '$' | '\\' => {
                regex.push('\\');
                regex.push(letter);
            }
            other => regex.push(other),
        }
    }
    regex.push_str(")$");
    regex
}
