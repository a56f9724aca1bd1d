//! Blocks of a log, moments, and changes of a log.

use crate::history::small_log;

/// Name and bytes.
pub(super) fn histories() -> Vec<(&'static str, Vec<u8>)> {
    let unit = |control: u8, at: usize| [&[control], &small_log()[at * 4096..][..4096]].concat();
    // Slot 0 begins at unit 32: header, EPOCH, BRANCH, CHECKPOINT and its tables, DATA.
    let tables = [&[1], &small_log()[36 * 4096..][..208]].concat();
    let text = |text: &str| [&[2], text.as_bytes()].concat();
    let changes = |changes: &[[u8; 5]]| [&[3], changes.concat().as_slice()].concat();
    vec![
        ("superblock", unit(4, 0)),
        ("segment", unit(4, 32)),
        ("branch", unit(4, 34)),
        ("checkpoint", unit(4, 35)),
        ("data", unit(0, 37)),
        ("tables", tables),
        ("time", text("2026-11-30T06:00:00Z")),
        ("ago", text("-1h30m")),
        ("seq", text("seq:17")),
        ("as-it-is", changes(&[])),
        ("torn", changes(&[[39, 1, 0, 1, 0]])),
        ("other-slot", changes(&[[32, 64, 0, 3, 1]])),
        (
            "other-epoch",
            changes(&[[0, 112, 0, 9, 1], [16, 112, 0, 9, 1]]),
        ),
        ("far-block", changes(&[[37, 192, 0, 15, 1]])),
    ]
}
