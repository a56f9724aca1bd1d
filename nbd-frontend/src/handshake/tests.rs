//! Unit tests of `handshake`: what clients send, and the replies that they get.

mod changed_contexts;
mod contexts;
mod encryption;

use super::*;
use crate::export::ExportHandle;
use disktime_engine::VdiskId;
use disktime_nbd_protocol::{
    ExportFlags, OptionReplyHeader, be64, info, option_reply, transmission_flag,
};
use proptest::prelude::*;

const FIXED: u16 = handshake_flag::FIXED_NEWSTYLE;
pub(super) const BOTH: u16 = handshake_flag::FIXED_NEWSTYLE | handshake_flag::NO_ZEROES;

pub(super) fn exports() -> Arc<dyn ExportDirectory> {
    let mut web = Export::new(ExportHandle(7), VdiskId(1), "web", 8 << 30);
    web.description = "40 % of hdd0 in every 500 ms".into();
    web.flags.rotational = true;
    let db = Export::new(ExportHandle(8), VdiskId(2), "db", 1 << 20);
    Arc::new(vec![web, db])
}

pub(super) fn message(option: u32, data: &[u8]) -> Vec<u8> {
    OptionHeader::message(option, data)
}

pub(super) fn go_data(name: &str, infos: &[u16]) -> Vec<u8> {
    let mut data = (name.len() as u32).to_be_bytes().to_vec();
    data.extend_from_slice(name.as_bytes());
    data.extend_from_slice(&(infos.len() as u16).to_be_bytes());
    infos
        .iter()
        .for_each(|kind| data.extend_from_slice(&kind.to_be_bytes()));
    data
}

pub(super) fn hello(flags: u16, messages: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = u32::from(flags).to_be_bytes().to_vec();
    messages
        .iter()
        .for_each(|message| bytes.extend_from_slice(message));
    bytes
}

/// The replies after the greeting, the last progress, and the bytes left for the session.
pub(super) fn run(
    directory: Arc<dyn ExportDirectory>,
    pieces: &[&[u8]],
) -> (Vec<u8>, HandshakeProgress, Vec<u8>) {
    let mut handshake = Handshake::new(directory, HandshakeLimits::default());
    assert_eq!(handshake.outgoing().len(), 18, "the greeting");
    handshake.sent();
    let mut pieces = pieces.iter();
    let mut answers = Vec::new();
    let end = loop {
        let progress = handshake.advance();
        assert!(
            handshake.outgoing().len() < 64 << 10,
            "a step's answer is bounded"
        );
        answers.extend_from_slice(handshake.outgoing());
        handshake.sent();
        match progress {
            HandshakeProgress::Continue => {}
            HandshakeProgress::NeedBytes => match pieces.next() {
                Some(piece) => handshake.receive(piece),
                None => break progress,
            },
            _ => break progress,
        }
    };
    let mut rest = handshake.into_rest();
    pieces.for_each(|piece| rest.extend_from_slice(piece));
    (answers, end, rest)
}

pub(super) fn replies(mut bytes: &[u8]) -> Vec<(u32, u32, Vec<u8>)> {
    let mut found = Vec::new();
    while let Some(header) = bytes.first_chunk() {
        let header = OptionReplyHeader::decode(header).expect("a reply's magic number");
        let end = OptionReplyHeader::BYTES + header.len_bytes as usize;
        found.push((
            header.option,
            header.reply,
            bytes[OptionReplyHeader::BYTES..end].to_vec(),
        ));
        bytes = &bytes[end..];
    }
    assert!(bytes.is_empty(), "bytes after the last reply");
    found
}

pub(super) fn kinds(answers: &[u8]) -> Vec<u32> {
    replies(answers)
        .into_iter()
        .map(|(_, reply, _)| reply)
        .collect()
}

#[test]
fn go_sends_the_requested_information_and_chooses_the_export() {
    let wanted = [
        info::BLOCK_SIZE,
        0x7777,
        info::NAME,
        info::DESCRIPTION,
        info::NAME,
    ];
    let bytes = hello(BOTH, &[message(option::GO, &go_data("web", &wanted))]);
    let (answers, end, rest) = run(exports(), &[&bytes]);
    let HandshakeProgress::Agreed(export) = end else {
        panic!("{end:?}")
    };
    assert_eq!(export.handle, ExportHandle(7));
    assert!(rest.is_empty());
    let replies = replies(&answers);
    assert_eq!(
        replies.len(),
        5,
        "export, name, description, block size, ack: {replies:?}"
    );
    assert!(replies.iter().all(|(option, ..)| *option == option::GO));
    let export = &replies[0].2;
    assert_eq!((be16(export, 0), be64(export, 2)), (info::EXPORT, 8 << 30));
    let flags = be16(export, 10);
    assert_ne!(flags & transmission_flag::ROTATIONAL, 0);
    assert_eq!(ExportFlags::decode(flags).encode(), flags);
    assert_eq!(&replies[1].2[2..], b"web");
    assert_eq!(&replies[2].2[2..], b"40 % of hdd0 in every 500 ms");
    let sizes: Vec<u32> = (0..3).map(|at| be32(&replies[3].2, 2 + 4 * at)).collect();
    assert_eq!(sizes, [1, 4096, 32 << 20]);
    assert_eq!((replies[4].1, replies[4].2.len()), (option_reply::ACK, 0));
}

#[test]
fn unsupported_options_are_answered_and_parsing_continues() {
    let mut messages: Vec<Vec<u8>> = [option::STARTTLS, 4, 11, 0xdead_beef]
        .map(|option| message(option, b"some data"))
        .into();
    let unsupported = messages.len();
    messages.push(message(option::INFO, &go_data("db", &[])));
    messages.push(message(option::ABORT, b""));
    let (answers, end, _) = run(exports(), &[&hello(FIXED, &messages)]);
    assert_eq!(end, HandshakeProgress::Aborted);
    let kinds = kinds(&answers);
    assert!(
        kinds[..unsupported]
            .iter()
            .all(|kind| *kind == option_reply::ERR_UNSUP)
    );
    let ack = option_reply::ACK;
    assert_eq!(kinds[unsupported..], [option_reply::INFO, ack, ack]);
}

#[test]
fn list_has_names_and_descriptions() {
    let messages = [message(option::LIST, b"x"), message(option::LIST, b"")];
    let (answers, end, _) = run(exports(), &[&hello(BOTH, &messages)]);
    assert_eq!(end, HandshakeProgress::NeedBytes);
    let replies = replies(&answers);
    assert_eq!(replies[0].1, option_reply::ERR_INVALID);
    assert_eq!(replies[1].2, b"\0\0\0\x03web40 % of hdd0 in every 500 ms");
    assert_eq!(replies[2].2, b"\0\0\0\x02db");
    assert_eq!(replies[3].1, option_reply::ACK);
}

#[test]
fn an_unknown_name_is_answered_and_another_may_follow() {
    for option in [option::INFO, option::GO] {
        let messages = [
            message(option, &go_data("wev", &[])),
            message(option, &go_data("", &[])),
            message(option::GO, &go_data("web", &[])),
        ];
        let (answers, end, _) = run(exports(), &[&hello(BOTH, &messages)]);
        assert!(matches!(end, HandshakeProgress::Agreed(_)));
        let replies = replies(&answers);
        assert_eq!(replies[0].1, option_reply::ERR_UNKNOWN);
        assert!(String::from_utf8_lossy(&replies[0].2).contains("\"wev\""));
        assert_eq!(
            replies[1].1,
            option_reply::ERR_UNKNOWN,
            "no default among several"
        );
    }
}

#[test]
fn malformed_go_data_are_refused() {
    let good = go_data("web", &[info::NAME]);
    let mut long_name = good.clone();
    long_name[..4].copy_from_slice(&u32::MAX.to_be_bytes());
    let mut wrong_count = good.clone();
    wrong_count[8] = 9;
    let mut bad_text = good.clone();
    bad_text[4] = 0xff;
    let trailing = [&good[..], b"x"].concat();
    for data in [
        &good[..3],
        &good[..good.len() - 1],
        &long_name,
        &wrong_count,
        &bad_text,
        &trailing,
    ] {
        let (answers, end, _) = run(exports(), &[&hello(BOTH, &[message(option::GO, data)])]);
        assert_eq!(end, HandshakeProgress::NeedBytes);
        assert_eq!(kinds(&answers), [option_reply::ERR_INVALID], "{data:?}");
    }
}

#[test]
fn export_name_is_answered_with_and_without_padding() {
    for (flags, len) in [(FIXED, 134), (BOTH, 10)] {
        let bytes = hello(flags, &[message(option::EXPORT_NAME, b"db")]);
        let (answers, end, _) = run(exports(), &[&bytes]);
        assert!(matches!(end, HandshakeProgress::Agreed(_)));
        assert_eq!((answers.len(), be64(&answers, 0)), (len, 1 << 20));
    }
    let bytes = hello(BOTH, &[message(option::EXPORT_NAME, b"nope")]);
    let (answers, end, _) = run(exports(), &[&bytes]);
    assert!(answers.is_empty() && matches!(end, HandshakeProgress::Broken(_)));
}

#[test]
fn an_option_that_is_too_long_is_skipped_and_answered_with_an_error() {
    let long = message(99, &vec![0x49; (16 << 10) + 1]);
    let bytes = hello(BOTH, &[long, message(option::GO, &go_data("db", &[]))]);
    let pieces: Vec<&[u8]> = bytes.chunks(1000).collect();
    let (answers, end, _) = run(exports(), &pieces);
    assert!(matches!(end, HandshakeProgress::Agreed(_)));
    assert_eq!(kinds(&answers)[0], option_reply::ERR_TOO_BIG);
    let mut bytes = hello(BOTH, &[]);
    let name = OptionHeader {
        option: option::EXPORT_NAME,
        len_bytes: u32::MAX,
    };
    bytes.extend_from_slice(&name.encode());
    assert!(matches!(
        run(exports(), &[&bytes]).1,
        HandshakeProgress::Broken(_)
    ));
}

#[test]
fn too_many_options_end_the_handshake() {
    let messages = vec![message(1234, b""); 1000];
    let (answers, end, _) = run(exports(), &[&hello(BOTH, &messages)]);
    assert!(matches!(end, HandshakeProgress::Broken(_)));
    assert_eq!(
        replies(&answers).len(),
        HandshakeLimits::default().options as usize
    );
}

#[test]
fn wrong_magic_and_unknown_flags_are_broken() {
    let mut bytes = hello(BOTH, &[message(option::LIST, b"")]);
    bytes[5] ^= 1;
    assert!(matches!(
        run(exports(), &[&bytes]).1,
        HandshakeProgress::Broken(_)
    ));
    let (_, end, _) = run(exports(), &[&hello(BOTH | 4, &[])]);
    assert!(matches!(end, HandshakeProgress::Broken(_)));
}

#[test]
fn the_replies_are_the_same_wherever_the_stream_is_split() {
    let messages = [
        message(option::LIST, b""),
        message(77, b"data"),
        message(option::INFO, &go_data("nope", &[])),
        message(option::GO, &go_data("web", &[info::BLOCK_SIZE])),
        b"sent ahead".to_vec(),
    ];
    let bytes = hello(BOTH, &messages);
    let whole = run(exports(), &[&bytes]);
    assert_eq!(whole.2, b"sent ahead");
    for at in 0..bytes.len() {
        let (head, tail) = bytes.split_at(at);
        assert_eq!(run(exports(), &[head, tail]), whole, "split at {at}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(run(exports(), &single), whole);
}

proptest! {
    #[test]
    fn garbage_chooses_no_export_and_never_panics(bytes: Vec<u8>, valid_start: bool) {
        let mut all = if valid_start { hello(BOTH, &[]) } else { Vec::new() };
        all.extend_from_slice(&bytes);
        let (_, end, _) = run(exports(), &[&all]);
        prop_assert!(!matches!(end, HandshakeProgress::Agreed(_)));
    }

    #[test]
    fn garbage_in_an_option_is_answered(option in 2u32..16, data: Vec<u8>) {
        let (answers, end, _) = run(exports(), &[&hello(BOTH, &[message(option, &data)])]);
        prop_assert!(matches!(end, HandshakeProgress::NeedBytes | HandshakeProgress::Aborted));
        prop_assert!(!replies(&answers).is_empty());
    }
}
