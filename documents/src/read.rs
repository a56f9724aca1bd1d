//! The way from a document's text to a value.

use crate::document::Document;
use crate::errors::DocumentErrors;
use crate::finding::Findings;
use crate::json;
use crate::key::Table;
use crate::object::Object;

/// Parses `document`, opens it as an object of `table`, and makes a value of it. `build` returns
/// `None` only after it reported why; it goes on after each mistake, so that one run shows all.
///
/// # Errors
/// All mistakes that were found, here or by `build`.
pub fn read_document<T>(
    document: &Document,
    table: &'static Table,
    build: impl FnOnce(&Object<'_>) -> Option<T>,
) -> Result<T, DocumentErrors> {
    let findings = Findings::default();
    let tree = json::parse(document.text(), table, &findings);
    let value = tree.and_then(|tree| {
        let root = Object::open(&tree, table, tree.span.first_byte(), &findings)?;
        build(&root)
    });
    match value {
        Some(value) if findings.is_empty() => Ok(value),
        _ => Err(DocumentErrors::new(document.clone(), findings.into_list())),
    }
}
