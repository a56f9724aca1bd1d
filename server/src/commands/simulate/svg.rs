//! A picture as text: shapes in the order in which they are drawn, later ones on top.
//!
//! Invariants: what is written is well-formed XML whatever names contain, and the same shapes give
//! the same bytes: coordinates have one decimal. Widths of text are estimated, generously, as there
//! is no font here to measure with.

use crate::commands::palette::Colour;
use std::fmt::Write;

/// Width of a letter at font size 1, estimated.
const LETTER: f64 = 0.56;

/// Where a text stands relative to its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    /// It begins there.
    Start,
    /// It is centred there.
    Middle,
    /// It ends there.
    End,
}

/// A picture that is being drawn.
#[derive(Debug)]
pub(crate) struct Svg {
    body: String,
}

/// A colour as SVG writes it.
pub(crate) fn hex((red, green, blue): Colour) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// The estimated width of a text.
pub(crate) fn width_of(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * LETTER * size
}

/// As much of a text as fits, with an ellipsis if that is not all.
pub(crate) fn fitting(text: &str, size: f64, width: f64) -> String {
    if width_of(text, size) <= width {
        return text.to_owned();
    }
    let letters = (width / (LETTER * size)).floor().max(2.0) as usize - 1;
    let start: String = text.chars().take(letters).collect();
    format!("{start}…")
}

/// Text escaped for XML; control characters are left out.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            letter if letter.is_control() => {}
            letter => escaped.push(letter),
        }
    }
    escaped
}

impl Svg {
    /// An empty picture.
    pub(crate) fn new() -> Svg {
        Svg {
            body: String::new(),
        }
    }

    /// Adds XML as it is.
    pub(crate) fn raw(&mut self, xml: &str) {
        self.body.push_str(xml);
        self.body.push('\n');
    }

    /// A straight line.
    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), style: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.add(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" {style}/>"
        ));
    }

    /// A closed shape with these corners.
    pub(crate) fn polygon(&mut self, corners: &[(f64, f64)], style: &str) {
        let mut path = String::new();
        for (index, (x, y)) in corners.iter().enumerate() {
            let letter = if index == 0 { 'M' } else { 'L' };
            // Writing to a text cannot fail.
            let _ = write!(path, "{letter}{x:.1} {y:.1}");
        }
        self.add(format_args!("<path d=\"{path}Z\" {style}/>"));
    }

    /// A text.
    pub(crate) fn text(
        &mut self,
        (x, y): (f64, f64),
        size: f64,
        anchor: Anchor,
        text: &str,
        style: &str,
    ) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escaped(text);
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\" {style}>{text}</text>"
        ));
    }

    fn add(&mut self, shape: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.body, "{shape}");
    }

    /// The whole file.
    pub(crate) fn finish(self, width: f64, height: f64, title: &str, definitions: &str) -> String {
        let title = escaped(title);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"sans-serif\" fill=\"#000\">\n\
             <title>{title}</title>\n<defs>\n{definitions}</defs>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{}</svg>\n",
            self.body
        )
    }
}

#[cfg(test)]
mod tests;
