//! What a condition that holds says of the columns in it.

use std::collections::BTreeSet;

use deltalake::datafusion::common::{DFSchema, ScalarValue};
use deltalake::datafusion::logical_expr::utils::split_conjunction;
use deltalake::datafusion::logical_expr::{Expr, Operator};

use super::expr::Scope;
use super::plan::Walk;
use super::{Facts, FlowKind, Key, told};

impl Scope<'_> {
    /// The columns that can't be NULL where a condition is true.
    pub(super) fn never_null(&self, condition: &Expr) -> BTreeSet<usize> {
        match condition {
            Expr::BinaryExpr(binary) => match binary.op {
                Operator::And => self.never_null(&binary.left).union(&self.never_null(&binary.right)).copied().collect(),
                Operator::Or => self.never_null(&binary.left).intersection(&self.never_null(&binary.right)).copied().collect(),
                Operator::Eq | Operator::NotEq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => {
                    self.operands([binary.left.as_ref(), binary.right.as_ref()])
                }
                _ => BTreeSet::new(),
            },
            Expr::IsNotNull(inner) | Expr::IsTrue(inner) | Expr::IsFalse(inner) | Expr::IsNotUnknown(inner) => self.operands([inner.as_ref()]),
            Expr::Not(inner) => match inner.as_ref() {
                Expr::IsNull(inner) => self.operands([inner.as_ref()]),
                Expr::Like(like) | Expr::SimilarTo(like) => self.operands([like.expr.as_ref(), like.pattern.as_ref()]),
                Expr::Column(_) => self.operands([inner.as_ref()]),
                _ => BTreeSet::new(),
            },
            Expr::Like(like) | Expr::SimilarTo(like) => self.operands([like.expr.as_ref(), like.pattern.as_ref()]),
            // Outside of one bound is enough.
            Expr::Between(between) if between.negated => self.operands([between.expr.as_ref()]),
            Expr::Between(between) => self.operands([between.expr.as_ref(), between.low.as_ref(), between.high.as_ref()]),
            Expr::InList(list) => self.operands([list.expr.as_ref()]),
            Expr::InSubquery(inside) if !inside.negated => self.operands([inside.expr.as_ref()]),
            Expr::Column(_) => self.operands([condition]),
            _ => BTreeSet::new(),
        }
    }

    /// The columns that can't be NULL where a condition is not true.
    pub(super) fn never_null_if_not(&self, condition: &Expr) -> BTreeSet<usize> {
        match condition {
            Expr::IsNull(inner) => self.operands([inner.as_ref()]),
            Expr::BinaryExpr(binary) if binary.op == Operator::Or => {
                self.never_null_if_not(&binary.left).union(&self.never_null_if_not(&binary.right)).copied().collect()
            }
            _ => BTreeSet::new(),
        }
    }

    /// The expressions, other than columns, that can't be NULL where a condition is true.
    pub(super) fn held(condition: &Expr) -> Vec<Expr> {
        let mut found = Vec::new();
        for part in split_conjunction(condition) {
            let operands: Vec<&Expr> = match part {
                Expr::IsNotNull(inner) => vec![inner.as_ref()],
                Expr::Not(inner) => match inner.as_ref() {
                    Expr::IsNull(inner) => vec![inner.as_ref()],
                    _ => Vec::new(),
                },
                Expr::BinaryExpr(binary) => match binary.op {
                    Operator::Eq | Operator::NotEq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => {
                        vec![binary.left.as_ref(), binary.right.as_ref()]
                    }
                    _ => Vec::new(),
                },
                Expr::Like(like) => vec![like.expr.as_ref()],
                Expr::InList(list) => vec![list.expr.as_ref()],
                _ => Vec::new(),
            };
            found.extend(
                operands.into_iter().filter(|operand| !matches!(operand, Expr::Column(_) | Expr::Literal(..)) && !operand.is_volatile()).cloned(),
            );
        }
        found
    }

    /// The columns that operands are, through casts and functions that give NULL for NULL.
    fn operands<'e>(&self, operands: impl IntoIterator<Item = &'e Expr>) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        for operand in operands {
            match operand {
                Expr::Column(_) => found.extend(self.position(operand)),
                Expr::Cast(cast) => found.extend(self.operands([cast.expr.as_ref()])),
                Expr::Negative(inner) => found.extend(self.operands([inner.as_ref()])),
                Expr::BinaryExpr(binary) if matches!(binary.op, Operator::Plus | Operator::Minus | Operator::Multiply) => {
                    found.extend(self.operands([binary.left.as_ref(), binary.right.as_ref()]));
                }
                Expr::ScalarFunction(function) if matches!(function.name(), "lower" | "upper" | "trim" | "btrim" | "abs" | "date_trunc") => {
                    found.extend(self.operands(function.args.iter()));
                }
                _ => {}
            }
        }
        found
    }

    /// The column that a condition sets equal to one value.
    fn constant(&self, condition: &Expr) -> Option<(usize, ScalarValue)> {
        let Expr::BinaryExpr(binary) = condition else { return None };
        if binary.op != Operator::Eq {
            return None;
        }
        match (binary.left.as_ref(), binary.right.as_ref()) {
            (column, Expr::Literal(value, _)) | (Expr::Literal(value, _), column) if !value.is_null() => {
                Some((self.position(column)?, value.clone()))
            }
            _ => None,
        }
    }

    /// The column that a condition limits to 1, as in `row_number <= 1`.
    fn first(&self, condition: &Expr) -> Option<usize> {
        let Expr::BinaryExpr(binary) = condition else { return None };
        let Expr::Literal(value, _) = binary.right.as_ref() else {
            return self.constant(condition).filter(|(_, value)| is(value, 1)).map(|(at, _)| at);
        };
        let first = matches!(binary.op, Operator::Eq | Operator::LtEq) && is(value, 1) || binary.op == Operator::Lt && is(value, 2);
        first.then(|| self.position(&binary.left)).flatten()
    }
}

fn is(value: &ScalarValue, number: i64) -> bool {
    matches!(value, ScalarValue::Int64(Some(found)) if *found == number)
}

impl Walk<'_> {
    pub(super) fn filter(&mut self, input: Facts, predicate: &Expr, schema: &DFSchema, outer: Option<&Scope<'_>>) -> Facts {
        let mut facts = input.clone();
        let scope = Scope { facts: &input, schema, outer };
        let condition = self.expr(predicate, &scope);
        facts.influence(condition.leaves(), FlowKind::Filter);
        facts.conditions.insert(condition.text);
        facts.present(&scope.never_null(predicate));
        facts.held.extend(Scope::held(predicate));
        let parts = split_conjunction(predicate);
        let fixed: BTreeSet<usize> = parts.iter().filter_map(|part| scope.constant(part)).map(|(at, _)| at).collect();
        for key in &mut facts.keys {
            if !key.columns.is_disjoint(&fixed) {
                key.columns = key.columns.difference(&fixed).copied().collect();
                key.because = told(format!("a filter leaves one value of the others; {}", key.because));
            }
        }
        for at in parts.iter().filter_map(|part| scope.first(part)) {
            if let Some(columns) = input.columns.get(at).and_then(|column| column.numbered.clone()) {
                facts.keys.retain(|key| !columns.is_subset(&key.columns));
                facts.add_key(Key { columns, because: "`row_number() = 1` leaves one row of each partition".into(), assumed: false });
            }
        }
        facts
    }
}
