//! The day as a picture: a lane for each worker, a bar for each run.

use std::fmt::Write as _;

use crate::report::Report;

const WIDTH: u64 = 1_200;
const LANE: usize = 18;
const LEFT: u64 = 90;
const TOP: usize = 40;

/// An SVG of who ran what when, and how it ended.
pub fn plot(report: &Report) -> String {
    let lanes = report.runs.iter().map(|run| run.worker + 1).max().unwrap_or(1);
    let length_ms = u64::try_from(report.length.as_millis()).unwrap_or(u64::MAX).max(1);
    let x = |ms: u64| LEFT + ms.min(2 * length_ms) * WIDTH / length_ms;
    let height = TOP + lanes * LANE + 30;
    let mut svg = String::new();
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"11\">",
        x(length_ms) + 60
    );
    for lane in 0..lanes {
        let name = if lane < 13 { format!("job {}", lane + 1) } else { format!("pipeline {}", lane - 12) };
        let _ = writeln!(svg, "<text x=\"4\" y=\"{}\">{name}</text>", TOP + lane * LANE + 12);
    }
    for run in &report.runs {
        let colour = match run.code {
            Some(0) => "#4a9",
            None => "#c33",
            Some(4) => "#d90",
            Some(_) => "#86b",
        };
        let code = run.code.map_or("killed".to_owned(), |code| format!("exit {code}"));
        let (from, to) = (x(run.began_ms), x(run.began_ms + run.took_ms));
        let _ = writeln!(
            svg,
            "<rect x=\"{from}\" y=\"{}\" width=\"{}\" height=\"12\" fill=\"{colour}\"><title>{} run {}: {} ms, {code}</title></rect>",
            TOP + run.worker * LANE + 2,
            (to - from).max(1),
            run.model,
            run.marker,
            run.took_ms
        );
    }
    for (place, event) in report.events.iter().filter(|event| event.what != "kill").enumerate() {
        let at = x(event.at_ms);
        let _ = writeln!(
            svg,
            "<line x1=\"{at}\" y1=\"{TOP}\" x2=\"{at}\" y2=\"{height}\" stroke=\"#333\" stroke-dasharray=\"3\"/>"
        );
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{}\">{}</text>", at + 2, 12 + 12 * (place % 2), event.what);
    }
    svg.push_str("</svg>\n");
    svg
}
