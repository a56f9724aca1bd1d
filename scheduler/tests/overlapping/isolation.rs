//! What a reserved stream gets of what it would have alone, beside loads that take all they can.

use super::{TURNAROUND, ms};
use disktime_lab::overlap::cases::{Q128, R4, R64, T1M, W4, W64};
use disktime_lab::overlap::{
    Case, CaseMeasure, Class, LabDrive, OverlapClient, OverlapRun, SoloRuns, Span, measure,
};
use disktime_scheduler::PolicyKind;

fn measured(drive: LabDrive, clients: Vec<OverlapClient>, millis: u64) -> CaseMeasure {
    let case = Case {
        drive,
        clients,
        seed: 1,
    };
    let span = Span {
        warm: ms(300),
        length: ms(millis),
    };
    let policy = PolicyKind::Fahrrad;
    measure(&case, policy, span, TURNAROUND, &SoloRuns::default(), false)
}

fn half(depth: u32, class: Class) -> OverlapClient {
    OverlapClient::new("v", depth, class).reserved(500_000, ms(100))
}

/// Discards, flushes and writes cost little to send and much to do.
#[test]
fn storms_do_not_take_a_reservation() {
    for name in LabDrive::NAMES {
        let storms = [
            OverlapClient::new("discards", 32, T1M),
            OverlapClient::new("discard of all", 64, Class::discard(64 << 20)),
            OverlapClient::new("flushes", 16, W4).flushing(),
            OverlapClient::new("small writes", 64, W4),
            OverlapClient::new("writes", 32, W64),
        ];
        for storm in storms {
            let what = storm.name.clone();
            let drive = LabDrive::find(name).used_up();
            let measured = measured(drive, vec![half(1, R4), storm], 700);
            let isolation = measured.streams[0].isolation;
            assert!(isolation >= 0.95, "{name}, {what}: {isolation:.3}");
        }
    }
}

/// A request that is longer than H goes all the same, when nothing else of its stream is there.
#[test]
fn a_request_beyond_the_bound_makes_progress() {
    for name in LabDrive::NAMES {
        let large = OverlapClient::new("large", 1, Class::sequential_read(1 << 20));
        let clients = vec![half(1, R4), OverlapClient::new("w", 32, R4), large];
        let measured = measured(LabDrive::find(name), clients, 1000);
        let rate = measured.streams[2].rate;
        assert!(rate >= 0.05, "{name}: {rate:.3}");
        let isolation = measured.streams[0].isolation;
        assert!(isolation >= 0.98, "{name}: {isolation:.3}");
    }
}

/// Prices that are all wrong break no promise: time alone is measured. A stream that is never short
/// by its own, too dear, books is never alone; it is probed (`sata-870`, `cloud-16k`).
#[test]
fn wrong_prices_break_no_reservation() {
    for name in LabDrive::NAMES {
        for (percent, least) in [(80, 0.98), (120, 0.98), (150, 0.95)] {
            let drive = LabDrive::find(name).with_prices(percent);
            let clients = vec![half(1, R4), OverlapClient::new("b", 256, R4)];
            let isolation = measured(drive, clients, 1000).streams[0].isolation;
            assert!(isolation >= least, "{name}, {percent} %: {isolation:.3}");
        }
    }
}

/// An acknowledgement shows nothing of what a write takes: that the price is too low shows in the
/// reads behind the writes.
#[test]
fn prices_of_writes_that_are_too_low_leave_a_reader_its_share() {
    for name in ["cheap-qlc", "cheap-qlc-gc"] {
        for percent in [60, 80] {
            let drive = LabDrive::find(name).used_up().with_prices(percent);
            let clients = vec![half(1, R4), OverlapClient::new("writes", 32, W64)];
            let isolation = measured(drive, clients, 1000).streams[0].isolation;
            assert!(isolation >= 0.95, "{name}, {percent} %: {isolation:.3}");
        }
    }
}

/// A drive without a reservation, or on which none is behind, does what it does under `fifo`.
#[test]
fn a_drive_without_shortage_is_full() {
    for name in LabDrive::NAMES {
        for (depth, class) in [(256, R4), (128, Q128), (32, W64)] {
            let ratio = work_of_fifo(name, &[OverlapClient::new("a", depth, class)]);
            assert!(
                ratio >= 0.97,
                "{name}, depth {depth}, {class:?}: {ratio:.3}"
            );
        }
    }
}

/// The work of a set compared with that under `fifo`.
fn work_of_fifo(name: &str, clients: &[OverlapClient]) -> f64 {
    let work = |policy| {
        let case = Case {
            drive: LabDrive::find(name).used_up(),
            clients: clients.to_vec(),
            seed: 1,
        };
        let span = Span {
            warm: ms(200),
            length: ms(300),
        };
        measure(&case, policy, span, TURNAROUND, &SoloRuns::default(), false).work
    };
    work(PolicyKind::Fahrrad) / work(PolicyKind::Fifo)
}

/// A reservation costs the disk little while its stream is not behind: beside others, because they
/// may fill the disk further then, and alone, because there is no other to keep the disk free for.
#[test]
fn a_reservation_that_is_not_behind_leaves_the_disk_full() {
    for (name, least) in [
        ("nvme-970pro", 0.93),
        ("cheap-qlc", 0.89),
        ("sata-870", 0.97),
    ] {
        let small = OverlapClient::new("R4d1", 1, R4).reserved(50_000, ms(20));
        let sets = [
            vec![small, OverlapClient::new("R4d256", 256, R4)],
            vec![half(256, R4)],
            vec![half(32, W64)],
            vec![half(64, W4)],
        ];
        for clients in sets {
            let ratio = work_of_fifo(name, &clients);
            let last = &clients[clients.len() - 1];
            assert!(
                ratio >= least,
                "{name}, {:?} of depth {}: {ratio:.3}",
                last.class,
                last.depth
            );
        }
    }
}

/// A group pays by a private device of its own: its members overlap alone as well.
#[test]
fn a_group_gets_its_share_of_what_its_members_do_together() {
    for name in LabDrive::NAMES {
        let member = |reserved: bool| {
            let client = if reserved {
                half(1, R4)
            } else {
                OverlapClient::new("m", 1, R4)
            };
            OverlapClient {
                group: reserved.then_some(0),
                ..client
            }
        };
        let rate = |policy, clients: Vec<OverlapClient>| {
            let drive = LabDrive::find(name);
            let (config, device) = (drive.config(policy), drive.device(1));
            let mut run = OverlapRun::new(config, device, drive.cost(), clients, TURNAROUND, 1);
            run.run(ms(300), ms(1000));
            let results = run.results();
            let members = &results[..4];
            members.iter().map(|one| one.requests).sum::<u64>() as f64
        };
        let alone = rate(PolicyKind::Fifo, vec![member(false); 4]);
        let mut clients = vec![member(true); 4];
        clients.push(OverlapClient::new("b", 64, R4));
        let isolation = rate(PolicyKind::Fahrrad, clients) / alone / 0.5;
        assert!(isolation >= 0.97, "{name}: {isolation:.3}");
    }
}

/// Members of equal weight, one of depth 1 and one of depth 32: the turn of the first is not put
/// off until the other is a visit ahead, and no turn is counted twice.
#[test]
fn a_member_of_depth_1_gets_its_turns_beside_a_deep_one() {
    for name in ["nvme-970pro", "sata-870", "pipe"] {
        let requests_of_first = |policy, clients: Vec<OverlapClient>| {
            let drive = LabDrive::find(name);
            let (config, device) = (drive.config(policy), drive.device(1));
            let mut run = OverlapRun::new(config, device, drive.cost(), clients, TURNAROUND, 1);
            run.run(ms(300), ms(1000));
            run.results()[0].requests as f64
        };
        let member = |depth| OverlapClient {
            group: Some(0),
            ..half(depth, R4)
        };
        let alone = vec![OverlapClient::new("a", 1, R4)];
        let clients = vec![member(1), member(32), OverlapClient::new("b", 64, R4)];
        let received = requests_of_first(PolicyKind::Fahrrad, clients);
        // Half of the group's half of what it would have alone, less what its pauses cost it: a
        // member that returns starts where the others are.
        let due = requests_of_first(PolicyKind::Fifo, alone) / 4.0;
        assert!(received >= 0.45 * due, "{name}: {received} of {due}");
    }
}

/// What a discard takes is learnt without the reads and writes that the disk has to do before it:
/// a stream of discards pays for its own alone.
#[test]
fn a_reservation_of_discards_is_kept_beside_reads_and_writes() {
    let discards = OverlapClient::new("discards", 2, T1M).reserved(200_000, ms(20));
    let reads = OverlapClient::new("reads", 128, Q128);
    let writes = OverlapClient::new("writes", 32, W64);
    for loads in [
        vec![reads.clone()],
        vec![writes.clone()],
        vec![reads, writes],
    ] {
        let clients = [vec![discards.clone()], loads].concat();
        let isolation = measured(LabDrive::find("pipe"), clients, 1000).streams[0].isolation;
        assert!(isolation >= 0.98, "{isolation:.3}");
    }
}

/// While answered writes of others run off, the disk does not stand idle for the stream whose
/// prices are probed.
#[test]
fn a_probed_stream_does_not_pay_for_the_writes_of_others() {
    let load = OverlapClient::new("load", 32, R4).mixed(W64, 30);
    let drive = LabDrive::find("cheap-qlc-gc");
    let isolation = measured(drive, vec![half(32, R4), load], 1000).streams[0].isolation;
    assert!(isolation >= 0.95, "{isolation:.3}");
}

/// Reads of 64 KiB need more in the disk than H to be at their fastest. That they are slower is not
/// taken for a slow disk, which would get less still.
#[test]
fn a_deep_reader_of_64_kib_keeps_its_share() {
    let reader = OverlapClient::new("v", 32, R64).reserved(736_000, ms(50));
    let load = OverlapClient::new("load", 128, Q128);
    let measured = measured(LabDrive::find("cheap-qlc"), vec![reader, load], 2000);
    let isolation = measured.streams[0].isolation;
    assert!(isolation >= 0.98, "{isolation:.3}");
}
