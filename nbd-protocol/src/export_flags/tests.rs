//! Unit tests of `export_flags`.

use super::*;

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
