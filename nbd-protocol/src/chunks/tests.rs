//! Unit tests of `chunks`.

use super::*;
use proptest::prelude::*;

#[test]
fn a_chunk_lies_on_the_wire_as_the_protocol_says() {
    let header = ChunkHeader {
        flags: chunk::DONE,
        kind: chunk::ERROR_OFFSET,
        cookie: 0x0102_0304_0506_0708,
        len_bytes: 14,
    };
    let wire = [
        0x66, 0x8e, 0x33, 0xef, 0, 1, 0x80, 2, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 14,
    ];
    assert_eq!(header.encode(), wire);
}

proptest! {
    #[test]
    fn chunk_headers_survive_the_wire(flags: u16, kind: u16, cookie: u64, len_bytes: u32) {
        let header = ChunkHeader { flags, kind, cookie, len_bytes };
        prop_assert_eq!(ChunkHeader::decode(&header.encode()), Some(header));
    }
}
