//! `mode`: the value that stands there most often; among several the least, so that the answer is always the same.

use std::collections::HashMap;

use deltalake::arrow::array::{Array, ArrayRef, AsArray};
use deltalake::arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use deltalake::datafusion::common::{Result, ScalarValue};
use deltalake::datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use deltalake::datafusion::logical_expr::utils::format_state_name;
use deltalake::datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Mode {
    signature: Signature,
}

impl Mode {
    pub(super) fn new() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for Mode {
    fn name(&self) -> &'static str {
        "mode"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments[0].clone())
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Counts { data_type: args.return_type().clone(), counts: HashMap::new() }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let list = |name: &str, item: DataType| Field::new_list(format_state_name(args.name, name), Field::new_list_field(item, true), true).into();
        Ok(vec![list("values", args.return_type().clone()), list("counts", DataType::Int64)])
    }
}

#[derive(Debug)]
struct Counts {
    data_type: DataType,
    counts: HashMap<ScalarValue, i64>,
}

impl Accumulator for Counts {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        for row in 0..columns[0].len() {
            if columns[0].is_valid(row) {
                *self.counts.entry(ScalarValue::try_from_array(&columns[0], row)?).or_default() += 1;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let most = self.counts.values().max();
        let least = self.counts.iter().filter(|(_, count)| Some(*count) == most).map(|(value, _)| value);
        match least.reduce(|left, right| if right.partial_cmp(left).is_some_and(std::cmp::Ordering::is_lt) { right } else { left }) {
            Some(value) => Ok(value.clone()),
            None => ScalarValue::try_from(&self.data_type),
        }
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.counts.keys().map(|value| value.size() + size_of::<i64>()).sum::<usize>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let (values, counts): (Vec<_>, Vec<_>) = self.counts.iter().map(|(value, count)| (value.clone(), ScalarValue::Int64(Some(*count)))).unzip();
        Ok(vec![
            ScalarValue::List(ScalarValue::new_list(&values, &self.data_type, true)),
            ScalarValue::List(ScalarValue::new_list(&counts, &DataType::Int64, true)),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let (values, counts) = (states[0].as_list::<i32>(), states[1].as_list::<i32>());
        for (values, counts) in values.iter().zip(counts.iter()) {
            let (Some(values), Some(counts)) = (values, counts) else { continue };
            for (row, count) in counts.as_primitive::<Int64Type>().values().iter().enumerate() {
                *self.counts.entry(ScalarValue::try_from_array(&values, row)?).or_default() += count;
            }
        }
        Ok(())
    }
}
