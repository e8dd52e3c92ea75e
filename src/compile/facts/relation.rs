//! What is known of a relation to those who read it: what its query proves, what its table enforces, what is declared.

use deltalake::arrow::datatypes::SchemaRef;

use super::{NodeFacts, Nulls, UniqueKey};
use crate::manifest::{ConstraintKind, Materialization, Node};

/// A table's columns and keys.
#[derive(Debug, Clone, Default)]
pub(in crate::compile) struct LeafFacts {
    pub columns: Vec<(String, Nulls)>,
    pub keys: Vec<UniqueKey>,
}

/// What a reader may take for granted. `query` is what the node's own query proved; `tested` are keys that tests of the
/// node look after.
pub(in crate::compile) fn leaf_facts(node: &Node, schema: &SchemaRef, query: Option<&NodeFacts>, tested: &[Vec<String>]) -> LeafFacts {
    // A table that keeps rows of earlier builds holds what earlier queries gave.
    let query = query.filter(|_| keeps_nothing(&node.config.materialization));
    let nulls = |name: &str, nullable: bool| {
        // A view keeps no rows, so nothing holds them to a constraint.
        let stored = matches!(node.config.materialization, Materialization::Table | Materialization::Refreshed(_) | Materialization::Incremental);
        let enforced = stored
            && node.config.contract_enforced
            && node.columns.get(name).is_some_and(|column| column.constraints.iter().any(|found| is_not_null(found.kind)));
        if !nullable || enforced {
            return Nulls::Never;
        }
        let proved = query.and_then(|facts| facts.columns.iter().find(|column| column.name == name));
        proved.map_or(Nulls::Unknown, |column| column.nulls.clone())
    };
    let columns = schema.fields().iter().map(|field| (field.name().clone(), nulls(field.name(), field.is_nullable()))).collect();
    // Its own proof stands with the node: told again by every reader, proofs would grow with the depth of the graph.
    let inherited = |key: &UniqueKey| {
        let columns: Vec<String> = key.columns.iter().map(|column| format!("`{column}`")).collect();
        let because = match columns.as_slice() {
            [] => format!("`{}` has one row", node.name),
            [column] => format!("{column} is unique in `{}`", node.name),
            _ => format!("{} together are unique in `{}`", columns.join(", "), node.name),
        };
        UniqueKey { because, ..key.clone() }
    };
    let mut keys: Vec<UniqueKey> = query.iter().flat_map(|facts| &facts.keys).map(inherited).collect();
    keys.extend(config_key(node));
    keys.extend(declared_keys(node));
    keys.extend(tested.iter().map(|columns| UniqueKey {
        columns: sorted(columns.clone()),
        because: format!("a test of `{}` says so", node.name),
        assumed: true,
    }));
    LeafFacts { columns, keys }
}

fn keeps_nothing(materialization: &Materialization) -> bool {
    match materialization {
        Materialization::View | Materialization::Table | Materialization::Refreshed(_) | Materialization::Ephemeral | Materialization::External => {
            true
        }
        Materialization::Incremental | Materialization::Snapshot | Materialization::Seed | Materialization::Test | Materialization::Custom(_) => {
            false
        }
    }
}

fn is_not_null(kind: ConstraintKind) -> bool {
    matches!(kind, ConstraintKind::NotNull | ConstraintKind::PrimaryKey)
}

fn sorted(mut columns: Vec<String>) -> Vec<String> {
    columns.sort();
    columns
}

/// The key that an incremental model merges by. Rows of the first build are not merged, so it is taken for granted only.
fn config_key(node: &Node) -> Option<UniqueKey> {
    let config = node.config.incremental.as_ref()?;
    let columns = sorted(config.unique_key.clone());
    (!columns.is_empty()).then(|| UniqueKey { columns, because: format!("`{}` merges by it", node.name), assumed: true })
}

fn declared_keys(node: &Node) -> Vec<UniqueKey> {
    let is_key = |kind: ConstraintKind| matches!(kind, ConstraintKind::Unique | ConstraintKind::PrimaryKey);
    let key =
        |columns: Vec<String>| UniqueKey { columns: sorted(columns), because: format!("a constraint of `{}` says so", node.name), assumed: true };
    let of_node = node.constraints.iter().filter(|found| is_key(found.kind) && !found.columns.is_empty()).map(|found| key(found.columns.clone()));
    let of_columns = node.columns.values().filter(|column| column.constraints.iter().any(|found| is_key(found.kind)));
    of_node.chain(of_columns.map(|column| key(vec![column.name.clone()]))).collect()
}
