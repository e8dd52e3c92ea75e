//! Decimals of query results, as Python's `decimal.Decimal`: they keep the digits that the warehouse gives, print them, and are
//! reckoned with to 28 digits. With floats, which Python refuses to add to them, they make decimals too.

use std::cmp::Ordering;
use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr as _;
use std::sync::Arc;

use bigdecimal::num_bigint::Sign;
use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive as _, Zero as _};
use minijinja::value::{DynObject, Object, ObjectRepr, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};
use serde_json::Value as Json;

use super::error::problem;
use super::python::float_text;
use super::values::{bind_args, required};
use crate::base::Code;

/// The digits that a result of arithmetic has at the most.
const PRECISION: NonZeroU64 = NonZeroU64::new(28).unwrap();
/// How far from the point a digit may stand: no database has larger or finer numbers.
const FARTHEST: i64 = 6_200;

/// A decimal.
#[derive(Debug, Clone)]
pub(super) struct Decimal(BigDecimal);

/// What [`Decimal::of`] two values can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    /// The quotient without its fraction.
    Whole,
    Rest,
}

impl Decimal {
    /// A number as its text says it.
    pub(super) fn read(text: &str) -> Option<Value> {
        BigDecimal::from_str(text.trim()).ok().and_then(Self::checked)
    }

    fn checked(number: BigDecimal) -> Option<Value> {
        (number.fractional_digit_count().abs() <= FARTHEST).then(|| Value::from_object(Self(number)))
    }

    pub(super) fn of(value: &Value) -> Option<&Self> {
        if value.kind() == ValueKind::Plain { value.downcast_object_ref() } else { None }
    }

    /// The numbers of both values, if one of them is a decimal.
    fn both(left: &Value, right: &Value) -> Option<(BigDecimal, BigDecimal)> {
        match (Self::of(left), Self::of(right)) {
            (None, None) => None,
            (a, b) => Some((a.map_or_else(|| number(left), |a| Some(a.0.clone()))?, b.map_or_else(|| number(right), |b| Some(b.0.clone()))?)),
        }
    }

    /// The order of two numbers of which one is a decimal; `None` where none is, or the other is no number.
    pub(super) fn compared(left: &Value, right: &Value) -> Option<Ordering> {
        Self::both(left, right).map(|(a, b)| a.cmp(&b))
    }

    /// `a + b` and the like, where one is a decimal and the other a number; `None` for other values.
    pub(super) fn reckoned(left: &Value, operator: Operator, right: &Value) -> Option<Result<Value, Error>> {
        let (a, b) = Self::both(left, right)?;
        if b.is_zero() && matches!(operator, Operator::Divide | Operator::Whole | Operator::Rest) {
            return Some(Err(problem(Code::JinjaRuntime, "division by zero")));
        }
        let made = match operator {
            Operator::Add => a + b,
            Operator::Subtract => a - b,
            Operator::Multiply => a * b,
            Operator::Divide => {
                let scale = a.fractional_digit_count() - b.fractional_digit_count();
                let quotient = rounded(a / b).normalized();
                // As many digits as the operands ask for, and no more than it has.
                if quotient.fractional_digit_count() < scale { quotient.with_scale(scale) } else { quotient }
            }
            Operator::Whole => (a / b).with_scale_round(0, RoundingMode::Down),
            Operator::Rest => {
                let whole = (&a / &b).with_scale_round(0, RoundingMode::Down);
                a - b * whole
            }
        };
        Some(Self::checked(rounded(made)).ok_or_else(|| problem(Code::JinjaRuntime, "the decimal is out of range")))
    }

    /// `a ** b`, where one is a decimal and the other a number; `None` for other values.
    pub(super) fn power(left: &Value, right: &Value) -> Option<Result<Value, Error>> {
        /// Beyond these a number has more digits than one may have, but for 0, 1 and their like.
        const LARGEST: u64 = 100_000;
        let (base, exponent) = Self::both(left, right)?;
        let whole = exponent.to_i64().filter(|whole| exponent.is_integer() && whole.unsigned_abs() <= LARGEST);
        let Some(whole) = whole else {
            return Some(Err(problem(Code::JinjaRuntime, "`**` takes a whole exponent beside a decimal")));
        };
        if base.is_zero() && whole <= 0 {
            return Some(Err(problem(Code::JinjaRuntime, "0 has no such power")));
        }
        let power = rounded(base.powi(whole));
        // A quotient has no more digits than it needs.
        Some(
            Self::checked(if whole < 0 { power.normalized() } else { power })
                .ok_or_else(|| problem(Code::JinjaRuntime, "the decimal is out of range")),
        )
    }

    pub(super) fn negated(value: &Value) -> Option<Value> {
        Self::of(value).map(|decimal| Value::from_object(Self(-&decimal.0)))
    }

    pub(super) fn size(value: &Value) -> Option<Value> {
        Self::of(value).map(|decimal| Value::from_object(Self(decimal.0.abs())))
    }

    /// Rounded to digits behind the point, to the even one where both are as near.
    pub(super) fn round(&self, digits: i64) -> Value {
        Value::from_object(Self(self.0.with_scale_round(digits.clamp(-FARTHEST, FARTHEST), RoundingMode::HalfEven)))
    }

    /// Rounded up or down, as the float that Python makes of it.
    pub(super) fn round_to(&self, digits: i64, up: bool) -> Value {
        let mode = if up { RoundingMode::Ceiling } else { RoundingMode::Floor };
        Value::from(Self(self.0.with_scale_round(digits.clamp(-FARTHEST, FARTHEST), mode)).float())
    }

    /// Without its fraction.
    pub(super) fn whole(&self) -> Option<i128> {
        self.0.with_scale_round(0, RoundingMode::Down).to_i128()
    }

    pub(super) fn float(&self) -> f64 {
        self.to_string().parse().unwrap_or_default()
    }

    /// The digits as `f` writes them, without a sign, times a hundred for a percentage.
    pub(super) fn digits(&self, precision: Option<usize>, percent: bool) -> String {
        let number = if percent { &self.0 * BigDecimal::from(100) } else { self.0.clone() };
        let scale = precision.map_or_else(|| number.fractional_digit_count().max(0), |precision| i64::try_from(precision).unwrap_or(FARTHEST));
        number.abs().with_scale_round(scale.min(FARTHEST), RoundingMode::HalfEven).to_plain_string()
    }

    pub(super) fn is_negative(&self) -> bool {
        self.0.sign() == Sign::Minus
    }

    /// A number of JSON; a text, where a float has not as many digits.
    pub(super) fn json(&self) -> Json {
        /// Decimal digits that every float keeps.
        const DIGITS: u64 = 15;
        match self.whole().and_then(|whole| i64::try_from(whole).ok()).filter(|_| self.0.fractional_digit_count() <= 0) {
            Some(whole) => Json::from(whole),
            None if self.0.normalized().digits() > DIGITS => Json::from(self.to_string()),
            None => Json::from(self.float()),
        }
    }

    pub(super) fn repr(&self) -> String {
        format!("Decimal('{self}')")
    }
}

/// A number of the engine. A float is what its shortest text says.
fn number(value: &Value) -> Option<BigDecimal> {
    match value.kind() {
        ValueKind::Bool => Some(BigDecimal::from(u8::from(value.is_true()))),
        ValueKind::Number if value.is_integer() => i128::try_from(value.clone()).ok().map(BigDecimal::from),
        ValueKind::Number => BigDecimal::from_str(&float_text(f64::try_from(value.clone()).ok()?)).ok(),
        _ => None,
    }
}

fn rounded(number: BigDecimal) -> BigDecimal {
    if number.digits() > PRECISION.get() { number.with_precision_round(PRECISION, RoundingMode::HalfEven) } else { number }
}

/// Python's text: with an exponent where there are digits missing before the point, or many noughts behind it.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (digits, scale) = self.0.as_bigint_and_exponent();
        let sign = if self.is_negative() { "-" } else { "" };
        let digits = digits.magnitude().to_string();
        let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
        let left = length - scale;
        if scale >= 0 && left > -6 {
            let (whole, fraction) = match usize::try_from(left) {
                Ok(left) if left > 0 => (digits.get(..left).unwrap_or_default().to_owned(), digits.get(left..).unwrap_or_default().to_owned()),
                Ok(_) | Err(_) => ("0".to_owned(), "0".repeat(usize::try_from(-left).unwrap_or(0)) + &digits),
            };
            let point = if fraction.is_empty() { "" } else { "." };
            return write!(f, "{sign}{whole}{point}{fraction}");
        }
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        write!(f, "{sign}{first}{point}{rest}E{:+}", left - 1)
    }
}

impl Object for Decimal {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn is_true(self: &Arc<Self>) -> bool {
        !self.0.is_zero()
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        Some(self.0.cmp(&other.downcast_ref::<Self>()?.0))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match (method, args) {
            ("normalize", []) => Ok(Value::from_object(Self(self.0.normalized()))),
            ("copy_abs", []) => Ok(Value::from_object(Self(self.0.abs()))),
            ("copy_negate", []) => Ok(Value::from_object(Self(-&self.0))),
            ("to_integral_value" | "to_integral", []) => Ok(self.round(0)),
            ("is_nan" | "is_infinite", []) => Ok(Value::from(false)),
            ("is_finite", []) => Ok(Value::from(true)),
            ("is_zero", []) => Ok(Value::from(self.0.is_zero())),
            ("is_signed", []) => Ok(Value::from(self.is_negative())),
            ("quantize", _) => {
                let [like, _] = bind_args("quantize", ["exp", "rounding"], args)?;
                let like = required("quantize", "exp", like)?;
                let scale =
                    Self::of(&like).map(|like| like.0.fractional_digit_count()).or_else(|| number(&like).map(|like| like.fractional_digit_count()));
                scale.map(|scale| self.round(scale)).ok_or_else(|| problem(Code::MacroArguments, "`quantize` takes a number"))
            }
            _ => Err(ErrorKind::UnknownMethod.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_print_as_pythons() {
        let texts = ["1.50", "-0.05", "1e20", "123E-10", "0.000001", "0.0000001", "1.2e3", "0", "-12"];
        let shown = texts.map(|text| Decimal::read(text).unwrap().to_string());
        assert_eq!(shown, ["1.50", "-0.05", "1E+20", "1.23E-8", "0.000001", "1E-7", "1.2E+3", "0", "-12"]);
    }

    #[test]
    fn arithmetic_keeps_digits_as_pythons() {
        let made = |a: &str, operator, b: &str| {
            Decimal::reckoned(&Decimal::read(a).unwrap(), operator, &Decimal::read(b).unwrap()).unwrap().unwrap().to_string()
        };
        assert_eq!(made("1.50", Operator::Add, "1"), "2.50");
        assert_eq!(made("1.50", Operator::Multiply, "2.0"), "3.000");
        assert_eq!(made("1.50", Operator::Divide, "3"), "0.50");
        assert_eq!(made("10", Operator::Divide, "4"), "2.5");
        assert_eq!(made("1", Operator::Divide, "3"), "0.3333333333333333333333333333");
        assert_eq!((made("-7.5", Operator::Whole, "2"), made("-7.5", Operator::Rest, "2")), ("-3".to_owned(), "-1.5".to_owned()));
        assert_eq!(made("12345678901234567890.12", Operator::Multiply, "1.000000001"), "12345678913580246791.35456789");
        let power = |a: &str, b: i64| Decimal::power(&Decimal::read(a).unwrap(), &Value::from(b)).unwrap().unwrap().to_string();
        assert_eq!(
            (power("1.50", 2), power("2", -2), power("1.1", 300)),
            ("2.2500".to_owned(), "0.25".to_owned(), "2617010996188.399907017032529".to_owned())
        );
        assert!(Decimal::reckoned(&Value::from(1), Operator::Add, &Value::from(2)).is_none());
    }
}
