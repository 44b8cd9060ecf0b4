//! The contract in other languages than Rust: the examples are built and run where their tools are. Where they are not,
//! that is said and nothing fails.

use std::path::Path;

use super::check::Report;
use super::nextest_run;
use crate::guests::languages::{self, Language};

/// Name of the check.
const NAME: &str = "the contract in C and in Python";

/// The tests that need what is built here.
const SUITE: &str = "binary(languages)";

/// Builds the examples and runs their tests, where the tools were fetched before: they are large.
pub(super) fn run(report: &mut Report, nextest: &Path) {
    if !Language::ALL.into_iter().all(Language::has_tools) {
        report
            .skip(NAME, "their tools are not there; `cargo xtask guests --language c --language python` fetches them");
        return;
    }
    report.check("guests in C and in Python", || languages::build(&Language::ALL).map(drop));
    report.tests(NAME, || nextest_run(nextest, &["--run-ignored", "only", "-E", SUITE], &[], None));
}
