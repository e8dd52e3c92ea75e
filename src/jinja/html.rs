//! The filters `xmlattr` and `urlize`, as Jinja2 has them.

use minijinja::value::{Rest, ValueKind, ValueOrKwargs};
use minijinja::{Error, Value};

use super::containers::{collect, pairs};
use super::error::problem;
use super::filters::{arguments, escaped, on};
use super::macros::is_absent;
use super::python::text;
use super::values::{bind_args, describe};
use crate::base::Code;

/// `xmlattr(autospace=true)`: a dict as the attributes of an element; what is none is left out.
pub(super) fn xmlattr(value: Value, args: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let [autospace] = bind_args("xmlattr", ["autospace"], &arguments(args))?;
    if value.kind() != ValueKind::Map {
        return Err(problem(Code::JinjaRuntime, format!("`xmlattr` takes a dict, found {}", describe(&value))));
    }
    let mut made = Vec::new();
    for (key, value) in pairs(&value)? {
        if value.is_none() || is_absent(&value) {
            continue;
        }
        let key = text(&key);
        if key.contains(|c: char| c.is_whitespace() || "/>=".contains(c)) {
            return Err(problem(Code::JinjaRuntime, format!("`{key}` is no name of an attribute")));
        }
        made.push(format!("{}=\"{}\"", escaped(&key), escaped(&text(&value))));
    }
    let space = if made.is_empty() || autospace.is_some_and(|space| !space.is_true()) { "" } else { " " };
    Ok(space.to_owned() + &made.join(" "))
}

/// How `urlize` writes links.
struct Links {
    limit: Option<usize>,
    /// `rel` and `target`, as they stand in the tag.
    attributes: String,
    schemes: Vec<String>,
}

/// `urlize(trim_url_limit=none, nofollow=false, target=none, rel=none, extra_schemes=none)`: addresses in a text as links.
pub(super) fn urlize(value: Value, args: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let names = ["trim_url_limit", "nofollow", "target", "rel", "extra_schemes"];
    let given = bind_args("urlize", names, &arguments(args))?.map(|value| value.filter(|value| !value.is_none()));
    let [limit, nofollow, target, rel, schemes] = given;
    let rel = rel.map(|rel| text(&rel)).unwrap_or_default();
    let mut rel: Vec<&str> = rel.split_whitespace().chain(on(nofollow).then_some("nofollow")).chain(["noopener"]).collect();
    rel.sort_unstable();
    rel.dedup();
    let target = target.map_or_else(String::new, |target| format!(" target=\"{}\"", escaped(&text(&target))));
    let schemes = schemes.map(|schemes| collect(&schemes)).transpose()?.unwrap_or_default();
    let links = Links {
        limit: limit.and_then(|limit| limit.as_usize()),
        attributes: format!(" rel=\"{}\"{target}", escaped(&rel.join(" "))),
        schemes: schemes.iter().map(scheme).collect::<Result<_, _>>()?,
    };
    let safe = escaped(&text(&value));
    let mut out = String::new();
    let mut rest = safe.as_str();
    while !rest.is_empty() {
        let word = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(word);
        links.write(word, &mut out);
        let blank = tail.find(|c: char| !c.is_whitespace()).unwrap_or(tail.len());
        let (blank, tail) = tail.split_at(blank);
        out.push_str(blank);
        rest = tail;
    }
    Ok(out)
}

/// `name:`, with or without slashes.
fn scheme(value: &Value) -> Result<String, Error> {
    let named = |text: &&str| {
        let name = text.trim_end_matches('/').strip_suffix(':').unwrap_or_default();
        text.len() - text.trim_end_matches('/').len() <= 2
            && name.len() > 1
            && name.starts_with(|c: char| c.is_alphanumeric())
            && name.chars().all(|c| c.is_alphanumeric() || "_.+-".contains(c))
    };
    let found = value.as_str().filter(named);
    found.map(str::to_owned).ok_or_else(|| problem(Code::JinjaRuntime, format!("{} is no scheme of an address", describe(value))))
}

impl Links {
    fn write(&self, word: &str, out: &mut String) {
        let (head, mut middle, mut tail) = framed(word);
        // Brackets that are opened in an address are closed in it.
        for (open, close) in [("(", ")"), ("<", ">"), ("&lt;", "&gt;")] {
            let (opened, closed) = (middle.matches(open).count(), middle.matches(close).count());
            if opened > closed {
                for _ in 0..opened.min(tail.matches(close).count()) {
                    let end = middle.len() + tail.find(close).map_or(0, |at| at + close.len());
                    let whole = word.get(head.len()..).unwrap_or_default();
                    (middle, tail) = (whole.get(..end).unwrap_or_default(), whole.get(end..).unwrap_or_default());
                }
            }
        }
        out.push_str(head);
        out.push_str(&self.linked(middle));
        out.push_str(tail);
    }

    fn linked(&self, word: &str) -> String {
        let attributes = &self.attributes;
        if is_address(word) {
            let scheme = if word.starts_with("http://") || word.starts_with("https://") { "" } else { "https://" };
            return format!("<a href=\"{scheme}{word}\"{attributes}>{}</a>", self.trimmed(word));
        }
        if let Some(mail) = word.strip_prefix("mailto:").filter(|mail| is_mail(mail)) {
            return format!("<a href=\"{word}\">{mail}</a>");
        }
        if word.contains('@') && !word.starts_with("www.") && !word.starts_with('@') && !word.contains(':') && is_mail(word) {
            return format!("<a href=\"mailto:{word}\">{word}</a>");
        }
        match self.schemes.iter().find(|scheme| word != **scheme && word.starts_with(&***scheme)) {
            Some(_) => format!("<a href=\"{word}\"{attributes}>{word}</a>"),
            None => word.to_owned(),
        }
    }

    fn trimmed(&self, word: &str) -> String {
        match self.limit.filter(|limit| word.chars().count() > *limit) {
            Some(limit) => word.chars().take(limit).collect::<String>() + "...",
            None => word.to_owned(),
        }
    }
}

/// A word without the brackets before it, and the brackets and stops behind it.
fn framed(word: &str) -> (&str, &str, &str) {
    let mut middle = word;
    while let Some(rest) = ["(", "<", "&lt;"].iter().find_map(|open| middle.strip_prefix(open)) {
        middle = rest;
    }
    let head = word.get(..word.len() - middle.len()).unwrap_or_default();
    let whole = middle;
    while let Some(rest) = [")", ">", ".", ",", "&gt;"].iter().find_map(|close| middle.strip_suffix(close)) {
        middle = rest;
    }
    (head, middle, whole.get(middle.len()..).unwrap_or_default())
}

/// Whether a word is an address of the web: with a scheme or `www.`, or of one of the old domains.
fn is_address(word: &str) -> bool {
    const DOMAINS: [&str; 8] = ["com", "net", "int", "edu", "gov", "org", "info", "mil"];
    let lower = word.to_lowercase();
    let begun = ["https://", "http://", "www."].iter().find_map(|begin| Some((*begin, lower.strip_prefix(begin)?)));
    let (begin, rest) = begun.unwrap_or(("", &lower));
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if path.contains(char::is_whitespace) {
        return false;
    }
    let (host, port) = if host.ends_with(']') { (host, None) } else { host.rsplit_once(':').map_or((host, None), |(host, port)| (host, Some(port))) };
    if port.is_some_and(|port| port.is_empty() || port.len() > 5 || !port.chars().all(|c| c.is_ascii_digit())) {
        return false;
    }
    let label = |label: &str, least: usize| label.chars().count() >= least && label.chars().all(|c| c.is_alphanumeric() || "_%-".contains(c));
    let labels: Vec<&str> = host.split('.').collect();
    let Some((top, before)) = labels.split_last() else { return false };
    if begin.is_empty() {
        return !before.is_empty() && DOMAINS.contains(top) && before.iter().all(|part| label(part, 2));
    }
    let is_top = (2..=63).contains(&top.len()) && top.chars().all(|c| c.is_ascii_lowercase())
        || top.strip_prefix("xn--").is_some_and(|top| (2..=59).contains(&top.len()) && !top.contains('-') && label(top, 2));
    let number = |part: &&str| (1..=3).contains(&part.len()) && part.chars().all(|c| c.is_ascii_digit());
    let is_number = begin != "www." && labels.len() == 4 && labels.iter().all(number);
    let six = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_six = begin != "www." && six.is_some_and(|six| six.matches(':').count() >= 2 && six.chars().all(|c| c == ':' || c.is_ascii_hexdigit()));
    is_six || is_number || is_top && before.iter().all(|part| label(part, 1))
}

fn is_mail(word: &str) -> bool {
    let word_sign = |c: char| c == '_' || c.is_alphanumeric();
    let Some((name, host)) = word.rsplit_once('@') else { return false };
    let Some((before, last)) = host.rsplit_once('.') else { return false };
    let begins = before.starts_with(word_sign) && before.chars().all(|c| word_sign(c) || c == '.' || c == '-');
    !name.is_empty() && !name.contains(char::is_whitespace) && begins && !last.is_empty() && last.chars().all(word_sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_words() {
        for address in
            ["http://a.com", "https://a.b.org/x?y#z", "www.x.io", "x-y.example.com:80", "http://127.0.0.1/", "http://[::1]/", "sub.site.net/p"]
        {
            assert!(is_address(address), "{address}");
        }
        for word in ["a.com", "example.io", "http://", "https://a.b", "www.", "http://x:123456", "1.2.3.4", "e.g"] {
            assert!(!is_address(word), "{word}");
        }
        assert!(is_mail("a@b.com") && !is_mail("a@b") && !is_mail("@b.com"));
        assert_eq!(framed("(www.a.com)."), ("(", "www.a.com", ")."));
    }
}
