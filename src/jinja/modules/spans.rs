//! `timedelta`, and the arithmetic of dates.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use chrono::TimeDelta;
use minijinja::value::{DynObject, Object, ObjectRepr};
use minijinja::{Error, State, Value};

use super::datetime::{Kind, Moment};
use crate::base::Code;
use crate::jinja::error::{problem, unsupported};
use crate::jinja::values::{bind_args, describe};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// A `timedelta`, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub micros: i64,
}

impl Span {
    pub(super) fn seconds(seconds: i64) -> Self {
        Self { micros: seconds.saturating_mul(SECOND) }
    }

    pub(super) fn value(self) -> Value {
        Value::from_object(self)
    }

    /// `timedelta(days, seconds, microseconds, milliseconds, minutes, hours, weeks)`.
    pub(super) fn from_args(args: &[Value]) -> Result<Self, Error> {
        const UNITS: [i64; 7] = [DAY, SECOND, 1, 1000, 60 * SECOND, 3600 * SECOND, 7 * DAY];
        let names = ["days", "seconds", "microseconds", "milliseconds", "minutes", "hours", "weeks"];
        let parts = bind_args("timedelta", names, args)?;
        let mut micros = 0_i64;
        for (part, unit) in parts.into_iter().zip(UNITS) {
            let Some(part) = part else { continue };
            let found = match part.as_i64() {
                Some(count) if part.is_integer() => count.checked_mul(unit),
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_precision_loss,
                    reason = "Python rounds a part of a unit to microseconds, too"
                )]
                _ => f64::try_from(part.clone()).ok().filter(|_| part.is_number()).map(|count| (count * unit as f64).round() as i64),
            };
            let added = found.and_then(|found| micros.checked_add(found));
            micros = added.ok_or_else(|| problem(Code::MacroArguments, format!("`timedelta` takes numbers, found {}", describe(&part))))?;
        }
        Ok(Self { micros })
    }

    fn days(self) -> i64 {
        self.micros.div_euclid(DAY)
    }
}

impl Object for Span {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn is_true(self: &Arc<Self>) -> bool {
        self.micros != 0
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(Value::from(match key.as_str()? {
            "days" => self.days(),
            "seconds" => self.micros.rem_euclid(DAY) / SECOND,
            "microseconds" => self.micros.rem_euclid(SECOND),
            _ => return None,
        }))
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match (method, args) {
            #[expect(clippy::cast_precision_loss, reason = "it is a float in Python, too")]
            ("total_seconds", []) => Ok(Value::from(self.micros as f64 / SECOND as f64)),
            (other, _) => Err(unsupported(&format!("timedelta.{other}()"))),
        }
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        Some(self.micros.cmp(&other.downcast_ref::<Self>()?.micros))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.days();
        if days != 0 {
            write!(f, "{days} day{}, ", if days.abs() == 1 { "" } else { "s" })?;
        }
        let rest = self.micros.rem_euclid(DAY);
        let seconds = rest / SECOND;
        write!(f, "{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
        match rest % SECOND {
            0 => Ok(()),
            micros => write!(f, ".{micros:06}"),
        }
    }
}

impl Span {
    /// As Python writes one within a list: how it is made.
    pub(super) fn written(self) -> String {
        let parts = [("days", self.days()), ("seconds", self.micros.rem_euclid(DAY) / SECOND), ("microseconds", self.micros.rem_euclid(SECOND))];
        let parts: Vec<String> = parts.iter().filter(|(_, count)| *count != 0).map(|(name, count)| format!("{name}={count}")).collect();
        format!("datetime.timedelta({})", if parts.is_empty() { "0".to_owned() } else { parts.join(", ") })
    }

    /// A part or a multiple, to the microsecond.
    fn scaled(self, by: &Value, divided: bool) -> Option<Result<Value, Error>> {
        if !by.is_number() {
            return None;
        }
        let beyond = || problem(Code::JinjaRuntime, "the timedelta is out of range");
        if by.is_integer() && !divided {
            let micros = by.as_i64().and_then(|by| self.micros.checked_mul(by));
            return Some(micros.map(|micros| Self { micros }.value()).ok_or_else(beyond));
        }
        let by = f64::try_from(by.clone()).ok()?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "Python rounds to microseconds, too")]
        let micros = {
            let exact = if divided { self.micros as f64 / by } else { self.micros as f64 * by };
            (exact.abs() < 9e18).then(|| exact.round_ties_even() as i64)
        };
        Some(micros.map(|micros| Self { micros }.value()).ok_or_else(beyond))
    }
}

fn span(value: &Value) -> Option<Span> {
    value.downcast_object_ref::<Span>().copied()
}

/// The size of a timedelta.
pub(in crate::jinja) fn span_size(value: &Value) -> Option<Value> {
    span(value).map(|span| Span { micros: span.micros.saturating_abs() }.value())
}

/// `-a` of a timedelta.
pub(in crate::jinja) fn span_negated(value: &Value) -> Option<Value> {
    span(value).map(|span| Span { micros: span.micros.saturating_neg() }.value())
}

/// `a * b`, where one is a timedelta.
pub(in crate::jinja) fn span_product(left: &Value, right: &Value) -> Option<Result<Value, Error>> {
    match (span(left), span(right)) {
        (Some(span), None) => span.scaled(right, false),
        (None, Some(span)) => span.scaled(left, false),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

/// `a / b` and `a // b` of a timedelta by another, or by a number.
pub(in crate::jinja) fn span_quotient(left: &Value, right: &Value, whole: bool) -> Option<Result<Value, Error>> {
    let nothing = || Some(Err(problem(Code::JinjaRuntime, "division by zero")));
    let left = span(left)?;
    match span(right) {
        Some(right) if right.micros == 0 => nothing(),
        Some(right) if whole => Some(Ok(Value::from(floor(left.micros, right.micros)))),
        #[expect(clippy::cast_precision_loss, reason = "it is a float in Python, too")]
        Some(right) => Some(Ok(Value::from(left.micros as f64 / right.micros as f64))),
        None if !right.is_true() => nothing(),
        None if whole => right.as_i64().map(|by| Ok(Span { micros: floor(left.micros, by) }.value())),
        None => left.scaled(right, true),
    }
}

/// `a % b` of two timedeltas.
pub(in crate::jinja) fn span_rest(left: &Value, right: &Value) -> Option<Result<Value, Error>> {
    let (left, right) = (span(left)?, span(right)?);
    if right.micros == 0 {
        return Some(Err(problem(Code::JinjaRuntime, "division by zero")));
    }
    Some(Ok(Span { micros: left.micros.wrapping_sub(floor(left.micros, right.micros).wrapping_mul(right.micros)) }.value()))
}

fn floor(a: i64, b: i64) -> i64 {
    let quotient = a.wrapping_div(b);
    if a.wrapping_rem(b) != 0 && (a < 0) != (b < 0) { quotient - 1 } else { quotient }
}

/// Whether `+` and `-` of a value are these.
pub(in crate::jinja) fn is_date(value: &Value) -> bool {
    value.downcast_object_ref::<Moment>().is_some() || value.downcast_object_ref::<Span>().is_some()
}

/// The order of two dates, times or timedeltas; `None` where they are not of one kind, or only one has a zone.
pub(in crate::jinja) fn compared(left: &Value, right: &Value) -> Option<Ordering> {
    if let (Some(left), Some(right)) = (span(left), span(right)) {
        return Some(left.micros.cmp(&right.micros));
    }
    let (left, right) = (left.downcast_object_ref::<Moment>()?, right.downcast_object_ref::<Moment>()?);
    (left.kind == right.kind && left.zone.is_some() == right.zone.is_some()).then(|| left.utc().cmp(&right.utc()))
}

/// `left + right`, or `left - right`, where at least one is a date or a timedelta.
pub(in crate::jinja) fn date_sum(left: &Value, right: &Value, minus: bool) -> Result<Value, Error> {
    let moments = (left.downcast_object_ref::<Moment>(), right.downcast_object_ref::<Moment>());
    let spans = (left.downcast_object_ref::<Span>(), right.downcast_object_ref::<Span>());
    let beyond = || problem(Code::JinjaRuntime, "the date is out of range");
    match (moments, spans) {
        ((Some(moment), None), (None, Some(span))) => {
            let micros = if minus { span.micros.checked_neg() } else { Some(span.micros) }.ok_or_else(beyond)?;
            shifted(moment, micros).ok_or_else(beyond)
        }
        ((None, Some(moment)), (Some(span), None)) if !minus => shifted(moment, span.micros).ok_or_else(beyond),
        ((Some(a), Some(b)), _) if minus && a.kind == b.kind && a.kind != Kind::Time => {
            if a.zone.is_some() != b.zone.is_some() {
                return Err(problem(Code::JinjaRuntime, "a time with a zone and one without can't be subtracted"));
            }
            let difference = a.utc() - b.utc();
            difference.num_microseconds().map(|micros| Span { micros }.value()).ok_or_else(beyond)
        }
        (_, (Some(a), Some(b))) => {
            let micros = if minus { a.micros.checked_sub(b.micros) } else { a.micros.checked_add(b.micros) };
            micros.map(|micros| Span { micros }.value()).ok_or_else(beyond)
        }
        _ => {
            let sign = if minus { "-" } else { "+" };
            Err(problem(Code::JinjaRuntime, format!("`{left}` {sign} `{right}`: a date goes with a timedelta")))
        }
    }
}

fn shifted(moment: &Moment, micros: i64) -> Option<Value> {
    let by = match moment.kind {
        Kind::Date => TimeDelta::try_days(micros.div_euclid(DAY))?,
        Kind::DateTime => TimeDelta::microseconds(micros),
        Kind::Time => return None,
    };
    Some(Moment { at: moment.at.checked_add_signed(by)?, ..moment.clone() }.value())
}
