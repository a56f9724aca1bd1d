//! Flash drives: what waits for what, and that nothing is lost.

use super::*;
use crate::{ModelRequest, Operation, OverlapDrive, OverlapModel, OverlapParameters, Slowdown};
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use proptest::prelude::*;
use std::collections::HashMap;

/// A small drive with round times: 4 dies on 2 channels, stripes of 4 KiB, no shares of erases.
fn small() -> FlashParameters {
    FlashParameters {
        channels: 2,
        luns_per_channel: 2,
        stripe_bytes: 4096,
        read: Nanos(1000),
        program: Nanos(10_000),
        slow_program: Nanos(40_000),
        cache_bytes: None,
        erase_share: Nanos(0),
        collected_per_thousand: 0,
        command: Nanos(10),
        write_command: Nanos(20),
        discard_command: Nanos(500),
        discard_per_mib: Nanos(1 << 20),
        read_latency: Nanos(100),
        write_latency: Nanos(50),
        flush: Nanos(200),
        // 4096 ns for 4 KiB on a channel, 1024 ns on the link.
        channel_per_mib: Nanos(1 << 20),
        link_per_mib: Nanos(1 << 18),
        buffer_bytes: 16 << 10,
        queue_depth: 64,
        variation_percent: 0,
    }
}

fn request(tag: u64, operation: Operation, offset_bytes: u64, len_bytes: u64) -> ModelRequest {
    ModelRequest {
        tag,
        operation,
        offset_bytes,
        len_bytes,
        durable: false,
    }
}

/// All that is in flight, in order.
fn drain(model: &mut FlashModel) -> Vec<(u64, u64)> {
    let mut done = Vec::new();
    while let Some(completion) = model.pop_completion(Nanos::MAX) {
        done.push((completion.tag, completion.at.0));
    }
    assert_eq!(model.next_completion(), None, "nothing is left");
    done
}

const ALONE: u64 = 10 + 100 + 1000 + 4096 + 1024;

#[test]
fn a_read_alone_goes_through_controller_die_channel_and_link() {
    let mut model = FlashModel::new(small(), 1);
    model.submit(Nanos(7), request(1, Operation::Read, 0, 4096));
    assert_eq!(model.next_completion(), Some(Nanos(7 + ALONE)));
    assert_eq!(drain(&mut model), [(1, 7 + ALONE)]);
}

#[test]
fn reads_of_one_die_wait_for_each_other_and_reads_of_two_overlap() {
    let stripes = 4 * 4096;
    let mut same = FlashModel::new(small(), 1);
    same.submit(Nanos(0), request(1, Operation::Read, 0, 512));
    same.submit(Nanos(0), request(2, Operation::Read, stripes, 512));
    // 512 bytes take 512 ns on the channel and 128 ns on the link.
    let first = 10 + 100 + 1000 + 512 + 128;
    assert_eq!(drain(&mut same), [(1, first), (2, first + 1000)]);
    let mut other = FlashModel::new(small(), 1);
    other.submit(Nanos(0), request(1, Operation::Read, 0, 512));
    // The other channel; only the command and the link are shared.
    other.submit(Nanos(0), request(2, Operation::Read, 2 * 4096, 512));
    assert_eq!(drain(&mut other), [(1, first), (2, first + 128)]);
}

#[test]
fn a_read_of_many_stripes_uses_as_many_dies() {
    let mut model = FlashModel::new(small(), 1);
    model.submit(Nanos(0), request(1, Operation::Read, 0, 4 * 4096));
    // Two stripes on each channel, then four over the link, of which two meet two others there.
    let channels = 10 + 100 + 1000 + 2 * 4096;
    assert_eq!(drain(&mut model), [(1, channels + 2 * 1024)]);
}

#[test]
fn a_write_is_answered_from_the_buffer_and_a_read_waits_for_its_program() {
    let mut model = FlashModel::new(small(), 1);
    model.submit(Nanos(0), request(1, Operation::Write, 0, 4096));
    let answered = 20 + 1024 + 50;
    let write = model.pop_completion(Nanos::MAX).expect("it is answered");
    assert_eq!((write.tag, write.at), (1, Nanos(answered)));
    assert_eq!(model.buffered_bytes(), 4096, "it is not programmed yet");
    let programmed = 20 + 1024 + 4096 + 10_000;
    // One of four reads of as many dies meets it.
    for tag in 2..6 {
        model.submit(
            Nanos(answered),
            request(tag, Operation::Read, tag * 4096, 512),
        );
    }
    let late = programmed + 1000 + 512 + 128;
    let done = drain(&mut model);
    assert_eq!(done.iter().filter(|(_, at)| *at >= programmed).count(), 1);
    assert_eq!(done[3].1, late);
    assert_eq!(model.buffered_bytes(), 0);
}

#[test]
fn a_full_buffer_lets_writes_wait_for_programs() {
    let mut model = FlashModel::new(small(), 1);
    for tag in 0..6 {
        model.submit(Nanos(0), request(tag, Operation::Write, tag * 4096, 4096));
    }
    let done = drain(&mut model);
    // Four have room. The fifth waits for the first program, and the sixth for the second, which
    // shares the channel with the first.
    let buffered = |nth: u64| 20 + nth * 1024;
    let first = buffered(1) + 4096 + 10_000;
    assert_eq!(done[3], (3, buffered(4) + 50));
    assert_eq!(done[4], (4, first + 50));
    assert_eq!(done[5].0, 5);
    assert!(done[5].1 > first + 50, "{done:?}");
}

#[test]
fn a_write_longer_than_the_buffer_ends() {
    let mut model = FlashModel::new(small(), 1);
    model.submit(Nanos(0), request(1, Operation::Write, 512, 1024));
    model.submit(Nanos(0), request(2, Operation::Write, 4096, 256 << 10));
    let done = drain(&mut model);
    assert_eq!(done.len(), 2);
    // 64 programs on 4 dies, of which the last 4 may still run.
    assert!(done[1].1 > 15 * 10_000, "{done:?}");
}

#[test]
fn a_flush_and_a_durable_write_wait_until_what_was_written_is_programmed() {
    let mut model = FlashModel::new(small(), 1);
    model.submit(Nanos(0), request(1, Operation::Flush, 0, 0));
    assert_eq!(
        drain(&mut model),
        [(1, 10 + 50 + 200)],
        "nothing to wait for"
    );
    let at = 100_000;
    model.submit(Nanos(at), request(2, Operation::Write, 0, 512));
    model.pop_completion(Nanos::MAX);
    let then = at + 20 + 128 + 50;
    model.submit(Nanos(then), request(3, Operation::Flush, 0, 0));
    let programmed = then + 10 + 50 + 4096 + 10_000;
    assert_eq!(drain(&mut model), [(3, programmed)]);
    let at = 200_000;
    let durable = ModelRequest {
        durable: true,
        ..request(4, Operation::Write, 0, 512)
    };
    model.submit(Nanos(at), durable);
    let programmed = at + 20 + 128 + 50 + 4096 + 10_000;
    assert_eq!(drain(&mut model), [(4, programmed)]);
}

#[test]
fn a_discard_keeps_the_controller_by_its_length() {
    let mut model = FlashModel::new(small(), 1);
    model.submit(Nanos(0), request(1, Operation::Discard, 0, 1 << 20));
    model.submit(Nanos(0), request(2, Operation::Read, 0, 4096));
    let kept = 500 + (1 << 20);
    assert_eq!(drain(&mut model), [(1, kept + 50), (2, kept + ALONE)]);
}

/// When the last of so many stripes is programmed.
fn programmed(parameters: FlashParameters, stripes: u64) -> u64 {
    let mut model = FlashModel::new(parameters, 1);
    model.submit(Nanos(0), request(1, Operation::Write, 0, stripes * 4096));
    drain(&mut model);
    model.submit(Nanos::ZERO, request(2, Operation::Flush, 0, 0));
    drain(&mut model)[0].1
}

#[test]
fn programs_are_slow_once_the_cache_is_full() {
    let cached = FlashParameters {
        cache_bytes: Some(400 * 4096),
        ..small()
    };
    let (fast, slow) = (programmed(small(), 800), programmed(cached, 800));
    // Half of the 200 programs of each die take four times as long.
    assert_eq!((slow - fast) / 1000, 100 * 30);
}

#[test]
fn garbage_collection_takes_its_share_of_the_dies() {
    let collecting = FlashParameters {
        collected_per_thousand: 2000,
        ..small()
    };
    let plain = programmed(small(), 4000);
    let collected = programmed(collecting, 4000);
    // Twice as many programs more, and as many reads.
    let expected = plain + 2000 * 11_000;
    let off = collected.abs_diff(expected);
    assert!(off * 10 < expected, "{collected} is not about {expected}");
}

#[test]
fn a_slow_time_ends() {
    let slowdown = Slowdown {
        from: Nanos(100_000),
        until: Nanos(200_000),
        percent: 300,
    };
    let mut model = FlashModel::new(small(), 1).with_slowdown(slowdown);
    let mut alone = |at: u64| {
        model.submit(Nanos(at), request(1, Operation::Read, 0, 4096));
        drain(&mut model)[0].1 - at
    };
    assert_eq!(alone(0), ALONE);
    // The firmware's latency is no work, and stays.
    assert_eq!(alone(120_000), 3 * (ALONE - 100) + 100);
    assert_eq!(alone(300_000), ALONE);
}

#[test]
fn reads_vary_evenly_around_their_time() {
    let varied = FlashParameters {
        variation_percent: 20,
        ..small()
    };
    let mut model = FlashModel::new(varied, 1);
    let mut times = Vec::new();
    for round in 0..4000 {
        let at = round * 20_000;
        model.submit(Nanos(at), request(1, Operation::Read, 0, 4096));
        times.push(drain(&mut model)[0].1 - at);
    }
    times.sort_unstable();
    let mean = times.iter().sum::<u64>() / 4000;
    assert!(mean.abs_diff(ALONE) < 10, "{mean}");
    assert!(
        times[0] < ALONE - 190 && times[0] >= ALONE - 200,
        "{}",
        times[0]
    );
    assert!(times[3999] > ALONE + 190 && times[3999] <= ALONE + 200);
}

/// What a random history of requests on a drive leads to: each request's tag and end.
fn history(parameters: &FlashParameters, seed: u64, count: u64) -> Vec<(u64, u64)> {
    let mut model = FlashModel::new(parameters.clone(), seed);
    let mut random = SplitMix64::new(seed);
    let mut submitted = HashMap::new();
    let (mut now, mut tag, mut last) = (Nanos::ZERO, 0, Nanos::ZERO);
    let mut done = Vec::new();
    while tag < count || !submitted.is_empty() {
        let full = submitted.len() >= parameters.queue_depth as usize;
        if tag < count && !full && random.percent(60) {
            let operation = match random.below(20) {
                0..8 => Operation::Read,
                8..16 => Operation::Write,
                16 => Operation::WriteZeroes,
                17 => Operation::Discard,
                _ => Operation::Flush,
            };
            let len_bytes = match operation {
                Operation::Flush => 0,
                _ => (1 + random.below(64)) * 512,
            };
            let what = ModelRequest {
                durable: random.percent(10),
                ..request(tag, operation, random.below(1 << 20) * 512, len_bytes)
            };
            model.submit(now, what);
            submitted.insert(tag, now);
            tag += 1;
        } else if random.percent(20) {
            now += Nanos(random.below(20_000));
        }
        let bound = model.next_completion();
        assert_eq!(bound.is_none(), submitted.is_empty());
        let until = if random.percent(30) {
            now
        } else {
            bound.unwrap_or(now)
        };
        while let Some(completion) = model.pop_completion(until) {
            let at = submitted.remove(&completion.tag).expect("in flight, once");
            assert!(completion.at >= at, "it ended before it was submitted");
            assert!(completion.at >= last, "completions are in order");
            assert!(
                bound.is_none_or(|bound| bound <= completion.at),
                "a bound too late"
            );
            last = completion.at;
            done.push((completion.tag, completion.at.0));
        }
        now = now.max(until);
        assert!(model.buffered_bytes() <= parameters.buffer_bytes);
        if let Some(next) = model.next_completion() {
            assert!(next > until, "what is due by {until} was found");
        }
    }
    assert_eq!(done.len() as u64, count, "every request completes");
    done
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_request_completes_once_in_order_and_not_before_it_was_submitted(seed: u64) {
        let drive = FlashParameters {
            variation_percent: (seed % 40) as u32,
            collected_per_thousand: (seed % 3000) as u32,
            cache_bytes: (seed % 2 == 0).then_some(100_000),
            ..small()
        };
        let first = history(&drive, seed, 600);
        prop_assert_eq!(first, history(&drive, seed, 600), "one seed, one result");
    }
}

#[test]
fn presets_serve_random_histories_too() {
    for name in OverlapDrive::names() {
        let drive = OverlapDrive::find(name).expect("a preset");
        if let OverlapParameters::Flash(flash) = &drive.parameters {
            assert_eq!(history(flash, 3, 5000), history(flash, 3, 5000), "{name}");
        }
    }
}
