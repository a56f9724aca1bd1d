//! Rules for Rust files: length, header, and one module style.
//!
//! A module is `x.rs` with its parts in `x/`; its unit tests are in `x/tests.rs`. Only integration
//! tests share helpers in a `tests/common/mod.rs`, because cargo takes every `tests/*.rs` for a
//! test of its own.

use super::Findings;

pub(super) const LINES_MAX: usize = 500;
const LINES_WARNING: usize = 400;
const COLUMNS_MAX: usize = 100;

pub(super) fn check(name: &str, text: &str, findings: &mut Findings) {
    header(name, text, findings);
    length(name, text, findings);
    module_style(name, text, findings);
}

fn header(name: &str, text: &str, findings: &mut Findings) {
    // Attributes of the whole file may stand before its description.
    let mut lines = text
        .lines()
        .skip_while(|line| line.starts_with("#!") || line.is_empty());
    if !lines.next().is_some_and(|line| line.starts_with("//!")) {
        findings.error(format!(
            "{name}: must begin with `//!` and what the file is for"
        ));
    }
}

fn length(name: &str, text: &str, findings: &mut Findings) {
    match text.lines().count() {
        count if count > LINES_MAX => findings.error(format!(
            "{name}: {count} lines, at most {LINES_MAX} are allowed; divide it"
        )),
        count if count > LINES_WARNING => findings.warning(format!(
            "{name}: {count} lines; above {LINES_MAX} it must be divided"
        )),
        _ => {}
    }
    for (number, line) in (1..).zip(text.lines()) {
        let columns = line.chars().count();
        // A literal that must stay whole (a table, a URI) cannot be wrapped; prose can.
        if columns > COLUMNS_MAX && line.trim_start().starts_with("//") && !is_table(line) {
            findings.error(format!(
                "{name}:{number}: a comment of {columns} characters, at most {COLUMNS_MAX} are \
                 allowed; wrap it"
            ));
        }
    }
}

/// A row of a table in a comment, which Markdown wants on one line.
fn is_table(line: &str) -> bool {
    let comment = line.trim_start().trim_start_matches(['/', '!']);
    comment.trim_start().starts_with('|')
}

fn module_style(name: &str, text: &str, findings: &mut Findings) {
    let is_shared_by_tests = name.contains("/tests/");
    if name.ends_with("/mod.rs") && !is_shared_by_tests {
        let folder = name.trim_end_matches("/mod.rs");
        findings.error(format!("{name}: a module's file is {folder}.rs"));
    }
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_start();
        if line.starts_with("mod tests {") {
            findings.error(format!(
                "{name}:{number}: unit tests are in a file of their own, x/tests.rs of x.rs"
            ));
        }
        if line.starts_with("#[path") {
            findings.error(format!(
                "{name}:{number}: a module lies where its name says; use no #[path]"
            ));
        }
    }
}

#[cfg(test)]
mod tests;
