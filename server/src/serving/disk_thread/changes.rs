//! What serving a disk is about to create or grow on it, as sentences, so that nothing comes to be
//! on a disk in silence.

use disktime_reservations::Disk as DiskConfig;
use disktime_units::{format_size, format_sizes};
use disktime_volumes::Plan;

/// Names in a sentence; more are counted.
const SHOWN: usize = 100;

/// What carrying out the plan changes on the disk. `is_new`: it has no label yet. A disk that lives
/// as long as the server is new at every start, which its own notice says.
pub(super) fn changes(config: &DiskConfig, is_new: bool, plan: &Plan) -> Vec<String> {
    let (name, Some(path)) = (&config.name.value, config.path()) else {
        return Vec::new();
    };
    let mut sentences = Vec::new();
    if is_new {
        sentences.push(format!(
            "{name}: {} is blank: a new label is written to it",
            path.display()
        ));
    }
    let created = plan.create();
    if !created.is_empty() {
        let size_of = |vdisk: &String| {
            let size_bytes = plan.label().find(vdisk).map(|entry| entry.size_bytes());
            format!("`{vdisk}` ({})", format_size(size_bytes.unwrap_or(0)))
        };
        let shown: Vec<String> = created.iter().take(SHOWN).map(size_of).collect();
        let more = match created.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let noun = if created.len() == 1 {
            "vdisk"
        } else {
            "vdisks"
        };
        sentences.push(format!(
            "{name}: new, and empty: {noun} {}{more}",
            shown.join(", ")
        ));
    }
    for (vdisk, bytes) in plan.histories() {
        sentences.push(format!(
            "{name}: vdisk `{vdisk}` gets a history, with {} for its log",
            format_size(bytes)
        ));
    }
    for (vdisk, from_bytes, to_bytes) in plan.grow() {
        let [from, to] = format_sizes([*from_bytes, *to_bytes]);
        sentences.push(format!("{name}: vdisk `{vdisk}` grows from {from} to {to}"));
    }
    sentences
}
