//! The project's style rules, as a test: what a formatter and a linter do not see.
//!
//! - Rust files ([`rust`]): at most 500 lines (a warning from 400 on), lines of at most 100
//!   characters, a header that says what the file is for, one module style.
//! - All text files: no blanks at the ends of lines, no marks of unfinished work, and none of the
//!   words that the glossary replaces ([`words`]).
//! - Markdown ([`links`]): every link to a file of the repository leads to a file.
//! - Both licence texts are there.
//!
//! What is not checked: ignored folders (`target`, hidden ones other than `.ci` and `.cargo`), and
//! whether a header or a sentence is true.

mod links;
mod rust;
mod words;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Marks of unfinished work, written in two parts, as this file is checked too.
const UNFINISHED: [&str; 4] = [
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
    errors: Vec<String>,
    warnings: Vec<String>,
}

impl Findings {
    /// What must be mended.
    pub(crate) fn errors(&self) -> &[String] {
        &self.errors
    }

    /// What should be mended soon.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn error(&mut self, sentence: String) {
        self.errors.push(sentence);
    }

    fn warning(&mut self, sentence: String) {
        self.warnings.push(sentence);
    }
}

/// Checks all files of the workspace.
pub(crate) fn check(workspace: &Path) -> io::Result<Findings> {
    let mut findings = Findings::default();
    for (name, title) in LICENCES {
        if !fs::read_to_string(workspace.join(name)).is_ok_and(|text| text.contains(title)) {
            findings.error(format!("{name}: the licence text is missing"));
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
        if name.ends_with(".md") {
            links::check(workspace, &name, &text, &mut findings);
        }
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
    matches!(extension, Some("rs" | "toml" | "sh" | "md")) || path.ends_with(".ci/run")
}

fn check_text(name: &str, text: &str, findings: &mut Findings) {
    for (number, line) in (1..).zip(text.lines()) {
        if line.ends_with([' ', '\t', '\r']) {
            findings.error(format!("{name}:{number}: blanks at the end of the line"));
        }
        for word in UNFINISHED.iter().filter(|word| has_word(line, word)) {
            findings.error(format!(
                "{name}:{number}: {word} does not belong in finished work"
            ));
        }
    }
    if !text.is_empty() && (!text.ends_with('\n') || text.ends_with("\n\n")) {
        findings.error(format!("{name}: must end with exactly one line end"));
    }
    words::check(name, text, findings);
    if name.ends_with(".rs") {
        rust::check(name, text, findings);
    }
}

/// Whether the word stands there and is not part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let is_edge = |neighbour: Option<char>| {
        !neighbour.is_some_and(|char| char.is_alphanumeric() || char == '_')
    };
    line.match_indices(word).any(|(at, _)| {
        is_edge(line[..at].chars().next_back()) && is_edge(line[at + word.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests;
