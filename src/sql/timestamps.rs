//! Timestamps have microseconds, as in Delta: where DataFusion brings a date, a text or timestamps of several units
//! together it takes nanoseconds, which end in the year 2262 and fail on `9999-12-31`. Runs before its type coercion, so
//! that there is nothing left to bring together. What has no common type at all is an error here, not when rows come.

use std::sync::Arc;

use deltalake::arrow::compute::can_cast_types;
use deltalake::arrow::datatypes::{DataType, TimeUnit};
use deltalake::datafusion::common::config::ConfigOptions;
use deltalake::datafusion::common::tree_node::{Transformed, TreeNode as _};
use deltalake::datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use deltalake::datafusion::logical_expr::expr::{Case, InSubquery, ScalarFunction, WindowFunction};
use deltalake::datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable as _, LogicalPlan, LogicalPlanBuilder, Operator, Union, Values, WindowFunctionDefinition, cast,
};
use deltalake::datafusion::optimizer::AnalyzerRule;

use super::expressions;
use super::functions::coalesce::time_beside_text;
use super::functions::iso_time;
use super::type_name;

/// See the module.
#[derive(Debug)]
pub(super) struct Microseconds;

impl AnalyzerRule for Microseconds {
    fn name(&self) -> &'static str {
        "microseconds"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let mut changed = false;
        plan.transform_up_with_subqueries(|plan| {
            let done = node(plan)?;
            changed |= done.transformed;
            // What reads it may have other types now.
            if changed { done.data.recompute_schema().map(Transformed::yes) } else { Ok(done) }
        })
        .map(|done| done.data)
    }
}

fn node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let mut changed = false;
    let plan = match plan {
        LogicalPlan::Values(values) => return rows(values),
        LogicalPlan::Union(union) => return united(union),
        LogicalPlan::Join(mut join) => {
            for (left, right) in &mut join.on {
                let types = [left.get_type(join.left.schema())?, right.get_type(join.right.schema())?];
                if let Some(meant) = common(&types, true)? {
                    changed = true;
                    let [first, second] = types;
                    *left = brought(std::mem::take(left), &first, &meant);
                    *right = brought(std::mem::take(right), &second, &meant);
                }
            }
            LogicalPlan::Join(join)
        }
        other => other,
    };
    let done = expressions::changed(plan, may_concern, expression)?;
    changed |= done.transformed;
    Ok(Transformed::new_transformed(done.data, changed))
}

/// Whether an expression is of a kind that may have to do with times, before any type is asked for.
fn may_concern(expr: &Expr) -> bool {
    match expr {
        Expr::BinaryExpr(binary) => is_comparison(binary.op) || binary.op == Operator::Minus,
        Expr::Between(_) | Expr::InList(_) | Expr::Case(_) | Expr::InSubquery(_) | Expr::Cast(_) | Expr::TryCast(_) | Expr::WindowFunction(_) => true,
        Expr::ScalarFunction(call) => unites(call.func.name()) || gives_time(call.func.name()),
        _ => false,
    }
}

/// Whether something has to be done about an expression; most of a plan has nothing to do with times.
fn concerns(expr: &Expr, schema: &DFSchema) -> Result<bool> {
    let mixed = |exprs: &mut dyn Iterator<Item = &Expr>, compared: bool| -> Result<bool> {
        let types = exprs.map(|expr| expr.get_type(schema)).collect::<Result<Vec<_>>>()?;
        Ok(!compared && time_beside_text(&types).is_some() || common(&types, compared)?.is_some())
    };
    Ok(match expr {
        Expr::BinaryExpr(binary) if is_comparison(binary.op) => mixed(&mut [binary.left.as_ref(), &binary.right].into_iter(), true)?,
        Expr::BinaryExpr(binary) if binary.op == Operator::Minus => {
            let types = [binary.right.get_type(schema)?, binary.left.get_type(schema)?];
            types.iter().all(is_time) && common(&types, false)?.is_some()
        }
        Expr::Between(between) => mixed(&mut [between.expr.as_ref(), &between.low, &between.high].into_iter(), true)?,
        Expr::InList(list) => mixed(&mut std::iter::once(list.expr.as_ref()).chain(&list.list), true)?,
        Expr::Case(case) => {
            let whens = case.when_then_expr.iter().map(|(when, _)| when.as_ref());
            let thens = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
            let compared = match &case.expr {
                Some(subject) => mixed(&mut std::iter::once(subject.as_ref()).chain(whens), true)?,
                None => false,
            };
            compared | mixed(&mut thens.chain(case.else_expr.as_deref()), false)?
        }
        Expr::ScalarFunction(call) if unites(call.func.name()) => mixed(&mut call.args.iter().skip(usize::from(call.func.name() == "nvl2")), false)?,
        Expr::InSubquery(_) | Expr::Cast(_) | Expr::TryCast(_) => true,
        Expr::ScalarFunction(call) => gives_time(call.func.name()),
        Expr::WindowFunction(window) => {
            window.params.args.len() == 3
                && matches!(&window.fun, WindowFunctionDefinition::WindowUDF(function) if matches!(function.name(), "lag" | "lead"))
        }
        _ => false,
    })
}

fn expression(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    if !concerns(&expr, schema)? {
        return Ok(Transformed::no(expr));
    }
    Ok(Transformed::yes(match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_comparison(op) || op == Operator::Minus => {
            let [left, right] = sides(*left, *right, op, schema)?;
            Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
        }
        Expr::Between(mut between) => {
            let mut all = together(vec![*between.expr, *between.low, *between.high], schema, true)?.into_iter();
            let mut next = || Box::new(all.next().unwrap_or_default());
            (between.expr, between.low, between.high) = (next(), next(), next());
            Expr::Between(between)
        }
        Expr::InList(mut list) => {
            let mut all = together(std::iter::once(*list.expr).chain(list.list).collect(), schema, true)?.into_iter();
            list.expr = Box::new(all.next().unwrap_or_default());
            list.list = all.collect();
            Expr::InList(list)
        }
        Expr::InSubquery(found) => Expr::InSubquery(in_subquery(found, schema)?),
        Expr::Case(found) => Expr::Case(branches(found, schema)?),
        Expr::ScalarFunction(ScalarFunction { func, mut args }) if unites(func.name()) => {
            let joined = together(args.split_off(usize::from(func.name() == "nvl2").min(args.len())), schema, false)?;
            args.extend(joined);
            Expr::ScalarFunction(ScalarFunction { func, args })
        }
        Expr::ScalarFunction(call) => return Ok(in_microseconds(call, schema)),
        Expr::WindowFunction(mut window) => {
            beside(&mut window, schema)?;
            Expr::WindowFunction(window)
        }
        Expr::Cast(mut found) => {
            let from = found.expr.get_type(schema)?;
            castable(&from, found.field.data_type())?;
            match found.field.data_type() {
                // Only the planner asks for nanoseconds.
                DataType::Timestamp(TimeUnit::Nanosecond, zone) if is_time(&from) => {
                    cast(*std::mem::take(&mut found.expr), DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))
                }
                meant => {
                    let value = from_seconds(std::mem::take(&mut *found.expr), &from, meant);
                    *found.expr = readable(value, &from, &meant.clone());
                    Expr::Cast(found)
                }
            }
        }
        Expr::TryCast(mut found) => {
            let from = found.expr.get_type(schema)?;
            castable(&from, found.field.data_type())?;
            let value = from_seconds(std::mem::take(&mut *found.expr), &from, found.field.data_type());
            *found.expr = readable(value, &from, &found.field.data_type().clone());
            Expr::TryCast(found)
        }
        other => return Ok(Transformed::no(other)),
    }))
}

/// A number that is cast to a time, or a time to a whole number, counts the seconds since 1970, as in Spark and Snowflake.
fn from_seconds(value: Expr, from: &DataType, to: &DataType) -> Expr {
    match to {
        DataType::Timestamp(TimeUnit::Microsecond, _) if from.is_integer() => cast(value, DataType::Timestamp(TimeUnit::Second, None)),
        DataType::Timestamp(TimeUnit::Microsecond, _) if from.is_numeric() => iso_time::of_seconds().call(vec![cast(value, DataType::Float64)]),
        // And back.
        whole if whole.is_integer() => match from {
            DataType::Timestamp(TimeUnit::Microsecond, zone) => cast(value, DataType::Timestamp(TimeUnit::Second, zone.clone())),
            _ => value,
        },
        _ => value,
    }
}

fn sides(left: Expr, right: Expr, op: Operator, schema: &DFSchema) -> Result<[Expr; 2]> {
    let types = [left.get_type(schema)?, right.get_type(schema)?];
    // A difference of two dates is left alone, and so is what is taken from a time.
    if op == Operator::Minus && !types.iter().all(is_time) {
        return Ok([left, right]);
    }
    let Some(meant) = common(&types, op != Operator::Minus)? else { return Ok([left, right]) };
    Ok([brought(left, &types[0], &meant), brought(right, &types[1], &meant)])
}

/// Expressions that are compared or become values of one column.
fn together(exprs: Vec<Expr>, schema: &DFSchema, compared: bool) -> Result<Vec<Expr>> {
    let mut types = exprs.iter().map(|expr| expr.get_type(schema)).collect::<Result<Vec<_>>>()?;
    let mut exprs = exprs;
    if let Some(time) = time_beside_text(&types).filter(|_| !compared) {
        for (expr, found) in exprs.iter_mut().zip(&mut types).filter(|(_, found)| found.is_string()) {
            *expr = brought(std::mem::take(expr), found, &time);
            found.clone_from(&time);
        }
    }
    let Some(meant) = common(&types, compared)? else { return Ok(exprs) };
    Ok(exprs.into_iter().zip(&types).map(|(expr, found)| brought(expr, found, &meant)).collect())
}

/// The timestamp that values of several types become; `None` where they can stay as they are.
fn common(types: &[DataType], compared: bool) -> Result<Option<DataType>> {
    let Some(time) = types.iter().find(|found| is_time(found)) else { return Ok(None) };
    if let Some(number) = types.iter().find(|found| found.is_numeric() || **found == DataType::Boolean) {
        let (first, second) =
            if types.iter().position(is_time) < types.iter().position(|found| found == number) { (time, number) } else { (number, time) };
        let (first, second) = (type_name(first), type_name(second));
        return if compared {
            plan_err!("{first} and {second} cannot be compared")
        } else {
            plan_err!("{first} and {second} have no type in common")
        };
    }
    let mut stamps = types.iter().filter_map(|found| if let DataType::Timestamp(unit, zone) = found { Some((unit, zone)) } else { None });
    let Some((unit, zone)) = stamps.next() else { return Ok(None) };
    let zone = stamps.clone().fold(zone.clone(), |known, (_, zone)| known.or_else(|| zone.clone()));
    let mixed = *unit != TimeUnit::Microsecond
        || stamps.any(|(other, _)| other != unit)
        || types.iter().any(|found| matches!(found, DataType::Date32 | DataType::Date64) || compared && found.is_string());
    Ok(mixed.then_some(DataType::Timestamp(TimeUnit::Microsecond, zone)))
}

fn brought(expr: Expr, from: &DataType, meant: &DataType) -> Expr {
    if from == meant || !is_time(from) && !from.is_string() { expr } else { cast(readable(expr, from, meant), meant.clone()) }
}

/// A text that is cast to a time, as the cast reads it.
fn readable(expr: Expr, from: &DataType, meant: &DataType) -> Expr {
    let function = match meant {
        DataType::Timestamp(..) if from.is_string() => iso_time::time(),
        DataType::Date32 if from.is_string() => iso_time::date(),
        _ => return expr,
    };
    if let Expr::Literal(ScalarValue::Utf8(Some(text)), metadata) = &expr {
        let written = if *meant == DataType::Date32 { iso_time::day(text) } else { iso_time::full(text) };
        return Expr::Literal(ScalarValue::Utf8(Some(written.unwrap_or_else(|| text.clone()))), metadata.clone());
    }
    if matches!(&expr, Expr::ScalarFunction(call) if call.func.name() == function.name()) { expr } else { function.call(vec![expr]) }
}

fn in_subquery(mut found: InSubquery, schema: &DFSchema) -> Result<InSubquery> {
    let inner = &found.subquery.subquery;
    let [field] = inner.schema().fields().as_ref() else { return Ok(found) };
    let types = [found.expr.get_type(schema)?, field.data_type().clone()];
    let Some(meant) = common(&types, true)? else { return Ok(found) };
    if types[1] != meant && is_time(&types[1]) {
        let plan = converted(inner, &[Some(meant.clone())])?;
        found.subquery.subquery = plan;
    }
    found.expr = Box::new(brought(*found.expr, &types[0], &meant));
    Ok(found)
}

fn branches(mut case: Case, schema: &DFSchema) -> Result<Case> {
    let (mut whens, thens): (Vec<Expr>, Vec<Expr>) = case.when_then_expr.into_iter().map(|(when, then)| (*when, *then)).unzip();
    if let Some(subject) = case.expr.take() {
        let mut all = together(std::iter::once(*subject).chain(whens).collect(), schema, true)?.into_iter();
        case.expr = all.next().map(Box::new);
        whens = all.collect();
    }
    let count = thens.len();
    let mut results = together(thens.into_iter().chain(case.else_expr.take().map(|last| *last)).collect(), schema, false)?;
    case.else_expr = if results.len() > count { results.pop().map(Box::new) } else { None };
    case.when_then_expr = whens.into_iter().zip(results).map(|(when, then)| (Box::new(when), Box::new(then))).collect();
    Ok(case)
}

/// What a row before or behind has, and what stands there where there is none.
fn beside(window: &mut WindowFunction, schema: &DFSchema) -> Result<()> {
    let WindowFunctionDefinition::WindowUDF(function) = &window.fun else { return Ok(()) };
    let args = &mut window.params.args;
    if !matches!(function.name(), "lag" | "lead") || args.len() != 3 {
        return Ok(());
    }
    let (Some(value), Some(offset), Some(last)) = (args.first().cloned(), args.get(1).cloned(), args.get(2).cloned()) else { return Ok(()) };
    let mut both = together(vec![value, last], schema, false)?.into_iter();
    *args = both.next().into_iter().chain([offset]).chain(both).collect();
    Ok(())
}

/// A function that gives a time in another unit, with microseconds; a text is read as one at once.
fn in_microseconds(mut call: ScalarFunction, schema: &DFSchema) -> Transformed<Expr> {
    let reads_text =
        call.func.name() == "to_timestamp" && matches!(call.args.as_slice(), [text] if text.get_type(schema).is_ok_and(|found| found.is_string()));
    let found = Expr::ScalarFunction(call.clone()).get_type(schema);
    match found {
        Ok(DataType::Timestamp(unit, zone)) if unit != TimeUnit::Microsecond => {
            let meant = DataType::Timestamp(TimeUnit::Microsecond, zone);
            let value = if reads_text { readable(call.args.pop().unwrap_or_default(), &DataType::Utf8, &meant) } else { Expr::ScalarFunction(call) };
            Transformed::yes(cast(value, meant))
        }
        _ => Transformed::no(Expr::ScalarFunction(call)),
    }
}

/// A cast that no value of a type can pass.
fn castable(from: &DataType, to: &DataType) -> Result<()> {
    if from.is_nested() || to.is_nested() || can_cast_types(from, to) && !(*from == DataType::Boolean && is_time(to)) {
        return Ok(());
    }
    plan_err!("{} cannot be cast to {}", type_name(from), type_name(to))
}

/// Rows of `values`, whose casts were put there by the planner.
fn rows(values: Values) -> Result<Transformed<LogicalPlan>> {
    let nanoseconds: Vec<bool> =
        values.schema.fields().iter().map(|field| matches!(field.data_type(), DataType::Timestamp(TimeUnit::Nanosecond, _))).collect();
    let empty = DFSchema::empty();
    let cell = |expr: Expr, at: usize| -> Result<Expr> {
        let expr = expr.transform_up(|expr| expression(expr, &empty))?.data;
        if !nanoseconds.get(at).copied().unwrap_or_default() {
            return Ok(expr);
        }
        let DataType::Timestamp(_, zone) = values.schema.field(at).data_type() else { return Ok(expr) };
        let meant = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
        Ok(match expr {
            Expr::Literal(value, _) if value.is_null() => Expr::Literal(ScalarValue::try_from(&meant)?, None),
            other => {
                let from = other.get_type(&empty)?;
                brought(other, &from, &meant)
            }
        })
    };
    let rows = values
        .values
        .into_iter()
        .map(|row| row.into_iter().enumerate().map(|(at, expr)| cell(expr, at)).collect())
        .collect::<Result<Vec<Vec<_>>>>()?;
    if nanoseconds.contains(&true) {
        return LogicalPlanBuilder::values(rows)?.build().map(Transformed::yes);
    }
    Ok(Transformed::no(LogicalPlan::Values(Values { schema: values.schema, values: rows })))
}

fn united(union: Union) -> Result<Transformed<LogicalPlan>> {
    let columns = union.schema.fields().len();
    let mut wanted = vec![None; columns];
    for (at, meant) in wanted.iter_mut().enumerate() {
        let types: Vec<DataType> = union
            .inputs
            .iter()
            .filter(|input| input.schema().fields().len() == columns)
            .map(|input| input.schema().field(at).data_type().clone())
            .collect();
        *meant = common(&types, false)?;
    }
    let stale = union.inputs.first().is_some_and(|first| {
        first
            .schema()
            .fields()
            .iter()
            .zip(union.schema.fields())
            .any(|(now, before)| is_time(before.data_type()) && now.data_type() != before.data_type())
    });
    if wanted.iter().all(Option::is_none) && !stale {
        return Ok(Transformed::no(LogicalPlan::Union(union)));
    }
    let inputs = union.inputs.iter().map(|input| converted(input, &wanted)).collect::<Result<Vec<_>>>()?;
    Union::try_new(inputs).map(LogicalPlan::Union).map(Transformed::yes)
}

/// A plan whose columns have the wanted types, under their names.
fn converted(plan: &Arc<LogicalPlan>, wanted: &[Option<DataType>]) -> Result<Arc<LogicalPlan>> {
    let types: Vec<DataType> = plan.schema().fields().iter().map(|field| field.data_type().clone()).collect();
    let exprs: Vec<Expr> = plan
        .schema()
        .columns()
        .into_iter()
        .zip(types)
        .zip(wanted)
        .map(|((column, from), meant)| match meant {
            Some(meant) if *meant != from => brought(Expr::Column(column.clone()), &from, meant).alias_qualified(column.relation, column.name),
            _ => Expr::Column(column),
        })
        .collect();
    LogicalPlanBuilder::from(plan.as_ref().clone()).project(exprs)?.build().map(Arc::new)
}

fn is_time(found: &DataType) -> bool {
    matches!(found, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..))
}

fn is_comparison(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

/// Functions whose arguments become values of one column.
fn unites(name: &str) -> bool {
    matches!(name, "coalesce" | "greatest" | "least" | "nullif" | "nvl" | "nvl2" | "make_array")
}

/// Functions that give a time in a unit of their own.
fn gives_time(name: &str) -> bool {
    const KNOWN: [&str; 12] = [
        "now",
        "to_timestamp",
        "to_timestamp_seconds",
        "to_timestamp_millis",
        "to_timestamp_nanos",
        "date_bin",
        "from_unixtime",
        "to_local_time",
        "from_utc_timestamp",
        "to_utc_timestamp",
        "current_timestamp",
        "make_timestamp",
    ];
    KNOWN.contains(&name)
}
