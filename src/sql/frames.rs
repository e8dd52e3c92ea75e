//! Windows over what has an order but no distances, such as bytes: their frame begins and ends with all rows that are equal in the
//! order, which is a frame of groups. DataFusion asks for distances in every frame of a range. Runs before its type coercion.

use deltalake::arrow::datatypes::DataType;
use deltalake::datafusion::common::config::ConfigOptions;
use deltalake::datafusion::common::tree_node::Transformed;
use deltalake::datafusion::common::{DFSchema, Result};
use deltalake::datafusion::logical_expr::{Expr, ExprSchemable as _, LogicalPlan, WindowFrame, WindowFrameBound, WindowFrameUnits};
use deltalake::datafusion::optimizer::AnalyzerRule;

use super::expressions;

/// See the module.
#[derive(Debug)]
pub(super) struct Frames;

impl AnalyzerRule for Frames {
    fn name(&self) -> &'static str {
        "frames"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| expressions::changed(plan, has_range, expression)).map(|done| done.data)
    }
}

fn has_range(expr: &Expr) -> bool {
    matches!(expr, Expr::WindowFunction(window) if window.params.window_frame.units == WindowFrameUnits::Range)
}

fn expression(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::WindowFunction(mut window) = expr else { return Ok(Transformed::no(expr)) };
    let frame = &window.params.window_frame;
    let Some(first) = window.params.order_by.first() else { return Ok(Transformed::no(Expr::WindowFunction(window))) };
    let by_groups = frame.units == WindowFrameUnits::Range
        && is_whole(&frame.start_bound)
        && is_whole(&frame.end_bound)
        && !has_distances(&first.expr.get_type(schema)?);
    if !by_groups {
        return Ok(Transformed::no(Expr::WindowFunction(window)));
    }
    window.params.window_frame = WindowFrame::new_bounds(WindowFrameUnits::Groups, frame.start_bound.clone(), frame.end_bound.clone());
    Ok(Transformed::yes(Expr::WindowFunction(window)))
}

/// A bound without a distance.
fn is_whole(bound: &WindowFrameBound) -> bool {
    match bound {
        WindowFrameBound::CurrentRow => true,
        WindowFrameBound::Preceding(distance) | WindowFrameBound::Following(distance) => distance.is_null(),
    }
}

/// Whether DataFusion takes a range over values of a type.
fn has_distances(found: &DataType) -> bool {
    match found {
        DataType::Dictionary(_, values) => has_distances(values),
        DataType::Interval(_) | DataType::Duration(_) => false,
        DataType::Boolean | DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => true,
        other => other.is_numeric() || other.is_string() || other.is_null() || other.is_temporal(),
    }
}
