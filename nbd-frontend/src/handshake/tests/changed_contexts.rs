//! The contexts `qemu:dirty-bitmap:…` in the handshake: what is listed, chosen, refused.

use super::contexts::{ALLOCATION, go, list, negotiated_with, set, structured};
use super::*;
use crate::changed::{ChangedContext, ChangedRanges, ContextHandle};
use disktime_nbd_protocol::be32;

/// `web` has contexts: two are listed, others are found by number, and one cannot be opened.
struct WithContexts;

const PREFIX: &str = "qemu:dirty-bitmap:";

fn ranges(of: u64) -> ChangedRanges {
    ChangedRanges::new(Arc::new(vec![(of * 4096, 4096)]))
}

impl ExportDirectory for WithContexts {
    fn exports(&self) -> Vec<Export> {
        exports().exports()
    }

    fn contexts(&self, export: &Export) -> Vec<String> {
        let of_web = ["qemu:dirty-bitmap:1", "qemu:dirty-bitmap:2"];
        let is_web = export.name == "web";
        of_web
            .iter()
            .filter(|_| is_web)
            .map(|name| (*name).to_owned())
            .collect()
    }

    fn find_context(&self, export: &Export, name: &str) -> Option<ContextHandle> {
        let number = name.strip_prefix(PREFIX)?.parse().ok()?;
        (export.name == "web").then_some(ContextHandle(number))
    }

    fn open_contexts(
        &self,
        export: &Export,
        contexts: &[ContextHandle],
    ) -> Result<Vec<ChangedRanges>, String> {
        assert!(export.name == "web" || contexts.is_empty());
        let open = |context: &ContextHandle| match context {
            ContextHandle(13) => Err("it is gone".to_owned()),
            ContextHandle(number) => Ok(ranges(*number)),
        };
        contexts.iter().map(open).collect()
    }
}

/// The replies to a message after structured replies were negotiated: kinds, and the numbers and
/// names of contexts.
fn answers_to(message: Vec<u8>) -> (Vec<u32>, Vec<(u32, String)>) {
    let messages = hello(BOTH, &[structured(), message]);
    let (answers, _, _) = run(Arc::new(WithContexts), &[&messages]);
    let replies = replies(&answers).split_off(1);
    let contexts = replies
        .iter()
        .filter(|reply| reply.1 == option_reply::META_CONTEXT);
    let contexts = contexts.map(|(_, _, data)| {
        let name = String::from_utf8(data[4..].to_vec()).expect("a name");
        (be32(data, 0), name)
    });
    let contexts = contexts.collect();
    (replies.iter().map(|reply| reply.1).collect(), contexts)
}

fn names_in(message: Vec<u8>) -> Vec<String> {
    let (_, contexts) = answers_to(message);
    contexts.into_iter().map(|(_, name)| name).collect()
}

#[test]
fn a_list_has_those_that_its_queries_match_each_once() {
    let (base, one, two) = (
        "base:allocation",
        "qemu:dirty-bitmap:1",
        "qemu:dirty-bitmap:2",
    );
    assert_eq!(names_in(list("web", &[])), [base, one, two]);
    for wildcard in ["qemu:", PREFIX] {
        let queries = [wildcard.as_bytes()];
        assert_eq!(names_in(list("web", &queries)), [one, two], "{wildcard}");
    }
    let names = [&b"base:"[..], two.as_bytes(), b"qemu:dirty-bitmap:7"];
    assert_eq!(
        names_in(list("web", &names)),
        [base, two, "qemu:dirty-bitmap:7"]
    );
    let twice = [b"qemu:", one.as_bytes()];
    assert_eq!(names_in(list("web", &twice)), [one, two]);
    let unknown = [
        &b"qemu:dirty-bitmap:x"[..],
        b"qemu:allocation-depth",
        b"base:other",
    ];
    assert!(names_in(list("web", &unknown)).is_empty());
    assert_eq!(names_in(list("db", &[])), [base]);
    assert!(names_in(list("db", &[one.as_bytes()])).is_empty());
}

#[test]
fn those_that_are_chosen_have_numbers_of_their_own() {
    let (two, nine) = (&b"qemu:dirty-bitmap:2"[..], &b"qemu:dirty-bitmap:9"[..]);
    let queries = [
        nine,
        b"qemu:dirty-bitmap:x",
        ALLOCATION,
        two,
        nine,
        b"qemu:",
    ];
    let (_, contexts) = answers_to(set("web", &queries));
    let expected = [
        (1, "base:allocation"),
        (2, "qemu:dirty-bitmap:9"),
        (3, "qemu:dirty-bitmap:2"),
    ];
    let expected = expected.map(|(number, name)| (number, name.to_owned()));
    assert_eq!(contexts, expected);
    let negotiated = |messages: &[Vec<u8>]| {
        let all = [&[structured()], messages].concat();
        negotiated_with(Arc::new(WithContexts), &all)
    };
    let of = |number, of| ChangedContext {
        number,
        ranges: ranges(of),
    };
    let chosen = negotiated(&[set("web", &queries), go("web")]);
    assert_eq!(chosen.allocation, Some(1));
    assert_eq!(chosen.changed, [of(2, 9), of(3, 2)]);
    let alone = negotiated(&[set("web", &[two]), go("web")]);
    assert_eq!((alone.allocation, alone.changed), (None, vec![of(2, 2)]));
    let old = message(option::EXPORT_NAME, b"web");
    assert_eq!(negotiated(&[set("web", &[two]), old]).changed.len(), 1);
    for void in [
        negotiated(&[set("web", &[two]), go("db")]),
        negotiated(&[set("web", &[two]), set("web", &[]), go("web")]),
        negotiated(&[set("web", &[b"qemu:dirty-bitmap:"]), go("web")]),
    ] {
        assert!(void.changed.is_empty());
    }
}

#[test]
fn more_than_a_few_at_once_are_refused() {
    let names: Vec<String> = (0..9).map(|at| format!("{PREFIX}{at}")).collect();
    let queries: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
    for (message, most) in [(set as fn(&str, &[&[u8]]) -> _, 8), (list, 8)] {
        let (kinds, contexts) = answers_to(message("web", &queries[..most]));
        assert_eq!((kinds.len(), contexts.len()), (9, 8));
        let (kinds, _) = answers_to(message("web", &queries));
        assert_eq!(kinds, [option_reply::ERR_TOO_BIG]);
    }
}

#[test]
fn a_context_that_cannot_be_opened_refuses_the_export() {
    let queries = [&b"qemu:dirty-bitmap:13"[..]];
    let messages = [structured(), set("web", &queries), go("web"), go("db")];
    let (answers, end, _) = run(Arc::new(WithContexts), &[&hello(BOTH, &messages)]);
    let replies = replies(&answers);
    let refusal = &replies[3];
    assert_eq!(refusal.1, option_reply::ERR_POLICY);
    assert_eq!(refusal.2, b"it is gone");
    assert!(matches!(end, HandshakeProgress::Agreed(export) if export.name == "db"));
}
