//! What runs, for people who wait for it.

use std::ffi::OsString;

/// Words shown at most: noun, verb and their subjects.
const WORDS_MAX: usize = 6;

/// Options of every command that have a value of their own word.
const WITH_VALUE: [&str; 2] = ["--repo", "--color"];

/// The command line up to the first option that is not of every command: options and their values may be secret, and nobody
/// needs them to know who is at work.
pub(crate) fn command_line(words: &[OsString]) -> String {
    let mut shown = Vec::new();
    let mut words = words.iter().skip(1).map(|word| word.to_string_lossy());
    while let Some(word) = words.next() {
        if WITH_VALUE.contains(&&*word) {
            words.next();
        } else if !word.starts_with('-') {
            shown.push(word);
        } else if !is_global_flag(&word) {
            break;
        }
    }
    shown.truncate(WORDS_MAX);
    shown.join(" ")
}

fn is_global_flag(word: &str) -> bool {
    let short = word.strip_prefix('-').is_some_and(|letters| letters.chars().all(|letter| "vq".contains(letter)));
    let with_value = WITH_VALUE.iter().any(|name| word.strip_prefix(name).is_some_and(|rest| rest.starts_with('=')));
    short || with_value || ["--json", "--quiet", "--verbose"].contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_and_their_values_are_left_out() {
        let words: Vec<OsString> =
            ["peat", "model", "method", "run", "web", "check", "--input", "token=x"].map(OsString::from).to_vec();
        assert_eq!(command_line(&words), "model method run web check");
    }

    #[test]
    fn options_of_every_command_may_stand_before_it() {
        let words = "peat --json -vq --repo /r --color=never model list --quiet".split(' ').map(OsString::from);
        assert_eq!(command_line(&words.collect::<Vec<_>>()), "model list");
    }
}
