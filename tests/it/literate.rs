//! Literate cases: Markdown whose headings are tests and whose fences are files, commands and expected output.
//! Reads and rewrites the Markdown; `cases` runs it. The format is told in `CONTRIBUTING.md`.

use std::collections::BTreeSet;

/// One Markdown file of cases.
pub struct Document {
    pub path: std::path::PathBuf,
    lines: Vec<String>,
    pub cases: Vec<Case>,
}

/// What stands under one heading. The steps before the first `##` belong to every case of the document.
pub struct Case {
    pub title: String,
    pub line: usize,
    pub steps: Vec<Step>,
    /// Codes in `Fails with: [a, b]` and `Warns with: [a, b]`.
    pub fails_with: BTreeSet<String>,
    pub warns_with: BTreeSet<String>,
}

/// A fence, in the order in which it stands.
#[derive(Clone)]
pub enum Step {
    File { path: String, text: String },
    Commands { lines: Vec<String>, exit: Option<u8>, line: usize },
    Expect(Expectation),
}

/// Expected output of the commands before it.
#[derive(Clone)]
pub struct Expectation {
    pub stream: Stream,
    pub text: String,
    /// The lines between the fences, for rewriting: first and one past the last.
    pub span: (usize, usize),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    /// ```` ```out ````: standard output, then standard error.
    All,
    /// ```` ```result ````: standard output alone.
    Result,
}

impl Case {
    fn new(title: &str, line: usize, steps: Vec<Step>) -> Self {
        Self { title: title.to_owned(), line, steps, fails_with: BTreeSet::new(), warns_with: BTreeSet::new() }
    }

    /// Whether there is anything to run: prose and files alone are no test.
    fn is_test(&self) -> bool {
        !self.fails_with.is_empty() || !self.warns_with.is_empty() || self.steps.iter().any(|step| matches!(step, Step::Commands { .. }))
    }
}

impl Document {
    pub fn read(path: &std::path::Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let cases = parse(&lines).unwrap_or_else(|reason| panic!("{}: {reason}", path.display()));
        Self { path: path.to_owned(), lines, cases }
    }

    /// Writes the document with other texts in some of its expectations.
    pub fn rewrite(&mut self, mut changes: Vec<((usize, usize), String)>) {
        changes.sort_by_key(|((start, _), _)| std::cmp::Reverse(*start));
        for ((start, end), text) in changes {
            self.lines.splice(start..end, text.lines().map(str::to_owned));
        }
        std::fs::write(&self.path, self.lines.join("\n") + "\n").unwrap();
    }
}

fn parse(lines: &[String]) -> Result<Vec<Case>, String> {
    let mut preamble = Case::new("", 1, Vec::new());
    let mut cases: Vec<Case> = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = &lines[at];
        if let Some(title) = line.strip_prefix("## ") {
            cases.push(Case::new(title.trim(), at + 1, preamble.steps.clone()));
        } else if let Some(title) = line.strip_prefix("# ") {
            title.trim().clone_into(&mut preamble.title);
        } else if let Some(info) = line.strip_prefix("```") {
            let length = lines[at + 1..].iter().position(|line| line == "```").ok_or(format!("line {}: the fence is not closed", at + 1))?;
            if let Some(step) = step(info, &lines[at + 1..at + 1 + length], at)? {
                cases.last_mut().unwrap_or(&mut preamble).steps.push(step);
            }
            at += length + 1;
        } else {
            let case = cases.last_mut().unwrap_or(&mut preamble);
            case.fails_with.extend(codes(line, "Fails with: ["));
            case.warns_with.extend(codes(line, "Warns with: ["));
        }
        at += 1;
    }
    if cases.is_empty() {
        cases.push(preamble);
    }
    cases.retain(Case::is_test);
    Ok(cases)
}

fn codes(line: &str, opening: &str) -> Vec<String> {
    let Some((_, rest)) = line.split_once(opening) else { return Vec::new() };
    rest.split(']').next().unwrap_or_default().split(',').map(|code| code.trim().to_owned()).filter(|code| !code.is_empty()).collect()
}

fn step(info: &str, body: &[String], at: usize) -> Result<Option<Step>, String> {
    let (kind, rest) = info.split_once(' ').unwrap_or((info, ""));
    let text = || body.iter().flat_map(|line| [line.as_str(), "\n"]).collect::<String>();
    let span = (at + 1, at + 1 + body.len());
    Ok(match kind {
        "sh" => {
            let exit = match rest.trim().strip_prefix("exit:") {
                Some(code) => Some(code.trim().parse().map_err(|_| format!("line {}: `exit:` wants a number", at + 1))?),
                None if rest.trim().is_empty() => None,
                None => return Err(format!("line {}: an `sh` fence takes `exit: N` only", at + 1)),
            };
            Some(Step::Commands { lines: commands(body), exit, line: at + 1 })
        }
        "out" => Some(Step::Expect(Expectation { stream: Stream::All, text: text(), span })),
        "result" => Some(Step::Expect(Expectation { stream: Stream::Result, text: text(), span })),
        _ if rest.trim().is_empty() => None,
        _ => Some(Step::File { path: rest.trim().to_owned(), text: text() }),
    })
}

/// Lines of an `sh` fence; one that ends in a backslash goes on in the next.
fn commands(body: &[String]) -> Vec<String> {
    let mut whole = Vec::new();
    let mut begun = String::new();
    for line in body.iter().map(|line| line.trim()).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_suffix('\\') {
            Some(head) => begun.push_str(head),
            None => whole.push(std::mem::take(&mut begun) + line),
        }
    }
    whole
}

/// A command line in words, as a shell splits them: quotes group, a backslash outside single quotes escapes.
pub fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = line.chars();
    while let Some(next) = chars.next() {
        match (next, quote) {
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(chars.next()),
            (_, Some(open)) if next == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(next);
                word.get_or_insert_default();
            }
            (' ' | '\t', None) => words.extend(word.take()),
            _ => word.get_or_insert_default().push(next),
        }
    }
    words.extend(word);
    words
}

/// Whether `found` is what `expected` describes: `...` alone on a line stands for any lines, inside a line for any text.
pub fn matches(expected: &str, found: &str) -> bool {
    let expected: Vec<&str> = expected.lines().map(str::trim_end).collect();
    let found: Vec<&str> = found.lines().map(str::trim_end).collect();
    lines_match(&expected, &found)
}

fn lines_match(expected: &[&str], found: &[&str]) -> bool {
    match expected.split_first() {
        None => found.is_empty(),
        Some((&"...", rest)) => (0..=found.len()).any(|skipped| lines_match(rest, &found[skipped..])),
        Some((first, rest)) => found.split_first().is_some_and(|(line, others)| line_matches(first, line) && lines_match(rest, others)),
    }
}

fn line_matches(expected: &str, found: &str) -> bool {
    let Some((head, mut tail)) = expected.split_once("...") else { return expected == found };
    let Some(mut rest) = found.strip_prefix(head) else { return false };
    while let Some((middle, after)) = tail.split_once("...") {
        let Some(at) = rest.find(middle) else { return false };
        rest = &rest[at + middle.len()..];
        tail = after;
    }
    rest.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_is_a_test_and_shares_what_stands_before_it() {
        let text = "# all\n```sql models/a.sql\nselect 1\n```\n## one\n```sh exit: 2\nalluvium parse \\\n  --quiet\n```\n```out\n...\n```\n## prose\nnothing";
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let cases = parse(&lines).unwrap();
        assert_eq!(cases.len(), 1);
        assert!(matches!(&cases[0].steps[0], Step::File { path, text } if path == "models/a.sql" && text == "select 1\n"));
        assert!(matches!(&cases[0].steps[1], Step::Commands { lines, exit: Some(2), .. } if lines == &["alluvium parse --quiet"]));
        assert!(matches!(&cases[0].steps[2], Step::Expect(Expectation { stream: Stream::All, .. })));
    }

    #[test]
    fn words_are_split_as_a_shell_does() {
        assert_eq!(words(r#"alluvium sql "select 'a'"  --vars '{a: 1}' ''"#), ["alluvium", "sql", "select 'a'", "--vars", "{a: 1}", ""]);
    }

    #[test]
    fn dots_stand_for_lines_and_for_text() {
        assert!(matches("a\n...\nc ... e\n", "a\nb\nb\nc d e\n"));
        assert!(matches("...\n", ""));
        assert!(!matches("a\n", "a\nb\n"));
        assert!(!matches("x ... x\n", "x y\n"));
    }
}
