//! Unit tests of `kinds`.

use super::*;
use std::collections::HashSet;

#[test]
fn names_are_unique_and_lead_back() {
    let names: HashSet<_> = GeneratorKind::ALL
        .map(GeneratorKind::name)
        .into_iter()
        .collect();
    assert_eq!(names.len(), GeneratorKind::ALL.len());
    for kind in GeneratorKind::ALL {
        assert_eq!(GeneratorKind::from_name(kind.name()), Some(kind));
    }
    assert_eq!(GeneratorKind::from_name("zigzag"), None);
}

#[test]
fn the_builder_changes_what_it_says() {
    let client = Client::of_kind(GeneratorKind::MediaPlayer, "m", "v", Nanos::from_secs(9))
        .blocks(|blocks| blocks.block_bytes = 4096)
        .pace(Pace::Constant {
            rate: Rate::per_second(400),
        })
        .within(1 << 20, 1 << 30)
        .between(Nanos::from_secs(1), Nanos::from_secs(2));
    assert_eq!(client.depth, OPEN_DEPTH);
    assert_eq!(
        (client.offset_bytes, client.span_bytes),
        (1 << 20, Some(1 << 30))
    );
    assert_eq!(client.start, Nanos::from_secs(1));
    let expected = Generated::blocks(
        Blocks {
            pattern: Pattern::Sequential,
            ..Blocks::RANDOM_READS
        },
        Pace::Constant {
            rate: Rate::per_second(400),
        },
    );
    assert_eq!(client.source, RequestSource::Generated(expected));
    let closed = client.depth(3).thinking(Times::Constant(Nanos(7)));
    assert_eq!(closed.depth, 3);
    let RequestSource::Generated(generated) = &closed.source else {
        panic!("generated");
    };
    let think = Times::Constant(Nanos(7));
    assert_eq!(generated.pace, Pace::Closed { think });
    let replaying = closed.replaying(TraceSource::new("t"));
    assert_eq!(replaying.depth, OPEN_DEPTH);
    assert_eq!(
        replaying.source,
        RequestSource::Trace(TraceSource::new("t"))
    );
}
