//! `explain`: the page of a code, or all codes.

use super::{Exit, Streams};
use crate::base::{Code, nearest};

pub(super) fn explain(code: Option<&str>, streams: &Streams) -> Exit {
    let Some(wanted) = code else {
        let lines: Vec<String> = Code::ALL.iter().map(|code| format!("{:24}{}\n", code.name(), summary(*code))).collect();
        streams.print(&lines.concat());
        return Exit::Fine;
    };
    if let Ok(code) = wanted.trim_start_matches('[').trim_end_matches(']').parse::<Code>() {
        streams.print(&format!("{}\n", code.page().trim_end()));
        return Exit::Fine;
    }
    let help = nearest(wanted, Code::ALL.iter().map(|code| code.name()))
        .map_or_else(|| "`alluvium explain` lists all codes".to_owned(), |name| format!("did you mean `{name}`?"));
    streams.complain(&format!("error: there is no code `{wanted}`\n  help: {help}\n"));
    Exit::Unusable
}

/// The first sentence of a code's page.
fn summary(code: Code) -> String {
    let line = code.page().lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or_default();
    line.split_inclusive(". ").next().unwrap_or_default().trim().trim_end_matches('.').to_owned()
}
