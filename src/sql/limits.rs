//! Limits over tables of which only the number of rows is read. The scan that counts them says that a limit may be pushed
//! into it, and then gives all rows; so over such a scan limits stay where they are.

use std::sync::Arc;

use deltalake::datafusion::common::Result;
use deltalake::datafusion::common::config::ConfigOptions;
use deltalake::datafusion::physical_optimizer::PhysicalOptimizerRule;
use deltalake::datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use deltalake::datafusion::physical_plan::ExecutionPlan;

/// The rule of DataFusion that pushes limits down, and the scan that must not have them.
const PUSHES: &str = "LimitPushdown";
const COUNTS: &str = "DeltaScanMetaExec";

/// DataFusion's rules, that one with our condition.
pub(super) fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let guarded = |rule: Arc<dyn PhysicalOptimizerRule + Send + Sync>| -> Arc<dyn PhysicalOptimizerRule + Send + Sync> {
        if rule.name() == PUSHES { Arc::new(UnlessCounted(rule)) } else { rule }
    };
    PhysicalOptimizer::new().rules.into_iter().map(guarded).collect()
}

#[derive(Debug)]
struct UnlessCounted(Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for UnlessCounted {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        if counts(&plan) { Ok(plan) } else { self.0.optimize(plan, config) }
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

fn counts(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.name() == COUNTS || plan.children().into_iter().any(counts)
}
