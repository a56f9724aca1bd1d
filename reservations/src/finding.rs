//! What is wrong with a file, where, and what would be accepted; shown with the line and a mark,
//! or as JSON for machines. Columns count characters from 1, as editors do.
//!
//! Invariants: text that came out of a file is shown without control characters; findings are in
//! file order; the output is bounded however wrong the file is. What is not known here: what a
//! configuration means.

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// More than anyone reads at once; the rest is counted.
const MAX_SHOWN: usize = 40;

/// More than this are not even kept: a file that is wrong everywhere must not fill the memory.
const MAX_KEPT: usize = 200;

/// A longer line was written by a program, and is not shown to people.
const LONGEST_SHOWN: usize = 10_000;

/// A stretch of the file's text, in bytes; `end` is not part of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// A line and a column, both from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Location {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

/// Whether a finding stops the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It does.
    Error,
    /// It does not, but somebody will be disappointed.
    Warning,
}

/// One thing that is wrong: a sentence, its place, and what would be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether it stops the server.
    pub severity: Severity,
    /// Where; `None` when it concerns the file as a whole.
    pub span: Option<Span>,
    /// What is wrong.
    pub message: String,
    /// What would be accepted, or what to do.
    pub help: Option<String>,
}

impl Finding {
    /// An error at `span`.
    pub fn error(span: Span, message: impl AsRef<str>) -> Finding {
        let message = visible(message.as_ref());
        Finding {
            severity: Severity::Error,
            span: Some(span),
            message,
            help: None,
        }
    }

    /// A warning at `span`.
    pub fn warning(span: Span, message: impl AsRef<str>) -> Finding {
        Finding {
            severity: Severity::Warning,
            ..Finding::error(span, message)
        }
    }

    /// The same with what would be accepted; an empty text adds nothing.
    pub fn help(self, help: impl AsRef<str>) -> Finding {
        let help = Some(visible(help.as_ref())).filter(|help| !help.is_empty());
        Finding { help, ..self }
    }
}

/// The file that findings point into.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub path: PathBuf,
    pub text: Arc<str>,
}

impl Source {
    pub fn new(path: &Path, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.into(),
        }
    }

    /// The line that holds byte `at`: its number, where it starts, its text.
    fn line(&self, at: usize) -> (usize, usize, &str) {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        let start = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let end = self.text[start..]
            .find('\n')
            .map_or(self.text.len(), |length| start + length);
        let number = self.text[..start].matches('\n').count() + 1;
        (number, start, self.text[start..end].trim_end_matches('\r'))
    }

    pub fn locate(&self, span: Span) -> Location {
        let (line, start, text) = self.line(span.start);
        let within = span.start.saturating_sub(start).min(text.len());
        let column = text
            .char_indices()
            .take_while(|(at, _)| *at < within)
            .count()
            + 1;
        Location { line, column }
    }

    /// A finding with its line and a mark.
    pub fn render(&self, finding: &Finding) -> String {
        let path = self.path.display().to_string();
        let level = match finding.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(finding.message.as_str());
        let group = match finding.span {
            Some(span) if self.line(span.start).2.len() > LONGEST_SHOWN => {
                let place = self.locate(span);
                title.element(
                    Origin::path(path)
                        .line(place.line)
                        .char_column(place.column),
                )
            }
            Some(span) => {
                let (number, start, line) = self.line(span.start);
                let from = span.start.saturating_sub(start).min(line.len());
                let to = span.end.saturating_sub(start).clamp(from, line.len());
                title.element(
                    Snippet::source(line)
                        .path(path)
                        .line_start(number)
                        .annotation(AnnotationKind::Primary.span(from..to)),
                )
            }
            None => title.elements(Vec::<annotate_snippets::Message<'_>>::new()),
        };
        let group = match &finding.help {
            Some(help) => group.element(Level::HELP.message(help.as_str())),
            None => group,
        };
        Renderer::plain().render(&[group])
    }
}

/// What is wrong with a configuration, in file order, the first 200 of it. Printed, each error shows its
/// line with a mark and what would be accepted.
#[derive(Debug, Clone)]
pub struct ConfigurationErrors {
    source: Source,
    findings: Vec<Finding>,
}

impl ConfigurationErrors {
    pub(crate) fn new(source: Source, mut findings: Vec<Finding>) -> ConfigurationErrors {
        findings.sort_by_key(|finding| finding.span);
        findings.dedup();
        findings.truncate(MAX_KEPT);
        ConfigurationErrors { source, findings }
    }

    /// The findings, in file order; at least one.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The line and column of a finding, unless it concerns the file as a whole.
    pub fn location(&self, finding: &Finding) -> Option<Location> {
        finding.span.map(|span| self.source.locate(span))
    }

    /// These and `others`, which have to be about the same file, in file order.
    pub fn and(self, others: ConfigurationErrors) -> ConfigurationErrors {
        let findings = self.findings.into_iter().chain(others.findings).collect();
        ConfigurationErrors::new(self.source, findings)
    }

    /// For machines: `[{"severity", "file", "line", "column", "message", "help"}]`.
    pub fn to_json(&self) -> serde_json::Value {
        let path = self.source.path.display().to_string();
        let one = |finding: &Finding| {
            let location = self.location(finding);
            serde_json::json!({
                "severity": finding.severity,
                "file": path,
                "line": location.map(|location| location.line),
                "column": location.map(|location| location.column),
                "message": finding.message,
                "help": finding.help,
            })
        };
        self.findings.iter().map(one).collect()
    }
}

impl fmt::Display for ConfigurationErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.findings.iter().take(MAX_SHOWN).enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            f.write_str(self.source.render(finding).trim_end())?;
        }
        match self.findings.len().saturating_sub(MAX_SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n\nand {more} more"),
        }
    }
}

impl std::error::Error for ConfigurationErrors {}

/// `text` with control characters made visible, so that a file cannot write to the terminal.
fn visible(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .fold(String::with_capacity(text.len()), |mut shown, c| {
            if hidden(c) {
                shown.extend(c.escape_unicode());
            } else {
                shown.push(c);
            }
            shown
        })
}

/// `text`, cut where it is too long for a sentence.
pub(crate) fn shortened(text: &str) -> String {
    const MOST: usize = 48;
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
