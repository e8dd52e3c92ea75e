//! How texts are parsed: the parser's generic dialect, with the operators and the precedences that analysts count on.
//!
//! From strong to weak: `::` and `:`, signs, `**` and `^`, `* / // % div`, `+ -`, `->`, `->>`, `#>`, `@>` and their kin, `||`, comparisons, as in Postgres; the
//! generic dialect has `||` beside `*`, and the operators of JSON below `=`. A chain of `and`, `or` or `||` becomes a broad tree
//! here, because a tree that is as deep as the chain is long is too deep for what walks it.

use std::any::TypeId;

use deltalake::datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, Interval, ObjectName,
    UnaryOperator, Value,
};
use deltalake::datafusion::sql::sqlparser::dialect::{Dialect, GenericDialect};
use deltalake::datafusion::sql::sqlparser::keywords::{self, Keyword};
use deltalake::datafusion::sql::sqlparser::parser::{Parser, ParserError};
use deltalake::datafusion::sql::sqlparser::tokenizer::Token;

/// Precedences between those that the parser knows.
const PATH: u8 = 60;
const SIGN: u8 = 46;
const POWER: u8 = 45;
const ARROW: u8 = 28;
const CONCAT: u8 = 26;

/// Chains that are shorter stay as they are.
const SHORT: usize = 64;

/// The dialect in which every text is read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Grammar;

macro_rules! allowed {
    ($($what:ident),* $(,)?) => { $(fn $what(&self) -> bool { true })* };
}

impl Dialect for Grammar {
    /// What the parser does for the generic dialect alone, it does here too.
    fn dialect(&self) -> TypeId {
        TypeId::of::<GenericDialect>()
    }

    fn is_delimited_identifier_start(&self, letter: char) -> bool {
        GenericDialect {}.is_delimited_identifier_start(letter)
    }

    fn is_identifier_start(&self, letter: char) -> bool {
        GenericDialect {}.is_identifier_start(letter)
    }

    fn is_identifier_part(&self, letter: char) -> bool {
        GenericDialect {}.is_identifier_part(letter)
    }

    // What the generic dialect allows.
    allowed! {
        supports_unicode_string_literal, supports_partition_by_after_order_by, supports_array_join_syntax, supports_group_by_expr,
        supports_group_by_with_modifier, supports_left_associative_joins_without_parens, supports_connect_by, supports_match_recognize,
        supports_pipe_operator, supports_start_transaction_modifier, supports_window_function_null_treatment_arg,
        supports_dictionary_syntax, supports_window_clause_named_window_reference, supports_parenthesized_set_variables,
        supports_select_wildcard_except, support_map_literal_syntax, allow_extract_custom, allow_extract_single_quotes,
        supports_extract_comma_syntax, supports_create_view_comment_syntax, supports_parens_around_table_factor,
        supports_values_as_table_factor, supports_create_index_with_clause, supports_explain_with_utility_options, supports_limit_comma,
        supports_update_order_by, supports_from_first_select, supports_projection_trailing_commas, supports_asc_desc_in_column_definition,
        supports_try_convert, supports_bitwise_shift_operators, supports_comment_on, supports_load_extension,
        supports_named_fn_args_with_assignment_operator, supports_struct_literal, supports_empty_projections, supports_nested_comments,
        supports_multiline_comment_hints, supports_user_host_grantee, supports_string_escape_constant, supports_array_typedef_with_brackets,
        supports_match_against, supports_set_names, supports_comma_separated_set_assignments, supports_filter_during_aggregation,
        supports_select_wildcard_exclude, supports_data_type_signed_suffix, supports_interval_options, supports_quote_delimited_string,
        supports_select_wildcard_replace, supports_select_wildcard_ilike, supports_select_wildcard_rename, supports_optimize_table,
        supports_install, supports_detach, supports_prewhere, supports_with_fill, supports_limit_by, supports_interpolate,
        supports_settings, supports_select_format, supports_comment_optimizer_hint, supports_constraint_keyword_without_name,
        supports_key_column_option, supports_comma_separated_trim, supports_cte_without_as, supports_select_item_multi_column_alias,
        supports_xml_expressions,
    }

    // And what it does not: `1_000`, `f(x).*`, and names that begin with a digit, which [`super::tokens`] looks at once more.
    allowed! { supports_numeric_prefix, supports_numeric_literal_underscores, supports_select_expr_star }

    /// A `case` or `cast` that can't be read is one that is not complete, and no name.
    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        matches!(keyword, Keyword::CASE | Keyword::CAST) || keywords::RESERVED_FOR_IDENTIFIER.contains(&keyword)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        match &parser.peek_token_ref().token {
            Token::StringConcat => Some(Ok(CONCAT)),
            Token::Arrow | Token::LongArrow | Token::HashArrow | Token::HashLongArrow | Token::AtArrow | Token::ArrowAt | Token::HashMinus => {
                Some(Ok(ARROW))
            }
            Token::Mul if parser.peek_nth_token_ref(1).token == Token::Mul => Some(Ok(POWER)),
            Token::Caret => Some(Ok(POWER)),
            Token::Colon if matches!(&parser.peek_nth_token_ref(1).token, Token::Word(_)) => match enclosing(parser) {
                Some(Token::LBracket) => None,
                Some(Token::LBrace) => Some(Ok(self.prec_unknown())),
                Some(_) | None => Some(Ok(PATH)),
            },
            Token::Word(word) if word.keyword == Keyword::DIV && !begins_operand(&parser.peek_nth_token_ref(1).token) => {
                Some(Ok(self.prec_unknown()))
            }
            _ => None,
        }
    }

    /// A sign belongs to its number: `-2 ** 2` is 4. And `list[0]:key` is no text `:key` of a type `list[0]`.
    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        if let Some(names) = names_before_place(parser) {
            let mut column = Vec::with_capacity(names);
            for at in 0..names {
                if at > 0 {
                    parser.advance_token();
                }
                match parser.parse_identifier() {
                    Ok(name) => column.push(name),
                    Err(error) => return Some(Err(error)),
                }
            }
            let root = if names == 1 { column.pop().map(Expr::Identifier) } else { Some(Expr::CompoundIdentifier(column)) };
            return root.map(|root| parser.parse_compound_expr(root, Vec::new()));
        }
        if let Some(interval) = reckoned_interval(parser) {
            return Some(Ok(interval));
        }
        if parser.peek_token_ref().token != Token::Minus {
            return None;
        }
        parser.advance_token();
        Some(parser.parse_subexpr(SIGN).map(|expr| Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(expr) }))
    }

    fn parse_infix(&self, parser: &mut Parser, left: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        let op = match &parser.peek_token_ref().token {
            Token::StringConcat => BinaryOperator::StringConcat,
            Token::Mul if parser.peek_nth_token_ref(1).token == Token::Mul => {
                parser.advance_token();
                BinaryOperator::PGExp
            }
            Token::Word(word) => match word.keyword {
                Keyword::AND => BinaryOperator::And,
                Keyword::OR => BinaryOperator::Or,
                Keyword::DIV => BinaryOperator::MyIntegerDivide,
                Keyword::IS => return distinct(parser, left, precedence).or_else(|| is_json(parser, left).map(Ok)),
                _ => return None,
            },
            _ => return None,
        };
        Some(chain(parser, left, &op, precedence))
    }
}

/// `interval a.b + 1 day`: any expression before a unit. Behind a text an operator is one between intervals, as in
/// `interval '5 days' > interval '1 day'`.
fn reckoned_interval(parser: &mut Parser) -> Option<Expr> {
    let Token::Word(word) = &parser.peek_token_ref().token else { return None };
    if word.keyword != Keyword::INTERVAL || word.quote_style.is_some() || matches!(parser.peek_nth_token_ref(1).token, Token::SingleQuotedString(_)) {
        return None;
    }
    let read = |parser: &mut Parser| {
        parser.expect_keyword_is(Keyword::INTERVAL)?;
        let value = parser.parse_expr()?;
        if !parser.next_token_is_temporal_unit() {
            return Err(ParserError::ParserError("a unit is expected".to_owned()));
        }
        Ok((value, parser.parse_date_time_field()?))
    };
    let (value, unit) = parser.maybe_parse(read).ok().flatten()?;
    Some(Expr::Interval(Interval {
        value: Box::new(value),
        leading_field: Some(unit),
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    }))
}

/// `is [not] json`, with the kind of value behind it, as the function of that name.
fn is_json(parser: &mut Parser, left: &Expr) -> Option<Expr> {
    let word = |at: usize| match &parser.peek_nth_token_ref(at).token {
        Token::Word(word) if word.quote_style.is_none() => word.value.to_lowercase(),
        _ => String::new(),
    };
    let negated = word(1) == "not";
    let at = if negated { 2 } else { 1 };
    if word(at) != "json" {
        return None;
    }
    let kind = Some(word(at + 1)).filter(|kind| ["value", "scalar", "array", "object"].contains(&kind.as_str()));
    let span = parser.peek_nth_token_ref(at).span;
    for _ in 0..=at + usize::from(kind.is_some()) {
        parser.advance_token();
    }
    let mut name = Ident::new("is_json");
    name.span = span;
    let kind = kind.map(|kind| Expr::Value(Value::SingleQuotedString(kind).with_span(span)));
    let args = std::iter::once(left.clone()).chain(kind).map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect();
    let call = Expr::Function(Function {
        name: ObjectName::from(vec![name]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    });
    Some(if negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(call) } } else { call })
}

/// The bracket that is open at the next word: between square ones a colon parts the ends of a slice, between curly ones a key
/// and its value, and elsewhere it leads into JSON.
fn enclosing(parser: &Parser) -> Option<Token> {
    let mut closed = 0_usize;
    (0..parser.index()).rev().map(|at| &parser.token_at(at).token).find_map(|token| match token {
        Token::RParen | Token::RBracket | Token::RBrace => {
            closed += 1;
            None
        }
        Token::LParen | Token::LBracket | Token::LBrace if closed == 0 => Some(token.clone()),
        Token::LParen | Token::LBracket | Token::LBrace => {
            closed -= 1;
            None
        }
        _ => None,
    })
}

/// More words than this stand in no place of a list.
const LONGEST_PLACE: usize = 64;

/// How many names stand here, with points between them, before places in brackets and a colon: `t.list[0]:key` has two.
fn names_before_place(parser: &Parser) -> Option<usize> {
    let word = |at: usize| &parser.token_at(parser.index() + at).token;
    let mut at = 0;
    let mut names = 0;
    loop {
        if !matches!(word(at), Token::Word(_)) {
            return None;
        }
        names += 1;
        match word(at + 1) {
            Token::Period => at += 2,
            Token::LBracket => break,
            _ => return None,
        }
    }
    let mut open = 0_usize;
    for at in at + 1..=at + LONGEST_PLACE {
        match (word(at), word(at + 1)) {
            (Token::LBracket, _) => open += 1,
            (Token::RBracket, Token::Colon) if open == 1 => return Some(names),
            (Token::RBracket, Token::LBracket) => open -= 1,
            (Token::RBracket, _) if open == 1 => return None,
            (Token::RBracket, _) => open -= 1,
            (Token::EOF, _) => return None,
            _ => {}
        }
    }
    None
}

/// What stands behind `div` where it is an operator, and not a name.
fn begins_operand(token: &Token) -> bool {
    match token {
        Token::Number(..) | Token::LParen | Token::Minus | Token::SingleQuotedString(_) | Token::Placeholder(_) => true,
        Token::Word(word) => !keywords::RESERVED_FOR_COLUMN_ALIAS.contains(&word.keyword),
        _ => false,
    }
}

/// All operands of a chain of one operator, the first of which is read already.
fn chain(parser: &mut Parser, left: &Expr, op: &BinaryOperator, precedence: u8) -> Result<Expr, ParserError> {
    let operator = parser.peek_token().token;
    let broad = matches!(op, BinaryOperator::And | BinaryOperator::Or | BinaryOperator::StringConcat);
    let mut operands = vec![left.clone()];
    while parser.peek_token_ref().token == operator || operands.len() == 1 {
        parser.advance_token();
        operands.push(parser.parse_subexpr(precedence)?);
        if !broad {
            break;
        }
    }
    Ok(if operands.len() > SHORT {
        tree(operands, op)
    } else {
        operands.into_iter().reduce(|left, right| binary(left, op, right)).unwrap_or_else(|| left.clone())
    })
}

fn tree(mut level: Vec<Expr>, op: &BinaryOperator) -> Expr {
    while level.len() > 1 {
        let mut next = Vec::with_capacity(level.len().div_ceil(2));
        let mut pairs = level.into_iter();
        while let Some(left) = pairs.next() {
            next.push(match pairs.next() {
                Some(right) => binary(left, op, right),
                None => left,
            });
        }
        level = next;
    }
    level.pop().unwrap_or(Expr::Wildcard(deltalake::datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken::empty()))
}

fn binary(left: Expr, op: &BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op: op.clone(), right: Box::new(right) }
}

/// `is [not] distinct from`, whose right side ends before `and` and `or`; the parser would take those too.
fn distinct(parser: &mut Parser, left: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
    let negated = parser.parse_keywords(&[Keyword::IS, Keyword::NOT, Keyword::DISTINCT, Keyword::FROM]);
    if !negated && !parser.parse_keywords(&[Keyword::IS, Keyword::DISTINCT, Keyword::FROM]) {
        return None;
    }
    let (left, right) = (
        Box::new(left.clone()),
        match parser.parse_subexpr(precedence) {
            Ok(right) => Box::new(right),
            Err(error) => return Some(Err(error)),
        },
    );
    Some(Ok(if negated { Expr::IsNotDistinctFrom(left, right) } else { Expr::IsDistinctFrom(left, right) }))
}
