//! Structured replies and metadata contexts: the replies, and what is negotiated by them.

use super::*;
use disktime_nbd_protocol::allocation;

fn queries_data(name: &str, queries: &[&[u8]]) -> Vec<u8> {
    let mut data = (name.len() as u32).to_be_bytes().to_vec();
    data.extend_from_slice(name.as_bytes());
    data.extend_from_slice(&(queries.len() as u32).to_be_bytes());
    for query in queries {
        data.extend_from_slice(&(query.len() as u32).to_be_bytes());
        data.extend_from_slice(query);
    }
    data
}

pub(super) fn list(name: &str, queries: &[&[u8]]) -> Vec<u8> {
    message(option::LIST_META_CONTEXT, &queries_data(name, queries))
}

pub(super) fn set(name: &str, queries: &[&[u8]]) -> Vec<u8> {
    message(option::SET_META_CONTEXT, &queries_data(name, queries))
}

pub(super) fn structured() -> Vec<u8> {
    message(option::STRUCTURED_REPLY, b"")
}

/// The kinds of the replies to `messages`, after structured replies were negotiated.
fn kinds_of(messages: &[Vec<u8>]) -> Vec<u32> {
    let all = [&[structured()], messages].concat();
    let (answers, _, _) = run(exports(), &[&hello(BOTH, &all)]);
    replies(&answers)[1..].iter().map(|reply| reply.1).collect()
}

/// What is negotiated by `messages`.
fn negotiated_by(messages: &[Vec<u8>]) -> Negotiated {
    negotiated_with(exports(), messages)
}

/// The same, of the exports of a directory.
pub(super) fn negotiated_with(
    directory: Arc<dyn ExportDirectory>,
    messages: &[Vec<u8>],
) -> Negotiated {
    let mut handshake = Handshake::new(directory, HandshakeLimits::default());
    handshake.receive(&hello(BOTH, messages));
    loop {
        handshake.sent();
        match handshake.advance() {
            HandshakeProgress::Continue => {}
            HandshakeProgress::Agreed(_) => return handshake.negotiated().clone(),
            other => panic!("{other:?}"),
        }
    }
}

pub(super) fn go(name: &str) -> Vec<u8> {
    message(option::GO, &go_data(name, &[]))
}

pub(super) const ALLOCATION: &[u8] = allocation::NAME.as_bytes();
const CONTEXT: u32 = option_reply::META_CONTEXT;
const ACK: u32 = option_reply::ACK;
const INVALID: u32 = option_reply::ERR_INVALID;

#[test]
fn structured_replies_add_the_df_flag() {
    let messages = [structured(), structured(), go("db")];
    let (answers, _, _) = run(exports(), &[&hello(BOTH, &messages)]);
    let replies = replies(&answers);
    assert_eq!((replies[0].1, replies[1].1), (ACK, ACK));
    assert_ne!(be16(&replies[2].2, 10) & transmission_flag::SEND_DF, 0);
    assert!(negotiated_by(&messages).structured);
    let with_data = message(option::STRUCTURED_REPLY, b"x");
    let (answers, _, _) = run(exports(), &[&hello(BOTH, &[with_data, go("db")])]);
    let replies = tests::replies(&answers);
    assert_eq!(replies[0].1, INVALID);
    assert_eq!(be16(&replies[1].2, 10) & transmission_flag::SEND_DF, 0);
}

#[test]
fn a_list_matches_names_and_wildcards() {
    let none: &[&[u8]] = &[];
    for queries in [
        none,
        &[b"base:"],
        &[ALLOCATION],
        &[b"x:y", ALLOCATION, b"base:"],
    ] {
        assert_eq!(
            kinds_of(&[list("web", queries)]),
            [CONTEXT, ACK],
            "{queries:?}"
        );
    }
    let unknown: [&[&[u8]]; 3] = [&[b"base:other"], &[b"qemu:"], &[b"x:"]];
    for queries in unknown {
        assert_eq!(kinds_of(&[list("web", queries)]), [ACK], "{queries:?}");
    }
}

#[test]
fn a_choice_takes_names_only_and_each_once() {
    let twice = [ALLOCATION, b"qemu:dirty-bitmap:x", ALLOCATION];
    assert_eq!(kinds_of(&[set("web", &twice)]), [CONTEXT, ACK]);
    let nothing: [&[&[u8]]; 3] = [&[], &[b"base:"], &[b"base:other"]];
    for queries in nothing {
        assert_eq!(kinds_of(&[set("web", queries)]), [ACK], "{queries:?}");
        let negotiated = negotiated_by(&[structured(), set("web", queries), go("web")]);
        assert_eq!(negotiated.allocation, None);
    }
}

#[test]
fn malformed_or_early_options_are_answered_with_an_error() {
    for early in [list("web", &[]), set("web", &[ALLOCATION])] {
        let (answers, _, _) = run(exports(), &[&hello(BOTH, &[early])]);
        assert_eq!(replies(&answers)[0].1, INVALID);
    }
    let good = queries_data("web", &[ALLOCATION]);
    let mut many = good.clone();
    many[7..11].copy_from_slice(&u32::MAX.to_be_bytes());
    let mut long = good.clone();
    long[11..15].copy_from_slice(&u32::MAX.to_be_bytes());
    let bad = [
        good[..good.len() - 1].to_vec(),
        [&good[..], b"x"].concat(),
        good[..9].to_vec(),
        Vec::new(),
        many,
        long,
        queries_data("web", &[b"no colon"]),
        queries_data("web", &[b"base:\xff"]),
        queries_data("web", &[&[b':'; 4097]]),
    ];
    for data in bad {
        for option in [option::LIST_META_CONTEXT, option::SET_META_CONTEXT] {
            assert_eq!(kinds_of(&[message(option, &data)]), [INVALID], "{data:?}");
        }
    }
    let unknown = option_reply::ERR_UNKNOWN;
    assert_eq!(kinds_of(&[set("wev", &[ALLOCATION])]), [unknown]);
    assert_eq!(
        kinds_of(&[list("", &[])]),
        [unknown],
        "no default among several"
    );
}

#[test]
fn the_last_choice_holds_and_only_for_its_export() {
    let chosen = set("web", &[ALLOCATION]);
    let number = |messages: &[Vec<u8>]| {
        let all = [&[structured()], messages].concat();
        negotiated_by(&all).allocation
    };
    assert_eq!(number(&[chosen.clone(), go("web")]), Some(1));
    assert_eq!(number(&[chosen.clone(), go("db")]), None);
    assert_eq!(number(&[chosen.clone(), set("web", &[]), go("web")]), None);
    let failed = message(option::SET_META_CONTEXT, b"garbage");
    assert_eq!(number(&[chosen.clone(), failed, go("web")]), None);
    let listed = [chosen.clone(), list("db", &[]), go("web")];
    assert_eq!(number(&listed), Some(1), "a list changes nothing");
    let old = message(option::EXPORT_NAME, b"web");
    assert_eq!(number(&[chosen, old]), Some(1));
}
