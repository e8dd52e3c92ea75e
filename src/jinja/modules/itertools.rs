//! `modules.itertools`. What is made is a list, so it can be looped over more than once; `count` and `cycle` have no end.

use std::sync::Arc;

use minijinja::value::{Object, ObjectRepr, Tuple};
use minijinja::{Error, State, Value};

use super::endless::Endless;
use crate::base::Code;
use crate::jinja::containers::{collect, new_list};
use crate::jinja::error::{problem, unsupported};
use crate::jinja::macros::split_kwargs;
use crate::jinja::values::{bind_args, required};
use crate::jinja::work;

/// The most items that one call makes.
pub(super) const LIMIT: usize = 1_000_000;

/// `modules.itertools`.
#[derive(Debug)]
pub(super) struct ItertoolsModule;

impl Object for ItertoolsModule {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(Value::from(unsupported(&format!("modules.itertools.{key}"))))
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let made = Self::called(state, method, args)?;
        work::count(state, &made)?;
        Ok(made)
    }
}

impl ItertoolsModule {
    fn called(state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "product" => product(args),
            "chain" => Ok(new_list(args.iter().map(collect).collect::<Result<Vec<_>, _>>()?.concat())),
            "combinations" | "permutations" | "combinations_with_replacement" => choose(method, args),
            "zip_longest" => zip_longest(args),
            "islice" => islice(state, args),
            "count" => Endless::count(args),
            "cycle" => {
                let [items] = bind_args("cycle", ["iterable"], args)?;
                Ok(Value::from_object(Endless::Cycle(collect(&required("cycle", "iterable", items)?)?)))
            }
            "tee" => {
                let [items, times] = bind_args("tee", ["iterable", "n"], args)?;
                let items = collect(&required("tee", "iterable", items)?)?;
                let times = times.and_then(|times| times.as_usize()).unwrap_or(2);
                if items.len().saturating_mul(times) > LIMIT {
                    return Err(too_many());
                }
                Ok(tuple(std::iter::repeat_n(items, times).map(new_list).collect()))
            }
            "starmap" => {
                let [function, items] = bind_args("starmap", ["function", "iterable"], args)?;
                let function = required("starmap", "function", function)?;
                let items = collect(&required("starmap", "iterable", items)?)?;
                Ok(new_list(items.iter().map(|item| function.call(state, &collect(item)?)).collect::<Result<_, _>>()?))
            }
            "accumulate" => accumulate(state, args),
            "repeat" => {
                let [value, times] = bind_args("repeat", ["object", "times"], args)?;
                let times = required("repeat", "times", times)?.as_usize().filter(|times| *times <= LIMIT).ok_or_else(too_many)?;
                Ok(new_list(vec![required("repeat", "object", value)?; times]))
            }
            "pairwise" => {
                let [items] = bind_args("pairwise", ["iterable"], args)?;
                let items = collect(&required("pairwise", "iterable", items)?)?;
                Ok(new_list(items.windows(2).map(|pair| tuple(pair.to_vec())).collect()))
            }
            "compress" => {
                let [items, selectors] = bind_args("compress", ["data", "selectors"], args)?;
                let items = collect(&required("compress", "data", items)?)?;
                let selectors = collect(&required("compress", "selectors", selectors)?)?;
                Ok(new_list(items.into_iter().zip(selectors).filter(|(_, keep)| keep.is_true()).map(|(item, _)| item).collect()))
            }
            other => Err(unsupported(&format!("modules.itertools.{other}()"))),
        }
    }
}

fn tuple(items: Vec<Value>) -> Value {
    Value::from(Tuple::from(items))
}

pub(super) fn too_many() -> Error {
    problem(Code::JinjaRuntime, "this makes more than a million items")
}

fn product(args: &[Value]) -> Result<Value, Error> {
    let (lists, named) = split_kwargs(args)?;
    let repeat = named.iter().find(|(name, _)| name == "repeat").and_then(|(_, value)| value.as_usize()).unwrap_or(1);
    let lists = lists.iter().map(collect).collect::<Result<Vec<_>, _>>()?;
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for list in std::iter::repeat_n(&lists, repeat.min(LIMIT)).flatten() {
        if rows.len().saturating_mul(list.len()) > LIMIT {
            return Err(too_many());
        }
        rows = rows.iter().flat_map(|row| list.iter().map(|item| row.iter().chain([item]).cloned().collect())).collect();
    }
    Ok(new_list(rows.into_iter().map(tuple).collect()))
}

/// Choices of `r` places in Python's order: by position, the first place slowest.
fn choose(method: &str, args: &[Value]) -> Result<Value, Error> {
    let [items, count] = bind_args(method, ["iterable", "r"], args)?;
    let items = collect(&required(method, "iterable", items)?)?;
    let count = count.and_then(|count| count.as_usize()).unwrap_or(items.len());
    let mut found: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 0..count {
        let mut longer = Vec::new();
        for places in &found {
            let from = places.last().copied();
            let next: Vec<usize> = match method {
                "permutations" => (0..items.len()).filter(|place| !places.contains(place)).collect(),
                "combinations" => (from.map_or(0, |from| from + 1)..items.len()).collect(),
                _ => (from.unwrap_or(0)..items.len()).collect(),
            };
            longer.extend(next.into_iter().map(|place| places.iter().copied().chain([place]).collect()));
            if longer.len() > LIMIT {
                return Err(too_many());
            }
        }
        found = longer;
    }
    let rows = found.into_iter().map(|places| tuple(places.into_iter().filter_map(|place| items.get(place).cloned()).collect()));
    Ok(new_list(rows.collect()))
}

fn zip_longest(args: &[Value]) -> Result<Value, Error> {
    let (lists, named) = split_kwargs(args)?;
    let fill = named.iter().find(|(name, _)| name == "fillvalue").map_or_else(|| Value::from(()), |(_, value)| value.clone());
    let lists = lists.iter().map(collect).collect::<Result<Vec<_>, _>>()?;
    let length = lists.iter().map(Vec::len).max().unwrap_or(0);
    let row = |at: usize| tuple(lists.iter().map(|list| list.get(at).cloned().unwrap_or_else(|| fill.clone())).collect());
    Ok(new_list((0..length).map(row).collect()))
}

fn islice(state: &State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let [items, first, second, step] = bind_args("islice", ["iterable", "start", "stop", "step"], args)?;
    let items = required("islice", "iterable", items)?;
    let number = |value: Option<Value>| value.and_then(|value| value.as_usize());
    // With one number it is the end, as with `range`.
    let (start, stop) = if second.is_none() { (0, number(first)) } else { (number(first).unwrap_or(0), number(second)) };
    let items = match stop.map(|stop| Endless::first(state, &items, stop)).transpose()?.flatten() {
        Some(items) => items,
        None => collect(&items)?,
    };
    let stop = stop.unwrap_or(items.len()).min(items.len());
    let step = number(step).unwrap_or(1).max(1);
    Ok(new_list(items.into_iter().take(stop).skip(start).step_by(step).collect()))
}

fn accumulate(state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let [items, function] = bind_args("accumulate", ["iterable", "func"], args)?;
    let mut sums: Vec<Value> = Vec::new();
    for item in collect(&required("accumulate", "iterable", items)?)? {
        let next = match (sums.last(), &function) {
            (None, _) => item,
            (Some(last), Some(function)) => function.call(state, &[last.clone(), item])?,
            (Some(last), None) => crate::jinja::arithmetic::sum(state, last, &item, false)?,
        };
        sums.push(next);
    }
    Ok(new_list(sums))
}
