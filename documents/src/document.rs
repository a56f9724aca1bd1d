//! The text of a document and the file that it came from: reading it within bounds, and turning
//! byte ranges into lines.

use crate::errors::DocumentErrors;
use crate::finding::Finding;
use crate::problem::{Excerpt, Problem};
use crate::span::{Location, Span};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Larger than any document that a person or a program would write.
const MAX_FILE_BYTES: u64 = 8 << 20;

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

    /// Reads the file at `path`; `what` says what it holds, with its article.
    ///
    /// # Errors
    /// The file cannot be read, is longer than 8 MiB, or is not UTF-8.
    pub fn load(path: &Path, what: &str) -> Result<Document, DocumentErrors> {
        let whole = |message: String, help: String| {
            let finding = Finding::of_file(message).help(help);
            DocumentErrors::new(Document::new(path, ""), vec![finding])
        };
        let unreadable = |error: std::io::Error| {
            let message = format!("`{}` cannot be read: {error}", path.display());
            whole(
                message,
                format!("expected: the path of a JSON file with {what}"),
            )
        };
        let length = std::fs::metadata(path).map_err(unreadable)?.len();
        if length > MAX_FILE_BYTES {
            let message = format!("`{}` has {length} bytes", path.display());
            return Err(whole(
                message,
                format!("expected: a JSON file with {what}, of at most 8 MiB"),
            ));
        }
        let bytes = std::fs::read(path).map_err(unreadable)?;
        String::from_utf8(bytes)
            .map(|text| Document::new(path, &text))
            .map_err(|error| {
                let start = error.utf8_error().valid_up_to();
                // What is not UTF-8 is shown as one character of three bytes.
                let end = start + char::REPLACEMENT_CHARACTER.len_utf8();
                let text = String::from_utf8_lossy(error.as_bytes());
                let finding = Finding::error(Span { start, end }, "the file is not UTF-8 here")
                    .help("save the file as UTF-8");
                DocumentErrors::new(Document::new(path, &text), vec![finding])
            })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory in which the file lies.
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
