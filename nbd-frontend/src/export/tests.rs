//! Unit tests of `export`.

use super::*;

fn export(name: &str) -> Export {
    Export::new(ExportHandle(0), VdiskId(0), name, 1 << 20)
}

#[test]
fn the_empty_name_means_the_only_export() {
    let one = vec![export("web")];
    assert_eq!(
        find_export(&one, "").map(|export| export.name),
        Some("web".into())
    );
    let two = vec![export("web"), export("db")];
    assert_eq!(find_export(&two, ""), None);
    assert_eq!(
        find_export(&two, "db").map(|export| export.name),
        Some("db".into())
    );
    assert_eq!(find_export(&Vec::new(), ""), None);
    let named_empty = vec![export("web"), export("")];
    assert_eq!(
        find_export(&named_empty, "").map(|export| export.name),
        Some("".into())
    );
}

#[test]
fn a_read_only_export_does_not_offer_to_write() {
    let flags = ExportFlags {
        read_only: true,
        ..ExportFlags::default()
    }
    .encode();
    assert_ne!(flags & transmission_flag::READ_ONLY, 0);
    assert_eq!(flags & transmission_flag::SEND_TRIM, 0);
    assert_eq!(flags & transmission_flag::SEND_WRITE_ZEROES, 0);
}
