//! Changes of inputs by chance, the same for the same seed. Fewer and simpler ones than libFuzzer makes, but everywhere.

/// Most bytes of a changed input: more says nothing new and takes long.
const INPUT_BYTES_MAX: usize = 64 * 1024;

/// Most changes of one input.
const CHANGES_MAX: u64 = 4;

/// What the formats are made of, and what breaks careless readers of them.
const PIECES: &[&str] = &[
    "0",
    "-1",
    "1e400",
    "1.5",
    "18446744073709551615",
    "18446744073709551616",
    "9007199254740993",
    "null",
    "true",
    "{}",
    "[]",
    "\"\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "\n",
    "\t",
    " ",
    "\u{0}",
    "\u{1b}",
    "é",
    "..",
    "/",
    "@",
    "+",
    "-",
    "_",
    "~",
    "&a ",
    "*a",
    "!!",
    "|",
    ">",
    "#",
    "? ",
    "- ",
    "<<: ",
    ".inf",
    ".nan",
    "yes",
    "0x10",
    "0o7",
    "1_000",
    "2001-01-01",
    "format",
    "name",
    "$ref",
    "pattern",
    "\u{2028}",
    "\u{feff}",
];

/// Chance (SplitMix64: Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The same numbers for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

/// `input` with some changes; `other` is another input of the same kind, of which parts may be taken.
pub fn changed(input: &[u8], other: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut changed = input.to_vec();
    for _ in 0..=chance.below(CHANGES_MAX as usize) {
        let place = chance.below(changed.len() + 1);
        let end = (place + 1 + chance.below(16)).min(changed.len());
        match chance.below(8) {
            0 if place < changed.len() => changed[place] ^= 1 << chance.below(8),
            1 if place < changed.len() => changed[place] = chance.below(256) as u8,
            2 => drop(changed.drain(place..end)),
            3 => {
                let repeated = changed[place..end].to_vec();
                let times = 1 + chance.below(300);
                changed.splice(end..end, repeated.repeat(times));
            }
            4 => changed.truncate(place),
            5 => {
                let from = chance.below(other.len() + 1);
                let to = (from + chance.below(200)).min(other.len());
                changed.splice(place..end, other[from..to].iter().copied());
            }
            6 => replace_number(&mut changed, place, chance),
            _ => {
                let piece = PIECES[chance.below(PIECES.len())].as_bytes();
                let end = if chance.below(2) == 0 { place } else { end };
                changed.splice(place..end, piece.iter().copied());
            }
        }
    }
    changed.truncate(INPUT_BYTES_MAX);
    changed
}

/// Another number in place of the next one behind `place`.
fn replace_number(input: &mut Vec<u8>, place: usize, chance: &mut Chance) {
    let Some(begin) = input[place..].iter().position(u8::is_ascii_digit).map(|offset| place + offset) else { return };
    let length = input[begin..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = match chance.below(5) {
        0 => "0".to_owned(),
        1 => u64::MAX.to_string(),
        2 => (u64::MAX / 2 + 1).to_string(),
        3 => u32::MAX.to_string(),
        _ => chance.below(1000).to_string(),
    };
    input.splice(begin..begin + length, number.into_bytes());
}
