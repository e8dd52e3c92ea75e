//! Time zones: `modules.pytz`, and `timezone` of `modules.datetime`.

use std::fmt;
use std::sync::Arc;

use chrono::{NaiveDateTime, Offset as _, TimeDelta, TimeZone as _};
use chrono_tz::{OffsetComponents as _, Tz};
use minijinja::value::{Object, ObjectRepr};
use minijinja::{Error, State, Value};

use super::datetime::Moment;
use super::spans::Span;
use crate::base::{Code, Diagnostic, nearest};
use crate::jinja::containers::new_list;
use crate::jinja::error::{diagnosed, problem, unsupported};
use crate::jinja::values::{bind_args, describe, required, required_text};

/// A time zone. One that is named knows its offset at each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zone {
    Named(Tz),
    /// Seconds east of UTC.
    Fixed(i32),
}

impl Zone {
    pub(super) const UTC: Self = Self::Named(Tz::UTC);

    pub(super) fn value(self) -> Value {
        Value::from_object(self)
    }

    /// Seconds east of UTC at a local time; of a time that comes twice, the first.
    pub(super) fn offset(self, local: NaiveDateTime) -> i32 {
        match self {
            Self::Fixed(seconds) => seconds,
            Self::Named(zone) => {
                let shown = |local| Some(zone.offset_from_local_datetime(&local).earliest()?.fix().local_minus_utc());
                // Of a time that the clocks pass over: as they went before.
                shown(local).or_else(|| shown(local.checked_sub_signed(TimeDelta::hours(3))?)).unwrap_or(0)
            }
        }
    }

    /// Seconds east of UTC at a time of UTC.
    pub(super) fn offset_at(self, utc: NaiveDateTime) -> i32 {
        match self {
            Self::Fixed(seconds) => seconds,
            Self::Named(zone) => zone.offset_from_utc_datetime(&utc).fix().local_minus_utc(),
        }
    }

    /// The zone's short name at a local time.
    pub(super) fn short_name(self, local: NaiveDateTime) -> String {
        match self {
            Self::Fixed(0) => "UTC".to_owned(),
            Self::Fixed(seconds) => format!("UTC{}", offset_text(seconds, ":")),
            Self::Named(zone) => {
                zone.offset_from_local_datetime(&local).earliest().map_or_else(|| zone.name().to_owned(), |offset| offset.to_string())
            }
        }
    }

    pub(super) fn of(value: &Value) -> Result<Self, Error> {
        let found = value.downcast_object_ref::<Self>().copied();
        found.ok_or_else(|| problem(Code::MacroArguments, format!("expected a time zone, found {}", describe(value))))
    }

    fn named(name: &str) -> Result<Self, Error> {
        if let Ok(zone) = name.parse::<Tz>() {
            return Ok(Self::Named(zone));
        }
        let alike = chrono_tz::TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(name));
        alike.map(|zone| Self::Named(*zone)).ok_or_else(|| {
            let near = nearest(name, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
            diagnosed(
                Diagnostic::error(Code::JinjaRuntime, format!("there is no time zone `{name}`"))
                    .help_nearest(near, "zones are named as in `Europe/Berlin`"),
            )
        })
    }
}

/// `+02:00`, with whatever stands between hours and minutes.
pub(super) fn offset_text(seconds: i32, between: &str) -> String {
    let size = seconds.abs();
    format!("{}{:02}{between}{:02}", if seconds < 0 { '-' } else { '+' }, size / 3600, size / 60 % 60)
}

impl Object for Zone {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        (key.as_str()? == "zone").then(|| Value::from(self.to_string()))
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "localize" => {
                let [moment, _] = bind_args("localize", ["dt", "is_dst"], args)?;
                let moment = Moment::of(&required("localize", "dt", moment)?)?;
                if moment.zone.is_some() {
                    return Err(problem(Code::JinjaRuntime, "`localize` takes a time without a zone"));
                }
                Ok(Moment { zone: Some(**self), ..moment }.value())
            }
            "normalize" => {
                let [moment] = bind_args("normalize", ["dt"], args)?;
                Ok(Moment::of(&required("normalize", "dt", moment)?)?.in_zone(**self)?.value())
            }
            "utcoffset" => {
                let [moment] = bind_args("utcoffset", ["dt"], args)?;
                let moment = Moment::of(&required("utcoffset", "dt", moment)?)?;
                Ok(Span::seconds(i64::from(self.offset(moment.at))).value())
            }
            "dst" => {
                let [moment, _] = bind_args("dst", ["dt", "is_dst"], args)?;
                let moment = Moment::of(&required("dst", "dt", moment)?)?;
                let saved = match **self {
                    Self::Named(zone) => zone.offset_from_local_datetime(&moment.at).earliest().map_or(0, |offset| offset.dst_offset().num_seconds()),
                    Self::Fixed(_) => 0,
                };
                Ok(Span::seconds(saved).value())
            }
            other => Err(unsupported(&format!("{other}() of a time zone"))),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", **self)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(zone) => f.write_str(zone.name()),
            Self::Fixed(0) => f.write_str("UTC"),
            Self::Fixed(seconds) => write!(f, "UTC{}", offset_text(*seconds, ":")),
        }
    }
}

/// `modules.pytz`.
#[derive(Debug)]
pub(super) struct PytzModule;

impl Object for PytzModule {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "utc" | "UTC" => Zone::UTC.value(),
            "all_timezones" | "common_timezones" => new_list(chrono_tz::TZ_VARIANTS.iter().map(|zone| Value::from(zone.name())).collect()),
            other => Value::from(unsupported(&format!("modules.pytz.{other}"))),
        })
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "timezone" => {
                let [name] = bind_args("timezone", ["zone"], args)?;
                Ok(Zone::named(&required_text("timezone", "zone", name)?)?.value())
            }
            "FixedOffset" => {
                let [minutes] = bind_args("FixedOffset", ["offset"], args)?;
                let minutes = required("FixedOffset", "offset", minutes)?.as_i64().and_then(|minutes| i32::try_from(minutes).ok());
                let minutes = minutes.filter(|minutes| minutes.abs() < 1440);
                minutes.map(|minutes| Zone::Fixed(minutes * 60).value()).ok_or_else(|| problem(Code::MacroArguments, "an offset is less than a day"))
            }
            other => Err(unsupported(&format!("modules.pytz.{other}()"))),
        }
    }
}

/// `timezone` of `modules.datetime`.
#[derive(Debug)]
pub(super) struct TimezoneClass;

impl Object for TimezoneClass {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        (key.as_str()? == "utc").then(|| Zone::UTC.value())
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let [offset, _] = bind_args("timezone", ["offset", "name"], args)?;
        let offset = required("timezone", "offset", offset)?;
        let seconds = offset
            .downcast_object_ref::<Span>()
            .and_then(|span| i32::try_from(span.micros / 1_000_000).ok())
            .filter(|seconds| seconds.abs() < 86_400);
        seconds
            .map(|seconds| Zone::Fixed(seconds).value())
            .ok_or_else(|| problem(Code::MacroArguments, "`timezone` takes a timedelta of less than a day"))
    }
}
