//! What runs, for people who wait for it.

use std::ffi::OsString;

/// Words shown at most: noun, verb and their subjects.
const WORDS_MAX: usize = 6;

/// The command line without options and their values: those may be secret, and nobody needs them to know who is at work.
pub(crate) fn command_line(words: &[OsString]) -> String {
    let plain = |word: &&OsString| !word.as_encoded_bytes().starts_with(b"-");
    let leading = words.iter().skip(1).take_while(plain).take(WORDS_MAX);
    leading.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
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
}
