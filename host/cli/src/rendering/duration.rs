//! Lengths of time for people.

/// `12 ms`, `3.4 s`, `2 min 05 s`, `1 h 02 min`.
pub(crate) fn short_duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{}.{} s", seconds, milliseconds % 1000 / 100),
        60_000..3_600_000 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        for (milliseconds, text) in
            [(0, "0 ms"), (999, "999 ms"), (3_450, "3.4 s"), (125_000, "2 min 05 s"), (3_725_000, "1 h 02 min")]
        {
            assert_eq!(short_duration(milliseconds), text);
        }
    }
}
