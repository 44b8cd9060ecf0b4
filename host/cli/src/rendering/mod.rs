//! What a command answers and how it is shown: one JSON document, or a page for people.
//!
//! Commands build an [`Answer`] and never print; [`Screen`] prints it. Nothing a guest, a store or a file says reaches a
//! terminal with its control characters.

mod answer;
mod duration;
mod page;
mod plain_text;
mod progress;
mod progress_rate;
mod screen;
mod size;
mod table;
mod time;

pub(crate) use answer::Answer;
pub(crate) use duration::short_duration;
pub(crate) use page::{Page, Tone};
pub(crate) use progress::{Holds, ProgressDisplay};
pub(crate) use screen::Screen;
pub(crate) use size::short_size;
pub(crate) use table::{Cell, Table};
pub(crate) use time::timestamp;
