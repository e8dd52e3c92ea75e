//! Which columns determine others. After a join DataFusion knows of a key of one side that it may stand in several rows, and takes
//! the groups over the join for determined by that key alone, so that other columns would be left out of `group by`, `distinct`
//! and `order by`. Before a rule that goes by it, groups over such an input are put right here: all their columns together
//! determine a row, and nothing less.

use std::sync::Arc;

use deltalake::datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use deltalake::datafusion::common::{Dependency, FunctionalDependence, FunctionalDependencies, Result};
use deltalake::datafusion::logical_expr::logical_plan::Aggregate;
use deltalake::datafusion::logical_expr::{Expr, LogicalPlan};
use deltalake::datafusion::optimizer::{ApplyOrder, Optimizer, OptimizerConfig, OptimizerRule};

/// The rules of DataFusion that ask what determines a row.
const ASKING: [&str; 4] = ["replace_distinct_aggregate", "eliminate_join", "eliminate_duplicated_expr", "optimize_projections"];

/// DataFusion's rules, of which those are asked about what is put right.
pub(super) fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let told = |rule: Arc<dyn OptimizerRule + Send + Sync>| -> Arc<dyn OptimizerRule + Send + Sync> {
        if ASKING.contains(&rule.name()) { Arc::new(Told(rule)) } else { rule }
    };
    Optimizer::new().rules.into_iter().map(told).collect()
}

#[derive(Debug)]
struct Told(Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for Told {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        // A rule that is given node by node asks at these.
        let asks = self.apply_order().is_none() || matches!(plan, LogicalPlan::Distinct(_) | LogicalPlan::Sort(_));
        self.0.rewrite(if asks { put_right(plan)? } else { plan }, config)
    }
}

fn put_right(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut is_wrong = false;
    plan.apply_with_subqueries(|node| {
        is_wrong |= matches!(node, LogicalPlan::Aggregate(aggregate) if is_misled(aggregate));
        Ok(if is_wrong { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    if !is_wrong {
        return Ok(plan);
    }
    // What stands above has taken it over.
    Ok(plan.transform_up_with_subqueries(|node| Ok(Transformed::no(mended(node.recompute_schema()?)?)))?.data)
}

/// Whether some key of its input may stand in several rows.
fn is_misled(aggregate: &Aggregate) -> bool {
    let known = aggregate.input.schema().functional_dependencies();
    known.iter().any(|dependency| dependency.mode == Dependency::Multi) && *aggregate.schema.functional_dependencies() != by_all_groups(aggregate)
}

fn mended(node: LogicalPlan) -> Result<LogicalPlan> {
    let LogicalPlan::Aggregate(mut aggregate) = node else { return Ok(node) };
    if is_misled(&aggregate) {
        let right = by_all_groups(&aggregate);
        aggregate.schema = Arc::new(aggregate.schema.as_ref().clone().with_functional_dependencies(right)?);
    }
    Ok(LogicalPlan::Aggregate(aggregate))
}

/// That the columns of a group determine the row; of several sets of groups, none do.
fn by_all_groups(aggregate: &Aggregate) -> FunctionalDependencies {
    let fields = aggregate.schema.fields();
    let groups = aggregate.group_expr.len();
    if groups == 0 || aggregate.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_))) {
        return FunctionalDependencies::empty();
    }
    let nullable = fields.iter().take(groups).any(|field| field.is_nullable());
    FunctionalDependencies::new(vec![FunctionalDependence::new((0..groups).collect(), (0..fields.len()).collect(), nullable)])
}
