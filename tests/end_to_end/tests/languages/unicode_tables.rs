//! What the examples in C and in Python know of Unicode: tables made of what Rust's standard library does, so that all
//! three find the same words.

use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use peat_end_to_end_tests::project;

/// Set to write the tables instead of comparing them.
const UPDATE: &str = "PEAT_UPDATE_TABLES";

/// Longest line of the tables, in characters.
const LINE_CHARACTERS_MAX: usize = 118;

/// What a character is to the rule of the final sigma.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Uncased,
    Cased,
    /// Letters with and without case are looked for beyond it.
    Ignored,
}

/// Every `step`th character of the range becomes the one at `distance`.
#[derive(Debug, PartialEq, Eq)]
struct Lowered {
    range: RangeInclusive<u32>,
    step: u32,
    distance: i64,
}

#[test]
fn the_tables_of_the_examples_are_those_of_rust() {
    let (words, lowered) = (word_ranges(), lower_ranges());
    assert_eq!(expanded(&lowered), simple_lower_cases(), "the ranges say something else than what they were made of");
    for (place, made) in [
        ("text-c/src/unicode.h", for_c(&words, &lowered)),
        ("text-python/src/unicode_tables.py", for_python(&words, &lowered)),
    ] {
        let file: PathBuf = project().join("examples/extensions").join(place);
        if std::env::var_os(UPDATE).is_some() {
            std::fs::write(&file, made).unwrap();
        } else {
            let kept = std::fs::read_to_string(&file).unwrap();
            assert!(
                kept == made,
                "{place} is not what this Rust would make; run this test with {UPDATE}=1 and look at the difference"
            );
        }
    }
}

/// The examples treat one character by itself; here is where a second one would be noticed.
#[test]
fn one_character_alone_becomes_two_in_lower_case() {
    let several: Vec<char> = ('\0'..=char::MAX).filter(|character| character.to_lowercase().count() > 1).collect();
    assert_eq!(several, ['\u{130}']);
    assert_eq!("\u{130}".to_lowercase(), "i\u{307}");
}

/// The examples write these down; here is where another one would be noticed.
#[test]
fn white_space_is_what_the_examples_say() {
    let white: Vec<u32> = ('\0'..=char::MAX).filter(|character| character.is_whitespace()).map(u32::from).collect();
    let mut expected: Vec<u32> = (0x9..=0xD).chain(0x2000..=0x200A).collect();
    expected.extend([0x20, 0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000]);
    expected.sort_unstable();
    assert_eq!(white, expected);
}

/// Runs of characters of words that are the same to the rule of the final sigma.
fn word_ranges() -> Vec<(RangeInclusive<u32>, Case)> {
    let mut ranges: Vec<(RangeInclusive<u32>, Case)> = Vec::new();
    for character in ('\0'..=char::MAX).filter(|character| character.is_alphanumeric()) {
        let (number, case) = (u32::from(character), case_of(character));
        match ranges.last_mut() {
            Some((range, known)) if *range.end() + 1 == number && *known == case => *range = *range.start()..=number,
            _ => ranges.push((number..=number, case)),
        }
    }
    ranges
}

/// Found out by what becomes of a sigma before it, with nothing behind it and with a letter that has case.
fn case_of(character: char) -> Case {
    let is_inside = |word: String| word.to_lowercase().chars().nth(1) == Some('σ');
    match (is_inside(format!("aΣ{character}")), is_inside(format!("aΣ{character}a"))) {
        (true, _) => Case::Cased,
        (false, true) => Case::Ignored,
        (false, false) => Case::Uncased,
    }
}

/// Characters that become another one in lower case, with that one.
fn simple_lower_cases() -> Vec<(u32, u32)> {
    let lowered = |character: char| {
        let mut lower = character.to_lowercase();
        let single = lower.len() == 1;
        lower.next().filter(|lower| single && *lower != character).map(|lower| (character.into(), lower.into()))
    };
    ('\0'..=char::MAX).filter_map(lowered).collect()
}

/// The same as ranges: of neighbours, and of every second character.
fn lower_ranges() -> Vec<Lowered> {
    let mut ranges: Vec<Lowered> = Vec::new();
    for (character, lower) in simple_lower_cases() {
        let distance = i64::from(lower) - i64::from(character);
        if let Some(last) = ranges.last_mut().filter(|last| last.distance == distance) {
            let step = character - last.range.end();
            let begins = last.range.start() == last.range.end();
            if (begins && step <= 2) || step == last.step {
                *last = Lowered { range: *last.range.start()..=character, step, distance };
                continue;
            }
        }
        ranges.push(Lowered { range: character..=character, step: 1, distance });
    }
    ranges
}

fn expanded(ranges: &[Lowered]) -> Vec<(u32, u32)> {
    let of_range = |lowered: &Lowered| {
        let distance = lowered.distance;
        lowered
            .range
            .clone()
            .step_by(lowered.step as usize)
            .map(move |character| (character, u32::try_from(i64::from(character) + distance).unwrap()))
            .collect::<Vec<_>>()
    };
    ranges.iter().flat_map(of_range).collect()
}

fn for_c(words: &[(RangeInclusive<u32>, Case)], lowered: &[Lowered]) -> String {
    let words = words.iter().map(|(range, case)| {
        let case = match case {
            Case::Uncased => "UNCASED",
            Case::Cased => "CASED",
            Case::Ignored => "IGNORED",
        };
        format!("{{{:#x}, {:#x}, {case}}},", range.start(), range.end())
    });
    let lowered = lowered.iter().map(|Lowered { range, step, distance }| {
        format!("{{{:#x}, {:#x}, {step}, {distance}}},", range.start(), range.end())
    });
    format!(
        "// Characters of words and their lower case. Made of what Rust's standard library does by a test:\n\
         // PEAT_UPDATE_TABLES=1 cargo nextest run --workspace --test languages\n\n\
         #ifndef UNICODE_H\n#define UNICODE_H\n\n#include <stdint.h>\n\n\
         // What a character is to the rule of the final sigma; beyond the ignored ones it looks further.\n\
         enum word_case {{ UNCASED, CASED, IGNORED }};\n\n\
         // Alphabetic and numeric characters.\n\
         struct word_range {{\n    uint32_t first;\n    uint32_t last;\n    enum word_case word_case;\n}};\n\n\
         // Every `step`th character, from the first one on, becomes the one at `distance`.\n\
         struct lower_range {{\n    uint32_t first;\n    uint32_t last;\n    uint32_t step;\n    int32_t distance;\n}};\n\n\
         static const struct word_range word_ranges[] = {{\n{}}};\n\n\
         static const struct lower_range lower_ranges[] = {{\n{}}};\n\n#endif\n",
        in_lines(words),
        in_lines(lowered),
    )
}

fn for_python(words: &[(RangeInclusive<u32>, Case)], lowered: &[Lowered]) -> String {
    let class = |wanted: &[Case]| {
        let chosen = words.iter().filter(|(_, case)| wanted.contains(case)).map(|(range, _)| range.clone());
        let pieces = joined(chosen).into_iter().map(|range| match (escaped(*range.start()), escaped(*range.end())) {
            (first, last) if first == last => first,
            (first, last) => format!("{first}-{last}"),
        });
        in_string_lines(pieces)
    };
    let lowered = lowered.iter().map(|Lowered { range, step, distance }| {
        format!("({:#x}, {:#x}, {step}, {distance}),", range.start(), range.end())
    });
    format!(
        "\"\"\"Characters of words and their lower case. Made of what Rust's standard library does by a test:\n\
         PEAT_UPDATE_TABLES=1 cargo nextest run --workspace --test languages\n\"\"\"\n\n\
         # Alphabetic and numeric characters, as the inside of a character class.\n\
         OF_WORDS = (\n{})\n\n\
         # Those of them that have case, for the rule of the final sigma.\n\
         CASED = (\n{})\n\n\
         # Those beyond which that rule looks further.\n\
         CASE_IGNORED = (\n{})\n\n\
         # First, last, step and distance: every so-manyth character becomes the one at that distance.\n\
         LOWER_RANGES = (\n{})\n\n\
         # For `str.translate`. One character becomes two.\n\
         LOWER_CASE = {{0x130: \"i\\u0307\"}} | {{\n    \
         character: character + distance\n    \
         for first, last, step, distance in LOWER_RANGES\n    \
         for character in range(first, last + 1, step)\n}}\n",
        class(&[Case::Uncased, Case::Cased, Case::Ignored]),
        class(&[Case::Cased]),
        class(&[Case::Ignored]),
        in_lines(lowered),
    )
}

fn joined(ranges: impl Iterator<Item = RangeInclusive<u32>>) -> Vec<RangeInclusive<u32>> {
    let mut joined: Vec<RangeInclusive<u32>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if last.end() + 1 == *range.start() => *last = *last.start()..=*range.end(),
            _ => joined.push(range),
        }
    }
    joined
}

fn escaped(character: u32) -> String {
    match character {
        0..0x80 => char::from_u32(character).unwrap().to_string(),
        0x80..0x1_0000 => format!("\\u{character:04x}"),
        _ => format!("\\U{character:08x}"),
    }
}

/// The pieces in indented lines of bounded length.
fn in_lines(pieces: impl Iterator<Item = String>) -> String {
    let mut lines = String::new();
    let mut line = String::new();
    for piece in pieces {
        if !line.is_empty() && line.len() + 1 + piece.len() + 4 > LINE_CHARACTERS_MAX {
            writeln!(lines, "    {line}").unwrap();
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&piece);
    }
    writeln!(lines, "    {line}").unwrap();
    lines
}

/// The pieces as string literals of bounded length, one a line.
fn in_string_lines(pieces: impl Iterator<Item = String>) -> String {
    let mut lines = String::new();
    let mut line = String::new();
    for piece in pieces {
        if !line.is_empty() && line.len() + piece.len() + 6 > LINE_CHARACTERS_MAX {
            writeln!(lines, "    \"{line}\"").unwrap();
            line.clear();
        }
        line.push_str(&piece);
    }
    writeln!(lines, "    \"{line}\"").unwrap();
    lines
}
