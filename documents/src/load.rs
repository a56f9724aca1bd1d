//! Reads a document from its file, within bounds.

use crate::document::Document;
use crate::errors::DocumentErrors;
use crate::finding::Finding;
use crate::span::Span;
use std::path::Path;

/// Larger than any document that a person or a program would write.
const MAX_FILE_BYTES: u64 = 8 << 20;

impl Document {
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
}
