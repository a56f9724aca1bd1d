//! The reference of the file's keys, for people: one table per object, made from the tables of
//! keys.

use crate::keys::{
    BACKGROUND, BACKGROUND_RESERVATION, CONTROL, DISK, FOLD, FUSE, GROUP, HISTORY, NBD, ROOT, TLS,
    VDISK,
};
use disktime_documents::{Table, key_reference};

/// The reference in Markdown (`docs/configuration.md`).
pub fn reference() -> String {
    let mut text = String::from(
        "# The reservation file\n\n\
         One JSON file says which disks there are, which virtual disks (vdisks) they hold, and \
         what \
         each vdisk is guaranteed. It is strict JSON: unknown and duplicate keys are errors. \
         Relative \
         paths are relative to `state_dir`, which is relative to the file. `disktime check FILE` \
         reads the file and prints what it promises; `disktime schema` prints its JSON Schema for \
         editors.\n\n\
         This page is generated from the tables of keys in `reservations/src/keys.rs`.\n",
    );
    let sections: [(&str, &Table); 12] = [
        ("The file", &ROOT),
        ("`disks.NAME`", &DISK),
        ("`disks.NAME.background`", &BACKGROUND),
        ("`disks.NAME.background.NAME`", &BACKGROUND_RESERVATION),
        ("`vdisks.NAME`", &VDISK),
        ("`vdisks.NAME.history`", &HISTORY),
        ("`vdisks.NAME.history.fold`", &FOLD),
        ("`groups.NAME`", &GROUP),
        ("`nbd`", &NBD),
        ("`nbd.tls`", &TLS),
        ("`fuse`", &FUSE),
        ("`control`", &CONTROL),
    ];
    for (title, table) in sections {
        text.push_str(&format!("\n## {title}\n\n{}", key_reference(table)));
    }
    text
}
