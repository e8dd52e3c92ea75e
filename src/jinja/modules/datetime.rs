//! `modules.datetime`: dates, times of day and points in time, as Python's.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Utc};
use minijinja::value::{DynObject, Enumerator, Object, ObjectRepr};
use minijinja::{Error, State, Value};

use super::spans::Span;
use super::strptime::parsed;
use super::zones::{TimezoneClass, Zone, offset_text};
use crate::base::Code;
use crate::jinja::error::{problem, unsupported};
use crate::jinja::session::session_of;
use crate::jinja::values::{bind_args, describe, required, required_text};

/// What a moment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::jinja) enum Kind {
    Date,
    DateTime,
    Time,
}

/// A date, a time of day, or both.
#[derive(Debug, Clone)]
pub(in crate::jinja) struct Moment {
    /// Local time, where there is a zone.
    pub(super) at: NaiveDateTime,
    pub(super) kind: Kind,
    pub(super) zone: Option<Zone>,
}

const FIELDS: [&str; 7] = ["year", "month", "day", "hour", "minute", "second", "microsecond"];

impl Moment {
    pub(in crate::jinja) fn utc_now(at: DateTime<Utc>) -> Self {
        Self { zone: Some(Zone::UTC), ..Self::naive(at.naive_utc()) }
    }

    pub(super) fn naive(at: NaiveDateTime) -> Self {
        Self { at, kind: Kind::DateTime, zone: None }
    }

    fn date(at: NaiveDate) -> Self {
        Self { at: at.and_time(NaiveTime::MIN), kind: Kind::Date, zone: None }
    }

    fn time(at: NaiveTime) -> Self {
        Self { at: NaiveDate::default().and_time(at), kind: Kind::Time, zone: None }
    }

    pub(in crate::jinja) fn value(self) -> Value {
        Value::from_object(self)
    }

    pub(super) fn of(value: &Value) -> Result<Self, Error> {
        let found = value.downcast_object_ref::<Self>().cloned();
        found.ok_or_else(|| problem(Code::MacroArguments, format!("expected a date, found {}", describe(value))))
    }

    /// What a query gives for a date or timestamp, as its text says it.
    pub(in crate::jinja) fn read(text: &str) -> Option<Self> {
        let spaced = text.trim().replacen('T', " ", 1);
        if let Ok(date) = NaiveDate::parse_from_str(&spaced, "%Y-%m-%d") {
            return Some(Self::date(date));
        }
        let bare = spaced.strip_suffix('Z').unwrap_or(&spaced);
        if let Ok(at) = NaiveDateTime::parse_from_str(bare, "%Y-%m-%d %H:%M:%S%.f").or_else(|_| NaiveDateTime::parse_from_str(bare, "%Y-%m-%d %H:%M"))
        {
            return Some(Self { zone: (bare.len() < spaced.len()).then_some(Zone::UTC), ..Self::naive(at) });
        }
        let zoned = DateTime::parse_from_str(&spaced, "%Y-%m-%d %H:%M:%S%.f%:z").ok()?;
        let seconds = zoned.offset().local_minus_utc();
        Some(Self { zone: Some(if seconds == 0 { Zone::UTC } else { Zone::Fixed(seconds) }), ..Self::naive(zoned.naive_local()) })
    }

    /// The time of UTC; a time without a zone counts as one of UTC.
    pub(super) fn utc(&self) -> NaiveDateTime {
        let offset = self.zone.map_or(0, |zone| zone.offset(self.at));
        self.at.checked_sub_signed(TimeDelta::seconds(i64::from(offset))).unwrap_or(self.at)
    }

    pub(super) fn in_zone(&self, zone: Zone) -> Result<Self, Error> {
        let utc = self.utc();
        let at = utc.checked_add_signed(TimeDelta::seconds(i64::from(zone.offset_at(utc))));
        let at = at.ok_or_else(|| problem(Code::JinjaRuntime, "the date is out of range"))?;
        Ok(Self { at, kind: Kind::DateTime, zone: Some(zone) })
    }

    pub(in crate::jinja) fn has_date(&self) -> bool {
        self.kind != Kind::Time
    }

    /// ISO 8601, with the time to what `timespec` says.
    pub(in crate::jinja) fn iso(&self, separator: &str, timespec: &str) -> Result<String, Error> {
        let time = match timespec {
            "auto" if self.at.nanosecond() == 0 => "%H:%M:%S",
            "auto" | "microseconds" => "%H:%M:%S%.6f",
            "milliseconds" => "%H:%M:%S%.3f",
            "seconds" => "%H:%M:%S",
            "minutes" => "%H:%M",
            "hours" => "%H",
            other => return Err(problem(Code::MacroArguments, format!("`{other}` is no `timespec`"))),
        };
        let time = self.at.format(time);
        let text = match self.kind {
            Kind::Date => return Ok(self.at.format("%Y-%m-%d").to_string()),
            Kind::Time => time.to_string(),
            Kind::DateTime => format!("{}{separator}{time}", self.at.format("%Y-%m-%d")),
        };
        Ok(text + &self.zone.map_or_else(String::new, |zone| offset_text(zone.offset(self.at), ":")))
    }

    /// `strftime`, as text.
    pub(in crate::jinja) fn formatted(&self, format: &str) -> Result<String, Error> {
        Ok(self.strftime(format)?.to_string())
    }

    fn strftime(&self, format: &str) -> Result<Value, Error> {
        let (name, offset) = self.zone.map_or_else(Default::default, |zone| (zone.short_name(self.at), offset_text(zone.offset(self.at), "")));
        let format = format.replace("%f", "%6f").replace("%Z", &name).replace("%z", &offset);
        // A format that chrono does not know panics when printed, so it is looked through first.
        let items: Vec<Item<'_>> = StrftimeItems::new(&format).collect();
        if items.iter().any(|item| matches!(item, Item::Error)) {
            return Err(problem(Code::JinjaRuntime, format!("`{format}` is not a format of `strftime`")));
        }
        Ok(Value::from(self.at.and_utc().format_with_items(items.into_iter()).to_string()))
    }

    fn replaced(&self, args: &[Value]) -> Result<Self, Error> {
        let names = ["year", "month", "day", "hour", "minute", "second", "microsecond", "tzinfo", "fold"];
        let parts = bind_args("replace", names, args)?;
        let own = self.fields();
        let mut numbers = own;
        for ((number, part), name) in numbers.iter_mut().zip(&parts).zip(FIELDS) {
            if let Some(part) = part {
                *number = whole(name, part)?;
            }
        }
        let zone = match parts.get(7).and_then(Option::as_ref) {
            None => self.zone,
            Some(zone) if zone.is_none() => None,
            Some(zone) => Some(Zone::of(zone)?),
        };
        Ok(Self { at: from_fields(numbers)?, kind: self.kind, zone })
    }

    fn fields(&self) -> [u32; 7] {
        let year = u32::try_from(self.at.year()).unwrap_or(0);
        [year, self.at.month(), self.at.day(), self.at.hour(), self.at.minute(), self.at.second(), self.at.nanosecond() / 1000]
    }

    /// As Python writes one within a list: how it is made.
    pub(in crate::jinja) fn repr(&self) -> String {
        let [year, month, day, hour, minute, second, micro] = self.fields();
        let mut parts = match self.kind {
            Kind::Date => return format!("datetime.date({year}, {month}, {day})"),
            Kind::Time => vec![hour, minute],
            Kind::DateTime => vec![year, month, day, hour, minute],
        };
        if second > 0 || micro > 0 {
            parts.push(second);
        }
        if micro > 0 {
            parts.push(micro);
        }
        let class = if self.kind == Kind::Time { "time" } else { "datetime" };
        let parts: Vec<String> = parts.iter().map(u32::to_string).collect();
        let zone = self.zone.map_or_else(String::new, |zone| format!(", tzinfo=<{}>", zone.short_name(self.at)));
        format!("datetime.{class}({}{zone})", parts.join(", "))
    }

    fn timestamp(&self) -> f64 {
        let utc = self.utc().and_utc();
        format!("{}.{:06}", utc.timestamp(), utc.timestamp_subsec_micros()).parse().unwrap_or_default()
    }

    fn isocalendar(&self) -> Value {
        let week = self.at.iso_week();
        let parts = [("year", i64::from(week.year())), ("week", week.week().into()), ("weekday", self.at.weekday().number_from_monday().into())];
        Value::from_object(Named { class: "datetime.IsoCalendarDate", parts: parts.to_vec() })
    }

    fn timetuple(&self) -> Value {
        let names = ["tm_year", "tm_mon", "tm_mday", "tm_hour", "tm_min", "tm_sec"];
        let mut parts: Vec<(&'static str, i64)> = names.into_iter().zip(self.fields().map(i64::from)).collect();
        parts.push(("tm_wday", self.at.weekday().num_days_from_monday().into()));
        parts.push(("tm_yday", self.at.ordinal().into()));
        parts.push(("tm_isdst", -1));
        Value::from_object(Named { class: "time.struct_time", parts })
    }
}

/// A tuple whose items have names.
#[derive(Debug)]
struct Named {
    class: &'static str,
    parts: Vec<(&'static str, i64)>,
}

impl Object for Named {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let found = match key.as_str() {
            Some(name) => self.parts.iter().find(|(known, _)| *known == name),
            None => self.parts.get(key.as_usize()?),
        };
        found.map(|(_, number)| Value::from(*number))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.parts.len())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.parts.iter().map(|(name, number)| format!("{name}={number}")).collect();
        write!(f, "{}({})", self.class, parts.join(", "))
    }
}

fn whole(name: &str, value: &Value) -> Result<u32, Error> {
    let found = value.as_usize().and_then(|value| u32::try_from(value).ok());
    found.ok_or_else(|| problem(Code::MacroArguments, format!("`{name}` is a whole number, found {}", describe(value))))
}

fn from_fields([year, month, day, hour, minute, second, micro]: [u32; 7]) -> Result<NaiveDateTime, Error> {
    let date = i32::try_from(year).ok().filter(|year| (1..=9999).contains(year)).and_then(|year| NaiveDate::from_ymd_opt(year, month, day));
    let at = date.and_then(|date| date.and_hms_micro_opt(hour, minute, second, micro));
    at.ok_or_else(|| problem(Code::JinjaRuntime, format!("there is no {year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")))
}

impl Object for Moment {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        if key == "tzinfo" {
            return Some(self.zone.map_or_else(|| Value::from(()), Zone::value));
        }
        let index = FIELDS.iter().position(|name| *name == key)?;
        let known = match self.kind {
            Kind::Date => index < 3,
            Kind::Time => index >= 3,
            Kind::DateTime => true,
        };
        self.fields().get(index).filter(|_| known).map(|number| Value::from(*number))
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "strftime" => {
                let [format] = bind_args("strftime", ["format"], args)?;
                self.strftime(&required_text("strftime", "format", format)?)
            }
            "isoformat" => {
                let names: &[&str; 2] = if self.kind == Kind::Time { &["timespec", "sep"] } else { &["sep", "timespec"] };
                let given = bind_args("isoformat", *names, args)?;
                let named = |wanted: &str| names.iter().position(|name| *name == wanted).and_then(|at| given.get(at)?.as_ref()?.as_str());
                Ok(Value::from(self.iso(named("sep").unwrap_or("T"), named("timespec").unwrap_or("auto"))?))
            }
            "date" => Ok(Self::date(self.at.date()).value()),
            "time" => Ok(Self::time(self.at.time()).value()),
            "timestamp" => Ok(Value::from(self.timestamp())),
            "weekday" => Ok(Value::from(self.at.weekday().num_days_from_monday())),
            "isoweekday" => Ok(Value::from(self.at.weekday().number_from_monday())),
            "isocalendar" => Ok(self.isocalendar()),
            "timetuple" => Ok(self.timetuple()),
            "timetz" => Ok(Self { zone: self.zone, ..Self::time(self.at.time()) }.value()),
            "toordinal" => Ok(Value::from(self.at.num_days_from_ce())),
            "ctime" => self.strftime("%a %b %e %H:%M:%S %Y"),
            "astimezone" => {
                let [zone] = bind_args("astimezone", ["tz"], args)?;
                let zone = zone.filter(|zone| !zone.is_none()).map_or(Ok(Zone::UTC), |zone| Zone::of(&zone))?;
                Ok(self.in_zone(zone)?.value())
            }
            "utcoffset" => Ok(self.zone.map_or_else(|| Value::from(()), |zone| Span::seconds(i64::from(zone.offset(self.at))).value())),
            "tzname" => Ok(self.zone.map_or_else(|| Value::from(()), |zone| Value::from(zone.short_name(self.at)))),
            "replace" => Ok(self.replaced(args)?.value()),
            other => Err(unsupported(&format!("datetime.{other}()"))),
        }
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        let other = other.downcast_ref::<Self>()?;
        // A date is no time, not even of its midnight.
        Some(self.utc().cmp(&other.utc()).then((self.kind as u8).cmp(&(other.kind as u8))))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iso(" ", "auto").unwrap_or_default())
    }
}

/// `modules.datetime`.
#[derive(Debug)]
pub(super) struct DatetimeModule;

impl DatetimeModule {
    fn member(name: &str) -> Option<Value> {
        Some(match name {
            "datetime" => Value::from_object(Class(Kind::DateTime)),
            "date" => Value::from_object(Class(Kind::Date)),
            "time" => Value::from_object(Class(Kind::Time)),
            "timedelta" => Value::from_object(SpanClass),
            "timezone" => Value::from_object(TimezoneClass),
            "UTC" => Zone::UTC.value(),
            _ => return None,
        })
    }
}

impl Object for DatetimeModule {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        Some(Self::member(name).unwrap_or_else(|| Value::from(unsupported(&format!("modules.datetime.{name}")))))
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        Self::member(method).ok_or_else(|| unsupported(&format!("modules.datetime.{method}()")))?.call(state, args)
    }
}

/// `timedelta`.
#[derive(Debug)]
struct SpanClass;

impl Object for SpanClass {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        Ok(Span::from_args(args)?.value())
    }
}

/// What `fromisoformat` reads beside what queries give: dates and times without signs between, and times alone.
fn compact(text: &str) -> Option<Moment> {
    let date = || NaiveDate::parse_from_str(text, "%Y%m%d").ok().map(Moment::date);
    let both = || NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%S").ok().map(Moment::naive);
    let time = || ["%H:%M:%S%.f", "%H:%M"].iter().find_map(|format| NaiveTime::parse_from_str(text, format).ok()).map(Moment::time);
    date().or_else(both).or_else(time)
}

/// `datetime`, `date` and `time`.
#[derive(Debug)]
struct Class(Kind);

impl Class {
    fn made(&self, moment: Moment) -> Value {
        match self.0 {
            Kind::Date => Moment::date(moment.at.date()).value(),
            Kind::Time => Moment::time(moment.at.time()).value(),
            Kind::DateTime => Moment { kind: Kind::DateTime, ..moment }.value(),
        }
    }

    fn parse(&self, text: &str, format: &str) -> Result<Value, Error> {
        let at = parsed(text, format);
        let (at, offset) = at.ok_or_else(|| problem(Code::JinjaRuntime, format!("`{text}` is not a date of the format `{format}`")))?;
        let zone = offset.map(|seconds| if seconds == 0 { Zone::UTC } else { Zone::Fixed(seconds) });
        Ok(self.made(Moment { zone, ..Moment::naive(at) }))
    }

    fn now(&self, state: &State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let [zone] = bind_args("now", ["tz"], args)?;
        // The clock of a render is the start of the run, so that the same input gives the same text.
        let started = Moment::utc_now(session_of(state)?.host.invocation().run_started_at);
        Ok(match zone.filter(|zone| !zone.is_none()) {
            Some(zone) => self.made(started.in_zone(Zone::of(&zone)?)?),
            None => self.made(Moment { zone: None, ..started }),
        })
    }

    fn combine(args: &[Value]) -> Result<Value, Error> {
        let [date, time, _] = bind_args("combine", ["date", "time", "tzinfo"], args)?;
        let date = Moment::of(&required("combine", "date", date)?)?;
        let time = Moment::of(&required("combine", "time", time)?)?;
        Ok(Moment::naive(date.at.date().and_time(time.at.time())).value())
    }

    fn at_timestamp(&self, args: &[Value]) -> Result<Value, Error> {
        let [seconds, zone] = bind_args("fromtimestamp", ["timestamp", "tz"], args)?;
        let seconds = f64::try_from(required("fromtimestamp", "timestamp", seconds)?)?;
        #[expect(clippy::cast_possible_truncation, reason = "a time beyond 64 bits of microseconds is refused by the next line")]
        let at = DateTime::from_timestamp_micros((seconds * 1e6).round() as i64);
        let at = Moment::utc_now(at.ok_or_else(|| problem(Code::JinjaRuntime, "the date is out of range"))?);
        Ok(match zone.filter(|zone| !zone.is_none()) {
            Some(zone) => self.made(at.in_zone(Zone::of(&zone)?)?),
            None => self.made(Moment { zone: None, ..at }),
        })
    }
}

impl Object for Class {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let at = match key.as_str()? {
            "min" => from_fields([1, 1, 1, 0, 0, 0, 0]),
            "max" => from_fields([9999, 12, 31, 23, 59, 59, 999_999]),
            _ => return None,
        };
        at.ok().map(|at| self.made(Moment::naive(at)))
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let mut numbers = [1, 1, 1, 0, 0, 0, 0];
        let mut zone = None;
        if self.0 == Kind::Time {
            let parts = bind_args("time", ["hour", "minute", "second", "microsecond"], args)?;
            for ((number, part), name) in numbers.iter_mut().skip(3).zip(&parts).zip(&FIELDS[3..]) {
                if let Some(part) = part {
                    *number = whole(name, part)?;
                }
            }
        } else {
            let names = ["year", "month", "day", "hour", "minute", "second", "microsecond", "tzinfo"];
            let parts = bind_args("datetime", names, args)?;
            for (index, (number, name)) in numbers.iter_mut().zip(FIELDS).enumerate() {
                match parts.get(index).and_then(Option::as_ref) {
                    Some(part) => *number = whole(name, part)?,
                    None if index < 3 => return Err(problem(Code::MacroArguments, format!("a date needs `{name}`"))),
                    None => {}
                }
            }
            zone = parts.get(7).and_then(Option::as_ref).filter(|zone| !zone.is_none()).map(Zone::of).transpose()?;
        }
        Ok(self.made(Moment { zone, ..Moment::naive(from_fields(numbers)?) }))
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "now" | "utcnow" | "today" => self.now(state, args),
            "strptime" => {
                let [text, format] = bind_args("strptime", ["date_string", "format"], args)?;
                let text = required_text("strptime", "date_string", text)?;
                self.parse(&text, &required_text("strptime", "format", format)?)
            }
            "fromisoformat" => {
                let [text] = bind_args("fromisoformat", ["date_string"], args)?;
                let text = required_text("fromisoformat", "date_string", text)?;
                let read = Moment::read(&text)
                    .or_else(|| compact(&text))
                    .ok_or_else(|| problem(Code::JinjaRuntime, format!("`{text}` is not a date in ISO form")))?;
                Ok(self.made(Moment { kind: Kind::DateTime, ..read }))
            }
            "fromordinal" => {
                let [days] = bind_args("fromordinal", ["ordinal"], args)?;
                let days = required("fromordinal", "ordinal", days)?.as_i64().and_then(|days| i32::try_from(days).ok());
                let date = days.and_then(NaiveDate::from_num_days_from_ce_opt);
                Ok(self.made(Moment::date(date.ok_or_else(|| problem(Code::JinjaRuntime, "the date is out of range"))?)))
            }
            "combine" => Self::combine(args),
            "fromtimestamp" | "utcfromtimestamp" => self.at_timestamp(args),
            other => Err(unsupported(&format!("modules.datetime.datetime.{other}()"))),
        }
    }
}
