//! Aligned columns.

use super::page::{Line, Tone};
use super::plain_text::one_line;

/// Space between columns.
const GAP: usize = 2;

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(super) text: String,
    pub(super) tone: Tone,
    right: bool,
}

impl Cell {
    /// Plain text.
    pub(crate) fn plain(text: impl AsRef<str>) -> Self {
        Self::toned(text, Tone::Plain)
    }

    /// Text in a tone.
    pub(crate) fn toned(text: impl AsRef<str>, tone: Tone) -> Self {
        Self { text: one_line(text.as_ref()), tone, right: false }
    }

    /// A number, aligned to the right.
    pub(crate) fn number(text: impl AsRef<str>) -> Self {
        Self { right: true, ..Self::plain(text) }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

/// Rows under headings.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|heading| Cell::toned(heading, Tone::Quiet)).collect()] }
    }

    /// Names and values, without headings.
    pub(crate) fn fields() -> Self {
        Self::default()
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Adds a name and a value.
    pub(crate) fn field(&mut self, name: &str, value: impl AsRef<str>) {
        self.row(vec![Cell::toned(name, Tone::Quiet), Cell::plain(value)]);
    }

    /// The lines, padded, without space at their ends.
    pub(super) fn into_lines(self) -> Vec<Line> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column| self.rows.iter().filter_map(|row| row.get(column)).map(Cell::width).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        // A heading stands over numbers on their side.
        let right: Vec<bool> = (0..columns)
            .map(|column| self.rows.iter().any(|row| row.get(column).is_some_and(|cell| cell.right)))
            .collect();
        self.rows.into_iter().map(|row| pad(row, &widths, &right)).collect()
    }
}

fn pad(row: Vec<Cell>, widths: &[usize], right: &[bool]) -> Line {
    let mut line = Line::default();
    let last = row.iter().rposition(|cell| !cell.text.is_empty()).map_or(0, |place| place + 1);
    for (column, cell) in row.into_iter().take(last).enumerate() {
        let missing = widths[column] - cell.width();
        if column > 0 {
            line.push(" ".repeat(GAP), Tone::Plain);
        }
        if right[column] {
            line.push(" ".repeat(missing), Tone::Plain);
            line.push(cell.text, cell.tone);
        } else {
            line.push(cell.text, cell.tone);
            if column + 1 < last {
                line.push(" ".repeat(missing), Tone::Plain);
            }
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rendering::Page;

    #[test]
    fn columns_are_aligned_and_lines_end_without_space() {
        let mut table = Table::new(&["NAME", "SIZE", "SUMMARY"]);
        table.row(vec![Cell::plain("a"), Cell::number("12"), Cell::plain("first")]);
        table.row(vec![Cell::plain("longer"), Cell::number("1"), Cell::plain("")]);
        let mut page = Page::default();
        page.table(table);
        assert_eq!(page.text(false), "NAME    SIZE  SUMMARY\na         12  first\nlonger     1\n");
    }

    #[test]
    fn a_cell_cannot_break_its_line() {
        let mut table = Table::fields();
        table.field("summary", "two\nlines\u{1b}[2J");
        let mut page = Page::default();
        page.table(table);
        assert_eq!(page.text(false), "summary  two lines\u{fffd}[2J\n");
    }
}
