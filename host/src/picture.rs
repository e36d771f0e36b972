//! Pictures of explanations as SVG, without a script or a font of their own.

use std::cmp::Ordering;
use std::fmt::Write;

/// One bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// What it stands for.
    pub label: String,
    /// How long it is, in units of the margin.
    pub length: f64,
}

const ROW: f64 = 26.0;
const LABELS: f64 = 290.0;
const PLOT: f64 = 420.0;
const NUMBERS: f64 = 80.0;
const HEAD: f64 = 52.0;
const RAISES: &str = "#c2410c";
const LOWERS: &str = "#2563a8";
const NEUTRAL: &str = "#6b7280";

/// A bar as it is drawn.
struct Step<'b> {
    label: &'b str,
    from: f64,
    to: f64,
    /// The number beside it.
    number: f64,
}

/// From the average (the first bar) feature by feature to the margin of a decision. Average
/// and margin are marks and not bars from zero, so that the steps between them have room.
pub fn waterfall(title: &str, bars: &[Bar], margin: f64) -> String {
    let average = bars.first().map_or(0.0, |bar| bar.length);
    let mark = |label, at| Step { label, from: at, to: at, number: at };
    let mut steps = vec![mark("average", average)];
    let mut level = average;
    for bar in bars.iter().skip(1) {
        steps.push(Step { label: &bar.label, from: level, to: level + bar.length, number: bar.length });
        level += bar.length;
    }
    steps.push(mark("margin", margin));
    draw(title, &steps, average)
}

/// Bars from zero, in the order given.
pub fn bar_chart(title: &str, bars: &[Bar]) -> String {
    let steps: Vec<Step<'_>> =
        bars.iter().map(|bar| Step { label: &bar.label, from: 0.0, to: bar.length, number: bar.length }).collect();
    draw(title, &steps, 0.0)
}

fn colour(step: &Step<'_>) -> &'static str {
    match step.to.total_cmp(&step.from) {
        Ordering::Greater => RAISES,
        Ordering::Less => LOWERS,
        Ordering::Equal => NEUTRAL,
    }
}

/// Steps below each other, and a line at the number that they start from.
fn draw(title: &str, steps: &[Step<'_>], base: f64) -> String {
    let ends = steps.iter().flat_map(|step| [step.from, step.to]).filter(|end| end.is_finite());
    let (low, high) = ends.fold((base, base), |(low, high): (f64, f64), end| (low.min(end), high.max(end)));
    let scale = PLOT / (high - low).max(f64::MIN_POSITIVE);
    let place = |value: f64| LABELS + 16.0 + (value - low) * scale;
    let (width, height) = (LABELS + PLOT + NUMBERS + 32.0, HEAD + ROW * steps.len() as f64 + 16.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height:.0}\" width=\"{width}\" \
         height=\"{height:.0}\" role=\"img\" font-family=\"system-ui, sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"28\" font-size=\"16\" font-weight=\"600\" fill=\"#111827\">{}</text>\n",
        escape(title)
    );
    let (line, end) = (place(base), height - 12.0);
    // Writing to a String cannot fail.
    let _ = writeln!(svg, "<line x1=\"{line:.1}\" x2=\"{line:.1}\" y1=\"{HEAD}\" y2=\"{end:.1}\" stroke=\"#d1d5db\"/>");
    for (index, step) in steps.iter().enumerate().filter(|(_, step)| (step.from - step.to).is_finite()) {
        let y = HEAD + ROW * index as f64;
        let (left, right) = (place(step.from.min(step.to)), place(step.from.max(step.to)));
        let _ = writeln!(
            svg,
            "<text x=\"{LABELS}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#111827\">{}</text>\
             <rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"18\" rx=\"2\" fill=\"{}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" fill=\"#374151\">{:+.3}</text>",
            y + 16.0,
            escape(step.label),
            left - 1.5,
            y + 2.0,
            right - left + 3.0,
            colour(step),
            LABELS + PLOT + 28.0,
            y + 16.0,
            step.number,
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
