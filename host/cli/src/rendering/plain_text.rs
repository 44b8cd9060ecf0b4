//! Text of guests and files, made harmless for a terminal.

use std::borrow::Cow;

/// Longest text shown on one line, in characters: more is a document, not a summary.
const LINE_CHARACTERS_MAX: usize = 400;

/// Replaces control characters other than line end and tab: they could move the cursor, set colours or retitle a window.
pub(crate) fn without_controls(text: &str) -> Cow<'_, str> {
    replace(text, |character| character != '\n' && character != '\t' && is_unsafe(character))
}

/// The same for one line: line ends and tabs are replaced too, and it is cut to a bounded length.
pub(crate) fn one_line(text: &str) -> String {
    let mut characters = text.chars();
    let mut line: String = characters
        .by_ref()
        .take(LINE_CHARACTERS_MAX)
        .map(|character| match character {
            '\n' | '\r' | '\t' => ' ',
            character if is_unsafe(character) => char::REPLACEMENT_CHARACTER,
            character => character,
        })
        .collect();
    if characters.next().is_some() {
        line.push('…');
    }
    line
}

/// Control characters, and those that reorder what stands around them.
fn is_unsafe(character: char) -> bool {
    character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn replace(text: &str, bad: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&bad) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.chars().map(|character| if bad(character) { char::REPLACEMENT_CHARACTER } else { character }).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_do_not_reach_the_terminal() {
        assert_eq!(without_controls("a\u{1b}[31mb\n\tc"), "a\u{fffd}[31mb\n\tc");
        assert_eq!(one_line("a\u{9b}31m\nb\u{202e}c"), "a\u{fffd}31m b\u{fffd}c");
    }

    #[test]
    fn a_line_is_bounded() {
        assert_eq!(one_line(&"x".repeat(100_000)).chars().count(), LINE_CHARACTERS_MAX + 1);
    }
}
