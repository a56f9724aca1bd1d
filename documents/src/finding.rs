//! One mistake in a document: a sentence, its place, and what was expected; and the list in which
//! a reader gathers them.
//!
//! Invariant: messages and help texts have no control characters, so that a document cannot write
//! to the terminal.

use crate::span::Span;
use std::cell::RefCell;

/// Whether a finding makes the document unusable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It does.
    Error,
    /// It does not, but the document may not do what its author expects.
    Warning,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    severity: Severity,
    span: Option<Span>,
    message: String,
    help: Option<String>,
}

impl Finding {
    /// An error at `span`.
    pub fn error(span: Span, message: impl AsRef<str>) -> Finding {
        Finding {
            span: Some(span),
            ..Finding::of_file(message)
        }
    }

    /// A warning at `span`.
    pub fn warning(span: Span, message: impl AsRef<str>) -> Finding {
        Finding {
            severity: Severity::Warning,
            ..Finding::error(span, message)
        }
    }

    /// An error that concerns the file as a whole.
    pub(crate) fn of_file(message: impl AsRef<str>) -> Finding {
        Finding {
            severity: Severity::Error,
            span: None,
            message: visible(message.as_ref()),
            help: None,
        }
    }

    /// The same with what was expected or what to do; an empty text adds nothing.
    pub fn help(self, help: impl AsRef<str>) -> Finding {
        let help = Some(visible(help.as_ref())).filter(|help| !help.is_empty());
        Finding { help, ..self }
    }

    /// Whether it makes the document unusable.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// Where; `None` when it concerns the file as a whole.
    pub fn span(&self) -> Option<Span> {
        self.span
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What was expected, or what to do.
    pub fn help_text(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

/// The findings of one reading, in the order in which they were made.
#[derive(Debug, Default)]
pub struct Findings {
    list: RefCell<Vec<Finding>>,
}

impl Findings {
    /// Adds an error at `span`.
    pub fn report(&self, span: Span, message: impl AsRef<str>, help: impl AsRef<str>) {
        self.push(Finding::error(span, message).help(help));
    }

    /// Adds a finding.
    pub fn push(&self, finding: Finding) {
        self.list.borrow_mut().push(finding);
    }

    /// Replaces what was found at `span` by an error, where the caller has a better message.
    pub fn replace(&self, span: Span, message: impl AsRef<str>, help: impl AsRef<str>) {
        let mut list = self.list.borrow_mut();
        list.retain(|finding| finding.span != Some(span));
        list.push(Finding::error(span, message).help(help));
    }

    /// Whether nothing is wrong so far.
    pub fn is_empty(&self) -> bool {
        self.list.borrow().is_empty()
    }

    pub(crate) fn into_list(self) -> Vec<Finding> {
        self.list.into_inner()
    }
}

/// `text` with control characters made visible.
fn visible(text: &str) -> String {
    // Control characters, and those that change the direction of text.
    let hidden = |c: char| match c {
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        c => c.is_control(),
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
pub fn shortened(text: &str) -> String {
    const MOST: usize = 48;
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
