//! Grouping.

use std::collections::BTreeSet;

use deltalake::datafusion::logical_expr::{Aggregate, Expr};

use super::expr::Scope;
use super::plan::{Walk, project};
use super::{Column, Doubt, DoubtKind, Facts, FlowKind, Key, NullMaker, Nulls, bounded};

impl Walk<'_> {
    pub(super) fn aggregate(&mut self, aggregate: &Aggregate, outer: Option<&Scope<'_>>) -> Facts {
        let input = self.plan(&aggregate.input, outer);
        let scope = Scope { facts: &input, schema: aggregate.input.schema(), outer };
        if aggregate.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_))) {
            return self.grouping_sets(aggregate, &input, &scope);
        }
        let groups: Vec<(Column, Option<usize>)> = aggregate.group_expr.iter().map(|expr| (self.expr(expr, &scope), scope.position(expr))).collect();
        self.doubt_groups(aggregate, &input, &scope);
        let by: Vec<_> = groups.iter().flat_map(|(column, _)| column.leaves().collect::<Vec<_>>()).collect();
        let texts: Vec<String> = groups.iter().map(|(column, _)| column.text.clone()).collect();
        let count = groups.len();
        let mut columns = groups;
        for expr in &aggregate.aggr_expr {
            let mut column = self.expr(expr, &scope);
            if count > 0 && column.nulls == Nulls::Unknown && self.of_values(expr, &scope) {
                column.nulls = Nulls::Never;
            }
            columns.push((column, None));
        }
        // Only keys within the groups are still there: others lost their columns.
        let mut facts = project(&input, columns.into_iter());
        for missing in facts.columns.iter_mut().filter_map(|column| column.missing.as_mut()) {
            missing.many = false;
        }
        facts.influence(by, FlowKind::Group);
        facts.conditions.insert(bounded(format!("group by {}", texts.join(", "))));
        let because = if count == 0 { "an aggregate over all rows gives one row" } else { "`group by` gives one row for each group" };
        facts.add_key(Key { columns: (0..count).collect(), because: because.into(), assumed: false });
        facts
    }

    /// An aggregate that has a value for every group with values: groups have rows.
    fn of_values(&mut self, expr: &Expr, scope: &Scope<'_>) -> bool {
        let expr = match expr {
            Expr::Alias(alias) => alias.expr.as_ref(),
            other => other,
        };
        let Expr::AggregateFunction(function) = expr else { return false };
        let plain = matches!(function.func.name(), "min" | "max" | "sum" | "avg" | "bool_and" | "bool_or" | "array_agg" | "string_agg");
        plain && function.params.filter.is_none() && function.params.args.first().is_some_and(|arg| self.nulls(arg, scope) == Nulls::Never)
    }

    /// Rows that were made up because nothing matched stand among those that match: grouped by a column of theirs all of them
    /// are one group, and counted they are 1 where there is nothing. Where each row matches one at most, they are rows like others.
    fn doubt_groups(&mut self, aggregate: &Aggregate, input: &Facts, scope: &Scope<'_>) {
        let missing = |at: usize| {
            let made_up =
                |column: &Column| column.nulls == Nulls::Made(NullMaker::OuterJoin) && column.missing.as_ref().is_some_and(|found| found.many);
            input.columns.get(at).is_some_and(made_up)
        };
        let groups: Vec<(&Expr, Option<usize>)> = aggregate.group_expr.iter().map(|expr| (expr, scope.position(expr))).collect();
        if !groups.iter().any(|(_, at)| at.is_some_and(|at| !missing(at))) {
            for (expr, at) in groups.iter().filter_map(|(expr, at)| Some((*expr, at.filter(|at| missing(*at))?))) {
                let column = scope.schema.field(at).name().clone();
                let range = self.range(expr);
                self.doubts.push(Doubt { kind: DoubtKind::GroupedByMissing { column }, range });
            }
        } else if (0..input.columns.len()).any(missing) && aggregate.aggr_expr.iter().any(counts_rows) {
            let range = groups.first().and_then(|(expr, _)| self.range(expr));
            self.doubts.push(Doubt { kind: DoubtKind::CountsMissing, range });
        }
    }

    /// `rollup`, `cube` and the like: every group is NULL in some rows, and nothing is said of keys.
    fn grouping_sets(&mut self, aggregate: &Aggregate, input: &Facts, scope: &Scope<'_>) -> Facts {
        let mut facts = Facts { rows: input.rows.clone(), conditions: input.conditions.clone(), ..Facts::default() };
        let groups: Vec<Expr> = aggregate
            .group_expr
            .iter()
            .flat_map(|expr| match expr {
                Expr::GroupingSet(set) => set.distinct_expr().into_iter().cloned().collect::<Vec<_>>(),
                other => vec![other.clone()],
            })
            .collect();
        for expr in &groups {
            let column = self.expr(expr, scope);
            facts.influence(column.leaves().collect::<BTreeSet<_>>(), FlowKind::Group);
            facts.columns.push(Column { nulls: Nulls::Unknown, numbered: None, ..column });
        }
        let hidden = aggregate.schema.fields().len().saturating_sub(groups.len() + aggregate.aggr_expr.len());
        facts.columns.extend((0..hidden).map(|_| Column::unknown()));
        facts.columns.extend(aggregate.aggr_expr.iter().map(|expr| self.expr(expr, scope)).collect::<Vec<_>>());
        facts
    }
}

/// `count(*)`
fn counts_rows(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => counts_rows(&alias.expr),
        Expr::AggregateFunction(function) => {
            function.func.name() == "count"
                && !function.params.distinct
                && function.params.filter.is_none()
                && function.params.args.iter().all(|arg| matches!(arg, Expr::Literal(..)) || is_wildcard(arg))
        }
        _ => false,
    }
}

#[expect(deprecated, reason = "the planner still makes it of `count(*)` before its analyzer ran")]
fn is_wildcard(expr: &Expr) -> bool {
    matches!(expr, Expr::Wildcard { .. })
}
