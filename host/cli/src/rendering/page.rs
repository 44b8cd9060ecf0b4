//! A page for people: lines with tones, and hints that are not part of the result.

use super::Table;
use super::plain_text::without_controls;

/// How a piece of text is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it is.
    Plain,
    /// What the line is about.
    Strong,
    /// Headings and what is secondary.
    Quiet,
    /// It went well.
    Good,
    /// It did not.
    Bad,
    /// It needs attention.
    Attention,
}

impl Tone {
    fn escape(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Strong => Some("\u{1b}[1m"),
            Self::Quiet => Some("\u{1b}[2m"),
            Self::Good => Some("\u{1b}[32m"),
            Self::Bad => Some("\u{1b}[31m"),
            Self::Attention => Some("\u{1b}[33m"),
        }
    }

    /// `text` in this tone.
    pub(super) fn paint(self, text: &str, colour: bool) -> String {
        match self.escape() {
            Some(escape) if colour && !text.is_empty() => format!("{escape}{text}\u{1b}[0m"),
            _ => text.to_owned(),
        }
    }
}

/// One line.
#[derive(Debug, Default)]
pub(super) struct Line(Vec<(String, Tone)>);

impl Line {
    pub(super) fn push(&mut self, text: String, tone: Tone) {
        self.0.push((text, tone));
    }
}

/// What is shown to a person.
#[derive(Debug, Default)]
pub(crate) struct Page {
    lines: Vec<Line>,
    hints: Vec<String>,
}

impl Page {
    /// Adds text, perhaps of several lines.
    pub(crate) fn text_line(&mut self, text: impl AsRef<str>, tone: Tone) {
        for line in without_controls(text.as_ref()).split('\n') {
            self.lines.push(Line(vec![(line.to_owned(), tone)]));
        }
    }

    /// Adds a plain line.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) {
        self.text_line(text, Tone::Plain);
    }

    /// Adds a heading, with an empty line before it unless it is the first.
    pub(crate) fn heading(&mut self, text: impl AsRef<str>) {
        if !self.lines.is_empty() {
            self.lines.push(Line::default());
        }
        self.text_line(text, Tone::Strong);
    }

    /// Adds a table.
    pub(crate) fn table(&mut self, table: Table) {
        self.lines.extend(table.into_lines());
    }

    /// Adds what to do next. Goes to stderr and is left out with `--quiet`.
    pub(crate) fn hint(&mut self, text: impl AsRef<str>) {
        self.hints.push(without_controls(text.as_ref()).into_owned());
    }

    /// The result.
    pub(crate) fn text(&self, colour: bool) -> String {
        let mut text = String::new();
        for line in &self.lines {
            for (piece, tone) in &line.0 {
                text.push_str(&tone.paint(piece, colour));
            }
            text.push('\n');
        }
        text
    }

    /// What to do next, one line each.
    pub(crate) fn hints(&self) -> &[String] {
        &self.hints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_used_only_where_it_is_wanted() {
        let mut page = Page::default();
        page.text_line("done", Tone::Good);
        page.hint("next");
        assert_eq!(page.text(false), "done\n");
        assert_eq!(page.text(true), "\u{1b}[32mdone\u{1b}[0m\n");
        assert_eq!(page.hints(), ["next"]);
    }
}
