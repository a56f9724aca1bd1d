//! The fill of the vdisks' areas: a colour and a pattern each, so that they differ without colours
//! too; and the legend.

use crate::commands::palette::{self, Colour};
use crate::commands::simulate::svg::{Anchor, Svg, hex, width_of};

/// Without vermillion, which marks missed deadlines.
const COLOURS: [Colour; 6] = [
    palette::BLUE,
    palette::ORANGE,
    palette::GREEN,
    palette::PURPLE,
    palette::SKY_BLUE,
    palette::YELLOW,
];
const PATTERNS: [&str; 4] = ["", "rising", "dots", "falling"];
/// The pattern of what is no vdisk's.
const CROSSED: &str = "crossed";

pub(crate) const RESERVED: &str = "stroke=\"#000\" stroke-width=\"1.5\" stroke-dasharray=\"6 4\"";
pub(crate) const LIMIT: &str = "stroke=\"#000\" stroke-width=\"1.5\" stroke-dasharray=\"1.5 3\"";

/// A colour and a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FillStyle {
    colour: Colour,
    pattern: &'static str,
}

/// The switching account, background work, and vdisks that have no lane.
pub(crate) const REMAINDER_STYLE: FillStyle = FillStyle {
    colour: palette::GREY,
    pattern: CROSSED,
};

impl FillStyle {
    /// The style of the vdisk of that number: different for the first twenty-four.
    pub(crate) fn of(index: usize) -> FillStyle {
        let round = index / (COLOURS.len() * PATTERNS.len() / 2);
        FillStyle {
            colour: COLOURS[index % COLOURS.len()],
            pattern: PATTERNS[(index + round) % PATTERNS.len()],
        }
    }

    /// Fills a shape; spare time is paler.
    pub(crate) fn fill(self, svg: &mut Svg, corners: &[(f64, f64)], pale: bool) {
        if corners.is_empty() {
            return;
        }
        let opacity = if pale { " fill-opacity=\"0.35\"" } else { "" };
        svg.polygon(corners, &format!("fill=\"{}\"{opacity}", hex(self.colour)));
        if !self.pattern.is_empty() {
            let opacity = if pale { " opacity=\"0.7\"" } else { "" };
            svg.polygon(
                corners,
                &format!("fill=\"url(#{})\"{opacity}", self.pattern),
            );
        }
    }
}

/// The patterns, white on what is below.
pub(crate) fn definitions() -> String {
    let lines = |name: &str, path: &str| {
        format!(
            "<pattern id=\"{name}\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">\
             <path d=\"{path}\" stroke=\"#fff\" stroke-width=\"1.4\"/></pattern>\n"
        )
    };
    let rising = "M-1 7L7 -1M-1 1L1 -1M5 7L7 5";
    let falling = "M-1 -1L7 7M5 -1L7 1M-1 5L1 7";
    let mut all = lines("rising", rising);
    all.push_str(&lines("falling", falling));
    all.push_str(&lines(CROSSED, &format!("{rising}{falling}")));
    all.push_str(
        "<pattern id=\"dots\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\">\
         <circle cx=\"2.5\" cy=\"2.5\" r=\"1.1\" fill=\"#fff\"/></pattern>\n",
    );
    all
}

/// What an entry of the legend shows.
#[derive(Debug, Clone, Copy)]
enum Sample {
    Area { style: FillStyle, pale: bool },
    Line(&'static str),
    Met,
    Missed,
}

/// The legend, in as many lines as it needs; returns where it ends.
pub(crate) fn draw_legend(svg: &mut Svg, left: f64, top: f64, right: f64) -> f64 {
    let style = FillStyle::of(0);
    let entries = [
        (Sample::Area { style, pale: false }, "reserved time"),
        (Sample::Area { style, pale: true }, "spare time"),
        (Sample::Line(RESERVED), "reservation"),
        (Sample::Line(LIMIT), "limit"),
        (Sample::Met, "deadline met"),
        (Sample::Missed, "deadline missed"),
        (
            Sample::Area {
                style: REMAINDER_STYLE,
                pale: false,
            },
            "switching, background",
        ),
    ];
    let (mut x, mut y) = (left, top);
    for (sample, text) in entries {
        let width = 28.0 + width_of(text, 12.0);
        if x + width > right && x > left {
            (x, y) = (left, y + 18.0);
        }
        draw_sample(svg, sample, x, y);
        svg.text((x + 26.0, y), 12.0, Anchor::Start, text, "");
        x += width + 12.0;
    }
    y
}

fn draw_sample(svg: &mut Svg, sample: Sample, x: f64, y: f64) {
    match sample {
        Sample::Area { style, pale } => {
            let corners = [
                (x, y - 10.0),
                (x + 20.0, y - 10.0),
                (x + 20.0, y + 1.0),
                (x, y + 1.0),
            ];
            style.fill(svg, &corners, pale);
        }
        Sample::Line(style) => svg.line((x, y - 4.0), (x + 20.0, y - 4.0), style),
        Sample::Met => draw_met(svg, x + 10.0, y - 9.0),
        Sample::Missed => draw_missed(svg, x + 10.0, y - 10.0),
    }
}

/// A tick downwards from there.
pub(crate) fn draw_met(svg: &mut Svg, x: f64, y: f64) {
    let style = "stroke=\"#333\" stroke-width=\"1\"";
    svg.line((x, y + 1.0), (x, y + 7.0), style);
}

/// A triangle that points there from below.
pub(crate) fn draw_missed(svg: &mut Svg, x: f64, y: f64) {
    let fill = hex(palette::VERMILLION);
    let style = format!("fill=\"{fill}\" stroke=\"#000\" stroke-width=\"0.8\"");
    svg.polygon(
        &[(x, y + 0.5), (x + 5.0, y + 10.0), (x - 5.0, y + 10.0)],
        &style,
    );
}

#[cfg(test)]
mod tests;
