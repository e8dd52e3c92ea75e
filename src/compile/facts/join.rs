//! Joins: which side may be missing, and whether rows multiply.

use std::collections::BTreeSet;

use deltalake::arrow::datatypes::DataType;
use deltalake::datafusion::common::tree_node::TreeNode as _;
use deltalake::datafusion::common::{JoinType, NullEquality};
use deltalake::datafusion::logical_expr::utils::split_conjunction;
use deltalake::datafusion::logical_expr::{Expr, ExprSchemable as _, Join, LogicalPlan, Operator};

use super::expr::Scope;
use super::plan::{Walk, missing_sides};
use super::{Column, Doubt, DoubtKind, Facts, FlowKind, Key, Missing, NullMaker, Nulls, bounded, told};

impl Walk<'_> {
    pub(super) fn join(&mut self, join: &Join, outer: Option<&Scope<'_>>) -> Facts {
        self.join_by(join, join.filter.as_ref(), outer)
    }

    /// The join, with `filter` for the condition beside those that make two columns equal.
    pub(super) fn join_by(&mut self, join: &Join, filter: Option<&Expr>, outer: Option<&Scope<'_>>) -> Facts {
        let mut left = self.plan(&join.left, outer);
        let mut right = self.plan(&join.right, outer);
        for (facts, plan) in [(&mut left, &join.left), (&mut right, &join.right)] {
            if is_lateral(plan) {
                facts.keys.clear();
                facts.keys_if.clear();
            }
        }
        let width = left.columns.len();
        let both = side_by_side(&left, &right);
        let schema = join.left.schema().join(join.right.schema()).unwrap_or_else(|_| join.schema.as_ref().clone());
        let scope = Scope { facts: &both, schema: &schema, outer };
        let mut facts = Facts { columns: both.columns.clone(), rows: both.rows.clone(), conditions: both.conditions.clone(), ..Facts::default() };
        let mut by = By::default();
        let mut never = BTreeSet::new();
        for (one, other) in &join.on {
            for side in [one, other] {
                let column = self.expr(side, &scope);
                facts.influence(column.leaves(), FlowKind::Join);
                facts.conditions.insert(bounded(format!("{} {}", join.join_type, column.text)));
            }
            by.equal(one, other, &scope, width);
            if join.null_equality == NullEquality::NullEqualsNothing {
                never.extend([one, other].into_iter().filter_map(|side| scope.position(side)));
            }
        }
        if let Some(filter) = filter {
            let column = self.expr(filter, &scope);
            facts.influence(column.leaves(), FlowKind::Join);
            facts.conditions.insert(bounded(format!("{} {}", join.join_type, column.text)));
            for part in split_conjunction(filter) {
                if let Expr::BinaryExpr(binary) = part
                    && binary.op == Operator::Eq
                {
                    by.equal(&binary.left, &binary.right, &scope, width);
                }
            }
            never.extend(scope.never_null(filter));
        }
        // A number of a row stands for one row only while the row is met once.
        let (once_left, once_right) = (right.key_within(&by.rights).is_some(), left.key_within(&by.lefts).is_some());
        for (at, column) in facts.columns.iter_mut().enumerate() {
            if !(if at < width { once_left } else { once_right }) && !matches!(missing_kind(join.join_type), Kind::Half) {
                column.numbered = None;
            }
        }
        self.joins += 1;
        narrow(&mut facts, (join.join_type, self.joins), width, &never);
        let (of_left, of_right) = ((&left, &by.lefts), (&right, &by.rights));
        let many = [meets_many(of_right, of_left), meets_many(of_left, of_right)];
        for missing in facts.columns.iter_mut().filter_map(|column| column.missing.as_mut()).filter(|missing| missing.join == self.joins) {
            missing.many = many[usize::from(missing.is_right)];
        }
        // Rows of a side that must match have values where the condition asks for them.
        if matches!(join.join_type, JoinType::Inner | JoinType::Right) {
            left.present(&never.range(..width).copied().collect());
        }
        if matches!(join.join_type, JoinType::Inner | JoinType::Left) {
            right.present(&never.range(width..).map(|at| at - width).collect());
        }
        self.doubt(join, filter, (&left, &right), &by);
        facts.keys_if = keys_if(join.join_type, self.joins, (&left, &right), &by);
        for key in keys(join.join_type, &left, &right, &by) {
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
    fn doubt(&mut self, join: &Join, filter: Option<&Expr>, (left, right): (&Facts, &Facts), By { lefts, rights }: &By) {
        if lefts.is_empty() || rights.is_empty() || matches!(missing_kind(join.join_type), Kind::Half) {
            return;
        }
        let many = |facts: &Facts, columns: &BTreeSet<usize>| !facts.keys.is_empty() && facts.key_within(columns).is_none();
        if !many(left, lefts) || !many(right, rights) {
            return;
        }
        let names = |plan: &LogicalPlan, columns: &BTreeSet<usize>| {
            columns.iter().map(|at| format!("`{}`", plan.schema().field(*at).name())).collect::<Vec<_>>().join(", ")
        };
        let kind = DoubtKind::FanOut { left: names(&join.left, lefts), right: names(&join.right, rights) };
        let place = filter.or_else(|| join.on.first().map(|(one, _)| one));
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
        conditions: left.conditions.union(&right.conditions).cloned().collect(),
        ..Facts::default()
    }
}

/// The columns of each side, by their places in it, of which a row of the other side leaves one value.
#[derive(Default)]
struct By {
    lefts: BTreeSet<usize>,
    rights: BTreeSet<usize>,
}

impl By {
    /// Takes the condition `one = other`. A side of it may be an expression, as long as it is over one side of the join.
    fn equal(&mut self, one: &Expr, other: &Expr, scope: &Scope<'_>, width: usize) {
        for (column, value) in [(one, other), (other, one)] {
            let Some(at) = scope.position(column) else { continue };
            // Types that are brought together may make one value of several, and a subquery may look anywhere.
            let alike =
                column.get_type(scope.schema).ok().zip(value.get_type(scope.schema).ok()).is_some_and(|(one, other)| keeps_apart(&one, &other));
            if !alike || has_subquery(value) {
                continue;
            }
            let of_value: Option<Vec<usize>> = value.column_refs().into_iter().map(|column| scope.schema.maybe_index_of_column(column)).collect();
            let Some(of_value) = of_value.filter(|places| !places.is_empty() && !value.is_volatile()) else { continue };
            if at < width && of_value.iter().all(|place| *place >= width) {
                self.lefts.insert(at);
            } else if at >= width && of_value.iter().all(|place| *place < width) {
                self.rights.insert(at - width);
            }
        }
    }
}

/// Whether different values of the first type stay different where they are compared with the second.
fn keeps_apart(column: &DataType, value: &DataType) -> bool {
    let is_text = |found: &DataType| matches!(found, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    column == value || column.is_integer() && value.is_integer() || is_text(column) && is_text(value)
}

fn has_subquery(expr: &Expr) -> bool {
    expr.exists(|part| Ok(matches!(part, Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_)))).unwrap_or(true)
}

/// Whether a plan looks at the rows around it: what is known of it holds for each of those, and not for all together.
fn is_lateral(plan: &LogicalPlan) -> bool {
    !plan.all_out_ref_exprs().is_empty()
}

/// The condition of an outer join says nothing of the side that stays.
fn narrow(facts: &mut Facts, (kind, join): (JoinType, usize), width: usize, never: &BTreeSet<usize>) {
    let (left_missing, right_missing) = missing_sides(kind);
    let mut here = BTreeSet::new();
    for (at, column) in facts.columns.iter_mut().enumerate() {
        let is_right = at >= width;
        let (own, other) = if is_right { (right_missing, left_missing) } else { (left_missing, right_missing) };
        if own {
            let before = std::mem::replace(&mut column.nulls, Nulls::Made(NullMaker::OuterJoin));
            // A row that is there matched, unless rows of this side stay without a match too.
            let full = left_missing && right_missing;
            let before = if never.contains(&at) && !full { Nulls::Never } else { before };
            column.missing = Some(Missing { join, is_right, full, many: false, before });
            column.numbered = None;
        } else if !other && never.contains(&at) && !matches!(kind, JoinType::LeftAnti | JoinType::RightAnti) {
            here.insert(at);
        }
    }
    facts.present(&here);
}

/// Whether a row of one side meets any number of rows of the other, as far as it is known: its key is among what it is joined
/// by, and the other side's is not.
fn meets_many((one, one_by): (&Facts, &BTreeSet<usize>), (other, other_by): (&Facts, &BTreeSet<usize>)) -> bool {
    one.key_within(one_by).is_some() && !other.keys.is_empty() && other.key_within(other_by).is_none()
}

/// The keys that a join leaves: those of a side whose rows meet one row of the other at most, and pairs of keys.
fn keys(kind: JoinType, left: &Facts, right: &Facts, By { lefts, rights }: &By) -> Vec<Key> {
    let width = left.columns.len();
    let moved = |key: &Key| Key { columns: key.columns.iter().map(|at| at + width).collect(), ..key.clone() };
    match kind {
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => return left.keys.clone(),
        JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => return right.keys.clone(),
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {}
    }
    let mut found = Vec::new();
    // A row of the left meets one row of the right at most.
    if let (Some(single), JoinType::Inner | JoinType::Left) = (right.key_within(rights), kind) {
        found.extend(left.keys.iter().map(|key| kept(key.clone(), single)));
    }
    if let (Some(single), JoinType::Inner | JoinType::Right) = (left.key_within(lefts), kind) {
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

/// Keys of the side that may be missing, for the rows that have it: each of its rows meets one row of the other side at most.
fn keys_if(kind: JoinType, join: usize, (left, right): (&Facts, &Facts), By { lefts, rights }: &By) -> Vec<(usize, bool, Key)> {
    let width = left.columns.len();
    let moved = |key: &Key| Key { columns: key.columns.iter().map(|at| at + width).collect(), ..key.clone() };
    match kind {
        JoinType::Left => {
            left.key_within(lefts).map(|single| right.keys.iter().map(|key| (join, true, kept(moved(key), single))).collect()).unwrap_or_default()
        }
        JoinType::Right => {
            right.key_within(rights).map(|single| left.keys.iter().map(|key| (join, false, kept(key.clone(), single))).collect()).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

fn kept(key: Key, single: &Key) -> Key {
    Key {
        because: told(format!("a join on a key of the other side ({}) keeps rows single; {}", single.because, key.because)),
        assumed: key.assumed || single.assumed,
        ..key
    }
}
