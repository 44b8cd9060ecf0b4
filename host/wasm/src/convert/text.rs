//! Text of guests, made safe to show.

use super::{Invalid, Validated};
use crate::limits::TEXT_BYTES_MAX;

/// Longest part of a wrong argument that is repeated in a message, in bytes.
const SHOWN_BYTES: usize = 120;

/// The text without control characters but tabs; they become U+FFFD.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|character| if character.is_control() && character != '\t' { '\u{fffd}' } else { character })
        .collect()
}

/// One bounded line for people.
pub(crate) fn line(text: &str) -> String {
    message(text).replace(['\n', '\t'], " ")
}

/// A bounded message for people; may have several lines.
pub(crate) fn message(text: &str) -> String {
    let cut = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
    let mut clean: String = cut
        .chars()
        .map(|character| match character {
            '\n' | '\t' => character,
            control if control.is_control() => '\u{fffd}',
            other => other,
        })
        .collect();
    if cut.len() < text.len() {
        clean.push('…');
    }
    clean
}

/// A short form of an argument, to repeat it in an error.
pub(crate) fn shown(text: &str) -> String {
    let cut = &text[..text.floor_char_boundary(SHOWN_BYTES)];
    let mut clean = printable(cut);
    if cut.len() < text.len() {
        clean.push('…');
    }
    clean
}

/// A text that must be of a length.
pub(crate) fn within(field: &str, text: String, bytes_max: usize) -> Validated<String> {
    if text.len() > bytes_max {
        return Err(Invalid::field(field, format!("{} bytes, at most {bytes_max} are allowed", text.len())));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_bounded_and_cannot_drive_a_terminal() {
        let long = message(&"ä\u{1b}".repeat(10_000));
        assert!(long.len() <= TEXT_BYTES_MAX * 2 + 3 && long.ends_with('…'));
        assert!(!long.contains('\u{1b}'));
        assert_eq!(line("one\ntwo"), "one two");
        assert!(shown(&"x".repeat(4096)).len() < 200);
    }
}
