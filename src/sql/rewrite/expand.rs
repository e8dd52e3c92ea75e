//! Puts the arguments of a call into the expression it stands for.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::ControlFlow;

use deltalake::datafusion::sql::sqlparser::ast::{self, Expr, Value, visit_expressions_mut};
use deltalake::datafusion::sql::sqlparser::parser::Parser;
use deltalake::datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan};

use crate::sql::grammar::Grammar;
use crate::sql::tokens::tokens;

/// Of templates whose shape follows a call there may be more; those are cut each time.
const MOST_KNOWN: usize = 1000;

/// The expression of a template whose placeholders `$1`, `$2`, ... are the arguments.
///
/// Everything that comes from the template is placed at `span`, so that an error in it points to the call.
/// `None` where the template is not SQL, or names more arguments than there are.
pub(super) fn expand(template: &str, arguments: &[Expr], span: Span) -> Option<Expr> {
    let mut expanded = Parser::new(&Grammar).with_tokens_with_locations(words(template, span)?).parse_expr().ok()?;
    let filled = visit_expressions_mut(&mut expanded, |expr| match placeholder(expr) {
        Some(number) => match number.checked_sub(1).and_then(|at| arguments.get(at)) {
            Some(argument) => {
                *expr = argument.clone();
                ControlFlow::Continue(())
            }
            None => ControlFlow::Break(()),
        },
        None => ControlFlow::Continue(()),
    });
    filled.is_continue().then_some(expanded)
}

/// The words of a template, all placed at `span`.
fn words(template: &str, span: Span) -> Option<Vec<TokenWithSpan>> {
    thread_local! {
        /// Cutting a template into words is as much as parsing them, and there are few templates.
        static KNOWN: RefCell<HashMap<String, Vec<Token>>> = RefCell::default();
    }
    let placed = |words: &[Token]| words.iter().map(|word| TokenWithSpan::new(word.clone(), span)).collect();
    KNOWN.with_borrow_mut(|known| {
        if let Some(words) = known.get(template) {
            return Some(placed(words));
        }
        let words = tokens(template).ok()?.into_iter().map(|word| word.token);
        let words: Vec<Token> = words.filter(|word| !matches!(word, Token::Whitespace(_))).collect();
        let found = placed(&words);
        if known.len() < MOST_KNOWN {
            known.insert(template.to_owned(), words);
        }
        Some(found)
    })
}

/// How often an argument stands in a template: what is evaluated twice must not be a dice roll.
pub(super) fn repeats(template: &str, argument: usize) -> bool {
    template.matches(&format!("${argument}")).count() > 1
}

/// Whether two evaluations of an expression may differ.
pub(super) fn is_volatile(expr: &Expr) -> bool {
    let mut probe = expr.clone();
    visit_expressions_mut(&mut probe, |expr| match expr {
        Expr::Function(function) if matches!(name_of(function).as_str(), "random" | "rand" | "uuid" | "gen_random_uuid" | "shuffle") => {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

/// The name of a called function in lower case; empty where it has a schema.
pub(super) fn name_of(function: &ast::Function) -> String {
    match function.name.0.as_slice() {
        [part] => part.as_ident().filter(|name| name.quote_style.is_none()).map(|name| name.value.to_lowercase()).unwrap_or_default(),
        _ => String::new(),
    }
}

fn placeholder(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Placeholder(name) => name.strip_prefix('$')?.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

/// A query written as text, placed at `span`.
pub(super) fn query_at(text: &str, span: Span) -> Option<ast::Query> {
    let mut tokens = tokens(text).ok()?;
    for token in &mut tokens {
        token.span = span;
    }
    Parser::new(&Grammar).with_tokens_with_locations(tokens).parse_query().ok().map(|query| *query)
}
