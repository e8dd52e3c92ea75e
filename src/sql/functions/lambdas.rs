//! Functions with lambdas that DataFusion lacks: `reduce` and `zip_with`, with Spark's meaning. What else takes a lambda of
//! two parameters is rewritten to them.

use std::sync::Arc;

use deltalake::arrow::array::{Array, ArrayRef, AsArray, ListArray, UInt32Array, new_empty_array};
use deltalake::arrow::buffer::{NullBuffer, OffsetBuffer};
use deltalake::arrow::compute::{interleave, take, take_arrays};
use deltalake::arrow::datatypes::{DataType, Field, FieldRef};
use deltalake::datafusion::common::{Result, exec_err, internal_err, plan_err};
use deltalake::datafusion::logical_expr::{
    ColumnarValue, HigherOrderFunctionArgs, HigherOrderReturnFieldArgs, HigherOrderSignature, HigherOrderUDF, HigherOrderUDFImpl, LambdaArgument,
    LambdaParametersProgress, ValueOrLambda, Volatility,
};

use crate::sql::type_name;

pub(super) fn functions() -> Vec<Arc<HigherOrderUDF>> {
    let signature = || HigherOrderSignature::user_defined(Volatility::Immutable);
    vec![
        Arc::new(HigherOrderUDF::new_from_impl(Reduce { signature: signature() })),
        Arc::new(HigherOrderUDF::new_from_impl(ZipWith { signature: signature() })),
    ]
}

/// `reduce(list, start, (sum, x) -> .., [sum -> ..])`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Reduce {
    signature: HigherOrderSignature,
}

impl HigherOrderUDFImpl for Reduce {
    fn name(&self) -> &'static str {
        "reduce"
    }

    fn signature(&self) -> &HigherOrderSignature {
        &self.signature
    }

    fn coerce_value_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [list, start] = types else { return plan_err!("`reduce` takes a list, a start and one or two lambdas") };
        Ok(vec![as_list(list)?, start.clone()])
    }

    fn lambda_parameters(&self, step: usize, fields: &[ValueOrLambda<FieldRef, Option<FieldRef>>]) -> Result<LambdaParametersProgress> {
        let (list, start, merge, last) = match fields {
            [ValueOrLambda::Value(list), ValueOrLambda::Value(start), ValueOrLambda::Lambda(merge)] => (list, start, merge, false),
            [ValueOrLambda::Value(list), ValueOrLambda::Value(start), ValueOrLambda::Lambda(merge), ValueOrLambda::Lambda(_)] => {
                (list, start, merge, true)
            }
            _ => return plan_err!("`reduce` takes a list, a start and one or two lambdas"),
        };
        let item = item_of(list.data_type())?;
        // What is merged has the type of the merge's result, which may be wider than the start's: found by trying.
        let known = merge.as_ref().map(|merged| merged.data_type().clone());
        let sum = Arc::new(Field::new("sum", known.clone().unwrap_or_else(|| start.data_type().clone()), true));
        let of_merge = vec![Arc::clone(&sum), item];
        if known.is_none() || step == 1 {
            return Ok(LambdaParametersProgress::Partial(if last { vec![Some(of_merge), None] } else { vec![Some(of_merge)] }));
        }
        Ok(LambdaParametersProgress::Complete(if last { vec![of_merge, vec![sum]] } else { vec![of_merge] }))
    }

    fn coerce_values_for_lambdas(&self, types: &[ValueOrLambda<DataType, DataType>]) -> Result<Option<Vec<DataType>>> {
        match types {
            [ValueOrLambda::Value(list), ValueOrLambda::Value(_), ValueOrLambda::Lambda(merged), ..] => Ok(Some(vec![list.clone(), merged.clone()])),
            _ => Ok(None),
        }
    }

    fn return_field_from_args(&self, args: HigherOrderReturnFieldArgs) -> Result<FieldRef> {
        let Some(ValueOrLambda::Lambda(result)) = args.arg_fields.last() else {
            return plan_err!("`reduce` takes a list, a start and one or two lambdas");
        };
        Ok(Arc::new(Field::new("", result.data_type().clone(), true)))
    }

    fn invoke_with_args(&self, args: HigherOrderFunctionArgs) -> Result<ColumnarValue> {
        let (list, start, merge, last) = match args.args.as_slice() {
            [ValueOrLambda::Value(list), ValueOrLambda::Value(start), ValueOrLambda::Lambda(merge)] => (list, start, merge, None),
            [ValueOrLambda::Value(list), ValueOrLambda::Value(start), ValueOrLambda::Lambda(merge), ValueOrLambda::Lambda(last)] => {
                (list, start, merge, Some(last))
            }
            _ => return internal_err!("arguments of reduce"),
        };
        let list = list.to_array(args.number_rows)?;
        let merged = merged(list.as_list::<i32>(), start.to_array(args.number_rows)?, merge)?;
        let Some(last) = last else { return Ok(ColumnarValue::Array(merged)) };
        let done = last.evaluate(&[&|| Ok(Arc::clone(&merged))], |columns| Ok(columns.to_vec()))?.into_array(args.number_rows)?;
        // The last lambda is not asked where the list is NULL.
        let kept: Vec<Option<u32>> = (0..list.len()).map(|row| list.is_valid(row).then(|| to_u32(row))).collect();
        Ok(ColumnarValue::Array(take(&done, &UInt32Array::from(kept), None)?))
    }
}

/// All lists at once, one place after the other.
fn merged(list: &ListArray, start: ArrayRef, merge: &LambdaArgument) -> Result<ArrayRef> {
    let length = |row: usize| if list.is_valid(row) { usize::try_from(list.value_length(row)).unwrap_or_default() } else { 0 };
    // For each row, which of the arrays holds its value so far, and where.
    let mut found: Vec<(usize, usize)> = (0..list.len()).map(|row| (0, row)).collect();
    let mut sums = vec![start];
    let mut rows: Vec<usize> = (0..list.len()).filter(|row| length(*row) > 0).collect();
    for place in 0.. {
        rows.retain(|row| length(*row) > place);
        let Some(before) = sums.last().filter(|_| !rows.is_empty()) else { break };
        let first = |row: usize| usize::try_from(list.value_offsets()[row]).unwrap_or_default();
        let items = take(list.values(), &UInt32Array::from_iter_values(rows.iter().map(|row| to_u32(first(*row) + place))), None)?;
        let so_far = take(before, &UInt32Array::from_iter_values(rows.iter().map(|row| to_u32(found[*row].1))), None)?;
        let captured = UInt32Array::from_iter_values(rows.iter().map(|row| to_u32(*row)));
        let next = merge
            .evaluate(&[&|| Ok(Arc::clone(&so_far)), &|| Ok(Arc::clone(&items))], |columns| Ok(take_arrays(columns, &captured, None)?))?
            .into_array(rows.len())?;
        sums.push(next);
        for (at, row) in rows.iter().enumerate() {
            found[*row] = (sums.len() - 1, at);
        }
    }
    let all: Vec<&dyn Array> = sums.iter().map(AsRef::as_ref).collect();
    let together = if found.is_empty() { new_empty_array(sums[0].data_type()) } else { interleave(&all, &found)? };
    let kept: Vec<Option<u32>> = (0..list.len()).map(|row| list.is_valid(row).then(|| to_u32(row))).collect();
    Ok(take(&together, &UInt32Array::from(kept), None)?)
}

/// `zip_with(list, other, (x, y) -> ..)`: the shorter list is filled up with NULLs.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ZipWith {
    signature: HigherOrderSignature,
}

impl HigherOrderUDFImpl for ZipWith {
    fn name(&self) -> &'static str {
        "zip_with"
    }

    fn signature(&self) -> &HigherOrderSignature {
        &self.signature
    }

    fn coerce_value_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [first, second] = types else { return plan_err!("`zip_with` takes two lists and a lambda") };
        Ok(vec![as_list(first)?, as_list(second)?])
    }

    fn lambda_parameters(&self, _step: usize, fields: &[ValueOrLambda<FieldRef, Option<FieldRef>>]) -> Result<LambdaParametersProgress> {
        let [ValueOrLambda::Value(first), ValueOrLambda::Value(second), ValueOrLambda::Lambda(_)] = fields else {
            return plan_err!("`zip_with` takes two lists and a lambda");
        };
        Ok(LambdaParametersProgress::Complete(vec![vec![item_of(first.data_type())?, item_of(second.data_type())?]]))
    }

    fn return_field_from_args(&self, args: HigherOrderReturnFieldArgs) -> Result<FieldRef> {
        let Some(ValueOrLambda::Lambda(item)) = args.arg_fields.last() else { return plan_err!("`zip_with` takes two lists and a lambda") };
        Ok(Arc::new(Field::new("", DataType::new_list(item.data_type().clone(), true), true)))
    }

    fn invoke_with_args(&self, args: HigherOrderFunctionArgs) -> Result<ColumnarValue> {
        let [ValueOrLambda::Value(first), ValueOrLambda::Value(second), ValueOrLambda::Lambda(lambda)] = args.args.as_slice() else {
            return internal_err!("arguments of zip_with");
        };
        let (first, second) = (first.to_array(args.number_rows)?, second.to_array(args.number_rows)?);
        let (first, second) = (first.as_list::<i32>(), second.as_list::<i32>());
        let (mut left, mut right, mut rows, mut lengths) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let valid: Vec<bool> = (0..args.number_rows).map(|row| first.is_valid(row) && second.is_valid(row)).collect();
        for (row, valid) in valid.iter().enumerate() {
            let length = if *valid { first.value_length(row).max(second.value_length(row)) } else { 0 };
            let at = |list: &ListArray, place: i32| {
                (place < list.value_length(row)).then(|| u32::try_from(list.value_offsets()[row] + place).unwrap_or(u32::MAX))
            };
            for place in 0..length {
                left.push(at(first, place));
                right.push(at(second, place));
                rows.push(to_u32(row));
            }
            lengths.push(usize::try_from(length).unwrap_or_default());
        }
        let DataType::List(item) = args.return_type() else { return exec_err!("expected a list") };
        let values = if rows.is_empty() {
            new_empty_array(item.data_type())
        } else {
            let left = take(first.values(), &UInt32Array::from(left), None)?;
            let right = take(second.values(), &UInt32Array::from(right), None)?;
            let rows = UInt32Array::from(rows);
            lambda
                .evaluate(&[&|| Ok(Arc::clone(&left)), &|| Ok(Arc::clone(&right))], |columns| Ok(take_arrays(columns, &rows, None)?))?
                .into_array(rows.len())?
        };
        let lists = ListArray::try_new(Arc::clone(item), OffsetBuffer::from_lengths(lengths), values, Some(NullBuffer::from(valid)))?;
        Ok(ColumnarValue::Array(Arc::new(lists)))
    }
}

fn as_list(found: &DataType) -> Result<DataType> {
    Ok(match found {
        DataType::List(_) => found.clone(),
        DataType::LargeList(item) | DataType::FixedSizeList(item, _) | DataType::ListView(item) | DataType::LargeListView(item) => {
            DataType::List(Arc::clone(item))
        }
        DataType::Null => DataType::new_list(DataType::Null, true),
        other => return plan_err!("expected a list, found {}", type_name(other)),
    })
}

/// An item, which may be NULL.
fn item_of(list: &DataType) -> Result<FieldRef> {
    match list {
        DataType::List(item) => Ok(Arc::new(item.as_ref().clone().with_nullable(true))),
        other => plan_err!("expected a list, found {}", type_name(other)),
    }
}

fn to_u32(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
