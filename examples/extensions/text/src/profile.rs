//! The counting itself: pure, tested natively.

use std::collections::HashMap;

use serde::Serialize;

/// Shortest word that counts as a term, in characters: shorter ones are mostly articles.
const TERM_CHARACTERS_MIN: usize = 3;

/// What a text consists of.
#[derive(Debug, Serialize)]
pub(crate) struct Profile {
    /// The file.
    pub(crate) path: String,
    /// Lines, a last one without newline included.
    pub(crate) lines: usize,
    /// Runs of characters that are not white space.
    pub(crate) words: usize,
    /// Length in bytes.
    pub(crate) bytes: usize,
    /// The most frequent terms, most frequent first, equals in alphabetical order.
    pub(crate) terms: Vec<Term>,
}

/// A word in lower case and how often it occurs.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Term {
    /// The word.
    pub(crate) term: String,
    /// How often.
    pub(crate) count: usize,
}

/// Counts `text`, keeping the `top` most frequent terms.
pub(crate) fn of(path: &str, text: &str, top: usize) -> Profile {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for word in text.split(|character: char| !character.is_alphanumeric()) {
        if word.chars().count() >= TERM_CHARACTERS_MIN {
            *counts.entry(word.to_lowercase()).or_default() += 1;
        }
    }
    let mut terms: Vec<Term> = counts.into_iter().map(|(term, count)| Term { term, count }).collect();
    terms.sort_by(|left, right| right.count.cmp(&left.count).then_with(|| left.term.cmp(&right.term)));
    terms.truncate(top);
    Profile {
        path: path.to_owned(),
        lines: text.lines().count(),
        words: text.split_whitespace().count(),
        bytes: text.len(),
        terms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_words_and_bytes_are_those_of_wc() {
        let profile = of("a.txt", "One two\nthree  four\nfive", 0);
        assert_eq!((profile.lines, profile.words, profile.bytes), (3, 5, 24));
        assert!(profile.terms.is_empty());
    }

    #[test]
    fn terms_are_sorted_by_frequency_and_then_by_name() {
        let profile = of("a.txt", "Peat, peat; bog. Moss-moss is in a bog: peat", 3);
        let terms: Vec<(&str, usize)> = profile.terms.iter().map(|term| (term.term.as_str(), term.count)).collect();
        assert_eq!(terms, [("peat", 3), ("bog", 2), ("moss", 2)]);
    }

    #[test]
    fn an_empty_text_has_nothing() {
        let profile = of("a.txt", "", 10);
        assert_eq!((profile.lines, profile.words, profile.bytes, profile.terms.len()), (0, 0, 0, 0));
    }
}
