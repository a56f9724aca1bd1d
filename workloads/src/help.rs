//! What `disktime workloads` prints: every kind and every key, from the tables that the reader of
//! workload files goes by.

use crate::keys::{
    COMMON_KEYS, GENERATOR_KEYS, MIX_PART, RANGE_KEYS, REQUEST_KEYS, ROOT, TRACE_KEYS,
};
use crate::kinds::GeneratorKind;
use disktime_documents::Key;

/// The width of the first column.
const NAME_WIDTH: usize = 14;

/// The kinds of generators and the keys of clients, as text for a terminal.
pub fn help() -> String {
    let mut text =
        "Kinds of generators (\"kind\" of a client, or the first word of --client):\n".to_owned();
    for kind in GeneratorKind::ALL {
        line(&mut text, kind.name(), kind.about());
    }
    let common = COMMON_KEYS.iter().chain(RANGE_KEYS);
    let generator = GENERATOR_KEYS.iter().chain(REQUEST_KEYS);
    section(&mut text, "Keys of a workload file:", ROOT.keys());
    section(&mut text, "Keys of a client:", common);
    section(
        &mut text,
        "Keys of a client that generates requests:",
        generator,
    );
    section(&mut text, "Keys of a part of a mix:", MIX_PART.keys());
    section(
        &mut text,
        "Keys of a client that replays a trace:",
        TRACE_KEYS.iter(),
    );
    text.push_str("\nOn the command line: --client KIND,KEY=VALUE,… with values without quotes.\n");
    text
}

fn section(text: &mut String, title: &str, keys: impl Iterator<Item = &'static Key>) {
    text.push_str(&format!("\n{title}\n"));
    for key in keys {
        let mut about = format!("{} Accepts {}.", key.about(), key.kind().expected());
        match (key.is_required(), key.default()) {
            (true, _) => about.push_str(" Required."),
            (false, "") => {}
            (false, default) => about.push_str(&format!(" Default: {default}.")),
        }
        line(text, key.name(), &about);
    }
}

fn line(text: &mut String, name: &str, about: &str) {
    text.push_str(&format!("  {name:<NAME_WIDTH$}{about}\n"));
}

#[cfg(test)]
mod tests;
