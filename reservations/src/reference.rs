//! The reference of the file's keys, for people: one table per object, written from the same list
//! of keys as everything else.

use crate::fields::{CONTROL, DISK, FUSE, Field, GROUP, NBD, ROOT, SYSTEM, TLS, Table, VDISK};

/// The reference in Markdown (`docs/configuration.md`).
pub fn reference() -> String {
    let mut text = String::from(
        "# The reservation file\n\n\
         One JSON file says which disks there are, which virtual disks lie on them, and what each \
         may count on. Strict JSON: unknown or duplicate keys are errors. Relative paths are \
         relative to `state_dir`, which is relative to the file. `disktime check FILE` reads it and \
         prints what it promises; `disktime schema` prints its JSON Schema for editors.\n\n\
         This page is generated from the list of keys in `reservations/src/fields.rs`.\n",
    );
    let sections: [(&str, &Table); 9] = [
        ("The file", &ROOT),
        ("`disks.NAME`", &DISK),
        ("`disks.NAME.system`", &SYSTEM),
        ("`vdisks.NAME`", &VDISK),
        ("`groups.NAME`", &GROUP),
        ("`nbd`", &NBD),
        ("`nbd.tls`", &TLS),
        ("`fuse`", &FUSE),
        ("`control`", &CONTROL),
    ];
    for (title, table) in sections {
        text.push_str(&format!(
            "\n## {title}\n\n| key | accepted | default | |\n|---|---|---|---|\n"
        ));
        for field in table.fields {
            text.push_str(&row(field));
        }
    }
    text
}

fn row(field: &Field) -> String {
    let default = match (field.required, field.default) {
        (true, _) => "required".to_owned(),
        (false, "") => "-".to_owned(),
        (false, default) => default.to_owned(),
    };
    format!(
        "| `{}` | {} | {default} | {} |\n",
        field.name,
        field.kind.accepted(),
        field.about
    )
}
