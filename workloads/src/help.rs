//! What `disktime workloads` prints: every kind and every key. Made of the lists that the reader
//! of workload files goes by, so that it cannot fall behind them.

use crate::keys::{KEYS, Key, MIX_KEYS, Of, ROOT_KEYS};
use crate::kinds::Kind;

/// How wide the first column is.
const NAME_WIDTH: usize = 14;

/// The kinds of generators and the keys of clients, as text for a terminal.
pub fn help() -> String {
    let mut text =
        "Kinds of generators (\"kind\" of a client, or the first word of --client):\n".to_owned();
    for kind in Kind::ALL {
        line(&mut text, kind.name(), kind.about());
    }
    let sections: [(&str, &[Key], &[Of]); 5] = [
        ("Keys of a workload file:", &ROOT_KEYS, &[Of::Any]),
        ("Keys of a client:", &KEYS, &[Of::Any]),
        (
            "Keys of a client that makes requests up:",
            &KEYS,
            &[Of::Generated],
        ),
        ("Keys of a part of a mix:", &MIX_KEYS, &[Of::Generated]),
        (
            "Keys of a client that replays a trace:",
            &KEYS,
            &[Of::Trace],
        ),
    ];
    for (title, keys, of) in sections {
        text.push_str(&format!("\n{title}\n"));
        for key in keys.iter().filter(|key| of.contains(&key.1)) {
            line(&mut text, key.0, key.3);
        }
    }
    text.push_str("\nOn the command line: --client KIND,KEY=VALUE,… with values without quotes.\n");
    text
}

fn line(text: &mut String, name: &str, about: &str) {
    text.push_str(&format!("  {name:<NAME_WIDTH$}{about}\n"));
}

#[cfg(test)]
mod tests;
