//! Unit tests of `messages`.

use super::*;
use crate::constants::{command, command_flag};
use proptest::prelude::*;

#[test]
fn a_request_header_lies_on_the_wire_as_the_protocol_says() {
    let header = RequestHeader {
        flags: command_flag::FUA,
        command: command::WRITE,
        cookie: 0x0102_0304_0506_0708,
        offset_bytes: 0x1000,
        len_bytes: 0x200,
    };
    let wire = [
        0x25, 0x60, 0x95, 0x13, 0, 1, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0x10, 0, 0,
        0, 2, 0,
    ];
    assert_eq!(header.encode(), wire);
}

proptest! {
    #[test]
    fn request_headers_survive_the_wire(
        flags: u16, command: u16, cookie: u64, offset_bytes: u64, len_bytes: u32,
    ) {
        let header = RequestHeader { flags, command, cookie, offset_bytes, len_bytes };
        prop_assert_eq!(RequestHeader::decode(&header.encode()), Some(header));
    }

    #[test]
    fn reply_and_option_headers_survive_the_wire(a: u32, b: u32, len_bytes: u32, cookie: u64) {
        let reply = SimpleReply { error: a, cookie };
        prop_assert_eq!(SimpleReply::decode(&reply.encode()), Some(reply));
        let option = OptionHeader { option: a, len_bytes };
        prop_assert_eq!(OptionHeader::decode(&option.encode()), Some(option));
        let reply = OptionReplyHeader { option: a, reply: b, len_bytes };
        prop_assert_eq!(OptionReplyHeader::decode(&reply.encode()), Some(reply));
    }

    #[test]
    fn a_damaged_magic_is_noticed(byte in 0usize..4, bit in 0u8..8, cookie: u64) {
        let header = RequestHeader {
            flags: 0, command: command::READ, cookie, offset_bytes: 0, len_bytes: 1,
        };
        let mut wire = header.encode();
        wire[byte] ^= 1 << bit;
        prop_assert_eq!(RequestHeader::decode(&wire), None);
    }
}
