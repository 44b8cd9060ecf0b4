//! Numbers of bytes as people write them: `500MB`, `4GiB`.

use serde::Deserialize;

/// Reads one. The error says what is right.
pub fn parse_size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 9] = [
        ("", 1),
        ("B", 1),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
    ];
    let wrong = || format!("{text:?} is not a number of bytes; write 500MB or 4GiB");
    let text = text.trim();
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit.trim()).ok_or_else(wrong)?;
    digits.parse::<u64>().ok().and_then(|number| number.checked_mul(*factor)).ok_or_else(wrong)
}

/// The same in a file of the repository.
pub(super) fn optional_size<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_size(&text).map(Some).map_err(serde::de::Error::custom)
}

/// In the largest unit that divides it.
pub(super) fn write_size<S: serde::Serializer>(bytes: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    let bytes = bytes.unwrap_or(0);
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.into_iter().find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit)) {
        Some((name, unit)) => serializer.collect_str(&format_args!("{}{name}", bytes / unit)),
        None => serializer.collect_str(&format_args!("{bytes}B")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_and_a_unit() {
        assert_eq!((parse_size("12"), parse_size("3 MB"), parse_size("4GiB")), (Ok(12), Ok(3_000_000), Ok(4 << 30)));
        for wrong in ["", "GiB", "-1", "1.5GB", "1 gb", "99999999999999999999", "18446744073709551615KiB"] {
            assert!(parse_size(wrong).unwrap_err().contains("write 500MB"), "{wrong}");
        }
    }
}
