//! Texts in lists that a boolean is looked for in: `active in ('True', 'False')`. They are read as booleans, as engines do;
//! DataFusion knows no type that both would fit. Runs before type coercion.

use deltalake::arrow::datatypes::DataType;
use deltalake::datafusion::common::config::ConfigOptions;
use deltalake::datafusion::common::tree_node::Transformed;
use deltalake::datafusion::common::{DFSchema, Result};
use deltalake::datafusion::logical_expr::expr::InList;
use deltalake::datafusion::logical_expr::{Expr, ExprSchemable as _, LogicalPlan, cast};
use deltalake::datafusion::optimizer::AnalyzerRule;

use super::expressions;

/// See the module.
#[derive(Debug)]
pub(super) struct Truth;

impl AnalyzerRule for Truth {
    fn name(&self) -> &'static str {
        "truth"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| expressions::changed(plan, is_list, |expr, schema| Ok(read(expr, schema)))).map(|done| done.data)
    }
}

fn is_list(expr: &Expr) -> bool {
    matches!(expr, Expr::InList(_))
}

fn read(mut expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let mut changed = false;
    if let Expr::InList(InList { expr, list, .. }) = &mut expr {
        let sides = || std::iter::once(expr.as_ref()).chain(list.iter());
        if sides().any(|side| side.get_type(schema).is_ok_and(|data_type| data_type == DataType::Boolean)) {
            for side in std::iter::once(expr.as_mut()).chain(list.iter_mut()) {
                if side.get_type(schema).is_ok_and(|data_type| data_type.is_string()) {
                    *side = cast(std::mem::take(side), DataType::Boolean);
                    changed = true;
                }
            }
        }
    }
    Transformed::new_transformed(expr, changed)
}
