//! The text of the custom section `peat-extension`, put together while the extension is compiled.
//!
//! The export macros say what to write as a list of [`Piece`]s; two const functions make bytes of it. Whether the result
//! follows the rules is checked by the guest builder and by every host that installs the extension.

/// A part of the metadata text.
#[derive(Debug, Clone, Copy)]
pub enum Piece<'text> {
    /// JSON already.
    Json(&'text str),
    /// To be written as a JSON string, quotes included.
    Text(&'text str),
    /// A comma, unless a list or object has just begun.
    Comma,
}

/// How many bytes `pieces` make.
pub const fn length(pieces: &[Piece<'_>]) -> usize {
    let mut total = 0;
    let mut index = 0;
    while index < pieces.len() {
        total += match pieces[index] {
            Piece::Json(json) => json.len(),
            Piece::Text(text) => text_length(text.as_bytes()),
            Piece::Comma => (index > 0 && !opens(pieces[index - 1])) as usize,
        };
        index += 1;
    }
    total
}

/// Whether what follows `piece` is the first of its list or object.
const fn opens(piece: Piece<'_>) -> bool {
    match piece {
        Piece::Json(json) => matches!(json.as_bytes(), [.., b'[' | b'{']),
        Piece::Text(_) | Piece::Comma => false,
    }
}

/// The bytes of `pieces`; `LENGTH` is what [`length`] says, anything else does not compile.
pub const fn write<const LENGTH: usize>(pieces: &[Piece<'_>]) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    let mut at = 0;
    let mut index = 0;
    while index < pieces.len() {
        match pieces[index] {
            Piece::Json(json) => {
                let json = json.as_bytes();
                let mut next = 0;
                while next < json.len() {
                    bytes[at] = json[next];
                    at += 1;
                    next += 1;
                }
            }
            Piece::Text(text) => at = write_text(&mut bytes, at, text.as_bytes()),
            Piece::Comma if index > 0 && !opens(pieces[index - 1]) => {
                bytes[at] = b',';
                at += 1;
            }
            Piece::Comma => {}
        }
        index += 1;
    }
    assert!(at == LENGTH, "LENGTH is what `length` says");
    bytes
}

const fn text_length(text: &[u8]) -> usize {
    let mut total = 2;
    let mut index = 0;
    while index < text.len() {
        total += match text[index] {
            b'"' | b'\\' => 2,
            0..0x20 => 6,
            _ => 1,
        };
        index += 1;
    }
    total
}

const fn write_text<const LENGTH: usize>(bytes: &mut [u8; LENGTH], mut at: usize, text: &[u8]) -> usize {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes[at] = b'"';
    at += 1;
    let mut index = 0;
    while index < text.len() {
        let byte = text[index];
        match byte {
            b'"' | b'\\' => {
                bytes[at] = b'\\';
                bytes[at + 1] = byte;
                at += 2;
            }
            0..0x20 => {
                let escape = [b'\\', b'u', b'0', b'0', DIGITS[(byte >> 4) as usize], DIGITS[(byte & 15) as usize]];
                let mut next = 0;
                while next < escape.len() {
                    bytes[at + next] = escape[next];
                    next += 1;
                }
                at += escape.len();
            }
            _ => {
                bytes[at] = byte;
                at += 1;
            }
        }
        index += 1;
    }
    bytes[at] = b'"';
    at + 1
}

/// Puts the pieces into the custom section of the component. Used by the export macros.
#[doc(hidden)]
#[macro_export]
macro_rules! __metadata_section {
    ($($piece:expr),* $(,)?) => {
        const _: () = {
            #[allow(unused_imports)]
            use $crate::metadata::Piece::{Comma, Json, Text};
            const PIECES: &[$crate::metadata::Piece<'static>] = &[$($piece),*];
            const LENGTH: usize = $crate::metadata::length(PIECES);
            #[cfg_attr(target_arch = "wasm32", unsafe(link_section = "peat-extension"))]
            #[used]
            static METADATA: [u8; LENGTH] = $crate::metadata::write::<LENGTH>(PIECES);
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECES: &[Piece<'static>] =
        &[Piece::Json("{\"summary\":"), Piece::Text("a \"quoted\"\n\\ line, ü"), Piece::Json("}")];
    const BYTES: [u8; length(PIECES)] = write(PIECES);

    #[test]
    fn text_is_escaped_as_json_and_comes_back_unchanged() {
        let value: serde_json::Value = serde_json::from_slice(&BYTES).unwrap();
        assert_eq!(value["summary"], "a \"quoted\"\n\\ line, ü");
    }

    #[test]
    fn commas_stand_only_between_members() {
        const LIST: &[Piece<'static>] =
            &[Piece::Json("["), Piece::Comma, Piece::Text("a"), Piece::Comma, Piece::Text("b"), Piece::Json("]")];
        assert_eq!(&write::<{ length(LIST) }>(LIST), b"[\"a\",\"b\"]");
    }

    #[test]
    fn an_empty_text_is_two_quotes() {
        assert_eq!(&write::<2>(&[Piece::Text("")]), b"\"\"");
    }
}
