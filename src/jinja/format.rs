//! `str.format`: fields by place, name, attribute and key, with conversions and Python's format specifications.

use minijinja::value::ValueKind;
use minijinja::{Error, Value};

use super::decimals::Decimal;
use super::error::problem;
use super::macros::split_kwargs;
use super::modules::Moment;
use super::python::{WIDTH_LIMIT, real, repr, text, write_ascii};
use super::values::describe;
use super::work::limit;
use crate::base::Code;

fn failed(message: impl Into<String>) -> Error {
    problem(Code::JinjaRuntime, message)
}

/// `template.format(..)`.
pub(super) fn formatted(template: &str, args: &[Value]) -> Result<String, Error> {
    let (positional, named) = split_kwargs(args)?;
    let mut fields = Fields { positional, named, next: 0 };
    fields.fill(template, 2)
}

struct Fields<'a> {
    positional: &'a [Value],
    named: Vec<(String, Value)>,
    /// The place of the next field that has no name.
    next: usize,
}

impl Fields<'_> {
    /// A template with its fields filled; a specification may have fields of its own, one level deep.
    fn fill(&mut self, template: &str, depth: usize) -> Result<String, Error> {
        let mut out = String::new();
        let mut rest = template;
        while let Some(at) = rest.find(['{', '}']) {
            out.push_str(rest.get(..at).unwrap_or_default());
            let brace = rest.get(at..=at).unwrap_or_default();
            let tail = rest.get(at + 1..).unwrap_or_default();
            if let Some(tail) = tail.strip_prefix(brace) {
                out.push_str(brace);
                rest = tail;
                continue;
            }
            if brace == "}" {
                return Err(failed("a single `}` stands in the format"));
            }
            let end = closing(tail).ok_or_else(|| failed("a `{` in the format is not closed"))?;
            if depth == 0 {
                return Err(failed("the format is nested too deep"));
            }
            out.push_str(&self.field(tail.get(..end).unwrap_or_default(), depth)?);
            limit(out.len())?;
            rest = tail.get(end + 1..).unwrap_or_default();
        }
        out.push_str(rest);
        Ok(out)
    }

    /// One field: `name!conversion:specification`.
    fn field(&mut self, field: &str, depth: usize) -> Result<String, Error> {
        let name_end = name_end(field);
        let (name, mut rest) = field.split_at(name_end);
        let mut value = self.value(name)?;
        if let Some(tail) = rest.strip_prefix('!') {
            let kind = tail.chars().next();
            value = Value::from(match kind {
                Some('s') => text(&value),
                Some('r') => repr(&value),
                Some('a') => {
                    let mut out = String::new();
                    write_ascii(&repr(&value), &mut out);
                    out
                }
                Some(_) | None => return Err(failed(format!("`!{}` is no conversion of a format", kind.unwrap_or(' ')))),
            });
            rest = tail.get(1..).unwrap_or_default();
        }
        let specification = self.fill(rest.strip_prefix(':').unwrap_or_default(), depth - 1)?;
        written(&value, &specification)
    }

    fn value(&mut self, name: &str) -> Result<Value, Error> {
        let end = name.find(['.', '[']).unwrap_or(name.len());
        let (first, mut path) = name.split_at(end);
        let mut value = if first.is_empty() {
            let value = self.positional.get(self.next).cloned();
            self.next += 1;
            value.ok_or_else(|| failed("there are fewer values than the format has places"))?
        } else if let Ok(place) = first.parse::<usize>() {
            self.positional.get(place).cloned().ok_or_else(|| failed(format!("the format has no value for the place {place}")))?
        } else {
            let found = self.named.iter().find(|(known, _)| known == first).map(|(_, value)| value.clone());
            found.ok_or_else(|| failed(format!("the format has no value `{first}`")))?
        };
        while !path.is_empty() {
            let (key, rest) = if let Some(tail) = path.strip_prefix('[') {
                tail.split_once(']').ok_or_else(|| failed("a `[` in the format is not closed"))?
            } else {
                let tail = path.strip_prefix('.').unwrap_or(path);
                tail.split_at(tail.find(['.', '[']).unwrap_or(tail.len()))
            };
            value = match key.parse::<usize>() {
                Ok(index) if path.starts_with('[') => value.get_item(&Value::from(index))?,
                Ok(_) | Err(_) => value.get_item(&Value::from(key))?,
            };
            path = rest;
        }
        Ok(value)
    }
}

/// Where the brace closes that was opened before a text.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Where the name of a field ends; a key in brackets may have any sign.
fn name_end(field: &str) -> usize {
    let mut inside = false;
    for (at, c) in field.char_indices() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            '!' | ':' if !inside => return at,
            _ => {}
        }
    }
    field.len()
}

/// `[[fill]align][sign][#][0][width][grouping][.precision][kind]`
#[derive(Default)]
struct Specification {
    fill: Option<char>,
    align: Option<char>,
    sign: Option<char>,
    alternate: bool,
    width: usize,
    grouping: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
}

impl Specification {
    fn read(text: &str) -> Result<Self, Error> {
        let mut found = Self::default();
        let mut rest: &[char] = &text.chars().collect::<Vec<_>>();
        let is_align = |c: &char| "<>=^".contains(*c);
        if let [fill, align, tail @ ..] = rest
            && is_align(align)
        {
            (found.fill, found.align, rest) = (Some(*fill), Some(*align), tail);
        } else if let [align, tail @ ..] = rest
            && is_align(align)
        {
            (found.align, rest) = (Some(*align), tail);
        }
        if let [sign @ ('+' | '-' | ' '), tail @ ..] = rest {
            (found.sign, rest) = (Some(*sign).filter(|sign| *sign != '-'), tail);
        }
        if let ['#', tail @ ..] = rest {
            (found.alternate, rest) = (true, tail);
        }
        if let ['0', tail @ ..] = rest {
            found.fill = found.fill.or(Some('0'));
            found.align = found.align.or(Some('='));
            rest = tail;
        }
        (found.width, rest) = number(rest)?;
        if let [grouping @ (',' | '_'), tail @ ..] = rest {
            (found.grouping, rest) = (Some(*grouping), tail);
        }
        if let ['.', tail @ ..] = rest {
            let (precision, tail) = number(tail)?;
            (found.precision, rest) = (Some(precision), tail);
        }
        match rest {
            [] => {}
            [kind] => found.kind = Some(*kind),
            _ => return Err(failed(format!("`{text}` is no specification of a format"))),
        }
        Ok(found)
    }

    fn padded(&self, sign: &str, body: &str, default: char) -> String {
        let padding = self.width.saturating_sub(sign.chars().count() + body.chars().count());
        let fill = |count: usize| self.fill.unwrap_or(' ').to_string().repeat(count);
        match self.align.unwrap_or(default) {
            '<' => format!("{sign}{body}{}", fill(padding)),
            '^' => format!("{}{sign}{body}{}", fill(padding / 2), fill(padding - padding / 2)),
            '=' => format!("{sign}{}{body}", fill(padding)),
            _ => format!("{}{sign}{body}", fill(padding)),
        }
    }

    /// Digits in groups. Zeros that fill up the width are digits, too; `around` is the length of what stands beside them.
    fn filled(&self, digits: &str, step: usize, around: usize) -> String {
        let wanted = self.width.saturating_sub(around);
        let mut count = digits.len();
        if self.grouping.is_some() && (self.fill, self.align) == (Some('0'), Some('=')) {
            count = count.max(wanted * step / (step + 1));
            while count + count.saturating_sub(1) / step < wanted {
                count += 1;
            }
        }
        grouped(&("0".repeat(count - digits.len()) + digits), self.grouping, step)
    }

    fn unknown(&self, value: &Value) -> Error {
        failed(format!("`{}` is no kind of format for {}", self.kind.unwrap_or(' '), describe(value)))
    }
}

fn number(text: &[char]) -> Result<(usize, &[char]), Error> {
    let digits = text.iter().take_while(|c| c.is_ascii_digit()).count();
    let (number, rest) = text.split_at(digits);
    let number = if number.is_empty() { 0 } else { number.iter().collect::<String>().parse().unwrap_or(usize::MAX) };
    if number > WIDTH_LIMIT {
        return Err(failed(format!("a width or precision of the format is more than {WIDTH_LIMIT}")));
    }
    Ok((number, rest))
}

/// `format(value, specification)`.
fn written(value: &Value, specification: &str) -> Result<String, Error> {
    if specification.is_empty() {
        return Ok(text(value));
    }
    if let Some(moment) = value.downcast_object_ref::<Moment>() {
        return moment.formatted(specification);
    }
    let read = Specification::read(specification)?;
    if let Some(number) = Decimal::of(value) {
        return decimal(&read, value, number);
    }
    match value.kind() {
        ValueKind::Number if value.is_integer() => match i128::try_from(value.clone()) {
            Ok(number) => whole(&read, value, number),
            Err(_) => Ok(read.padded("", &text(value), '>')),
        },
        ValueKind::Bool => whole(&read, value, i128::from(value.is_true())),
        ValueKind::Number => float(&read, value, f64::try_from(value.clone()).unwrap_or_default()),
        _ if !matches!(read.kind, None | Some('s')) => Err(read.unknown(value)),
        _ => {
            let text = text(value);
            let cut = read.precision.map_or_else(|| text.clone(), |precision| text.chars().take(precision).collect());
            // The zero of `05` fills on the right of a text.
            let read = Specification { align: read.align.filter(|align| *align != '='), ..read };
            Ok(read.padded("", &cut, '<'))
        }
    }
}

fn whole(read: &Specification, value: &Value, number: i128) -> Result<String, Error> {
    let size = number.unsigned_abs();
    let (mark, digits) = match read.kind {
        None | Some('d' | 'n') => ("", size.to_string()),
        Some('b') => ("0b", format!("{size:b}")),
        Some('o') => ("0o", format!("{size:o}")),
        Some('x') => ("0x", format!("{size:x}")),
        Some('X') => ("0X", format!("{size:X}")),
        Some('c') => {
            let letter = u32::try_from(number).ok().and_then(char::from_u32).ok_or_else(|| read.unknown(value))?;
            return Ok(read.padded("", &letter.to_string(), '<'));
        }
        #[expect(clippy::cast_precision_loss, reason = "Python makes a float of it, too")]
        Some(_) => return float(read, value, number as f64),
    };
    let step = if matches!(read.kind, None | Some('d' | 'n')) { 3 } else { 4 };
    let sign = sign(read, number < 0) + if read.alternate { mark } else { "" };
    let digits = read.filled(&digits, step, sign.chars().count());
    Ok(read.padded(&sign, &digits, '>'))
}

fn sign(read: &Specification, negative: bool) -> String {
    if negative { "-".to_owned() } else { read.sign.map(String::from).unwrap_or_default() }
}

fn float(read: &Specification, value: &Value, number: f64) -> Result<String, Error> {
    let size = number.abs();
    let body = match read.kind {
        Some(kind @ ('e' | 'E' | 'f' | 'F' | 'g' | 'G')) => real(kind, read.precision, size),
        Some('n') => real('g', read.precision, size),
        Some('%') => real('f', read.precision, size * 100.0) + "%",
        None if read.precision.is_some() => {
            let body = real('g', read.precision, size);
            if body.contains(['.', 'e']) { body } else { body + ".0" }
        }
        None => super::python::float_text(size),
        Some(_) => return Err(read.unknown(value)),
    };
    let end = body.find(|c: char| !c.is_ascii_digit()).unwrap_or(body.len());
    let (digits, rest) = body.split_at(end);
    let sign = sign(read, number.is_sign_negative() && !number.is_nan());
    let body = read.filled(digits, 3, sign.len() + rest.len()) + rest;
    Ok(read.padded(&sign, &body, '>'))
}

fn decimal(read: &Specification, value: &Value, number: &Decimal) -> Result<String, Error> {
    let body = match read.kind {
        Some('f' | 'F') => number.digits(read.precision, false),
        Some('%') => number.digits(read.precision, true) + "%",
        None if read.precision.is_none() => number.to_string().trim_start_matches('-').to_owned(),
        None | Some(_) => return float(read, value, number.float()),
    };
    let (digits, rest) = body.split_at(body.find(|c: char| !c.is_ascii_digit()).unwrap_or(body.len()));
    let sign = sign(read, number.is_negative());
    let body = read.filled(digits, 3, sign.len() + rest.len()) + rest;
    Ok(read.padded(&sign, &body, '>'))
}

fn grouped(digits: &str, grouping: Option<char>, step: usize) -> String {
    let Some(grouping) = grouping else { return digits.to_owned() };
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(step) {
            out.push(grouping);
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifications_are_pythons() {
        let cases = [
            ("{:+d}|{:,.2f}", vec![Value::from(5), Value::from(12345.678)], "+5|12,345.68"),
            ("{:#x}|{:_b}|{:.1%}", vec![Value::from(255), Value::from(255), Value::from(0.1234)], "0xff|1111_1111|12.3%"),
            ("{0!r:>5}|{1:{0}^5}", vec![Value::from("x"), Value::from("y")], "  'x'|xxyxx"),
            ("{:05}|{:,}", vec![Value::from("ab"), Value::from(12_345_678_901_234_567_890_u64)], "ab000|12,345,678,901,234,567,890"),
            ("{:=+6}|{:08.3f}|{:.3}", vec![Value::from(5), Value::from(-3.14259), Value::from("abcd")], "+    5|-003.143|abc"),
        ];
        for (template, values, expected) in cases {
            assert_eq!(formatted(template, &values).unwrap(), expected, "{template}");
        }
        assert!(formatted("{}", &[]).is_err() && formatted("{:d}", &[Value::from("a")]).is_err() && formatted("{", &[]).is_err());
    }
}
