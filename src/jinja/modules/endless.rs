//! `count` and `cycle` of `itertools`, which have no end.

use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr};
use minijinja::{Error, State, Value};

use super::itertools::{LIMIT, too_many};
use crate::jinja::arithmetic::sum;
use crate::jinja::python::repr;
use crate::jinja::values::bind_args;

/// Items without an end. A loop over more of them than a list may have is an error.
#[derive(Debug)]
pub(in crate::jinja) enum Endless {
    Count { start: Value, step: Value },
    Cycle(Vec<Value>),
}

impl Endless {
    pub(super) fn count(args: &[Value]) -> Result<Value, Error> {
        let [start, step] = bind_args("count", ["start", "step"], args)?;
        Ok(Value::from_object(Self::Count { start: start.unwrap_or_else(|| Value::from(0)), step: step.unwrap_or_else(|| Value::from(1)) }))
    }

    /// The first items, as `value` gives them if it is one of these.
    pub(in crate::jinja) fn first(state: &State<'_, '_>, value: &Value, length: usize) -> Result<Option<Vec<Value>>, Error> {
        let Some(endless) = value.downcast_object_ref::<Self>() else { return Ok(None) };
        if length > LIMIT {
            return Err(too_many());
        }
        match endless {
            Self::Count { start, step } => {
                let mut next = start.clone();
                let mut items = Vec::with_capacity(length);
                for _ in 0..length {
                    items.push(next.clone());
                    next = sum(state, &next, step, false)?;
                }
                Ok(Some(items))
            }
            Self::Cycle(items) => Ok(Some(items.iter().cycle().take(length).cloned().collect())),
        }
    }

    fn item(&self, at: usize) -> Option<Value> {
        if at >= LIMIT {
            return Some(Value::from(too_many()));
        }
        match self {
            Self::Cycle(items) => items.get(at.checked_rem(items.len())?).cloned(),
            Self::Count { start, step } => {
                let whole = start.as_i64().zip(step.as_i64()).filter(|_| start.is_integer() && step.is_integer());
                if let Some((start, step)) = whole {
                    return i64::try_from(at).ok()?.checked_mul(step)?.checked_add(start).map(Value::from);
                }
                #[expect(clippy::cast_precision_loss, reason = "there are no more than a million items")]
                let at = at as f64;
                Some(Value::from(f64::try_from(start.clone()).ok()? + at * f64::try_from(step.clone()).ok()?))
            }
        }
    }
}

impl Object for Endless {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn is_true(self: &Arc<Self>) -> bool {
        true
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let own = Arc::clone(self);
        // What is too much is told once.
        Enumerator::Iter(Box::new((0..=LIMIT).map_while(move |at| own.item(at))))
    }

    fn render(self: &Arc<Self>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &**self {
            Self::Count { start, step } if step.as_i64() == Some(1) => write!(f, "count({})", repr(start)),
            Self::Count { start, step } => write!(f, "count({}, {})", repr(start), repr(step)),
            Self::Cycle(_) => f.write_str("<itertools.cycle object>"),
        }
    }
}
