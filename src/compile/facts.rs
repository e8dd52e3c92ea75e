//! What a logical plan proves beside its schema: where each column comes from, whether it can be NULL, and which columns
//! are unique together. Derived bottom up, in one pass, from the plan as it was written (before coercion and checks).
//!
//! Every claim holds for all rows that the tables may have. What is not known is said to be unknown, never guessed.

mod aggregate;
mod expr;
mod join;
mod narrow;
mod plan;
mod relation;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;

use deltalake::datafusion::logical_expr::Expr;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub(super) use plan::{Leaf, derive};
pub(super) use relation::{LeafFacts, leaf_facts};

use crate::manifest::NodeId;

/// How a column takes part in another, or in all rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FlowKind {
    /// The same values.
    Copied,
    /// Values reckoned from it.
    Derived,
    /// It decides which rows there are.
    Filter,
    /// Rows are joined by it.
    Join,
    /// Rows are grouped or partitioned by it.
    Group,
    /// Rows are ordered by it.
    Sort,
}

impl FlowKind {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Copied => "copied",
            Self::Derived => "derived",
            Self::Filter => "filter",
            Self::Join => "join",
            Self::Group => "group",
            Self::Sort => "sort",
        }
    }
}

/// A column of another node, and what it is here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ColumnInput {
    pub node: NodeId,
    pub column: String,
    pub kind: FlowKind,
}

/// Whether a column can be NULL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Nulls {
    Never,
    /// Nobody said.
    Unknown,
    /// Something in the query makes it so, even if no table has a NULL.
    Made(NullMaker),
}

/// What makes a NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NullMaker {
    /// It is the side of an outer join that may be missing.
    OuterJoin,
    /// A `case` without an `else`.
    CaseWithoutElse,
    /// A function that gives NULL for some values: `nullif`, `try_cast`, `lag`.
    Function,
    /// It is NULL and nothing else.
    Always,
    /// Some queries of a `union` have NULL there.
    Union,
}

impl NullMaker {
    #[must_use]
    pub fn because(self) -> &'static str {
        match self {
            Self::OuterJoin => "it comes from the side of an outer join that may have no row",
            Self::CaseWithoutElse => "its `case` has no `else`",
            Self::Function => "it comes from a function that gives NULL for some values",
            Self::Always => "it is always NULL",
            Self::Union => "a query of its `union` has NULL there",
        }
    }
}

/// Columns whose values no two rows share.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UniqueKey {
    /// Sorted; none for a result of one row at most.
    pub columns: Vec<String>,
    /// The steps that lead to it, the last one first.
    pub because: String,
    /// It rests on a test or a constraint that nothing enforces while writing.
    pub assumed: bool,
}

/// What is known of a column of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnFacts {
    pub name: String,
    pub nulls: Nulls,
    /// Sorted.
    pub inputs: Vec<ColumnInput>,
}

/// What is known of the query of a node beside its schema.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodeFacts {
    /// In the order of the query.
    pub columns: Vec<ColumnFacts>,
    /// What decides which rows there are, and their order; sorted.
    pub rows: Vec<ColumnInput>,
    pub keys: Vec<UniqueKey>,
    /// The same texts give the same values: changes of a column's expression show here.
    pub expressions: Vec<String>,
}

/// Something in the query that is right and yet likely not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Doubt {
    pub kind: DoubtKind,
    /// In the SQL that was planned.
    pub range: Option<Range<usize>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DoubtKind {
    /// Neither side of a join is unique on what it is joined by.
    FanOut { left: String, right: String },
    /// Rows are grouped by a column that an outer join makes NULL.
    GroupedByMissing { column: String },
    /// `count(*)` counts the row that an outer join makes up where nothing matches.
    CountsMissing,
    /// Integers are divided, and the result is one.
    IntegerDivision,
}

/// A column of a table that the query reads: the number of the table, and the column's.
type LeafColumn = (usize, usize);

/// A column while its plan is walked.
#[derive(Debug, Clone)]
struct Column {
    nulls: Nulls,
    inputs: BTreeSet<(LeafColumn, FlowKind)>,
    /// It is `row_number()` over these columns of the same plan.
    numbered: Option<BTreeSet<usize>>,
    /// What it is reckoned by, over the leaves.
    text: String,
    /// It is a column of a side of an outer join that may have no row.
    missing: Option<Missing>,
}

/// A side of an outer join that may have no row: all its columns are NULL then, or none is for that.
#[derive(Debug, Clone)]
struct Missing {
    /// The join, by a number of its own.
    join: usize,
    is_right: bool,
    /// Whether the other side may be missing too; never both in one row.
    full: bool,
    /// Whether it is known that a row of the other side meets any number of rows of this one, as one order has many lines;
    /// no longer once rows were grouped.
    many: bool,
    /// What the column was before.
    before: Nulls,
}

/// A key while its plan is walked: positions of columns.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    columns: BTreeSet<usize>,
    because: String,
    assumed: bool,
}

/// What is known of a step of the plan.
#[derive(Debug, Clone, Default)]
struct Facts {
    columns: Vec<Column>,
    rows: BTreeSet<(LeafColumn, FlowKind)>,
    keys: Vec<Key>,
    /// What decides the rows, as text, sorted.
    conditions: BTreeSet<String>,
    /// Keys of the rows in which a side of an outer join has a row: the join, whether it is its right side, the key.
    keys_if: Vec<(usize, bool, Key)>,
    /// Expressions over these columns, other than columns, that are not NULL in any row.
    held: Vec<Expr>,
}

/// More keys than this are of no use to anybody.
const MOST_KEYS: usize = 6;

impl Facts {
    /// Adds a key unless a smaller one says as much.
    fn add_key(&mut self, key: Key) {
        let implied = |known: &Key| known.columns.is_subset(&key.columns) && (!known.assumed || key.assumed);
        if self.keys.len() < MOST_KEYS && !self.keys.iter().any(implied) {
            self.keys.push(key);
        }
    }

    /// A key among these columns.
    fn key_within(&self, columns: &BTreeSet<usize>) -> Option<&Key> {
        self.keys.iter().filter(|key| key.columns.is_subset(columns)).min_by_key(|key| key.assumed)
    }

    /// Notes that columns are not NULL: the sides of outer joins that they belong to have a row.
    fn present(&mut self, never: &BTreeSet<usize>) {
        let column = |at: &usize| self.columns.get(*at).and_then(|column| column.missing.as_ref());
        let sides: Vec<(usize, bool)> = never.iter().filter_map(column).map(|missing| (missing.join, missing.is_right)).collect();
        for (join, is_right) in sides {
            self.has_row(join, is_right);
        }
        for at in never {
            if let Some(column) = self.columns.get_mut(*at) {
                column.nulls = Nulls::Never;
            }
        }
    }

    /// Notes that a side of an outer join has a row, as far as can be told.
    fn may_have_row(&mut self, join: usize, is_right: bool) {
        let of_side = |column: &&mut Column| column.missing.as_ref().is_some_and(|missing| missing.join == join && missing.is_right == is_right);
        for column in self.columns.iter_mut().filter(of_side) {
            column.nulls = Nulls::Unknown;
        }
    }

    /// Notes that a side of an outer join has a row.
    fn has_row(&mut self, join: usize, is_right: bool) {
        for column in &mut self.columns {
            if let Some(missing) = column.missing.take_if(|missing| missing.join == join && missing.is_right == is_right) {
                column.nulls = missing.before;
            }
        }
        for (_, _, key) in self.keys_if.extract_if(.., |(of, side, _)| *of == join && *side == is_right).collect::<Vec<_>>() {
            self.add_key(key);
        }
    }

    /// Takes the part of the rows that columns have in them.
    fn influence(&mut self, inputs: impl IntoIterator<Item = LeafColumn>, kind: FlowKind) {
        self.rows.extend(inputs.into_iter().map(|leaf| (leaf, kind)));
    }
}

/// Longer texts are kept as their hash: they are only compared.
const LONGEST_TEXT: usize = 200;

fn bounded(text: String) -> String {
    if text.len() <= LONGEST_TEXT {
        return text;
    }
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(16).fold(String::from("#"), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Letters of a proof that are printed: each join of a query tells those of both its sides.
const LONGEST_PROOF: usize = 300;

fn told(proof: String) -> String {
    match proof.char_indices().nth(LONGEST_PROOF) {
        Some((at, _)) => format!("{}...", proof.get(..at).unwrap_or_default()),
        None => proof,
    }
}

impl Column {
    fn unknown() -> Self {
        Self { nulls: Nulls::Unknown, inputs: BTreeSet::new(), numbered: None, text: String::new(), missing: None }
    }

    fn leaves(&self) -> impl Iterator<Item = LeafColumn> + '_ {
        self.inputs.iter().map(|(leaf, _)| *leaf)
    }
}
