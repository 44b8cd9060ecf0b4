//! One thing that was looked at.

use serde_json::{Value, json};

use crate::rendering::Tone;

/// What was found of one thing.
#[derive(Debug)]
pub(super) struct Finding {
    /// What was looked at.
    pub(super) subject: String,
    /// How it is.
    pub(super) state: State,
    /// What was seen.
    pub(super) detail: String,
    /// What to do about it.
    pub(super) remedy: Option<String>,
}

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// As it should be.
    Good,
    /// Not there; Peat does without.
    Absent,
    /// Something will not work.
    Broken,
}

impl State {
    /// Absent, where nobody asked for it; broken otherwise.
    pub(super) fn missing(wanted: bool) -> Self {
        if wanted { Self::Broken } else { Self::Absent }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Absent => "absent",
            Self::Broken => "broken",
        }
    }

    pub(super) fn tone(self) -> Tone {
        match self {
            Self::Good => Tone::Good,
            Self::Absent => Tone::Attention,
            Self::Broken => Tone::Bad,
        }
    }
}

impl Finding {
    /// Something that is as it should be.
    pub(super) fn good(subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { subject: subject.into(), state: State::Good, detail: detail.into(), remedy: None }
    }

    /// Something that is not.
    pub(super) fn bad(
        subject: impl Into<String>,
        state: State,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { subject: subject.into(), state, detail: detail.into(), remedy: Some(remedy.into()) }
    }

    /// For scripts.
    pub(super) fn json(&self) -> Value {
        json!({ "subject": self.subject, "state": self.state.as_str(), "detail": self.detail, "remedy": self.remedy })
    }
}
