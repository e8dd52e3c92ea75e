//! Columns in messages as one writes them: the name alone where it is the only one of that name, else behind its table's.

/// Names of columns with everything before them, shortened against each other.
pub(super) fn brief(names: &[&str]) -> Vec<String> {
    let split: Vec<Vec<&str>> = names.iter().map(|name| parts(name)).collect();
    let short = |own: &Vec<&str>| {
        let [.., table, column] = own.as_slice() else { return own.join(".") };
        let same = |other: &&str| bare(other) == bare(column);
        let shared = split.iter().any(|other| other.last().is_some_and(same) && other != own);
        if shared { format!("{table}.{column}") } else { (*column).to_owned() }
    };
    let mut seen = std::collections::BTreeSet::new();
    split.iter().map(short).filter(|name| seen.insert(name.clone())).collect()
}

fn bare(name: &str) -> String {
    name.trim_matches(['"', '`']).to_lowercase()
}

/// The parts of a dotted name; dots in quotes do not count.
fn parts(name: &str) -> Vec<&str> {
    let mut quoted = false;
    name.split(|letter: char| {
        quoted ^= matches!(letter, '"' | '`');
        letter == '.' && !quoted
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::brief;

    #[test]
    fn tables_are_named_where_it_takes_them() {
        assert_eq!(brief(&["alluvium.main.a.id", "alluvium.main.b.id", "alluvium.main.a.\"x.y\""]), ["a.id", "b.id", "\"x.y\""]);
        assert_eq!(brief(&["main.t.id", "plain"]), ["id", "plain"]);
    }
}
