//! `sum` whose integers don't wrap: a total that no bigint holds is an error. Other types go to DataFusion's own.

use std::collections::HashMap;
use std::sync::Arc;

use deltalake::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, UInt64Array};
use deltalake::arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Int64Type, UInt64Type};
use deltalake::datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use deltalake::datafusion::functions_aggregate::sum::Sum;
use deltalake::datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use deltalake::datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use deltalake::datafusion::logical_expr::{Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, SetMonotonicity, Signature};

/// Totals are kept in 128 bits, which no number of rows can overflow; the bound is looked at when a total is final.
const STATE: DataType = DataType::Decimal128(38, 0);

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct CheckedSum {
    inner: Sum,
}

impl CheckedSum {
    pub(super) fn new() -> Self {
        Self { inner: Sum::new() }
    }
}

/// Whether a sum is of integers, and then whether of unsigned ones.
fn unsigned(result: &DataType) -> Option<bool> {
    match result {
        DataType::Int64 => Some(false),
        DataType::UInt64 => Some(true),
        _ => None,
    }
}

impl AggregateUDFImpl for CheckedSum {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match unsigned(args.return_type()) {
            Some(unsigned) if args.is_distinct => Ok(Box::new(Distinct { unsigned, counts: HashMap::new() })),
            Some(unsigned) => Ok(Box::new(Total { unsigned, so_far: 0, rows: 0 })),
            None => self.inner.accumulator(args),
        }
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if unsigned(args.return_type()).is_some() { self.accumulator(args) } else { self.inner.create_sliding_accumulator(args) }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        match unsigned(args.return_type()) {
            Some(_) if args.is_distinct => {
                let item = Field::new_list_field(STATE, true);
                Ok(vec![Field::new_list(format_state_name(args.name, "sum distinct"), item, true).into()])
            }
            Some(_) => Ok(vec![Field::new(format_state_name(args.name, "sum"), STATE, true).into()]),
            None => self.inner.state_fields(args),
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        match unsigned(args.return_type()) {
            Some(unsigned) => Ok(Box::new(Groups { unsigned, totals: Vec::new(), seen: Vec::new() })),
            None => self.inner.create_groups_accumulator(args),
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.inner.set_monotonicity(data_type)
    }
}

fn out_of_range(total: i128, unsigned: bool) -> deltalake::datafusion::common::DataFusionError {
    let name = if unsigned { "UBIGINT" } else { "BIGINT" };
    exec_datafusion_err!("integer overflow: the sum `{total}` is out of range for {name}")
}

fn scalar(total: Option<i128>, unsigned: bool) -> Result<ScalarValue> {
    let Some(total) = total else { return Ok(if unsigned { ScalarValue::UInt64(None) } else { ScalarValue::Int64(None) }) };
    if unsigned {
        u64::try_from(total).map(|total| ScalarValue::UInt64(Some(total))).map_err(|_| out_of_range(total, unsigned))
    } else {
        i64::try_from(total).map(|total| ScalarValue::Int64(Some(total))).map_err(|_| out_of_range(total, unsigned))
    }
}

/// The values of a column of integers, or of the state of another accumulator.
fn values(column: &ArrayRef) -> Box<dyn Iterator<Item = Option<i128>> + '_> {
    match column.data_type() {
        DataType::Int64 => Box::new(column.as_primitive::<Int64Type>().iter().map(|value| value.map(i128::from))),
        DataType::UInt64 => Box::new(column.as_primitive::<UInt64Type>().iter().map(|value| value.map(i128::from))),
        _ => Box::new(column.as_primitive::<Decimal128Type>().iter()),
    }
}

/// A sum without groups; can be taken back row by row for a window that slides.
#[derive(Debug)]
struct Total {
    unsigned: bool,
    so_far: i128,
    /// How many values are in it; a sum of none is NULL.
    rows: u64,
}

impl Accumulator for Total {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        for value in values(&columns[0]).flatten() {
            self.so_far += value;
            self.rows += 1;
        }
        Ok(())
    }

    fn retract_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        for value in values(&columns[0]).flatten() {
            self.so_far -= value;
            self.rows -= 1;
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        scalar((self.rows > 0).then_some(self.so_far), self.unsigned)
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Decimal128((self.rows > 0).then_some(self.so_far), 38, 0)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }
}

/// `sum(distinct x)`: how often each value is there, so that it can be taken back too.
#[derive(Debug)]
struct Distinct {
    unsigned: bool,
    counts: HashMap<i128, u64>,
}

impl Accumulator for Distinct {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        for value in values(&columns[0]).flatten() {
            *self.counts.entry(value).or_default() += 1;
        }
        Ok(())
    }

    fn retract_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        for value in values(&columns[0]).flatten() {
            if let Some(count) = self.counts.get_mut(&value) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(&value);
                }
            }
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        scalar((!self.counts.is_empty()).then(|| self.counts.keys().sum()), self.unsigned)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.counts.capacity() * size_of::<(i128, u64)>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let known: Vec<ScalarValue> = self.counts.keys().map(|value| ScalarValue::Decimal128(Some(*value), 38, 0)).collect();
        Ok(vec![ScalarValue::List(ScalarValue::new_list(&known, &STATE, true))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for list in states[0].as_list::<i32>().iter().flatten() {
            self.update_batch(&[list])?;
        }
        Ok(())
    }
}

/// Sums of many groups at once.
#[derive(Debug)]
struct Groups {
    unsigned: bool,
    totals: Vec<i128>,
    seen: Vec<bool>,
}

impl Groups {
    fn add(&mut self, group: usize, value: i128) {
        self.totals[group] += value;
        self.seen[group] = true;
    }

    fn take(&mut self, emit_to: EmitTo) -> impl Iterator<Item = Option<i128>> {
        let (totals, seen) = (emit_to.take_needed(&mut self.totals), emit_to.take_needed(&mut self.seen));
        totals.into_iter().zip(seen).map(|(total, seen)| seen.then_some(total))
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(&mut self, columns: &[ArrayRef], groups: &[usize], filter: Option<&BooleanArray>, count: usize) -> Result<()> {
        self.totals.resize(count, 0);
        self.seen.resize(count, false);
        if let (DataType::Int64, None, 0) = (columns[0].data_type(), filter, columns[0].null_count()) {
            for (group, value) in groups.iter().zip(columns[0].as_primitive::<Int64Type>().values()) {
                self.add(*group, i128::from(*value));
            }
            return Ok(());
        }
        for (row, (group, value)) in groups.iter().zip(values(&columns[0])).enumerate() {
            let kept = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if let (true, Some(value)) = (kept, value) {
                self.add(*group, value);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let unsigned = self.unsigned;
        if unsigned {
            let totals =
                self.take(emit_to).map(|total| total.map(|total| u64::try_from(total).map_err(|_| out_of_range(total, unsigned))).transpose());
            return Ok(Arc::new(totals.collect::<Result<UInt64Array>>()?));
        }
        let totals = self.take(emit_to).map(|total| total.map(|total| i64::try_from(total).map_err(|_| out_of_range(total, unsigned))).transpose());
        Ok(Arc::new(totals.collect::<Result<Int64Array>>()?))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let totals: Decimal128Array = self.take(emit_to).collect();
        Ok(vec![Arc::new(totals.with_data_type(STATE))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], count: usize) -> Result<()> {
        self.update_batch(states, groups, None, count)
    }

    fn convert_to_state(&self, columns: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let kept = |row: usize| filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
        let states: Decimal128Array = values(&columns[0]).enumerate().map(|(row, value)| value.filter(|_| kept(row))).collect();
        Ok(vec![Arc::new(states.with_data_type(STATE))])
    }

    fn size(&self) -> usize {
        self.totals.capacity() * size_of::<i128>() + self.seen.capacity()
    }
}
