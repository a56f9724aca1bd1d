//! A vdisk on a modelled hard disk with its log on a device without seeks, in virtual time: what it
//! takes from other vdisks (nothing that is reserved), and what it gains.

mod common;
mod in_time;

use common::histories::{listener, with_history};
use common::{MIB, configs, reserved};
use disktime_disks::{LinearCost, Store, VirtualDisk};
use disktime_engine::RequestKind;
use disktime_history::{Verified, WhenFull};
use disktime_units::Nanos;
use disktime_volumes::VdiskConfig;
use in_time::{AnyDisk, Client, Run, counted, drive, fill, hard_disk, open, run};
use std::ops::Range;
use std::sync::Arc;

const SIZE: u64 = 32 * MIB;
const DISK: u64 = 1024 * MIB;

/// One request at a time, so that shares are of its time.
fn one_at_a_time() -> AnyDisk {
    let cost = LinearCost {
        read_base: Nanos::from_micros(60),
        read_per_mib: Nanos::from_millis(2),
        write_base: Nanos::from_micros(40),
        write_per_mib: Nanos::from_millis(2),
        flush: Nanos::from_micros(200),
    };
    Box::new(VirtualDisk::linear(DISK, cost, 1, "ssd0", Store::Sparse))
}

/// `web` and `db` on the hard disk, `mail` and the log of `db` on the other.
#[test]
fn a_log_and_its_folds_take_nothing_reserved_on_either_disk() {
    let [web, db_at, mail] = [0, 1, 2];
    let of = |name: &str| VdiskConfig {
        stream: reserved(40, 250),
        ..configs(&[(name, SIZE)]).remove(0)
    };
    let mut db = with_history(SIZE, 1, WhenFull::Shorten);
    db.stream = reserved(10, 500);
    db.spec.log_disk = Some(1);
    if let Some(history) = &mut db.history {
        (history.log, history.fold) = (reserved(10, 250), reserved(10, 1000));
        history.fold_reads = history.fold;
    }
    let vdisks = [vec![of("web"), db], vec![of("mail")]];
    let mut machine = open(vec![hard_disk(), one_at_a_time()], &vdisks);
    fill(&mut machine, web, SIZE);
    fill(&mut machine, mail, SIZE);
    let streams = [(0, web), (1, mail)].map(|(set, vdisk)| {
        let stream = machine.set.sets()[set].stream(machine.handle(vdisk));
        (set, stream.expect("its stream"))
    });
    let before = streams.map(|(set, stream)| counted(&machine, set, stream));
    let begun = machine.now;
    let clients = [
        Client::random(web, RequestKind::Read, 4, SIZE),
        Client::random(mail, RequestKind::Read, 4, SIZE),
        Client::random(db_at, RequestKind::Write, 16, SIZE),
    ];
    run(&mut machine, begun + Nanos::from_secs(20), &clients);
    let time = machine.now - begun;
    for ((set, stream), before) in streams.into_iter().zip(before) {
        let after = counted(&machine, set, stream);
        let received = (after.reserved + after.spare) - (before.reserved + before.spare);
        let share = received.0 as f64 * 100.0 / time.0 as f64;
        println!("disk {set}: {share:.2} % received of 40 % reserved");
        assert!(share >= 39.0, "disk {set}: {share:.2} % of 40 % reserved");
        assert_eq!(after.deadlines_missed, 0, "disk {set}");
        assert!(
            after.deadlines_met >= 70,
            "disk {set}: requests in every period"
        );
    }
    // And it did write and fold.
    let db = machine.handle(db_at);
    let report = machine.set.set_of_mut(db).history(db).expect("its history");
    println!(
        "{} writes logged, floor {}",
        report.status.newest, report.status.floor
    );
    assert!(report.status.newest > 5_000, "{}", report.status.newest);
    assert!(report.status.floor > 0, "nothing was folded");
    let image = &machine.set.sets()[0].history_streams()[0];
    let fold = image.fold.expect("it has folds");
    assert!(
        counted(&machine, 0, fold).requests > 50,
        "a fold writes the image"
    );
}

/// `web`, `mail` and `db` with its log on one hard disk. What a verification reads is paid by the
/// fold's stream, and by spare time.
#[test]
fn a_verification_takes_nothing_that_is_reserved() {
    let [web, mail, db_at] = [0, 1, 2];
    let of = |(name, percent): (&str, u32)| VdiskConfig {
        stream: reserved(percent, 500),
        ..configs(&[(name, SIZE)]).remove(0)
    };
    let mut db = with_history(SIZE, 1 << 60, WhenFull::Shorten);
    db.stream = reserved(5, 1000);
    db.spec.history_bytes = Some(384 * MIB);
    if let Some(history) = &mut db.history {
        (history.log, history.fold) = (reserved(5, 1000), reserved(5, 1000));
    }
    let vdisks = [vec![of(("web", 35)), of(("mail", 20)), db]];
    let mut machine = open(vec![hard_disk()], &vdisks);
    fill(&mut machine, web, SIZE);
    fill(&mut machine, mail, SIZE);
    (0..6).for_each(|_| fill(&mut machine, db_at, SIZE));
    let shares = [(web, 35.0), (mail, 20.0)].map(|(vdisk, share)| {
        let stream = machine.set.sets()[0].stream(machine.handle(vdisk));
        (stream.expect("its stream"), share)
    });
    let fold = machine.set.sets()[0].history_streams()[0].fold;
    let fold = fold.expect("it has folds");
    let before = shares.map(|(stream, _)| counted(&machine, 0, stream));
    let paid_before = counted(&machine, 0, fold);
    let handle = machine.handle(db_at);
    let progress = Arc::default();
    let (heard, done) = listener();
    machine
        .set
        .set_of_mut(handle)
        .verify(handle, &progress, done);
    let begun = machine.now;
    let clients = [
        Client::random(web, RequestKind::Read, 4, SIZE),
        Client::random(mail, RequestKind::Read, 4, SIZE),
    ];
    Run::new(&clients).go_on(&mut machine, begun + Nanos::from_secs(4));
    let time = machine.now - begun;
    let (read_bytes, all_bytes) = progress.bytes();
    println!("{} of {} MiB in 4 s", read_bytes >> 20, all_bytes >> 20);
    assert!(read_bytes > 8 * MIB, "it reads");
    let is_over = heard.lock().expect("no panic").is_some();
    assert!(!is_over, "it reads all the time");
    for ((stream, share), before) in shares.into_iter().zip(before) {
        let after = counted(&machine, 0, stream);
        let received = (after.reserved + after.spare) - (before.reserved + before.spare);
        let received = received.0 as f64 * 100.0 / time.0 as f64;
        println!("{received:.2} % received of {share} % reserved");
        assert!(received >= share - 1.0);
        assert_eq!(after.deadlines_missed, before.deadlines_missed);
    }
    let paid = counted(&machine, 0, fold);
    assert!(
        paid.requests > paid_before.requests,
        "the fold's stream pays"
    );

    machine.settle();
    let verified = heard.lock().expect("no panic").take().expect("an answer");
    let verified: Verified = verified.expect("it is read");
    assert_eq!((verified.damages.len(), verified.unlisted), (0, 0));
    assert!(verified.units * 4096 >= 192 * MIB, "{}", verified.units);
}

/// How long each request of a client took that ended in these seconds of its run, sorted. Its vdisk
/// lies on a hard disk alone, or has a log of twice its size on a SATA SSD.
fn ended(has_log: bool, client: Client, seconds: Range<u64>) -> Vec<Nanos> {
    let size = client.of_bytes;
    let mut db = with_history(size, 1 << 60, WhenFull::Shorten);
    db.spec.history_bytes = Some(2 * size);
    db.spec.log_disk = Some(1);
    let (disks, vdisks) = match has_log {
        true => (
            vec![hard_disk(), drive("sata-870")],
            vec![vec![db], Vec::new()],
        ),
        false => (vec![hard_disk()], vec![configs(&[("db", size)])]),
    };
    let mut machine = open(disks, &vdisks);
    let [from, until] = [seconds.start, seconds.end].map(|at| machine.now + Nanos::from_secs(at));
    let ended = run(&mut machine, until, &[client]).remove(0);
    let within = ended.iter().filter(|(at, _)| *at >= from && *at < until);
    let mut took: Vec<Nanos> = within.map(|(_, took)| *took).collect();
    took.sort_unstable();
    took
}

/// How fast a client of a vdisk with its log on an SSD is.
struct Speed {
    /// Requests a second without the log.
    without: f64,
    /// With it, while the log has space.
    first: f64,
    /// In the long run: the log was full several times.
    sustained: f64,
    /// How long one of the latter took at most.
    longest: Nanos,
}

fn speed(client: Client) -> Speed {
    // Without a log a vdisk has one speed. With it the log was written 4 times and more at 100 s.
    let without = ended(false, client, 10..40);
    let (first, sustained) = (ended(true, client, 0..1), ended(true, client, 40..100));
    Speed {
        without: without.len() as f64 / 30.0,
        first: first.len() as f64,
        sustained: sustained.len() as f64 / 60.0,
        longest: sustained.last().copied().unwrap_or_default(),
    }
}

fn percentile(sorted: &[Nanos], percent: usize) -> Nanos {
    sorted[(sorted.len() - 1) * percent / 100]
}

#[test]
fn random_writes_of_a_vdisk_on_a_hard_disk_are_as_fast_as_its_log() {
    let speed = speed(Client::random(0, RequestKind::Write, 16, 128 * MIB));
    println!(
        "random 4 KiB, depth 16: {:.0}/s without, {:.0}/s ({:.1}x) while the log has space, \
         {:.0}/s ({:.1}x) in the long run, where the longest took {}",
        speed.without,
        speed.first,
        speed.first / speed.without,
        speed.sustained,
        speed.sustained / speed.without,
        speed.longest
    );
    assert!(speed.first >= 5.0 * speed.without);
    assert!(speed.sustained >= 5.0 * speed.without);
    assert!(speed.longest < Nanos::from_secs(2));
}

#[test]
fn sequential_writes_lose_little_by_a_log_on_another_disk() {
    let client = Client::sequential(0, RequestKind::Write, (256 << 10, 4), 128 * MIB);
    let speed = speed(client);
    println!(
        "sequential 256 KiB, depth 4: {:.1} MiB/s without, {:.1} ({:.2}x) while the log has space, \
         {:.1} ({:.2}x) in the long run",
        speed.without / 4.0,
        speed.first / 4.0,
        speed.first / speed.without,
        speed.sustained / 4.0,
        speed.sustained / speed.without
    );
    assert!(speed.sustained >= 0.8 * speed.without);
}

#[test]
fn a_write_is_logged_within_a_millisecond_or_so() {
    let client = Client::random(0, RequestKind::Write, 1, SIZE);
    let [without, with] = [ended(false, client, 0..20), ended(true, client, 0..1)];
    let (p50, p99) = (percentile(&with, 50), percentile(&with, 99));
    println!(
        "4 KiB, depth 1: p50 {}, p99 {} without; p50 {p50}, p99 {p99} with a log on an SSD",
        percentile(&without, 50),
        percentile(&without, 99)
    );
    assert!(p99 < Nanos::from_micros(1200));
}
