//! Going through the expressions of a plan, one node at a time.

use deltalake::datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use deltalake::datafusion::common::{DFSchema, Result};
use deltalake::datafusion::logical_expr::expr_rewriter::NamePreserver;
use deltalake::datafusion::logical_expr::utils::merge_schema;
use deltalake::datafusion::logical_expr::{Expr, GroupingSet, LogicalPlan};

/// Whether any expression of a node, or any part of one, is such a one.
pub(super) fn holds(plan: &LogicalPlan, wanted: fn(&Expr) -> bool) -> Result<bool> {
    let mut found = false;
    plan.apply_expressions(|expr| {
        found = expr.exists(|part| Ok(wanted(part)))?;
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// A node with its expressions changed, from their leaves up, where there is a wanted one among them; columns keep their
/// names. `change` is given the columns that the node reads.
pub(super) fn changed(
    plan: LogicalPlan,
    wanted: fn(&Expr) -> bool,
    change: impl Fn(Expr, &DFSchema) -> Result<Transformed<Expr>>,
) -> Result<Transformed<LogicalPlan>> {
    if !holds(&plan, wanted)? {
        return Ok(Transformed::no(plan));
    }
    let mut schema = merge_schema(&plan.inputs());
    if let LogicalPlan::TableScan(scan) = &plan {
        schema.merge(&DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?);
    }
    let names = NamePreserver::new(&plan);
    let one = |expr: Expr| {
        let name = names.save(&expr);
        let done = expr.transform_up(|expr| change(expr, &schema))?;
        Ok(done.update_data(|expr| name.restore(expr)))
    };
    plan.map_expressions(|expr| match expr {
        // It has no name of its own: its parts are columns.
        Expr::GroupingSet(set) => {
            let all = |exprs: Vec<Expr>| exprs.into_iter().map(|expr| one(expr).map(|done| done.data)).collect::<Result<Vec<Expr>>>();
            let set = match set {
                GroupingSet::Rollup(exprs) => GroupingSet::Rollup(all(exprs)?),
                GroupingSet::Cube(exprs) => GroupingSet::Cube(all(exprs)?),
                GroupingSet::GroupingSets(sets) => GroupingSet::GroupingSets(sets.into_iter().map(all).collect::<Result<_>>()?),
            };
            Ok(Transformed::yes(Expr::GroupingSet(set)))
        }
        other => one(other),
    })
}
