//! Texts that tell careful implementations from careless ones.

use std::fmt::Write as _;

/// A file of the granted directory, and arguments besides its path.
pub(crate) struct Text {
    pub(crate) name: String,
    pub(crate) content: Vec<u8>,
    pub(crate) arguments: &'static [&'static str],
}

fn text(name: &str, content: impl Into<Vec<u8>>, arguments: &'static [&'static str]) -> Text {
    Text { name: name.to_owned(), content: content.into(), arguments }
}

/// White space of Unicode, control characters that some take for it, and line ends of all kinds.
const WHITE_SPACE: &str = "a\u{1c}b\u{1d}c\u{1e}d\u{1f}e \u{85}f\u{a0}g\u{1680}h\u{2000}i\u{200a}j\u{200b}k\u{2028}l\u{2029}m\
    \u{202f}n\u{205f}o\u{3000}p\u{feff}q\r\nr\rs\u{b}t\u{c}u\tv\n\n w\u{180e}x";

/// Words whose letters, marks and cases are judged differently by simpler rules.
const WORDS: &str = "\
    Straße STRASSE straße İstanbul ISPARTA ıspanak Iſtanbul
    ΟΔΥΣΣΕΥΣ ΣΙΣΥΦΟΣ ΑΣ ΑΣΑ Σ ΣΣΣ ΑΣʼΑ ΑΣʼ ʼΑΣ ΑʼΣ Α\u{345}Σ ΑΣ\u{345}Α ΑΣ1 1Σ1 ΜΑΪ́ΟΣ
    ǄUNGLA ǅungla ǆungla ﬁnden ŉoor ẞ ᾼδης ᾳδης Ὠδή
    हिन्दी भाषा বাংলা தமிழ் ไทย ဗမာ ខ្មែរ
    العربية עברית العَرَبِيَّة שָׁלוֹם
    漢字仮名交じり文 かなカナ 한국어 𠮷野家
    ⓐⒷⓒ Ⓐⓑⓒ ⅧⅧⅧ ⅷⅷⅷ ²³¹ ½¾¼ ①②③ 〇〇〇 ٣٤٥ ४५६
    𐐀𐐁𐐂 𐐨𐐩𐐪 ᎠᎡᎢ ꭰꭱꭲ ᲐᲑᲒ აბგ 𞤀𞤁𞤂 𞤢𞤣𞤤
    don't l'été e\u{301}te\u{301} été naïve co-operate snake_case x²y a\u{0}b
    😀😀😀 🇩🇪 a😀b ___ --- \"quoted\" back\\slash tab\there";

/// What both must make the same of.
pub(crate) fn texts() -> Vec<Text> {
    vec![
        text("empty.txt", "", &[]),
        text("line.txt", "One two\nthree  four\nfive", &[]),
        text("line-ended.txt", "Peat, peat; bog. Moss-moss is in a bog: peat\n", &["top=3"]),
        text("none.txt", "some words of no consequence", &["top=0"]),
        text("white-space.txt", WHITE_SPACE, &["top=1000"]),
        text("words.txt", WORDS, &["top=1000"]),
        text("with \"quotes\" é.txt", "a name that has to be escaped", &["directory=source"]),
        text("every-letter.txt", every_letter(), &["top=1000"]),
        text("numbers.txt", numbers(), &["top=1000"]),
        // The file comes in several pieces, and so does its only term.
        text("long.txt", long_word(), &[]),
    ]
}

/// What both must refuse in the same words. Nothing is written where there is no content.
pub(crate) fn broken_texts() -> Vec<Text> {
    vec![
        text("not-there.txt", "", &[]),
        text("../peat.yaml", "", &[]),
        text("line.txt", "", &["directory=elsewhere"]),
        text("one-bad-byte.txt", b"good \xff good", &[]),
        text("two-bad-bytes.txt", b"good \xe2\x82 good", &[]),
        text("three-bad-bytes.txt", b"good \xf0\x9f\x98 good", &[]),
        text("ends-early.txt", b"good \xf0\x9f", &[]),
        text("overlong.txt", b"\xc0\x80", &[]),
        text("overlong-3.txt", b"\xe0\x80\x80", &[]),
        text("surrogate.txt", b"\xed\xa0\x80", &[]),
        text("beyond.txt", b"\xf4\x90\x80\x80", &[]),
        text("continues.txt", b"a\x80", &[]),
        text("large.txt", vec![b'a'; 16 * 1024 * 1024 + 1], &[]),
    ]
}

/// Words with one letter of every kind in different numbers: what comes first is decided by how often, then by which.
fn every_letter() -> String {
    let letters = ('\u{80}'..=char::MAX).filter(|letter| letter.is_alphanumeric());
    let mut text = String::new();
    for (index, letter) in letters.step_by(37).enumerate() {
        for _ in 0..=index % 3 {
            writeln!(text, "x{letter}Σ y{letter}{letter}").expect("a string takes everything");
        }
    }
    text
}

/// Counts of all lengths.
fn numbers() -> String {
    let mut text = String::new();
    for word in 0..200_usize {
        for _ in 0..word * word / 50 {
            write!(text, "word{word}\t").expect("a string takes everything");
        }
    }
    text
}

fn long_word() -> String {
    let mut text = "Ää".repeat(400_000);
    text.push_str(" and\nmore");
    text
}
