//! The answer of a command.

use peat_core::content::SharedContent;
use serde_json::Value;

use super::Page;
use crate::exit_code::ExitCode;

/// What a command has to say, in both forms.
#[derive(Debug)]
pub(crate) struct Answer {
    /// For `--json`.
    pub(crate) json: Value,
    /// For people.
    pub(crate) page: Page,
    /// Content that is the result itself: printed after the page, byte for byte where stdout is not a terminal.
    pub(crate) content: Option<SharedContent>,
    /// Print the content byte for byte on a terminal too.
    pub(crate) verbatim: bool,
    /// How the process ends.
    pub(crate) exit_code: ExitCode,
    /// What went wrong, for people, on stderr; `json` says it in its own words.
    pub(crate) complaint: Option<String>,
    /// All there is to say was printed already.
    pub(crate) is_printed: bool,
}

impl Answer {
    /// An answer of a command that did what it was asked.
    pub(crate) fn new(json: Value, page: Page) -> Self {
        let (content, complaint) = (None, None);
        Self { json, page, content, verbatim: false, exit_code: ExitCode::Ok, complaint, is_printed: false }
    }

    /// The end of a command that printed what there was to say while it ran.
    pub(crate) fn printed() -> Self {
        Self { is_printed: true, ..Self::new(Value::Null, Page::default()) }
    }

    /// The same, but it did not go well.
    pub(crate) fn failing(mut self, exit_code: ExitCode, complaint: String) -> Self {
        self.exit_code = exit_code;
        self.complaint = Some(complaint);
        self
    }

    /// The same with content.
    pub(crate) fn with_content(mut self, content: SharedContent, verbatim: bool) -> Self {
        self.content = Some(content);
        self.verbatim = verbatim;
        self
    }
}
