//! Counting tests in what test runners write.

use std::fmt;

/// Tests that passed and failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Count {
    /// Passed.
    pub(super) passed: u64,
    /// Failed, timed out or ended by a signal.
    pub(super) failed: u64,
}

impl Count {
    /// Adds another count to this one.
    pub(super) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// The totals of a JUnit file: the attributes of its `testsuites` element.
    pub(super) fn of_junit(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("<testsuites ")?;
        let (element, _) = rest.split_once('>')?;
        let number = |name: &str| -> Option<u64> {
            let (_, rest) = element.split_once(&format!("{name}=\""))?;
            rest.split_once('"')?.0.parse().ok()
        };
        let (all, failed) = (number("tests")?, number("failures")? + number("errors")?);
        Some(Self { passed: all.checked_sub(failed)?, failed })
    }

    /// The sum of the `test result:` lines of `cargo test`.
    pub(super) fn of_cargo_test(text: &str) -> Self {
        let mut total = Self::default();
        for line in text.lines().filter(|line| line.starts_with("test result:")) {
            let number_before = |word: &str| {
                let (before, _) = line.split_once(word)?;
                before.split_whitespace().next_back()?.parse().ok()
            };
            total.add(Self {
                passed: number_before(" passed").unwrap_or(0),
                failed: number_before(" failed").unwrap_or(0),
            });
        }
        total
    }
}

impl fmt::Display for Count {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_come_from_the_outer_element() {
        let text = "<?xml version=\"1.0\"?>\n<testsuites name=\"x\" tests=\"12\" failures=\"2\" errors=\"1\" time=\"3\">\n\
                    <testsuite name=\"y\" tests=\"4\" failures=\"0\" errors=\"0\">";
        assert_eq!(Count::of_junit(text), Some(Count { passed: 9, failed: 3 }));
        assert_eq!(Count::of_junit("<testsuites name=\"x\">"), None);
    }

    #[test]
    fn every_result_line_is_added() {
        let text = "test a ... ok\ntest result: ok. 3 passed; 0 failed; 1 ignored\n\
                    test result: FAILED. 1 passed; 2 failed; 0 ignored\n";
        assert_eq!(Count::of_cargo_test(text), Count { passed: 4, failed: 2 });
    }
}
