//! One criterion of a selection: a method with its value, and the graph operators around it.

use super::method::Method;
use super::select::IndirectSelection;
use crate::base::{Code, Diagnostic};

/// How far a graph operator reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    None,
    Steps(usize),
    All,
}

impl Reach {
    pub fn depth(self) -> Option<usize> {
        match self {
            Self::None => Some(0),
            Self::Steps(steps) => Some(steps),
            Self::All => None,
        }
    }
}

/// See the module's documentation.
pub(super) struct Criterion {
    /// As it was written, for messages.
    pub text: String,
    pub method: Method,
    pub parents: Reach,
    pub children: Reach,
    /// `@`: the children, and all that the children read.
    pub childrens_parents: bool,
    /// What `selectors.yml` says of the tests around it.
    pub indirect: Option<IndirectSelection>,
}

impl Criterion {
    pub fn parse(text: &str) -> Result<Self, Diagnostic> {
        let invalid = |why: &str| {
            Diagnostic::error(Code::InvalidSelector, format!("`{text}` is not a selector: {why}"))
                .help("write a name, a path or method:value, with + or @ around it")
        };
        let (childrens_parents, rest) = text.strip_prefix('@').map_or((false, text), |rest| (true, rest));
        let (parents, rest) = match rest.split_once('+') {
            Some(("", rest)) => (Reach::All, rest),
            Some((digits, rest)) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                (Reach::Steps(digits.parse().map_err(|_| invalid("the number of steps is too large"))?), rest)
            }
            _ => (Reach::None, rest),
        };
        let (children, rest) = match rest.rsplit_once('+') {
            Some((rest, "")) => (Reach::All, rest),
            Some((rest, digits)) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                (Reach::Steps(digits.parse().map_err(|_| invalid("the number of steps is too large"))?), rest)
            }
            _ => (Reach::None, rest),
        };
        if childrens_parents && children != Reach::None {
            return Err(invalid("`@` includes the children already, so `+` can't stand behind it"));
        }
        if rest.is_empty() {
            return Err(invalid("nothing is named"));
        }
        Ok(Self { text: text.to_owned(), method: Method::parse(rest)?, parents, children, childrens_parents, indirect: None })
    }
}
