//! `date_trunc` of a date: in microseconds, as in Delta. DataFusion's gives nanoseconds, which end in the year 2262.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveDateTime, Timelike as _};
use deltalake::arrow::array::{AsArray as _, TimestampMicrosecondArray};
use deltalake::arrow::datatypes::{DataType, FieldRef, TimeUnit, TimestampMicrosecondType};
use deltalake::datafusion::common::{Result, ScalarValue, plan_err};
use deltalake::datafusion::functions::datetime;
use deltalake::datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let inner = datetime::date_trunc();
    vec![Arc::new(ScalarUDF::from(DateTrunc {
        inner,
        aliases: vec!["datetrunc".into(), "time_cut".into()],
        signature: Signature::user_defined(Volatility::Immutable),
    }))]
}

/// DataFusion's function, given timestamps in microseconds.
#[derive(Debug)]
struct DateTrunc {
    inner: Arc<ScalarUDF>,
    aliases: Vec<String>,
    signature: Signature,
}

impl PartialEq for DateTrunc {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for DateTrunc {}

impl Hash for DateTrunc {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl ScalarUDFImpl for DateTrunc {
    fn name(&self) -> &'static str {
        "date_trunc"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let [_, value] = arguments else { return plan_err!("`date_trunc` takes a unit and a time, found {} arguments", arguments.len()) };
        let value = match value {
            DataType::Timestamp(TimeUnit::Nanosecond, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
            DataType::Timestamp(..) | DataType::Time32(_) | DataType::Time64(_) => value.clone(),
            DataType::Null | DataType::Date32 | DataType::Date64 | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                DataType::Timestamp(TimeUnit::Microsecond, None)
            }
            other => return plan_err!("`date_trunc` takes a date or a time, found {}", crate::sql::type_name(other)),
        };
        Ok(vec![DataType::Utf8, value])
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match self.inner.invoke_with_args(args.clone()) {
            Ok(found) => Ok(found),
            // It counts in nanoseconds, which end in 1677 and 2262.
            Err(error) => truncated(&args)?.ok_or(error),
        }
    }
}

/// The same for all years; `None` for zones other than UTC, and units that are none.
fn truncated(args: &ScalarFunctionArgs) -> Result<Option<ColumnarValue>> {
    let (unit, value) = match args.args.as_slice() {
        [ColumnarValue::Scalar(ScalarValue::Utf8(Some(unit))), value] => (unit.to_lowercase(), value),
        _ => return Ok(None),
    };
    let DataType::Timestamp(TimeUnit::Microsecond, zone) = value.data_type() else { return Ok(None) };
    if zone.as_deref().is_some_and(|zone| !matches!(zone, "UTC" | "+00:00")) {
        return Ok(None);
    }
    let column = value.to_array(args.number_rows)?;
    let times = column.as_primitive::<TimestampMicrosecondType>();
    let mut found = TimestampMicrosecondArray::builder(times.len()).with_data_type(value.data_type());
    for time in times {
        let Some(time) = time else {
            found.append_null();
            continue;
        };
        let Some(start) = DateTime::from_timestamp_micros(time).and_then(|time| beginning(&unit, time.naive_utc())) else { return Ok(None) };
        found.append_value(start.and_utc().timestamp_micros());
    }
    Ok(Some(ColumnarValue::Array(Arc::new(found.finish()))))
}

/// When the unit of time around a moment began.
fn beginning(unit: &str, time: NaiveDateTime) -> Option<NaiveDateTime> {
    let date = time.date();
    let midnight = |date: NaiveDate| date.and_hms_opt(0, 0, 0);
    match unit {
        "year" => midnight(date.with_ordinal(1)?),
        "quarter" => midnight(date.with_day(1)?.with_month0(date.month0() / 3 * 3)?),
        "month" => midnight(date.with_day(1)?),
        "week" => midnight(date.checked_sub_days(Days::new(u64::from(date.weekday().num_days_from_monday())))?),
        "day" => midnight(date),
        "hour" => date.and_hms_opt(time.hour(), 0, 0),
        "minute" => date.and_hms_opt(time.hour(), time.minute(), 0),
        "second" => date.and_hms_opt(time.hour(), time.minute(), time.second()),
        "millisecond" => time.with_nanosecond(time.nanosecond() / 1_000_000 * 1_000_000),
        "microsecond" => Some(time),
        _ => None,
    }
}
