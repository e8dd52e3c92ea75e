//! The walk over a plan, from its tables upwards.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use deltalake::datafusion::common::{DFSchema, JoinType, ScalarValue, TableReference};
use deltalake::datafusion::logical_expr::{Distinct, Expr, LogicalPlan, RecursiveQuery, Unnest, Values};

use super::expr::Scope;
use super::relation::LeafFacts;
use super::{Column, ColumnFacts, ColumnInput, Doubt, Facts, FlowKind, Key, LeafColumn, NodeFacts, NullMaker, Nulls, UniqueKey, bounded};
use crate::base::SourceFile;
use crate::manifest::NodeId;

/// A table that the query reads.
pub(in crate::compile) struct Leaf<'a> {
    /// As the plan names it.
    pub name: TableReference,
    pub node: &'a NodeId,
    pub facts: LeafFacts,
}

/// What the walk knows beside the plan.
pub(super) struct Walk<'a> {
    leaves: Vec<Leaf<'a>>,
    /// CTEs that stand for ephemeral models.
    ephemeral: &'a BTreeMap<String, NodeId>,
    /// The columns of ephemeral models, once they are met: the model and its columns' names.
    met: Vec<(&'a NodeId, Vec<String>)>,
    text: SourceFile,
    pub(super) doubts: Vec<Doubt>,
    /// The joins so far.
    pub(super) joins: usize,
}

/// What a plan proves, and what is doubtful in it.
pub(in crate::compile) fn derive<'a>(
    plan: &LogicalPlan,
    sql: &str,
    leaves: Vec<Leaf<'a>>,
    ephemeral: &'a BTreeMap<String, NodeId>,
) -> (NodeFacts, Vec<Doubt>) {
    let mut walk = Walk { leaves, ephemeral, met: Vec::new(), text: SourceFile::new("", sql.into()), doubts: Vec::new(), joins: 0 };
    let facts = walk.plan(plan, None);
    let named = |inputs: &BTreeSet<(LeafColumn, FlowKind)>| {
        let mut found: Vec<ColumnInput> = inputs.iter().filter_map(|(leaf, kind)| walk.input(*leaf, *kind)).collect();
        found.sort();
        found
    };
    let schema = plan.schema();
    let columns = schema.fields().iter().zip(&facts.columns).map(|(field, column)| ColumnFacts {
        name: field.name().clone(),
        nulls: if field.is_nullable() { column.nulls.clone() } else { Nulls::Never },
        inputs: named(&column.inputs),
    });
    let keys = facts.keys.iter().map(|key| {
        let mut columns: Vec<String> = key.columns.iter().map(|at| schema.field(*at).name().clone()).collect();
        columns.sort();
        UniqueKey { columns, because: key.because.clone(), assumed: key.assumed }
    });
    let conditions: Vec<&str> = facts.conditions.iter().map(String::as_str).collect();
    let conditions = bounded(conditions.join(" and "));
    let found = NodeFacts {
        columns: columns.collect(),
        rows: named(&facts.rows),
        keys: keys.collect(),
        expressions: facts.columns.iter().map(|column| column.text.clone()).chain([conditions]).collect(),
    };
    (found, walk.doubts)
}

impl Walk<'_> {
    fn input(&self, (table, column): LeafColumn, kind: FlowKind) -> Option<ColumnInput> {
        let (node, name) = if let Some(leaf) = self.leaves.get(table) {
            (leaf.node, leaf.facts.columns.get(column)?.0.clone())
        } else {
            let (node, names) = self.met.get(table - self.leaves.len())?;
            (*node, names.get(column)?.clone())
        };
        Some(ColumnInput { node: node.clone(), column: name, kind })
    }

    /// The range of a place that the planner noted, by line and column.
    pub(super) fn range(&self, expr: &Expr) -> Option<Range<usize>> {
        let column =
            expr.column_refs().into_iter().filter_map(|column| column.spans().first()).min_by_key(|span| (span.start.line, span.start.column))?;
        let offset = |line: u64, column: u64| self.text.offset(u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX));
        Some(offset(column.start.line, column.start.column) as usize..offset(column.end.line, column.end.column) as usize)
    }

    pub(super) fn plan(&mut self, plan: &LogicalPlan, outer: Option<&Scope<'_>>) -> Facts {
        let mut facts = self.step(plan, outer);
        // Whatever a step forgets, positions stay those of its schema.
        facts.columns.resize_with(plan.schema().fields().len(), Column::unknown);
        facts
    }

    fn step(&mut self, plan: &LogicalPlan, outer: Option<&Scope<'_>>) -> Facts {
        match plan {
            LogicalPlan::TableScan(scan) => {
                let facts = self.scan(&scan.table_name, scan.source.schema().fields().len());
                match &scan.projection {
                    Some(kept) => project(&facts, kept.iter().map(|at| (facts.columns.get(*at).cloned().unwrap_or_else(Column::unknown), Some(*at)))),
                    None => facts,
                }
            }
            LogicalPlan::Projection(projection) => {
                let input = self.plan(&projection.input, outer);
                let scope = Scope { facts: &input, schema: projection.input.schema(), outer };
                let columns: Vec<(Column, Option<usize>)> =
                    projection.expr.iter().map(|expr| (self.expr(expr, &scope), scope.position(expr))).collect();
                project(&input, columns.into_iter())
            }
            LogicalPlan::Filter(filter) => {
                let input = match filter.input.as_ref() {
                    // `from a, b where a.x = b.x` joins by its condition.
                    LogicalPlan::Join(join) if join.join_type == JoinType::Inner && join.on.is_empty() && join.filter.is_none() => {
                        self.join_by(join, Some(&filter.predicate), outer)
                    }
                    other => self.plan(other, outer),
                };
                self.filter(input, &filter.predicate, filter.input.schema(), outer)
            }
            LogicalPlan::Window(window) => {
                let mut input = self.plan(&window.input, outer);
                let scope = Scope { facts: &input, schema: window.input.schema(), outer };
                let more: Vec<Column> = window.window_expr.iter().map(|expr| self.expr(expr, &scope)).collect();
                input.columns.extend(more);
                input
            }
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate, outer),
            LogicalPlan::Sort(sort) => {
                let mut input = self.plan(&sort.input, outer);
                let scope = Scope { facts: &input, schema: sort.input.schema(), outer };
                let sorted: Vec<LeafColumn> = sort.expr.iter().flat_map(|by| self.expr(&by.expr, &scope).leaves().collect::<Vec<_>>()).collect();
                input.influence(sorted, FlowKind::Sort);
                if sort.fetch == Some(1) {
                    input.add_key(one_row("there is one row at most"));
                }
                input
            }
            LogicalPlan::Join(join) => self.join(join, outer),
            LogicalPlan::Union(union) => {
                let inputs: Vec<Facts> = union.inputs.iter().map(|input| self.plan(input, outer)).collect();
                unite(inputs)
            }
            LogicalPlan::SubqueryAlias(alias) => {
                let facts = self.plan(&alias.input, outer);
                self.ephemeral(alias.alias.table(), facts, &alias.schema)
            }
            LogicalPlan::Subquery(subquery) => self.plan(&subquery.subquery, outer),
            LogicalPlan::Distinct(distinct) => self.distinct(distinct, outer),
            LogicalPlan::Limit(limit) => {
                let mut facts = self.plan(&limit.input, outer);
                let text = |part: Option<&Expr>| part.map_or_else(String::new, ToString::to_string);
                facts.conditions.insert(format!("limit {} offset {}", text(limit.fetch.as_deref()), text(limit.skip.as_deref())));
                if matches!(limit.fetch.as_deref(), Some(Expr::Literal(ScalarValue::Int64(Some(0 | 1)), _))) {
                    facts.add_key(one_row("`limit 1` leaves one row at most"));
                }
                facts
            }
            LogicalPlan::Values(values) => self.values(values, outer),
            LogicalPlan::EmptyRelation(_) => {
                let mut facts = Facts::default();
                facts.add_key(one_row("there is one row"));
                facts
            }
            LogicalPlan::Repartition(step) => self.plan(&step.input, outer),
            LogicalPlan::Unnest(unnest) => self.unnest(unnest, outer),
            LogicalPlan::RecursiveQuery(query) => self.recursive(query, outer),
            LogicalPlan::Statement(_)
            | LogicalPlan::Explain(_)
            | LogicalPlan::Analyze(_)
            | LogicalPlan::Extension(_)
            | LogicalPlan::Dml(_)
            | LogicalPlan::Ddl(_)
            | LogicalPlan::Copy(_)
            | LogicalPlan::DescribeTable(_) => Facts::default(),
        }
    }

    fn distinct(&mut self, distinct: &Distinct, outer: Option<&Scope<'_>>) -> Facts {
        match distinct {
            Distinct::All(input) => {
                let mut facts = self.plan(input, outer);
                let all = (0..facts.columns.len()).collect();
                facts.conditions.insert("distinct".into());
                facts.add_key(Key { columns: all, because: "`distinct` leaves each row once".into(), assumed: false });
                facts
            }
            Distinct::On(distinct) => {
                let input = self.plan(&distinct.input, outer);
                let scope = Scope { facts: &input, schema: distinct.input.schema(), outer };
                let columns: Vec<(Column, Option<usize>)> =
                    distinct.select_expr.iter().map(|expr| (self.expr(expr, &scope), scope.position(expr))).collect();
                let on: Option<BTreeSet<usize>> = distinct.on_expr.iter().map(|expr| scope.position(expr)).collect();
                let now = |at: &usize| columns.iter().position(|(_, from)| from.as_ref() == Some(at));
                let key = on.and_then(|on| on.iter().map(now).collect::<Option<BTreeSet<usize>>>());
                let mut facts = project(&input, columns.into_iter());
                let by: Vec<String> = distinct.on_expr.iter().map(|expr| self.expr(expr, &scope).text).collect();
                facts.conditions.insert(bounded(format!("distinct on {}", by.join(", "))));
                if let Some(columns) = key {
                    facts.add_key(Key { columns, because: "`distinct on` leaves one row of each".into(), assumed: false });
                }
                facts
            }
        }
    }

    fn values(&mut self, values: &Values, outer: Option<&Scope<'_>>) -> Facts {
        let (empty, schema) = (Facts::default(), DFSchema::empty());
        let scope = Scope { facts: &empty, schema: &schema, outer };
        let mut rows = Vec::with_capacity(values.values.len());
        for row in &values.values {
            rows.push(Facts { columns: row.iter().map(|expr| self.expr(expr, &scope)).collect(), ..Facts::default() });
        }
        unite(rows)
    }

    fn unnest(&mut self, unnest: &Unnest, outer: Option<&Scope<'_>>) -> Facts {
        let input = self.plan(&unnest.input, outer);
        let derived = |at: &usize| input.columns.get(*at).map_or_else(Column::unknown, |column| derived_from(column, "unnest"));
        let columns = unnest.dependency_indices.iter().map(derived).collect();
        Facts { columns, rows: input.rows.clone(), conditions: input.conditions.clone(), ..Facts::default() }
    }

    fn recursive(&mut self, query: &RecursiveQuery, outer: Option<&Scope<'_>>) -> Facts {
        let first = self.plan(&query.static_term, outer);
        let again = self.plan(&query.recursive_term, outer);
        let mut facts = unite(vec![first, again]);
        facts.columns = facts.columns.iter().map(|column| derived_from(column, "recursive")).collect();
        facts
    }

    /// A table, or what a table function or a recursive term gives, of which nothing is known.
    fn scan(&self, name: &TableReference, width: usize) -> Facts {
        let Some((table, leaf)) = self.leaves.iter().enumerate().find(|(_, leaf)| leaf.name == *name) else {
            let column = |at| Column { text: format!("{name}#{at}"), ..Column::unknown() };
            return Facts { columns: (0..width).map(column).collect(), ..Facts::default() };
        };
        let column = |(at, (name, nulls)): (usize, &(String, Nulls))| Column {
            nulls: nulls.clone(),
            inputs: BTreeSet::from([((table, at), FlowKind::Copied)]),
            numbered: None,
            text: format!("{}.{}", leaf.node, name.to_lowercase()),
            missing: None,
        };
        let columns: Vec<Column> = leaf.facts.columns.iter().enumerate().map(column).collect();
        let position = |name: &String| leaf.facts.columns.iter().position(|(known, _)| known.eq_ignore_ascii_case(name));
        let mut facts = Facts { columns, ..Facts::default() };
        facts.conditions.insert(format!("from {}", leaf.node));
        for key in &leaf.facts.keys {
            if let Some(columns) = key.columns.iter().map(position).collect() {
                facts.add_key(Key { columns, because: key.because.clone(), assumed: key.assumed });
            }
        }
        facts
    }

    /// The CTE of an ephemeral model is a node of its own: its columns are where lineage goes on.
    fn ephemeral(&mut self, alias: &str, mut facts: Facts, schema: &DFSchema) -> Facts {
        // The columns have other names now.
        facts.held.clear();
        let Some(node) = self.ephemeral.get(alias) else { return facts };
        let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let table = self.leaves.len() + self.met.iter().position(|(known, _)| *known == node).unwrap_or(self.met.len());
        if table == self.leaves.len() + self.met.len() {
            self.met.push((node, names.clone()));
        }
        for (at, column) in facts.columns.iter_mut().enumerate() {
            column.inputs = BTreeSet::from([((table, at), FlowKind::Copied)]);
            column.text = format!("{node}.{}", names.get(at).map_or("", String::as_str));
        }
        facts.rows.clear();
        facts.conditions = BTreeSet::from([format!("from {node}")]);
        facts
    }
}

fn one_row(because: &str) -> Key {
    Key { columns: BTreeSet::new(), because: because.to_owned(), assumed: false }
}

pub(super) fn derived_from(column: &Column, how: &str) -> Column {
    let inputs = column.inputs.iter().map(|(leaf, kind)| (*leaf, if *kind == FlowKind::Copied { FlowKind::Derived } else { *kind })).collect();
    Column { nulls: Nulls::Unknown, inputs, numbered: None, text: bounded(format!("{how}({})", column.text)), missing: None }
}

/// Columns over those of the input; each says which column of the input it is, if it is one.
pub(super) fn project(input: &Facts, columns: impl Iterator<Item = (Column, Option<usize>)>) -> Facts {
    let (columns, from): (Vec<Column>, Vec<Option<usize>>) = columns.unzip();
    let now = |at: &usize| from.iter().position(|from| from.as_ref() == Some(at));
    let moved = |set: &BTreeSet<usize>| set.iter().map(now).collect::<Option<BTreeSet<usize>>>();
    let mut facts = Facts { rows: input.rows.clone(), conditions: input.conditions.clone(), ..Facts::default() };
    facts.columns = columns
        .into_iter()
        .map(|mut column| {
            column.numbered = column.numbered.as_ref().and_then(&moved);
            column
        })
        .collect();
    for key in &input.keys {
        if let Some(columns) = moved(&key.columns) {
            facts.add_key(Key { columns, ..key.clone() });
        }
    }
    let kept = |(join, is_right, key): &(usize, bool, Key)| Some((*join, *is_right, Key { columns: moved(&key.columns)?, ..key.clone() }));
    facts.keys_if = input.keys_if.iter().filter_map(kept).collect();
    facts
}

/// The rows of several inputs, column by column.
fn unite(inputs: Vec<Facts>) -> Facts {
    let mut inputs = inputs.into_iter();
    let Some(mut facts) = inputs.next() else { return Facts::default() };
    facts.keys.clear();
    facts.keys_if.clear();
    facts.held.clear();
    for next in inputs {
        for (column, other) in facts.columns.iter_mut().zip(next.columns) {
            column.nulls = match (&column.nulls, other.nulls) {
                (Nulls::Never, Nulls::Never) => Nulls::Never,
                (Nulls::Made(NullMaker::Always), Nulls::Made(NullMaker::Always)) => Nulls::Made(NullMaker::Always),
                (Nulls::Made(NullMaker::Always), _) | (_, Nulls::Made(NullMaker::Always)) => Nulls::Made(NullMaker::Union),
                (Nulls::Made(maker), _) => Nulls::Made(*maker),
                (_, Nulls::Made(maker)) => Nulls::Made(maker),
                (Nulls::Never | Nulls::Unknown, Nulls::Never | Nulls::Unknown) => Nulls::Unknown,
            };
            column.inputs.extend(other.inputs);
            column.numbered = None;
            column.missing = None;
            column.text = bounded(format!("{} | {}", column.text, other.text));
        }
        facts.rows.extend(next.rows);
        facts.conditions.extend(next.conditions);
    }
    facts
}

/// The sides of a join that may be missing: left, right.
pub(super) fn missing_sides(join: JoinType) -> (bool, bool) {
    match join {
        JoinType::Left | JoinType::LeftMark => (false, true),
        JoinType::Right | JoinType::RightMark => (true, false),
        JoinType::Full => (true, true),
        JoinType::Inner | JoinType::LeftSemi | JoinType::RightSemi | JoinType::LeftAnti | JoinType::RightAnti => (false, false),
    }
}
