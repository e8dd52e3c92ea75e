//! `modules.datetime`, `modules.re` and `modules.pytz`, as far as macros commonly use them. Arithmetic on dates
//! has no hook in the engine; `date + timedelta` is an error of the engine's.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeZone, Timelike, Utc};
use minijinja::value::{Object, ObjectRepr, Tuple};
use minijinja::{Error, State, Value};
use regex::Regex;

use super::containers::new_list;
use super::error::{problem, unsupported};
use super::session::session_of;
use super::values::{bind_args, required, required_text};
use crate::base::Code;

/// `modules`.
#[derive(Debug)]
pub(super) struct Modules;

impl Object for Modules {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "datetime" => Value::from_object(DatetimeModule),
            "re" => Value::from_object(ReModule),
            "pytz" => Value::from_object(PytzModule),
            other => Value::from(unsupported(&format!("modules.{other}"))),
        })
    }
}

/// A point in time: UTC, or without a zone.
#[derive(Debug, Clone)]
pub(super) struct Instant {
    at: NaiveDateTime,
    zoned: bool,
    /// Whether it is a date only.
    date: bool,
}

impl Instant {
    pub(super) fn utc(at: DateTime<Utc>) -> Self {
        Self { at: at.naive_utc(), zoned: true, date: false }
    }

    fn naive(at: NaiveDateTime) -> Self {
        Self { at, zoned: false, date: false }
    }

    fn date(at: NaiveDate) -> Self {
        Self { at: at.and_time(chrono::NaiveTime::MIN), zoned: false, date: true }
    }

    fn iso(&self) -> String {
        if self.date {
            return self.at.format("%Y-%m-%d").to_string();
        }
        let fraction = if self.at.nanosecond() == 0 { "" } else { "%.6f" };
        let zone = if self.zoned { "+00:00" } else { "" };
        format!("{}{zone}", self.at.format(&format!("%Y-%m-%dT%H:%M:%S{fraction}")))
    }

    fn strftime(&self, format: &str) -> Result<Value, Error> {
        // A format that chrono does not know panics when printed, so it is looked through first.
        let format = format.replace("%f", "%6f");
        let items: Vec<Item<'_>> = StrftimeItems::new(&format).collect();
        if items.iter().any(|item| matches!(item, Item::Error)) {
            return Err(problem(Code::JinjaRuntime, format!("`{format}` is not a format of `strftime`")));
        }
        let utc = Utc.from_utc_datetime(&self.at);
        Ok(Value::from(utc.format_with_items(items.into_iter()).to_string()))
    }
}

impl Object for Instant {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "year" => Value::from(self.at.year()),
            "month" => Value::from(self.at.month()),
            "day" => Value::from(self.at.day()),
            "hour" => Value::from(self.at.hour()),
            "minute" => Value::from(self.at.minute()),
            "second" => Value::from(self.at.second()),
            "microsecond" => Value::from(self.at.nanosecond() / 1000),
            _ => return None,
        })
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "strftime" => {
                let [format] = bind_args("strftime", ["format"], args)?;
                self.strftime(&required_text("strftime", "format", format)?)
            }
            "isoformat" => Ok(Value::from(self.iso())),
            "date" => Ok(Value::from_object(Self::date(self.at.date()))),
            "timestamp" => {
                let whole = self.at.and_utc().timestamp();
                Ok(Value::from(format!("{whole}.{:06}", self.at.nanosecond() / 1000).parse::<f64>().unwrap_or_default()))
            }
            "weekday" => Ok(Value::from(self.at.weekday().num_days_from_monday())),
            "isoweekday" => Ok(Value::from(self.at.weekday().number_from_monday())),
            // Only UTC can be had from `modules.pytz`, so these change nothing but the zone.
            "astimezone" => Ok(Value::from_object(Self { zoned: true, ..(**self).clone() })),
            "replace" if args.iter().all(Value::is_kwargs) => {
                let [zone] = bind_args("replace", ["tzinfo"], args)?;
                let zoned = !required("replace", "tzinfo", zone)?.is_none();
                Ok(Value::from_object(Self { zoned, ..(**self).clone() }))
            }
            other => Err(unsupported(&format!("datetime.{other}()"))),
        }
    }

    fn custom_cmp(self: &Arc<Self>, other: &minijinja::value::DynObject) -> Option<std::cmp::Ordering> {
        Some(self.at.cmp(&other.downcast_ref::<Self>()?.at))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iso().replacen('T', " ", 1))
    }
}

#[derive(Debug)]
struct DatetimeModule;

impl Object for DatetimeModule {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "datetime" => Value::from_object(DatetimeClass { date: false }),
            "date" => Value::from_object(DatetimeClass { date: true }),
            other => Value::from(unsupported(&format!("modules.datetime.{other}"))),
        })
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "datetime" => Arc::new(DatetimeClass { date: false }).call(state, args),
            "date" => Arc::new(DatetimeClass { date: true }).call(state, args),
            other => Err(unsupported(&format!("modules.datetime.{other}()"))),
        }
    }
}

/// `modules.datetime.datetime` and `modules.datetime.date`.
#[derive(Debug)]
struct DatetimeClass {
    date: bool,
}

impl DatetimeClass {
    fn parse(&self, text: &str, format: &str) -> Result<Value, Error> {
        let format = format.replace("%f", "%6f");
        let at = NaiveDateTime::parse_from_str(text, &format)
            .or_else(|_| NaiveDate::parse_from_str(text, &format).map(|date| date.and_time(chrono::NaiveTime::MIN)))
            .map_err(|_| problem(Code::JinjaRuntime, format!("`{text}` is not a date of the format `{format}`")))?;
        Ok(self.value(Instant::naive(at)))
    }

    fn value(&self, at: Instant) -> Value {
        Value::from_object(if self.date { Instant::date(at.at.date()) } else { at })
    }
}

impl Object for DatetimeClass {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let names = ["year", "month", "day", "hour", "minute", "second", "microsecond"];
        let parts = bind_args("datetime", names, args)?;
        let number = |index: usize, default: u32| {
            let value: Option<&Value> = parts.get(index).and_then(Option::as_ref);
            value.map_or(Some(default), |value| value.as_usize().and_then(|value| u32::try_from(value).ok()))
        };
        let at = (|| {
            let date = NaiveDate::from_ymd_opt(i32::try_from(number(0, 0)?).ok()?, number(1, 0)?, number(2, 0)?)?;
            date.and_hms_micro_opt(number(3, 0)?, number(4, 0)?, number(5, 0)?, number(6, 0)?)
        })();
        let at = at.ok_or_else(|| problem(Code::JinjaRuntime, "this is not a date"))?;
        Ok(self.value(Instant::naive(at)))
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            // The clock of a render is the start of the run, so that the same input gives the same text.
            "now" | "utcnow" | "today" => {
                let started = session_of(state)?.host.invocation().run_started_at;
                let zoned = method == "now" && !args.is_empty();
                Ok(self.value(Instant { zoned, ..Instant::utc(started) }))
            }
            "strptime" => {
                let [text, format] = bind_args("strptime", ["date_string", "format"], args)?;
                let text = required_text("strptime", "date_string", text)?;
                self.parse(&text, &required_text("strptime", "format", format)?)
            }
            "fromisoformat" => {
                let [text] = bind_args("fromisoformat", ["date_string"], args)?;
                let text = required_text("fromisoformat", "date_string", text)?.replacen(' ', "T", 1);
                self.parse(&text, if text.contains('T') { "%Y-%m-%dT%H:%M:%S%.f" } else { "%Y-%m-%d" })
            }
            other => Err(unsupported(&format!("modules.datetime.datetime.{other}()"))),
        }
    }
}

#[derive(Debug)]
struct PytzModule;

impl Object for PytzModule {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "utc" | "UTC" => Value::from("UTC"),
            other => Value::from(unsupported(&format!("modules.pytz.{other}"))),
        })
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let zone = args.first().and_then(Value::as_str).unwrap_or_default();
        match method {
            "timezone" if matches!(zone.to_uppercase().as_str(), "UTC" | "ETC/UTC" | "GMT") => Ok(Value::from("UTC")),
            "timezone" => Err(unsupported(&format!("modules.pytz.timezone('{zone}')"))),
            other => Err(unsupported(&format!("modules.pytz.{other}()"))),
        }
    }
}

#[derive(Debug)]
struct ReModule;

impl Object for ReModule {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "IGNORECASE" | "I" => Value::from("i"),
            "MULTILINE" | "M" => Value::from("m"),
            "DOTALL" | "S" => Value::from("s"),
            other => Value::from(unsupported(&format!("modules.re.{other}"))),
        })
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "match" | "search" | "fullmatch" | "findall" => {
                let [pattern, text, flags] = bind_args(method, ["pattern", "string", "flags"], args)?;
                let pattern = required_text(method, "pattern", pattern)?;
                let text = required(method, "string", text)?.to_string();
                Ok(find(method, &compile(&pattern, flags.as_ref())?, &text))
            }
            "sub" => {
                let [pattern, with, text, count, flags] = bind_args("sub", ["pattern", "repl", "string", "count", "flags"], args)?;
                let regex = compile(&required_text("sub", "pattern", pattern)?, flags.as_ref())?;
                let with = python_replacement(&required_text("sub", "repl", with)?);
                let text = required("sub", "string", text)?.to_string();
                let count = count.and_then(|count| count.as_usize()).unwrap_or(0);
                Ok(Value::from(regex.replacen(&text, count, with).into_owned()))
            }
            "split" => {
                let [pattern, text] = bind_args("split", ["pattern", "string"], args)?;
                let regex = compile(&required_text("split", "pattern", pattern)?, None)?;
                let text = required("split", "string", text)?.to_string();
                Ok(new_list(regex.split(&text).map(Value::from).collect()))
            }
            "escape" => {
                let [text] = bind_args("escape", ["pattern"], args)?;
                Ok(Value::from(regex::escape(&required_text("escape", "pattern", text)?)))
            }
            other => Err(unsupported(&format!("modules.re.{other}()"))),
        }
    }
}

fn compile(pattern: &str, flags: Option<&Value>) -> Result<Regex, Error> {
    let flags = flags.and_then(Value::as_str).filter(|flags| matches!(*flags, "i" | "m" | "s"));
    let full = flags.map_or_else(|| pattern.to_owned(), |flags| format!("(?{flags}){pattern}"));
    Regex::new(&full).map_err(|_| problem(Code::JinjaRuntime, format!("the pattern `{pattern}` can't be read")))
}

/// `\1` and `\g<name>` as the regex crate writes them.
fn python_replacement(with: &str) -> String {
    let mut result = String::new();
    let mut rest = with;
    while let Some((head, tail)) = rest.split_once('\\') {
        result.push_str(&head.replace('$', "$$"));
        let digits = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits > 0 {
            let _ = write!(result, "${{{}}}", tail.get(..digits).unwrap_or_default());
            rest = tail.get(digits..).unwrap_or_default();
        } else if let Some((name, after)) = tail.strip_prefix("g<").and_then(|tail| tail.split_once('>')) {
            let _ = write!(result, "${{{name}}}");
            rest = after;
        } else {
            result.push('\\');
            rest = tail;
        }
    }
    result.push_str(&rest.replace('$', "$$"));
    result
}

fn find(method: &str, regex: &Regex, text: &str) -> Value {
    if method == "findall" {
        let found = regex.captures_iter(text).map(|captures| match captures.len() {
            1 => Value::from(captures.get(0).map_or("", |part| part.as_str())),
            2 => Value::from(captures.get(1).map_or("", |part| part.as_str())),
            _ => Value::from(Tuple::from(groups(&captures))),
        });
        return new_list(found.collect());
    }
    let captures = regex.captures(text).filter(|captures| {
        captures.get(0).is_some_and(|whole| (method == "search" || whole.start() == 0) && (method != "fullmatch" || whole.end() == text.len()))
    });
    captures.map_or_else(
        || Value::from(()),
        |captures| {
            let whole = captures.get(0).map_or("", |part| part.as_str()).to_owned();
            let names: Vec<_> = regex.capture_names().skip(1).map(|name| name.map(str::to_owned)).collect();
            let groups = groups(&captures);
            Value::from_object(Match { whole, groups, names })
        },
    )
}

fn groups(captures: &regex::Captures<'_>) -> Vec<Value> {
    captures.iter().skip(1).map(|part| part.map_or_else(|| Value::from(()), |part| Value::from(part.as_str()))).collect()
}

#[derive(Debug)]
struct Match {
    whole: String,
    groups: Vec<Value>,
    names: Vec<Option<String>>,
}

impl Object for Match {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match (method, args) {
            ("group", []) => Ok(Value::from(&*self.whole)),
            ("group", [key]) => {
                let index = match key.as_str() {
                    Some(name) => self.names.iter().position(|known| known.as_deref() == Some(name)),
                    None => match key.as_usize() {
                        Some(0) => return Ok(Value::from(&*self.whole)),
                        number => number.and_then(|number| number.checked_sub(1)),
                    },
                };
                let found = index.and_then(|index| self.groups.get(index)).cloned();
                found.ok_or_else(|| problem(Code::JinjaRuntime, format!("the pattern has no group `{key}`")))
            }
            ("groups", []) => Ok(Value::from(Tuple::from(self.groups.clone()))),
            (other, _) => Err(unsupported(&format!("{other}() of a match"))),
        }
    }
}
