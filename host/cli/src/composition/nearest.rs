//! The name that was probably meant.

/// Names further away than this share of their length are not worth suggesting.
const DISTANCE_SHARE: usize = 3;

/// The known name nearest to `given`, when it is near.
pub(crate) fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|name| (distance(given, name), name))
        .filter(|(distance, name)| *distance <= name.chars().count().max(3) / DISTANCE_SHARE)
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein's distance: insertions, deletions and replacements of characters.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, character) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for column in 0..other.len() {
            let replaced = diagonal + usize::from(character != other[column]);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        let known = ["inventory", "summary", "web"];
        assert_eq!(nearest("inventroy", known.into_iter()), Some("inventory"));
        assert_eq!(nearest("wb", known.into_iter()), Some("web"));
        assert_eq!(nearest("unrelated", known.into_iter()), None);
    }
}
