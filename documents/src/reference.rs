//! A table of keys for people, in Markdown.

use crate::key::{Key, Table};
use std::fmt::Write;

/// A Markdown table with a line for each key: what it accepts, its default, and what it is for.
pub fn key_reference(table: &Table) -> String {
    let mut text = String::from("| key | accepted | default | |\n|---|---|---|---|\n");
    for key in table.keys() {
        let (name, expected, about) = (key.name(), key.kind().expected(), key.about());
        let _ = writeln!(
            text,
            "| `{name}` | {expected} | {} | {about} |",
            default(key)
        );
    }
    text
}

fn default(key: &Key) -> &'static str {
    match (key.is_required(), key.default()) {
        (true, _) => "required",
        (false, "") => "-",
        (false, default) => default,
    }
}
