//! What a key of an object may be in every store: segments joined by `/`, none of which could lead elsewhere.

use peat_core::ports::ObjectError;

/// Longest part of a bad key that is repeated in a message, in characters.
const SHOWN_CHARACTERS: usize = 80;

/// Refuses what no store may take for a key.
pub(crate) fn check(key: &str, bytes_max: usize) -> Result<(), ObjectError> {
    if key.is_empty() || key.len() > bytes_max {
        return Err(invalid(key, "a key has 1 to 1,024 bytes, those of a prefix included"));
    }
    key.split('/').try_for_each(check_segment).map_err(|reason| invalid(key, reason))
}

/// Refuses what no segment may be.
pub(crate) fn check_segment(segment: &str) -> Result<(), &'static str> {
    match segment {
        "" => Err("no segment may be empty, and a key neither begins nor ends with '/'"),
        "." | ".." => Err("no segment may be '.' or '..'"),
        _ if segment.chars().any(is_forbidden) => Err("control characters and backslash are not allowed"),
        _ => Ok(()),
    }
}

/// Whether a character can be in no key: an answer in XML cannot hold it, or some system takes it for a separator.
pub(crate) fn is_forbidden(character: char) -> bool {
    character.is_control() || matches!(character, '\\' | '\u{fffe}' | '\u{ffff}')
}

/// The refusal of a key, which is shown bounded.
pub(crate) fn invalid(key: &str, reason: &'static str) -> ObjectError {
    let mut shown: String = key.chars().take(SHOWN_CHARACTERS).collect();
    if shown.len() < key.len() {
        shown.push('…');
    }
    ObjectError::InvalidKey { key: shown, reason }
}
