//! How a mistake is printed: a sentence, the line of the file with a mark, and a help line.

use crate::finding::Severity;
use crate::span::Span;
use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};
use std::fmt;
use std::sync::Arc;

/// More than a person reads at once; the rest is counted.
const MAX_SHOWN: usize = 40;

/// A longer line was written by a program; only its number and column are printed.
const LONGEST_LINE_BYTES: usize = 10_000;

/// A line of a file, with a mark under the part that is meant. It holds its text, so that it can
/// be printed when the file is no longer in memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The file, as the user named it.
    file: Arc<str>,
    line: usize,
    column: usize,
    /// The line's text; `None` if it is too long to be printed.
    text: Option<Arc<str>>,
    /// The marked part of the text, in bytes.
    marked: Span,
}

impl Excerpt {
    /// The line in which `span` begins, marked up to the end of `span` or of the line.
    pub(crate) fn in_text(file: &Arc<str>, text: &str, span: Span) -> Excerpt {
        let mut at = span.start.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let line_text = text[start..].lines().next().unwrap_or("");
        let from = (at - start).min(line_text.len());
        let to = span.end.saturating_sub(start).clamp(from, line_text.len());
        Excerpt {
            file: file.clone(),
            line: text[..start].matches('\n').count() + 1,
            column: text[start..start + from].chars().count() + 1,
            text: printable(line_text),
            marked: Span {
                start: from,
                end: to,
            },
        }
    }

    /// A whole line of a file; `line` counts from 1.
    pub fn of_line(file: &Arc<str>, line: usize, text: &str) -> Excerpt {
        Excerpt {
            file: file.clone(),
            line,
            column: 1,
            text: printable(text),
            marked: Span {
                start: 0,
                end: text.len(),
            },
        }
    }

    /// The line, counted from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column in characters, counted from 1.
    pub fn column(&self) -> usize {
        self.column
    }
}

fn printable(line: &str) -> Option<Arc<str>> {
    (line.len() <= LONGEST_LINE_BYTES).then(|| Arc::from(line))
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One mistake with its line, ready to be printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whether it is an error.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What was expected, or what to do.
    pub help: Option<String>,
    /// The line, if it is about one.
    pub excerpt: Option<Excerpt>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(self.message.as_str());
        let group = match &self.excerpt {
            None => title.elements(Vec::<annotate_snippets::Message<'_>>::new()),
            Some(at) => match &at.text {
                Some(text) => title.element(
                    Snippet::source(text.as_ref())
                        .path(at.file.as_ref())
                        .line_start(at.line)
                        .annotation(AnnotationKind::Primary.span(at.marked.start..at.marked.end)),
                ),
                None => title.element(
                    Origin::path(at.file.as_ref())
                        .line(at.line)
                        .char_column(at.column),
                ),
            },
        };
        let group = match &self.help {
            Some(help) => group.element(Level::HELP.message(help.as_str())),
            None => group,
        };
        f.write_str(Renderer::plain().render(&[group]).trim_end())
    }
}

/// Prints the first problems with an empty line between them, and how many more there are.
///
/// # Errors
/// Those of the formatter.
pub fn write_problems(
    f: &mut fmt::Formatter<'_>,
    problems: impl ExactSizeIterator<Item = Problem>,
) -> fmt::Result {
    let more = problems.len().saturating_sub(MAX_SHOWN);
    for (index, problem) in problems.take(MAX_SHOWN).enumerate() {
        let gap = if index > 0 { "\n\n" } else { "" };
        write!(f, "{gap}{problem}")?;
    }
    match more {
        0 => Ok(()),
        more => write!(f, "\n\nand {more} more"),
    }
}
