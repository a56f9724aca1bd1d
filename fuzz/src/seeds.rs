//! The first inputs of the corpus: whole conversations of clients, and labels and histories as
//! programs write them.

mod histories;
mod labels;

use crate::{handshake, transmission};
use disktime_nbd_protocol::{
    ChunkHeader, OptionHeader, OptionReplyHeader, RequestHeader, SimpleReply, allocation, chunk,
    command, command_flag, info, option, option_reply,
};

/// All of them: target, name, bytes.
pub fn all() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let handshakes = handshakes()
        .into_iter()
        .map(|(name, bytes)| ("handshake", name, bytes));
    let transmissions = transmissions()
        .into_iter()
        .map(|(name, bytes)| ("transmission", name, bytes));
    let protocols = protocols()
        .into_iter()
        .map(|(name, bytes)| ("protocol", name, bytes));
    let labels = labels::labels()
        .into_iter()
        .map(|(name, bytes)| ("label", name, bytes));
    let histories = histories::histories()
        .into_iter()
        .map(|(name, bytes)| ("history", name, bytes));
    let of_nbd = handshakes.chain(protocols).chain(transmissions);
    of_nbd.chain(labels).chain(histories).collect()
}

fn go(name: &str) -> Vec<u8> {
    let mut data = text(name);
    let wanted = [info::NAME, info::DESCRIPTION, info::BLOCK_SIZE];
    data.extend_from_slice(&(wanted.len() as u16).to_be_bytes());
    wanted
        .iter()
        .for_each(|kind| data.extend_from_slice(&kind.to_be_bytes()));
    OptionHeader::message(option::GO, &data)
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes()[..], text.as_bytes()].concat()
}

fn contexts(option: u32, name: &str, queries: &[&str]) -> Vec<u8> {
    let mut data = text(name);
    data.extend_from_slice(&(queries.len() as u32).to_be_bytes());
    queries.iter().for_each(|query| data.extend(text(query)));
    OptionHeader::message(option, &data)
}

fn handshakes() -> Vec<(&'static str, Vec<u8>)> {
    let structured = OptionHeader::message(option::STRUCTURED_REPLY, b"");
    let set = contexts(option::SET_META_CONTEXT, "disk", &[allocation::NAME, "x:y"]);
    let list = contexts(option::LIST_META_CONTEXT, "web", &["base:"]);
    let bitmaps = [
        "qemu:dirty-bitmap:1",
        allocation::NAME,
        "qemu:dirty-bitmap:2",
    ];
    let set_bitmaps = contexts(option::SET_META_CONTEXT, "disk", &bitmaps);
    let list_bitmaps = contexts(option::LIST_META_CONTEXT, "disk", &["qemu:"]);
    let conversation = |control: [u8; handshake::CONTROL_BYTES], flags: u32, messages: &[&[u8]]| {
        [&control[..], &flags.to_be_bytes(), &messages.concat()].concat()
    };
    let usual = [255, 255, 255, 0];
    vec![
        ("go", conversation(usual, 3, &[&go("disk")])),
        (
            "modern",
            conversation(usual, 3, &[&structured, &set, &go("disk"), b"request"]),
        ),
        (
            "contexts",
            conversation(
                [9, 9, 0, 0],
                3,
                &[&structured, &list, &set, &set, &go("web")],
            ),
        ),
        (
            "bitmaps",
            conversation(
                usual,
                3,
                &[&structured, &list_bitmaps, &set_bitmaps, &go("disk")],
            ),
        ),
        (
            "old",
            conversation(
                usual,
                1,
                &[&OptionHeader::message(option::EXPORT_NAME, b"disk")],
            ),
        ),
        (
            "list",
            conversation(
                usual,
                3,
                &[
                    &OptionHeader::message(option::LIST, b""),
                    &OptionHeader::message(option::ABORT, b""),
                ],
            ),
        ),
        (
            "mistakes",
            conversation(
                [1, 9, 6, 0],
                3,
                &[
                    &OptionHeader::message(99, b"what?"),
                    &OptionHeader::message(option::INFO, b"short"),
                    &go("nowhere"),
                    &OptionHeader::message(100, &[7; 200]),
                    &set,
                    &go("größer"),
                ],
            ),
        ),
        (
            "tls",
            conversation(
                [9, 9, 40, 1],
                3,
                &[
                    &structured,
                    &OptionHeader::message(option::STARTTLS, b""),
                    &structured,
                    &go("disk"),
                ],
            ),
        ),
        (
            "tls-required",
            conversation(
                [9, 9, 40, 2],
                3,
                &[
                    &go("disk"),
                    &OptionHeader::message(option::STARTTLS, b""),
                    &go("disk"),
                ],
            ),
        ),
    ]
}

/// Headers and URIs.
fn protocols() -> Vec<(&'static str, Vec<u8>)> {
    let (cookie, len_bytes) = (7, 14);
    let option = option::GO;
    let reply = option_reply::ACK;
    let reply = OptionReplyHeader {
        option,
        reply,
        len_bytes,
    };
    let simple = SimpleReply { error: 5, cookie };
    let chunk = ChunkHeader::new(cookie, chunk::ERROR_OFFSET, true, len_bytes);
    let uri = |text: &str| text.as_bytes().to_vec();
    vec![
        ("request", request(command::READ, 0, 1, 4096, 512)),
        (
            "option",
            OptionHeader { option, len_bytes }.encode().to_vec(),
        ),
        ("option-reply", reply.encode().to_vec()),
        ("simple-reply", simple.encode().to_vec()),
        ("chunk", chunk.encode().to_vec()),
        (
            "uri-tcp",
            uri("nbds://[::1]:1234/a%20name?tls-certificates=/p"),
        ),
        ("uri-unix", uri("nbd+unix:///disk?socket=/run/nbd.sock")),
    ]
}

fn request(command: u16, flags: u16, cookie: u64, offset_bytes: u64, len_bytes: u32) -> Vec<u8> {
    let header = RequestHeader {
        flags,
        ..RequestHeader::new(command, cookie, offset_bytes, len_bytes)
    };
    let mut bytes = header.encode().to_vec();
    if command == command::WRITE {
        bytes.resize(bytes.len() + len_bytes as usize, cookie as u8);
    }
    bytes
}

fn transmissions() -> Vec<(&'static str, Vec<u8>)> {
    let conversation = |control: [u8; transmission::CONTROL_BYTES], requests: &[Vec<u8>]| {
        [&control[..], &requests.concat()].concat()
    };
    let end = transmission::EXPORT_BYTES;
    let (df, one) = (command_flag::DF, command_flag::REQ_ONE);
    let each: Vec<Vec<u8>> = vec![
        request(command::READ, 0, 1, 0, 4096),
        request(command::WRITE, command_flag::FUA, 2, 77, 300),
        request(command::READ, df, 3, 100, 5000),
        request(command::FLUSH, 0, 4, 0, 0),
        request(command::TRIM, 0, 5, 4096, 65536),
        request(command::WRITE_ZEROES, command_flag::NO_HOLE, 6, 0, 1 << 20),
        request(
            command::WRITE_ZEROES,
            command_flag::FAST_ZERO,
            7,
            0,
            1 << 20,
        ),
        request(command::CACHE, 0, 8, 0, 4096),
        request(command::BLOCK_STATUS, 0, 9, 0, 1 << 20),
        request(command::BLOCK_STATUS, one, 10, 512, 512),
        request(command::DISC, 0, 0, 0, 0),
    ];
    let mistakes = [
        request(command::READ, 0, 1, end, 1),
        request(command::WRITE, 0, 2, end - 1, 2),
        request(command::WRITE, 1 << 9, 3, 0, 50),
        request(command::READ, df, 4, 0, u32::MAX),
        request(command::TRIM, 0, 5, u64::MAX, u32::MAX),
        request(99, 0, 6, 0, 0),
        request(command::READ, 0, 7, 0, 0),
    ];
    let many: Vec<Vec<u8>> = (0..40)
        .map(|cookie| request(command::READ, 0, cookie, cookie * 100, 900))
        .collect();
    vec![
        (
            "each-structured",
            conversation([31, 7, 255, 3, 0, 255, 255, 1], &each),
        ),
        (
            "each-changed",
            conversation([31, 7, 255, 0x31 | 3, 0, 255, 255, 1], &each),
        ),
        (
            "changed-alone",
            conversation([31, 7, 255, 0x11, 0, 9, 255, 1], &each),
        ),
        (
            "each-simple",
            conversation([31, 7, 255, 0, 40, 3, 9, 5], &each),
        ),
        (
            "each-read-only",
            conversation([3, 7, 2, 7, 0, 1, 1, 9], &each),
        ),
        (
            "mistakes",
            conversation([31, 3, 40, 3, 10, 20, 20, 11], &mistakes),
        ),
        ("many", conversation([2, 0, 4, 1, 255, 200, 0, 13], &many)),
        (
            "garbage",
            conversation([31, 3, 40, 3, 0, 20, 20, 17], &[vec![0x25; 64]]),
        ),
    ]
}
