//! A picture of holds: a lane a partition, a bar a hold with the wait before it, over a time axis. Written by hand, as SVG;
//! the same holds give the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::rendering::{short_duration, timestamp};

/// Sizes of the picture, in pixels.
const WIDTH: f64 = 1_200.0;
const LABEL_WIDTH: f64 = 260.0;
const MARGIN: f64 = 20.0;
const HEAD_HEIGHT: f64 = 40.0;
const LANE_HEIGHT: f64 = 28.0;
const BAR_HEIGHT: f64 = 18.0;
const WAIT_HEIGHT: f64 = 6.0;

/// The shortest bar that can be seen.
const BAR_WIDTH_MIN: f64 = 1.5;

/// Spaces between marks of the time axis, at most.
const MARKS_MAX: u64 = 8;

/// Characters of a label that fit beside the lanes.
const LABEL_CHARACTERS: usize = 36;

/// Distances of marks, in milliseconds: what people count in.
const DISTANCES_MS: [u64; 21] = [
    1, 5, 10, 50, 100, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000,
    3_600_000, 7_200_000, 21_600_000, 43_200_000, 86_400_000,
];

/// Colours of holders, told apart by people who see no red or green too (Okabe and Ito, "Color universal design").
const COLOURS: [&str; 7] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999999"];

/// A hold to draw.
#[derive(Debug, Clone)]
pub(super) struct Bar {
    /// What was held.
    pub(super) lane: String,
    /// Who held it: one colour.
    pub(super) holder: String,
    /// What ran.
    pub(super) what: String,
    /// Since when, milliseconds since the Unix epoch.
    pub(super) acquired_at_ms: u64,
    /// How long was waited before.
    pub(super) waited_ms: u64,
    /// How long it was held; none where the wait for it timed out.
    pub(super) held_ms: Option<u64>,
    /// How it ended.
    pub(super) ending: &'static str,
}

impl Bar {
    fn begin_ms(&self) -> u64 {
        self.acquired_at_ms.saturating_sub(self.waited_ms)
    }

    fn end_ms(&self) -> u64 {
        self.acquired_at_ms.saturating_add(self.held_ms.unwrap_or(0))
    }

    fn held(&self) -> String {
        self.held_ms.map_or_else(|| "never".to_owned(), short_duration)
    }
}

/// Milliseconds to pixels.
struct Scale {
    begin_ms: u64,
    span_ms: u64,
}

impl Scale {
    fn of(bars: &[Bar]) -> Self {
        let begin_ms = bars.iter().map(Bar::begin_ms).min().unwrap_or(0);
        let end_ms = bars.iter().map(Bar::end_ms).max().unwrap_or(0);
        Self { begin_ms, span_ms: end_ms.saturating_sub(begin_ms).max(1) }
    }

    fn x(&self, time_ms: u64) -> f64 {
        let part = time_ms.saturating_sub(self.begin_ms) as f64 / self.span_ms as f64;
        LABEL_WIDTH + part * (WIDTH - LABEL_WIDTH - MARGIN)
    }

    /// Moments to mark: round ones, where the span is shorter than a week.
    fn marks(&self) -> Vec<u64> {
        let fits = |distance: &&u64| self.span_ms / **distance <= MARKS_MAX;
        let longest = DISTANCES_MS[DISTANCES_MS.len() - 1];
        let distance = DISTANCES_MS
            .iter()
            .find(fits)
            .copied()
            .unwrap_or_else(|| longest.saturating_mul(self.span_ms.div_ceil(longest.saturating_mul(MARKS_MAX))));
        let first = self.begin_ms.div_ceil(distance).saturating_mul(distance);
        let last = self.begin_ms.saturating_add(self.span_ms);
        (0..=MARKS_MAX + 1)
            .map(|mark| first.saturating_add(mark.saturating_mul(distance)))
            .filter(|mark| *mark <= last)
            .collect()
    }
}

/// The holds as an SVG document.
pub(super) fn picture(bars: &[Bar]) -> String {
    let lanes: BTreeSet<&str> = bars.iter().map(|bar| bar.lane.as_str()).collect();
    let holders: BTreeSet<&str> = bars.iter().map(|bar| bar.holder.as_str()).collect();
    let place: BTreeMap<&str, usize> = lanes.iter().enumerate().map(|(place, lane)| (*lane, place)).collect();
    let colour: BTreeMap<&str, &str> =
        holders.iter().enumerate().map(|(place, holder)| (*holder, COLOURS[place % COLOURS.len()])).collect();
    let scale = Scale::of(bars);
    let bottom = HEAD_HEIGHT + lanes.len() as f64 * LANE_HEIGHT;
    let height = bottom + MARGIN;
    let mut svg = String::new();
    // Writing to a string never fails.
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>"
    );
    if !bars.is_empty() {
        for mark in scale.marks() {
            let (x, text) = (scale.x(mark), timestamp(mark));
            let _ = writeln!(
                svg,
                "<line x1=\"{x:.1}\" y1=\"{HEAD_HEIGHT}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"#dddddd\"/>\n\
                 <text x=\"{x:.1}\" y=\"{:.1}\" fill=\"#555555\" text-anchor=\"middle\">{}</text>",
                HEAD_HEIGHT - 8.0,
                short_time(&text, scale.span_ms),
            );
        }
    }
    for (lane, place) in &place {
        let middle = HEAD_HEIGHT + *place as f64 * LANE_HEIGHT + LANE_HEIGHT / 2.0 + 4.0;
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{middle:.1}\" text-anchor=\"end\">{}<title>{}</title></text>",
            LABEL_WIDTH - 8.0,
            escaped(&shortened(lane)),
            escaped(lane)
        );
    }
    for bar in bars {
        let top = HEAD_HEIGHT + place[bar.lane.as_str()] as f64 * LANE_HEIGHT + (LANE_HEIGHT - BAR_HEIGHT) / 2.0;
        draw(&mut svg, bar, top, colour[bar.holder.as_str()], &scale);
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw(svg: &mut String, bar: &Bar, top: f64, colour: &str, scale: &Scale) {
    let title = escaped(&format!(
        "{}: {} ({}); waited {}, held {} from {}, {}",
        bar.lane,
        bar.holder,
        bar.what,
        short_duration(bar.waited_ms),
        bar.held(),
        timestamp(bar.acquired_at_ms),
        bar.ending
    ));
    let (waiting, held, end) = (scale.x(bar.begin_ms()), scale.x(bar.acquired_at_ms), scale.x(bar.end_ms()));
    if bar.waited_ms > 0 {
        let (y, width) = (top + BAR_HEIGHT - WAIT_HEIGHT, held - waiting);
        let _ = writeln!(
            svg,
            "<rect class=\"wait\" x=\"{waiting:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{WAIT_HEIGHT}\" \
             fill=\"{colour}\" fill-opacity=\"0.35\"><title>{title}</title></rect>"
        );
    }
    if bar.held_ms.is_none() {
        return;
    }
    let width = (end - held).max(BAR_WIDTH_MIN);
    let _ = writeln!(
        svg,
        "<rect class=\"hold\" x=\"{held:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{BAR_HEIGHT}\" \
         fill=\"{colour}\" stroke=\"#ffffff\" stroke-width=\"0.5\"><title>{title}</title></rect>"
    );
}

/// The picture in a page, with the holds in a table. Well-formed XML, too.
pub(super) fn page(bars: &[Bar]) -> String {
    let mut page = String::from(
        "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head><meta charset=\"utf-8\"/>\
         <title>Holds</title>\n<style>body { font-family: sans-serif } td, th { padding: 0 1em 0 0; text-align: left }\
         </style></head>\n<body>\n<h1>Holds</h1>\n",
    );
    page.push_str(&picture(bars));
    page.push_str("<table>\n<tr>");
    for heading in ["Held", "By", "Command", "Since", "Waited", "For", "Ended"] {
        let _ = write!(page, "<th>{heading}</th>");
    }
    page.push_str("</tr>\n");
    for bar in bars {
        page.push_str("<tr>");
        let (since, waited, held) = (timestamp(bar.acquired_at_ms), short_duration(bar.waited_ms), bar.held());
        for cell in [bar.lane.as_str(), &bar.holder, &bar.what, &since, &waited, &held, bar.ending] {
            let _ = write!(page, "<td>{}</td>", escaped(cell));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table>\n</body>\n</html>\n");
    page
}

/// As much of a moment as tells marks of a span apart.
fn short_time(timestamp: &str, span_ms: u64) -> &str {
    const DAY_MS: u64 = 86_400_000;
    match span_ms {
        0..10_000 => &timestamp[11..23],
        10_000..DAY_MS => &timestamp[11..19],
        _ => &timestamp[..16],
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= LABEL_CHARACTERS {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(LABEL_CHARACTERS - 1).collect();
    short.push('…');
    short
}

/// Text as it may stand in XML: names of hosts and commands are whatever somebody made them.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // XML has no way to write these.
            character if character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}') => {
                escaped.push(char::REPLACEMENT_CHARACTER);
            }
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(lane: &str, holder: &str, acquired_at_ms: u64) -> Bar {
        Bar {
            lane: lane.to_owned(),
            holder: holder.to_owned(),
            what: "model method run".to_owned(),
            acquired_at_ms,
            waited_ms: 200,
            held_ms: Some(1_000),
            ending: "committed",
        }
    }

    #[test]
    fn every_hold_is_a_bar_in_the_lane_of_its_partition() {
        let bars =
            [bar("web", "a process 1", 5_000), bar("db", "a process 1", 5_500), bar("web", "b process 2", 6_000)];
        let svg = picture(&bars);
        assert_eq!(svg.matches("class=\"hold\"").count(), 3);
        assert_eq!(svg.matches("class=\"wait\"").count(), 3);
        assert_eq!(svg.matches(&format!("fill=\"{}\"", COLOURS[0])).count(), 4, "{svg}");
        assert_eq!(svg, picture(&bars), "the same holds give the same bytes");
        assert_eq!(page(&bars).matches("<tr>").count(), 4);
    }

    #[test]
    fn nothing_that_a_name_holds_leaves_its_place() {
        let svg = page(&[bar("</text><script>", "\"host\" & 'co'\u{1b}", 0)]);
        assert!(!svg.contains("<script>") && svg.contains("&lt;/text&gt;&lt;script&gt;"), "{svg}");
        assert!(svg.contains("&quot;host&quot; &amp; &#39;co&#39;\u{fffd}"), "{svg}");
    }

    #[test]
    fn marks_are_few_whatever_the_span() {
        for span_ms in [1, 999, 60_000, 86_400_000, 10_000_000_000, u64::MAX] {
            let scale = Scale { begin_ms: 1_700_000_000_123, span_ms };
            let marks = scale.marks();
            assert!(marks.len() <= 1 + MARKS_MAX as usize + 1, "{span_ms}: {}", marks.len());
        }
        assert!(picture(&[]).ends_with("</svg>\n"));
    }
}
