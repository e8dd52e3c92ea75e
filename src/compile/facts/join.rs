//! Joins: which side may be missing, and whether rows multiply.

use std::collections::BTreeSet;

use deltalake::datafusion::common::{JoinType, NullEquality};
use deltalake::datafusion::logical_expr::utils::split_conjunction;
use deltalake::datafusion::logical_expr::{Expr, Join, Operator};

use super::expr::Scope;
use super::plan::{Walk, missing_sides};
use super::{Column, Doubt, DoubtKind, Facts, FlowKind, Key, NullMaker, Nulls, bounded, told};

impl Walk<'_> {
    pub(super) fn join(&mut self, join: &Join, outer: Option<&Scope<'_>>) -> Facts {
        let left = self.plan(&join.left, outer);
        let right = self.plan(&join.right, outer);
        let width = left.columns.len();
        let both = side_by_side(&left, &right);
        let schema = join.left.schema().join(join.right.schema()).unwrap_or_else(|_| join.schema.as_ref().clone());
        let scope = Scope { facts: &both, schema: &schema, outer };
        let mut facts = Facts { columns: both.columns.clone(), rows: both.rows.clone(), conditions: both.conditions.clone(), ..Facts::default() };
        let mut pairs: Vec<(usize, usize)> = Vec::new();
        let mut never = BTreeSet::new();
        for (one, other) in &join.on {
            for side in [one, other] {
                let column = self.expr(side, &scope);
                facts.influence(column.leaves(), FlowKind::Join);
                facts.conditions.insert(bounded(format!("{} {}", join.join_type, column.text)));
            }
            pairs.extend(scope.position(one).zip(scope.position(other)));
        }
        if join.null_equality == NullEquality::NullEqualsNothing {
            never.extend(pairs.iter().flat_map(|(one, other)| [*one, *other]));
        }
        if let Some(filter) = &join.filter {
            let column = self.expr(filter, &scope);
            facts.influence(column.leaves(), FlowKind::Join);
            facts.conditions.insert(bounded(format!("{} {}", join.join_type, column.text)));
            pairs.extend(split_conjunction(filter).into_iter().filter_map(|part| equal(part, &scope)));
            never.extend(scope.never_null(filter));
        }
        narrow(&mut facts, join.join_type, width, &never);
        let pairs: Vec<(usize, usize)> = pairs
            .into_iter()
            .map(|(one, other)| (one.min(other), one.max(other)))
            .filter(|(one, other)| *one < width && *other >= width)
            .map(|(one, other)| (one, other - width))
            .collect();
        self.doubt(join, &left, &right, &pairs);
        for key in keys(join.join_type, &left, &right, &pairs) {
            facts.add_key(key);
        }
        match join.join_type {
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {}
            JoinType::LeftSemi | JoinType::LeftAnti => facts.columns.truncate(width),
            JoinType::RightSemi | JoinType::RightAnti => facts.columns = facts.columns.split_off(width),
            JoinType::LeftMark => {
                facts.columns.truncate(width);
                facts.columns.push(Column::unknown());
            }
            JoinType::RightMark => {
                facts.columns = facts.columns.split_off(width);
                facts.columns.push(Column::unknown());
            }
        }
        facts
    }

    /// Rows of both sides multiply where neither is unique on what it is joined by. Said only where keys of both sides
    /// are known, and none of them is among these columns.
    fn doubt(&mut self, join: &Join, left: &Facts, right: &Facts, pairs: &[(usize, usize)]) {
        if pairs.is_empty() || matches!(missing_kind(join.join_type), Kind::Half) {
            return;
        }
        let lefts: BTreeSet<usize> = pairs.iter().map(|(one, _)| *one).collect();
        let rights: BTreeSet<usize> = pairs.iter().map(|(_, other)| *other).collect();
        let many = |facts: &Facts, columns: &BTreeSet<usize>| !facts.keys.is_empty() && facts.key_within(columns).is_none();
        if !many(left, &lefts) || !many(right, &rights) {
            return;
        }
        let names = |plan: &deltalake::datafusion::logical_expr::LogicalPlan, columns: &BTreeSet<usize>| {
            columns.iter().map(|at| format!("`{}`", plan.schema().field(*at).name())).collect::<Vec<_>>().join(", ")
        };
        let kind = DoubtKind::FanOut { left: names(&join.left, &lefts), right: names(&join.right, &rights) };
        let place = join.filter.as_ref().or_else(|| join.on.first().map(|(one, _)| one));
        let range = place.and_then(|expr| self.range(expr));
        self.doubts.push(Doubt { kind, range });
    }
}

enum Kind {
    /// Rows of one side only come out.
    Half,
    Whole,
}

fn missing_kind(join: JoinType) -> Kind {
    match join {
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => Kind::Whole,
        JoinType::LeftSemi | JoinType::RightSemi | JoinType::LeftAnti | JoinType::RightAnti | JoinType::LeftMark | JoinType::RightMark => Kind::Half,
    }
}

fn side_by_side(left: &Facts, right: &Facts) -> Facts {
    let width = left.columns.len();
    let moved = right
        .columns
        .iter()
        .map(|column| Column { numbered: column.numbered.as_ref().map(|set| set.iter().map(|at| at + width).collect()), ..column.clone() });
    Facts {
        columns: left.columns.iter().cloned().chain(moved).collect(),
        rows: left.rows.union(&right.rows).copied().collect(),
        keys: Vec::new(),
        conditions: left.conditions.union(&right.conditions).cloned().collect(),
    }
}

/// The condition of an outer join says nothing of the side that stays.
fn narrow(facts: &mut Facts, kind: JoinType, width: usize, never: &BTreeSet<usize>) {
    let (left_missing, right_missing) = missing_sides(kind);
    for (at, column) in facts.columns.iter_mut().enumerate() {
        let (own, other) = if at < width { (left_missing, right_missing) } else { (right_missing, left_missing) };
        if own {
            column.nulls = Nulls::Made(NullMaker::OuterJoin);
            column.numbered = None;
        } else if !other && never.contains(&at) && !matches!(kind, JoinType::LeftAnti | JoinType::RightAnti) {
            column.nulls = Nulls::Never;
        }
    }
}

fn equal(part: &Expr, scope: &Scope<'_>) -> Option<(usize, usize)> {
    let Expr::BinaryExpr(binary) = part else { return None };
    (binary.op == Operator::Eq).then_some(())?;
    Some((scope.position(&binary.left)?, scope.position(&binary.right)?))
}

/// The keys that a join leaves: those of a side whose rows meet one row of the other at most, and pairs of keys.
fn keys(kind: JoinType, left: &Facts, right: &Facts, pairs: &[(usize, usize)]) -> Vec<Key> {
    let width = left.columns.len();
    let lefts: BTreeSet<usize> = pairs.iter().map(|(one, _)| *one).collect();
    let rights: BTreeSet<usize> = pairs.iter().map(|(_, other)| *other).collect();
    let moved = |key: &Key| Key { columns: key.columns.iter().map(|at| at + width).collect(), ..key.clone() };
    match kind {
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => return left.keys.clone(),
        JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => return right.keys.clone(),
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {}
    }
    let mut found = Vec::new();
    // A row of the left meets one row of the right at most.
    if let (Some(single), JoinType::Inner | JoinType::Left) = (right.key_within(&rights), kind) {
        found.extend(left.keys.iter().map(|key| kept(key.clone(), single)));
    }
    if let (Some(single), JoinType::Inner | JoinType::Right) = (left.key_within(&lefts), kind) {
        found.extend(right.keys.iter().map(|key| kept(moved(key), single)));
    }
    if let (Some(one), Some(other)) = (left.keys.first(), right.keys.first()) {
        let other = moved(other);
        found.push(Key {
            columns: one.columns.union(&other.columns).copied().collect(),
            because: told(format!("a join pairs rows: {}; {}", one.because, other.because)),
            assumed: one.assumed || other.assumed,
        });
    }
    found
}

fn kept(key: Key, single: &Key) -> Key {
    Key {
        because: told(format!("a join on a key of the other side ({}) keeps rows single; {}", single.because, key.because)),
        assumed: key.assumed || single.assumed,
        ..key
    }
}
