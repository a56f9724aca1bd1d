//! Words that the glossary replaces. House style is plain technical English: say which client,
//! connection, peer, stream or thread does something, and use one word for one thing.

use super::{Findings, has_word};

/// A word, split so that this file passes its own check, and what to write instead.
const REPLACED: [(&str, &str, &str); 8] = [
    ("no", "body", "say who does not: no client, no stream"),
    ("some", "body", "say who: a client, another stream"),
    (
        "who",
        "ever",
        "say who: the client, the connection, the caller",
    ),
    (
        "gives ",
        "way",
        "say what happens: it is closed with an error",
    ),
    ("looked ", "at", "say what is done: read, scanned, checked"),
    ("under ", "way", "in flight, queued, or running"),
    ("do", "or", "frontend"),
    ("do", "ors", "frontends"),
];

/// Files whose words are not ours: a user name of the operating system, a licence.
const EXEMPT: [&str; 1] = ["LICENSE"];

pub(super) fn check(name: &str, text: &str, findings: &mut Findings) {
    if EXEMPT.iter().any(|prefix| name.starts_with(prefix)) {
        return;
    }
    for (number, line) in (1..).zip(text.lines()) {
        let lower = line.to_lowercase();
        for (start, end, instead) in REPLACED {
            let word = format!("{start}{end}");
            if lower.contains(&word) && has_word(&lower, &word) {
                findings.error(format!(
                    "{name}:{number}: the glossary has no \"{word}\": {instead}"
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests;
