//! "Did you mean": the candidate nearest to a misspelt name.

/// The candidate that a user most likely meant, if one is near enough to be worth suggesting.
///
/// Compares without regard to case by Damerau-Levenshtein distance; a suggestion differs in at most a third of
/// the characters. Ties go to the alphabetically first, so that messages stay the same from run to run.
pub fn nearest<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    let limit = wanted.chars().count().div_ceil(3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn suggests_only_what_is_near() {
        assert_eq!(nearest("stg_custmer", ["stg_account", "stg_customer"]), Some("stg_customer"));
        assert_eq!(nearest("zebra", ["stg_account", "stg_customer"]), None);
    }
}
