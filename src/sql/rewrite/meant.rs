//! What an adapter's engine means by a text that the dialect takes in another way, in the dialect's own words.

use deltalake::datafusion::sql::sqlparser::ast::{
    self, AccessExpr, CharacterLength, DataType, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Select, SelectItem, Spanned,
    Subscript,
};
use deltalake::datafusion::sql::sqlparser::tokenizer::Span;

use super::calls::text;
use super::expand::{expand, name_of};
use super::select::has_rows;
use crate::sql::semantics::{DayNames, Extracted, ListBase, Semantics};

/// A call that means something else there.
pub(super) fn call(name: &str, arguments: &[Expr], span: Span, semantics: Semantics) -> Option<Expr> {
    let template = match (name, arguments.len()) {
        // A number is a place in a list from 1 on, whatever `[..]` counts from.
        ("element_at", 2) if semantics.lists == ListBase::Zero && text(&arguments[1]).is_none() => "array_element($1, $2)",
        ("regexp_like", 3) if semantics.regexp_matches_whole => "regexp_like($1, '^(?:' || $2 || ')$', $3)",
        ("regexp_replace", 3) if semantics.regexp_replaces_all => "regexp_replace($1, $2, $3, 'g')",
        ("rlike" | "regexp_like" | "regexp", 2) if semantics.regexp_matches_whole => "regexp_like($1, '^(?:' || $2 || ')$')",
        ("split", 2) if semantics.splits_by_text => "case when $1 = '' then [''] else string_to_array($1, $2) end",
        ("regexp_matches", 2) if semantics.regexp_matches_groups => "regexp_match($1, $2)",
        ("regexp_matches", 3) if semantics.regexp_matches_groups => {
            "regexp_match($1, case when translate($3, 'cg', '') = '' then $2 else '(?' || translate($3, 'cg', '') || ')' || $2 end)"
        }
        ("regexp_extract", 2) => match semantics.regexp_extract {
            Extracted::Group => return None,
            Extracted::GroupOrNull => "case when regexp_like($1, $2) then regexp_extract($1, $2) end",
            Extracted::Match => "regexp_extract($1, $2, 0)",
            Extracted::MatchOrNull => "case when regexp_like($1, $2) then regexp_extract($1, $2, 0) end",
        },
        ("dayname", 1) if semantics.day_names == DayNames::Whole => "to_char(cast($1 as date), '%A')",
        ("monthname", 1) if semantics.day_names == DayNames::Whole => "to_char(cast($1 as date), '%B')",
        ("array_contains", 2) if semantics.adapter == "snowflake" => return contained(&arguments[0], &arguments[1], span),
        _ => return None,
    };
    expand(template, arguments, span)
}

/// Snowflake's `array_contains(value, list)`, whose value is a variant: one is made of what has its own type here.
fn contained(value: &Expr, list: &Expr, span: Span) -> Option<Expr> {
    let is_variant = |found: &DataType| matches!(found, DataType::Custom(name, _) if name.to_string().eq_ignore_ascii_case("variant"));
    let value = match value {
        Expr::Cast { expr, data_type, .. } if is_variant(data_type) => expr,
        other => other,
    };
    expand("array_has(to_array($2), $1)", &[value.clone(), list.clone()], span)
}

/// A pattern that has to match the whole text.
pub(super) fn whole_pattern(pattern: &Expr, span: Span) -> Option<Expr> {
    expand("'^(?:' || $1 || ')$'", std::slice::from_ref(pattern), span)
}

/// `list[offset(0)]` and `list[ordinal(1)]`, whatever lists begin with.
pub(super) fn place_in_list(step: &mut AccessExpr, semantics: Semantics) {
    let AccessExpr::Subscript(Subscript::Index { index }) = step else { return };
    let Expr::Function(function) = &*index else { return };
    let FunctionArguments::List(list) = &function.args else { return };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(place))] = list.args.as_slice() else { return };
    let template = match (name_of(function).as_str(), semantics.lists) {
        ("offset" | "safe_offset", ListBase::Zero) | ("ordinal" | "safe_ordinal", ListBase::One) => "$1",
        ("offset" | "safe_offset", ListBase::One) => "$1 + 1",
        ("ordinal" | "safe_ordinal", ListBase::Zero) => "$1 - 1",
        _ => return,
    };
    if let Some(place) = expand(template, std::slice::from_ref(place), function.name.span()) {
        *index = place;
    }
}

/// `cast(x as varchar(3))` keeps three letters.
pub(super) fn cut_text(expr: &mut Expr) {
    let Expr::Cast { data_type, .. } = &*expr else { return };
    let (DataType::Varchar(length)
    | DataType::CharacterVarying(length)
    | DataType::CharVarying(length)
    | DataType::Nvarchar(length)
    | DataType::Char(length)
    | DataType::Character(length)) = data_type
    else {
        return;
    };
    let Some(CharacterLength::IntegerLength { length, .. }) = length else { return };
    let span = expr.span();
    if let Some(cut) = expand(&format!("left($1, {length})"), std::slice::from_ref(expr), span) {
        *expr = cut;
    }
}

/// `array_agg` without NULL.
pub(super) fn without_nulls(function: &mut ast::Function) {
    let FunctionArguments::List(list) = &function.args else { return };
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(value))) = list.args.first() else { return };
    let span = function.name.span();
    let known = match function.filter.take() {
        Some(given) => expand("($1) and $2 is not null", &[*given, value.clone()], span),
        None => expand("$1 is not null", std::slice::from_ref(value), span),
    };
    function.filter = known.map(Box::new);
}

/// A name in `group by` that is an alias of the select list stands for what has the alias.
pub(super) fn group_by_aliases(select: &mut Select) {
    let GroupByExpr::Expressions(keys, _) = &mut select.group_by else { return };
    for key in keys {
        let Expr::Identifier(name) = &*key else { continue };
        let meant = select.projection.iter().find_map(|item| match item {
            SelectItem::ExprWithAlias { expr, alias } if alias.value.eq_ignore_ascii_case(&name.value) && !has_rows(expr) => Some(expr.clone()),
            _ => None,
        });
        if let Some(meant) = meant {
            *key = meant;
        }
    }
}
