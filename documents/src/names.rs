//! Names that the author of a document chooses: the keys of an object of named things.

use crate::finding::{Findings, shortened};
use crate::json::Member;
use crate::key::NameRule;

/// The longest name, in characters; it may become a file's name or a column of a table.
pub(crate) const MAX_NAME: usize = 64;

/// Reports a name that does not follow the rule.
pub(crate) fn check(member: &Member, rule: NameRule, findings: &Findings) {
    let wrong = match rule {
        NameRule::FileName => wrong_file_name(&member.key.value),
        NameRule::Text => wrong_text(&member.key.value),
    };
    if let Some(message) = wrong {
        findings.report(member.key.span, message, expected(rule));
    }
}

/// Whether a name that comes from elsewhere could be one of a document that becomes the name of a
/// file.
///
/// # Errors
/// A sentence: what is wrong with it.
pub fn check_file_name(name: &str) -> Result<(), String> {
    match wrong_file_name(name) {
        None => Ok(()),
        Some(wrong) => Err(format!("{wrong}; {}", expected(NameRule::FileName))),
    }
}

fn expected(rule: NameRule) -> String {
    let allowed = match rule {
        NameRule::FileName => "letters a to z and A to Z, digits, `.`, `_` and `-`",
        NameRule::Text => "characters that are not control characters",
    };
    format!("expected: a name of 1 to {MAX_NAME} {allowed}")
}

fn wrong_file_name(name: &str) -> Option<String> {
    if matches!(name, "." | "..") {
        return Some(format!(
            "`{name}` cannot be a name: every directory has an entry `{name}`"
        ));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    wrong_length(name).or_else(|| wrong_character(name, allowed))
}

fn wrong_text(name: &str) -> Option<String> {
    wrong_length(name).or_else(|| wrong_character(name, |c| !c.is_control()))
}

fn wrong_length(name: &str) -> Option<String> {
    match name.chars().count() {
        0 => Some("this name is empty".to_owned()),
        length if length > MAX_NAME => Some(format!(
            "the name `{}` has {length} characters",
            shortened(name)
        )),
        _ => None,
    }
}

fn wrong_character(name: &str, is_allowed: impl Fn(char) -> bool) -> Option<String> {
    let wrong = name.chars().find(|c| !is_allowed(*c))?;
    Some(format!("the name `{}` contains `{wrong}`", shortened(name)))
}
