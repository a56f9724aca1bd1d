//! What is wrong with a workload, and where: every problem is a sentence with its remedy, and
//! where a file is to blame its file, line and column are named and the line is shown.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use disktime_reservations::{Finding, Span};
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// A place in a workload or trace file.
#[derive(Clone, PartialEq, Eq)]
pub struct Location {
    /// The file, as the user named it.
    pub file: Arc<str>,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// The line's text.
    pub text: Arc<str>,
    /// What part of the text is meant, in bytes.
    pub marked: Span,
}

impl Location {
    /// The place of `span` in a file; of several lines the first.
    pub(crate) fn in_text(file: &Arc<str>, text: &str, span: Span) -> Location {
        let mut at = span.start.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let line_text = text[start..].lines().next().unwrap_or("");
        let marked_start = (at - start).min(line_text.len());
        Location {
            file: file.clone(),
            line: text[..start].matches('\n').count() + 1,
            column: text[start..at].chars().count() + 1,
            text: Arc::from(line_text),
            marked: Span {
                start: marked_start,
                end: span
                    .end
                    .saturating_sub(start)
                    .clamp(marked_start, line_text.len()),
            },
        }
    }

    /// A whole line of a file.
    pub(crate) fn line(file: &Arc<str>, line: usize, text: &str) -> Location {
        Location {
            file: file.clone(),
            line,
            column: 1,
            text: Arc::from(text),
            marked: Span {
                start: 0,
                end: text.len(),
            },
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// What would be accepted, or what to do.
    pub help: Option<String>,
    /// Where, if a file is to blame.
    pub location: Option<Location>,
}

/// A workload that cannot be read or run. Printed, each problem shows its line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct WorkloadError {
    /// What is wrong, at least one thing; in the order of the file.
    pub problems: Vec<Problem>,
}

impl WorkloadError {
    /// A problem that no file is to blame for.
    pub(crate) fn new(message: impl Into<String>) -> WorkloadError {
        WorkloadError::at(None, message)
    }

    pub(crate) fn at(location: Option<&Location>, message: impl Into<String>) -> WorkloadError {
        let problem = Problem {
            message: message.into(),
            help: None,
            location: location.cloned(),
        };
        WorkloadError {
            problems: vec![problem],
        }
    }

    /// The same with what would be accepted.
    pub(crate) fn help(mut self, help: impl Into<String>) -> WorkloadError {
        if let Some(problem) = self.problems.last_mut() {
            problem.help = Some(help.into());
        }
        self
    }

    /// The same with a place, where none is known yet.
    pub(crate) fn or_at(mut self, location: Option<&Location>) -> WorkloadError {
        for problem in &mut self.problems {
            problem.location = problem.location.take().or_else(|| location.cloned());
        }
        self
    }

    pub(crate) fn of_findings(
        file: &Arc<str>,
        text: &str,
        mut findings: Vec<Finding>,
    ) -> WorkloadError {
        findings.sort_by_key(|finding| finding.span);
        let problem = |finding: Finding| Problem {
            location: finding.span.map(|span| Location::in_text(file, text, span)),
            message: finding.message,
            help: finding.help,
        };
        WorkloadError {
            problems: findings.into_iter().map(problem).collect(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = Level::ERROR.primary_title(self.message.as_str());
        let group = match &self.location {
            Some(at) => title.element(
                Snippet::source(at.text.as_ref())
                    .path(at.file.as_ref())
                    .line_start(at.line)
                    .annotation(AnnotationKind::Primary.span(at.marked.start..at.marked.end)),
            ),
            None => title.elements(Vec::<annotate_snippets::Message<'_>>::new()),
        };
        let group = match &self.help {
            Some(help) => group.element(Level::HELP.message(help.as_str())),
            None => group,
        };
        f.write_str(Renderer::plain().render(&[group]).trim_end())
    }
}

/// More than anyone reads at once; the rest is counted.
const MAX_SHOWN: usize = 20;

impl fmt::Display for WorkloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().take(MAX_SHOWN).enumerate() {
            let gap = if index > 0 { "\n\n" } else { "" };
            write!(f, "{gap}{problem}")?;
        }
        match self.problems.len().saturating_sub(MAX_SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n\nand {more} more"),
        }
    }
}
