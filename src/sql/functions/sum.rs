//! `sum` whose integers and decimals don't wrap: a total that its type does not hold is an error. Other types go to
//! DataFusion's own.

use std::collections::HashMap;
use std::sync::Arc;

use deltalake::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, UInt64Array};
use deltalake::arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Int64Type, UInt64Type};
use deltalake::datafusion::common::{DataFusionError, Result, ScalarValue, exec_datafusion_err};
use deltalake::datafusion::functions_aggregate::sum::Sum;
use deltalake::datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use deltalake::datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use deltalake::datafusion::logical_expr::{Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, SetMonotonicity, Signature};

/// Totals are kept in 128 bits, which no number of integers can overflow; the bound is looked at when a total is final.
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

/// What a checked sum is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Signed,
    Unsigned,
    Decimal { precision: u8, scale: i8 },
}

fn kind_of(result: &DataType) -> Option<Kind> {
    match result {
        DataType::Int64 => Some(Kind::Signed),
        DataType::UInt64 => Some(Kind::Unsigned),
        DataType::Decimal128(precision, scale) => Some(Kind::Decimal { precision: *precision, scale: *scale }),
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
        match kind_of(args.return_type()) {
            Some(kind) if args.is_distinct => Ok(Box::new(Distinct { kind, counts: HashMap::new() })),
            Some(kind) => Ok(Box::new(Total { kind, so_far: 0, rows: 0 })),
            None => self.inner.accumulator(args),
        }
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if kind_of(args.return_type()).is_some() { self.accumulator(args) } else { self.inner.create_sliding_accumulator(args) }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        match kind_of(args.return_type()) {
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
        match kind_of(args.return_type()) {
            Some(kind) => Ok(Box::new(Groups { kind, totals: Vec::new(), seen: Vec::new() })),
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

fn out_of_range(total: i128, kind: Kind) -> DataFusionError {
    match kind {
        Kind::Signed => exec_datafusion_err!("integer overflow: the sum `{total}` is out of range for BIGINT"),
        Kind::Unsigned => exec_datafusion_err!("integer overflow: the sum `{total}` is out of range for UBIGINT"),
        Kind::Decimal { precision, scale } => exec_datafusion_err!("decimal overflow: a sum is out of range for DECIMAL({precision},{scale})"),
    }
}

fn scalar(total: Option<i128>, kind: Kind) -> Result<ScalarValue> {
    let wrong = |total| move |_| out_of_range(total, kind);
    Ok(match kind {
        Kind::Signed => ScalarValue::Int64(total.map(|total| i64::try_from(total).map_err(wrong(total))).transpose()?),
        Kind::Unsigned => ScalarValue::UInt64(total.map(|total| u64::try_from(total).map_err(wrong(total))).transpose()?),
        Kind::Decimal { precision, scale } => ScalarValue::Decimal128(
            total.map(|total| fitting(total, precision).ok_or_else(|| out_of_range(total, kind))).transpose()?,
            precision,
            scale,
        ),
    })
}

/// A number that has no more digits than its type.
fn fitting(total: i128, precision: u8) -> Option<i128> {
    (total.unsigned_abs() < 10_u128.pow(u32::from(precision))).then_some(total)
}

/// The sum of two totals; only decimals of many digits can leave 128 bits.
fn added(left: i128, right: i128, kind: Kind) -> Result<i128> {
    left.checked_add(right).ok_or_else(|| out_of_range(left, kind))
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
    kind: Kind,
    so_far: i128,
    /// How many values are in it; a sum of none is NULL.
    rows: u64,
}

impl Accumulator for Total {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        for value in values(&columns[0]).flatten() {
            self.so_far = added(self.so_far, value, self.kind)?;
            self.rows += 1;
        }
        Ok(())
    }

    fn retract_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        for value in values(&columns[0]).flatten() {
            self.so_far = added(self.so_far, -value, self.kind)?;
            self.rows -= 1;
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        scalar((self.rows > 0).then_some(self.so_far), self.kind)
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
    kind: Kind,
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
        let total = self.counts.keys().try_fold(0, |total, value| added(total, *value, self.kind))?;
        scalar((!self.counts.is_empty()).then_some(total), self.kind)
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
    kind: Kind,
    totals: Vec<i128>,
    seen: Vec<bool>,
}

impl Groups {
    fn add(&mut self, group: usize, value: i128) -> Result<()> {
        self.totals[group] = added(self.totals[group], value, self.kind)?;
        self.seen[group] = true;
        Ok(())
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
                self.add(*group, i128::from(*value))?;
            }
            return Ok(());
        }
        for (row, (group, value)) in groups.iter().zip(values(&columns[0])).enumerate() {
            let kept = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if let (true, Some(value)) = (kept, value) {
                self.add(*group, value)?;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let kind = self.kind;
        let wrong = |total| move |_| out_of_range(total, kind);
        let totals = self.take(emit_to);
        Ok(match kind {
            Kind::Signed => Arc::new(
                totals.map(|total| total.map(|total| i64::try_from(total).map_err(wrong(total))).transpose()).collect::<Result<Int64Array>>()?,
            ),
            Kind::Unsigned => Arc::new(
                totals.map(|total| total.map(|total| u64::try_from(total).map_err(wrong(total))).transpose()).collect::<Result<UInt64Array>>()?,
            ),
            Kind::Decimal { precision, scale } => {
                let checked = |total: i128| fitting(total, precision).ok_or_else(|| out_of_range(total, kind));
                let sums = totals.map(|total| total.map(checked).transpose()).collect::<Result<Decimal128Array>>()?;
                Arc::new(sums.with_data_type(DataType::Decimal128(precision, scale)))
            }
        })
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
