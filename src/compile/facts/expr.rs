//! What is known of an expression over the columns of a step.

use std::collections::{BTreeSet, HashMap};

use deltalake::datafusion::common::DFSchema;
use deltalake::datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use deltalake::datafusion::logical_expr::expr::{Case, WindowFunction};
use deltalake::datafusion::logical_expr::{Expr, ExprSchemable as _, Operator, Subquery};

use super::plan::Walk;
use super::{Column, Facts, FlowKind, LeafColumn, NullMaker, Nulls, bounded};

/// The columns that an expression sees.
pub(super) struct Scope<'a> {
    pub facts: &'a Facts,
    pub schema: &'a DFSchema,
    /// Those around a subquery.
    pub outer: Option<&'a Scope<'a>>,
}

impl Scope<'_> {
    /// The column that an expression is, under whatever name.
    pub(super) fn position(&self, expr: &Expr) -> Option<usize> {
        match expr {
            Expr::Alias(alias) => self.position(&alias.expr),
            Expr::Column(column) => self.schema.maybe_index_of_column(column),
            _ => None,
        }
    }

    fn column(&self, expr: &Expr) -> Option<&Column> {
        self.facts.columns.get(self.position(expr)?)
    }

    /// What is known where these columns and expressions are not NULL.
    fn with(&self, never: &BTreeSet<usize>, held: Vec<Expr>) -> Facts {
        let mut facts = self.facts.clone();
        facts.held.extend(held);
        facts.present(never);
        facts
    }

    /// What is known where a column of a full join is NULL: likely it is its side that is missing, and then the other is not.
    fn where_null(&self, facts: &mut Facts, column: &Expr) {
        let Some(missing) = self.column(column).and_then(|column| column.missing.as_ref()).filter(|missing| missing.full) else { return };
        if missing.before == Nulls::Never {
            facts.has_row(missing.join, !missing.is_right);
        } else {
            facts.may_have_row(missing.join, !missing.is_right);
        }
    }
}

impl Walk<'_> {
    pub(super) fn expr(&mut self, expr: &Expr, scope: &Scope<'_>) -> Column {
        match expr {
            Expr::Alias(alias) => return self.expr(&alias.expr, scope),
            Expr::Column(_) => return scope.column(expr).cloned().unwrap_or_else(Column::unknown),
            _ => {}
        }
        let mut inputs = BTreeSet::new();
        let mut texts: HashMap<String, String> = HashMap::new();
        self.collect(expr, scope, &mut inputs, &mut texts);
        Column { nulls: self.nulls(expr, scope), inputs, numbered: numbered(expr, scope), text: bounded(spelt(expr, &texts)), missing: None }
    }

    /// The columns that an expression is reckoned from, those of subqueries too.
    fn collect(&mut self, expr: &Expr, scope: &Scope<'_>, inputs: &mut BTreeSet<(LeafColumn, FlowKind)>, texts: &mut HashMap<String, String>) {
        if let Expr::WindowFunction(window) = expr {
            self.collect_window(window, scope, inputs, texts);
            return;
        }
        let mut subqueries: Vec<&Subquery> = Vec::new();
        let mut windows: Vec<&WindowFunction> = Vec::new();
        let _ = expr.apply(|inner| {
            match inner {
                Expr::Column(column) => {
                    if let Some(found) = scope.column(inner) {
                        inputs.extend(found.inputs.iter().map(|(leaf, kind)| (*leaf, derived(*kind))));
                        texts.insert(column.to_string(), found.text.clone());
                    }
                }
                Expr::OuterReferenceColumn(_, column) => {
                    if let Some(found) = scope.outer.and_then(|outer| outer.column(&Expr::Column(column.clone()))) {
                        inputs.extend(found.inputs.iter().map(|(leaf, kind)| (*leaf, derived(*kind))));
                    }
                }
                Expr::WindowFunction(window) => {
                    windows.push(window);
                    return Ok(TreeNodeRecursion::Jump);
                }
                Expr::ScalarSubquery(subquery) => subqueries.push(subquery),
                Expr::Exists(exists) => subqueries.push(&exists.subquery),
                Expr::InSubquery(inside) => subqueries.push(&inside.subquery),
                Expr::SetComparison(comparison) => subqueries.push(&comparison.subquery),
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        });
        for window in windows {
            self.collect_window(window, scope, inputs, texts);
        }
        for subquery in subqueries {
            let found = self.plan(&subquery.subquery, Some(scope));
            inputs.extend(found.columns.iter().flat_map(|column| column.inputs.iter().map(|(leaf, kind)| (*leaf, derived(*kind)))));
            inputs.extend(found.rows.iter().copied());
        }
    }

    fn collect_window(
        &mut self,
        window: &WindowFunction,
        scope: &Scope<'_>,
        inputs: &mut BTreeSet<(LeafColumn, FlowKind)>,
        texts: &mut HashMap<String, String>,
    ) {
        let params = &window.params;
        params.args.iter().chain(params.filter.as_deref()).for_each(|arg| self.collect(arg, scope, inputs, texts));
        let mut as_kind = |walk: &mut Self, expr: &Expr, kind: FlowKind| {
            let mut own = BTreeSet::new();
            walk.collect(expr, scope, &mut own, texts);
            inputs.extend(own.into_iter().map(|(leaf, _)| (leaf, kind)));
        };
        params.partition_by.iter().for_each(|by| as_kind(self, by, FlowKind::Group));
        params.order_by.iter().for_each(|by| as_kind(self, &by.expr, FlowKind::Sort));
    }

    pub(super) fn nulls(&mut self, expr: &Expr, scope: &Scope<'_>) -> Nulls {
        let found = self.nulls_of(expr, scope);
        if found != Nulls::Never && scope.facts.held.contains(expr) {
            return Nulls::Never;
        }
        // Of what is known by its operands the planner knows no more, and it would walk all of them again at each level.
        let by_operands = match expr {
            Expr::BinaryExpr(binary) => !matches!(binary.op, Operator::Divide | Operator::Modulo | Operator::IntegerDivide),
            Expr::Cast(_) | Expr::Not(_) | Expr::Negative(_) | Expr::Like(_) | Expr::Between(_) => true,
            _ => false,
        };
        let proved = found == Nulls::Unknown && !by_operands && expr.nullable(scope.schema).is_ok_and(|nullable| !nullable);
        if proved { Nulls::Never } else { found }
    }

    fn nulls_of(&mut self, expr: &Expr, scope: &Scope<'_>) -> Nulls {
        match expr {
            Expr::Alias(alias) => self.nulls(&alias.expr, scope),
            Expr::Column(_) => scope.column(expr).map_or(Nulls::Unknown, |column| column.nulls.clone()),
            Expr::Literal(value, _) => {
                if value.is_null() {
                    Nulls::Made(NullMaker::Always)
                } else {
                    Nulls::Never
                }
            }
            Expr::Cast(cast) => self.nulls(&cast.expr, scope),
            Expr::TryCast(_) => Nulls::Made(NullMaker::Function),
            Expr::IsNotNull(_)
            | Expr::IsNull(_)
            | Expr::IsTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNotFalse(_)
            | Expr::IsNotUnknown(_)
            | Expr::Exists(_) => Nulls::Never,
            Expr::Not(inner) | Expr::Negative(inner) => self.strict([inner.as_ref()], scope),
            Expr::Like(like) | Expr::SimilarTo(like) => self.strict([like.expr.as_ref(), like.pattern.as_ref()], scope),
            Expr::Between(between) => self.strict([between.expr.as_ref(), between.low.as_ref(), between.high.as_ref()], scope),
            Expr::BinaryExpr(binary) => match binary.op {
                Operator::IsDistinctFrom | Operator::IsNotDistinctFrom => Nulls::Never,
                Operator::Divide | Operator::Modulo | Operator::IntegerDivide => {
                    match self.strict([binary.left.as_ref(), binary.right.as_ref()], scope) {
                        Nulls::Never => Nulls::Unknown,
                        other => other,
                    }
                }
                Operator::And | Operator::Or => match self.strict([binary.left.as_ref(), binary.right.as_ref()], scope) {
                    Nulls::Made(_) => Nulls::Unknown,
                    other => other,
                },
                _ => self.strict([binary.left.as_ref(), binary.right.as_ref()], scope),
            },
            Expr::Case(case) => self.case(case, scope),
            Expr::ScalarFunction(function) => self.function(function.name(), &function.args, scope),
            Expr::AggregateFunction(function) if function.func.name() == "count" => Nulls::Never,
            Expr::WindowFunction(window) => window_nulls(window),
            _ => Nulls::Unknown,
        }
    }

    /// NULL if an operand is, and only then.
    fn strict<'e>(&mut self, operands: impl IntoIterator<Item = &'e Expr>, scope: &Scope<'_>) -> Nulls {
        let found: Vec<Nulls> = operands.into_iter().map(|operand| self.nulls(operand, scope)).collect();
        let made = found.iter().find(|nulls| matches!(nulls, Nulls::Made(_))).cloned();
        made.unwrap_or_else(|| if found.iter().all(|nulls| *nulls == Nulls::Never) { Nulls::Never } else { Nulls::Unknown })
    }

    fn function(&mut self, name: &str, args: &[Expr], scope: &Scope<'_>) -> Nulls {
        match name {
            "coalesce" | "nvl" | "ifnull" => {
                let mut found: Vec<Nulls> = Vec::with_capacity(args.len());
                let mut narrowed: Option<Facts> = None;
                for arg in args {
                    let known = narrowed.as_ref().unwrap_or(scope.facts);
                    found.push(self.nulls(arg, &Scope { facts: known, schema: scope.schema, outer: scope.outer }));
                    // `coalesce(a.id, b.id)` over a full join: what comes next counts where this one is NULL.
                    if scope.column(uncast(arg)).is_some_and(|column| column.missing.is_some()) {
                        scope.where_null(narrowed.get_or_insert_with(|| scope.facts.clone()), uncast(arg));
                    }
                }
                match found.last() {
                    _ if found.contains(&Nulls::Never) => Nulls::Never,
                    Some(last) if found.iter().all(|nulls| matches!(nulls, Nulls::Made(_))) => last.clone(),
                    Some(_) | None => Nulls::Unknown,
                }
            }
            "nullif" => Nulls::Made(NullMaker::Function),
            "lower" | "upper" | "trim" | "btrim" | "ltrim" | "rtrim" | "abs" | "round" | "rint" | "floor" | "ceil" | "date_trunc" | "length"
            | "md5" => self.strict(args, scope),
            name if name.starts_with("_number_text") => self.strict(args, scope),
            _ => Nulls::Unknown,
        }
    }

    /// A branch is reckoned where its condition holds: `case when x is not null then x`.
    fn case(&mut self, case: &Case, scope: &Scope<'_>) -> Nulls {
        let mut found = Vec::new();
        for (when, then) in &case.when_then_expr {
            let (never, held) = if case.expr.is_none() { (scope.never_null(when), Scope::held(when)) } else { Default::default() };
            let narrowed = scope.with(&never, held);
            let inner = Scope { facts: &narrowed, schema: scope.schema, outer: scope.outer };
            found.push(self.nulls(then, &inner));
        }
        match &case.else_expr {
            Some(otherwise) => {
                // `case when x is null then .. else x end`: the last branch sees what the only condition leaves.
                let only = match case.when_then_expr.as_slice() {
                    [(when, _)] if case.expr.is_none() => Some(when.as_ref()),
                    _ => None,
                };
                let mut narrowed = scope.with(&only.map(|when| scope.never_null_if_not(when)).unwrap_or_default(), Vec::new());
                if let Some(Expr::IsNotNull(column)) = only {
                    scope.where_null(&mut narrowed, column);
                }
                let inner = Scope { facts: &narrowed, schema: scope.schema, outer: scope.outer };
                found.push(self.nulls(otherwise, &inner));
            }
            None => found.push(Nulls::Made(NullMaker::CaseWithoutElse)),
        }
        let made = found.iter().rev().find(|nulls| matches!(nulls, Nulls::Made(_)));
        match made {
            // A branch that is NULL is a `case` without that branch.
            Some(Nulls::Made(NullMaker::Always)) if found.iter().any(|nulls| *nulls != Nulls::Made(NullMaker::Always)) => {
                Nulls::Made(NullMaker::CaseWithoutElse)
            }
            Some(made) => made.clone(),
            None if found.iter().all(|nulls| *nulls == Nulls::Never) => Nulls::Never,
            None => Nulls::Unknown,
        }
    }
}

fn uncast(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(cast) => uncast(&cast.expr),
        other => other,
    }
}

fn derived(kind: FlowKind) -> FlowKind {
    if kind == FlowKind::Copied { FlowKind::Derived } else { kind }
}

fn window_nulls(window: &WindowFunction) -> Nulls {
    match window.fun.name() {
        "row_number" | "rank" | "dense_rank" | "ntile" | "percent_rank" | "cume_dist" | "count" => Nulls::Never,
        "lag" | "lead" if window.params.args.len() < 3 => Nulls::Made(NullMaker::Function),
        _ => Nulls::Unknown,
    }
}

/// The columns that a `row_number()` counts within.
fn numbered(expr: &Expr, scope: &Scope<'_>) -> Option<BTreeSet<usize>> {
    let Expr::WindowFunction(window) = expr else { return None };
    if window.fun.name() != "row_number" {
        return None;
    }
    window.params.partition_by.iter().map(|by| scope.position(by)).collect()
}

/// The expression as text, its columns named by where they come from.
fn spelt(expr: &Expr, texts: &HashMap<String, String>) -> String {
    let mut text = String::new();
    let shown = expr.to_string();
    let mut rest = shown.as_str();
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '"');
    while let Some(start) = rest.find(is_word) {
        text.push_str(&rest[..start]);
        let tail = &rest[start..];
        let end = tail.find(|c| !is_word(c)).unwrap_or(tail.len());
        let word = &tail[..end];
        text.push_str(texts.get(word).map_or(word, String::as_str));
        rest = &tail[end..];
    }
    text + rest
}
