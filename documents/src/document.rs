//! The text of a document and the file that it came from; turns byte ranges into lines.

use crate::finding::Finding;
use crate::problem::{Excerpt, Problem};
use crate::span::{Location, Span};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The text of a document.
#[derive(Debug, Clone)]
pub struct Document {
    path: PathBuf,
    /// The path as it is printed.
    file: Arc<str>,
    text: Arc<str>,
}

impl Document {
    /// `text` as the contents of the file `path`, which need not exist.
    pub fn new(path: &Path, text: &str) -> Document {
        Document {
            path: path.to_owned(),
            file: path.display().to_string().into(),
            text: text.into(),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory of the file.
    pub fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The line in which `span` begins.
    pub fn excerpt(&self, span: Span) -> Excerpt {
        Excerpt::in_text(&self.file, &self.text, span)
    }

    /// The line and column of a place.
    pub fn locate(&self, span: Span) -> Location {
        let excerpt = self.excerpt(span);
        Location {
            line: excerpt.line(),
            column: excerpt.column(),
        }
    }

    /// A finding with its line and a mark, to be printed.
    pub fn problem(&self, finding: &Finding) -> Problem {
        Problem {
            severity: finding.severity(),
            message: finding.message().to_owned(),
            help: finding.help_text().map(str::to_owned),
            excerpt: finding.span().map(|span| self.excerpt(span)),
        }
    }

    /// A finding for machines: `{"severity", "line", "column", "message", "help"}`.
    pub fn finding_json(&self, finding: &Finding) -> Value {
        let place = finding.span().map(|span| self.locate(span));
        json!({
            "severity": finding.severity(),
            "line": place.map(|place| place.line),
            "column": place.map(|place| place.column),
            "message": finding.message(),
            "help": finding.help_text(),
        })
    }
}
