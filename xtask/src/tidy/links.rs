//! Links in Markdown files that lead to files of the repository: each must exist.
//!
//! What is not checked: links into the web, and anchors inside a page.

use super::Findings;
use std::path::Path;

pub(super) fn check(workspace: &Path, name: &str, text: &str, findings: &mut Findings) {
    let folder = workspace.join(name);
    let folder = folder.parent().unwrap_or(workspace);
    let mut in_code = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for target in targets(line) {
            let path = target.split('#').next().unwrap_or_default();
            let is_file = !path.is_empty() && !path.contains(':');
            if is_file && !folder.join(path).exists() {
                findings.error(format!("{name}:{number}: the link to {path} leads nowhere"));
            }
        }
    }
}

/// What stands in round brackets behind square ones: `[text](target)`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter_map(|target| target.split_whitespace().next())
}

#[cfg(test)]
mod tests;
