//! The project's style rules, as a test: what a formatter and a linter do not see.
//!
//! - Rust files have at most 500 lines (a warning from 400 on), and say first what they are for.
//! - No blanks at the ends of lines, no marks of unfinished work.
//! - Both licence texts are there.
//!
//! What is not checked: ignored folders (`target`, hidden ones other than `.ci` and `.cargo`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 500;
const LINES_WARNING: usize = 400;

/// Written in two parts, as this file is checked too.
const BANNED: [&str; 4] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("dbg", "!"),
];

const LICENCES: [(&str, &str); 2] = [
    ("LICENSE-MIT", "MIT License"),
    ("LICENSE-APACHE", "Apache License"),
];

/// What is wrong, as sentences that begin with the place.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) errors: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

/// Checks all files of the workspace.
pub(crate) fn check(workspace: &Path) -> io::Result<Findings> {
    let mut findings = Findings::default();
    for (name, title) in LICENCES {
        if !fs::read_to_string(workspace.join(name)).is_ok_and(|text| text.contains(title)) {
            findings
                .errors
                .push(format!("{name}: the licence text is missing"));
        }
    }
    for path in text_files(workspace)? {
        let text = fs::read_to_string(&path)?;
        let name = path
            .strip_prefix(workspace)
            .unwrap_or(&path)
            .display()
            .to_string();
        check_text(&name, &text, &mut findings);
    }
    Ok(findings)
}

fn text_files(workspace: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![workspace.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            let is_folder = fs::symlink_metadata(&path)?.is_dir();
            let is_hidden = name.starts_with('.') && !matches!(name, ".ci" | ".cargo");
            // A target folder is cargo's, whatever it is called, if it has this mark.
            if is_folder && !is_hidden && name != "target" && !path.join("CACHEDIR.TAG").exists() {
                folders.push(path);
            } else if !is_folder && is_checked(&path) {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn is_checked(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("rs" | "toml" | "sh")) || path.ends_with(".ci/run")
}

fn check_text(name: &str, text: &str, findings: &mut Findings) {
    for (number, line) in (1..).zip(text.lines()) {
        if line.ends_with([' ', '\t', '\r']) {
            findings
                .errors
                .push(format!("{name}:{number}: blanks at the end of the line"));
        }
        for word in BANNED.iter().filter(|word| contains_word(line, word)) {
            findings.errors.push(format!(
                "{name}:{number}: {word} does not belong in finished work"
            ));
        }
    }
    if !text.is_empty() && (!text.ends_with('\n') || text.ends_with("\n\n")) {
        findings
            .errors
            .push(format!("{name}: must end with exactly one line end"));
    }
    if !name.ends_with(".rs") {
        return;
    }
    // Attributes of the whole file may stand before its description.
    let mut lines = text
        .lines()
        .skip_while(|line| line.starts_with("#!") || line.is_empty());
    if !lines.next().is_some_and(|line| line.starts_with("//!")) {
        findings.errors.push(format!(
            "{name}: must begin with `//!` and what the file is for"
        ));
    }
    match text.lines().count() {
        count if count > LINES_MAX => {
            findings.errors.push(format!(
                "{name}: {count} lines, at most {LINES_MAX} are allowed; divide it"
            ));
        }
        count if count > LINES_WARNING => {
            findings.warnings.push(format!(
                "{name}: {count} lines; from {LINES_MAX} on it must be divided"
            ));
        }
        _ => {}
    }
}

/// Whether the word stands there and is not part of a longer one.
fn contains_word(line: &str, word: &str) -> bool {
    let is_edge = |neighbour: Option<char>| {
        !neighbour.is_some_and(|char| char.is_alphanumeric() || char == '_')
    };
    line.match_indices(word).any(|(at, _)| {
        is_edge(line[..at].chars().next_back()) && is_edge(line[at + word.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests;
