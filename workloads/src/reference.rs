//! The tables of docs/workloads.md: every kind and every key, from the tables that the reader of
//! workload files goes by. What stands between the tables on that page is written by hand.

use crate::keys::{COMMON_KEYS, GENERATOR_KEYS, RANGE_KEYS, REQUEST_KEYS, ROOT, TRACE_KEYS};
use crate::kinds::GeneratorKind;
use disktime_documents::{Table, key_reference};

static EVERY_CLIENT: Table = Table::new("a client", &[COMMON_KEYS, RANGE_KEYS]);
static REQUESTS: Table = Table::new("a generator", &[REQUEST_KEYS]);
static TIMES_AND_MIXES: Table = Table::new("a generator", &[GENERATOR_KEYS]);
static TRACES: Table = Table::new("a trace", &[TRACE_KEYS]);

/// The generated tables in Markdown, each with the name that its marks on the page have.
pub fn reference_tables() -> Vec<(&'static str, String)> {
    vec![
        ("file", key_reference(&ROOT)),
        ("client", key_reference(&EVERY_CLIENT)),
        ("kinds", kinds()),
        ("requests", key_reference(&REQUESTS)),
        ("times", key_reference(&TIMES_AND_MIXES)),
        ("traces", key_reference(&TRACES)),
    ]
}

fn kinds() -> String {
    let mut text = String::from("| kind | requests, and when they come |\n|---|---|\n");
    for kind in GeneratorKind::ALL {
        text.push_str(&format!("| `{}` | {} |\n", kind.name(), kind.about()));
    }
    text
}
