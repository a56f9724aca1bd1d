//! What clones cost, in virtual time: how long one takes to be made, what depth costs a read, and
//! what reads of a clone cost those of its parent.

mod common;

use common::histories::{clone_config, timed, with_history};
use common::models::hard_disk;
use common::{BLANK, MIB, Machine, configs, disk_loop_in, linear_disk, options, reserved};
use disktime_disks::{Disk, Store, VirtualOverlapDisk};
use disktime_drive_models::OverlapDrive;
use disktime_engine::{Order, PolicyKind, RequestKind, Service};
use disktime_history::{Moment, WhenFull};
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use disktime_volumes::{CloneConfig, MIN_HISTORY_BYTES, VirtualDriver, VolumeSet};
use std::collections::HashMap;

const SIZE: u64 = 64 * MIB;

/// `db` with a history and 60 % of the disk, and `plain` without either.
fn machine<D: Disk>(disk: D) -> Machine<D> {
    let disk_loop = disk_loop_in(disk, PolicyKind::Fahrrad, 64, Order::Sweep);
    let mut db = with_history(SIZE, 1 << 60, WhenFull::Shorten);
    db.stream = reserved(20, 500);
    if let Some(history) = &mut db.history {
        history.log = reserved(40, 500);
    }
    let plain = configs(&[("plain", SIZE)]).remove(0);
    let mut driver = VirtualDriver::default();
    let opened = VolumeSet::open(disk_loop, &mut driver, &[db, plain], options(BLANK));
    let mut machine = Machine::around(opened.expect("it opens").0, driver.now);
    machine.ticks = true;
    machine
}

fn position<D: Disk>(machine: &Machine<D>, name: &str) -> u32 {
    let at = machine.set.vdisks().position(|(one, _)| one == name);
    at.expect("it is served") as u32
}

/// Clones the newest moment of a vdisk, and how long that took.
fn clone_newest<D: Disk>(machine: &mut Machine<D>, parent: &str, name: &str) -> Nanos {
    let vdisk = machine.set.vdisk_id(parent).expect("served");
    let newest = machine.set.history(vdisk).expect("a history").status.newest;
    let config = CloneConfig {
        max_bytes: MIN_HISTORY_BYTES,
        ..clone_config(name)
    };
    let made = timed(machine, |machine, done| {
        let newest = Moment::Seq(newest);
        machine.set.clone_vdisk(vdisk, &newest, config, done);
    });
    made.1
}

#[test]
fn a_clone_is_made_in_milliseconds_whatever_its_size() {
    let mut machine = machine(linear_disk(2048 * MIB));
    for part in 0..32 {
        let data = vec![part as u8; MIB as usize];
        machine.write(0, part * MIB, &data).expect("written");
    }
    machine.settle();
    let mut longest = Nanos::ZERO;
    for count in 0..8 {
        let name = format!("c{count}");
        longest = longest.max(clone_newest(&mut machine, "db", &name));
    }
    machine.settle();
    println!("without seeks: {:.2} ms", longest.as_millis_f64());
    assert!(longest <= Nanos::from_millis(10), "{longest:?}");
}

#[test]
fn depth_costs_no_io() {
    // Each has a log of 64 MiB.
    let mut machine = machine(linear_disk(5 << 30));
    machine
        .write(0, 0, &vec![1; MIB as usize])
        .expect("written");
    let mut parent = "db".to_owned();
    let mut times = Vec::new();
    for depth in 1..=64 {
        let name = format!("d{depth}");
        clone_newest(&mut machine, &parent, &name);
        machine.settle();
        let vdisk = position(&machine, &name);
        // Each writes one block; below lies what the first one has.
        machine
            .write(vdisk, MIB + depth * 4096, &[depth as u8; 4096])
            .expect("written");
        machine.settle();
        let began = machine.now;
        let read = machine.submit(vdisk, RequestKind::Read, (0, MIB), None, false);
        read.expect("taken");
        while machine.replies.is_empty() {
            assert!(machine.step(), "it is answered");
        }
        let reply = machine.replies.remove(0);
        assert!(
            reply
                .buffer
                .is_some_and(|read| read[..] == vec![1; MIB as usize][..])
        );
        times.push(machine.now.saturating_sub(began));
        let own = machine.read(vdisk, MIB + 4096, 4096).expect("readable");
        assert_eq!(own, [1; 4096], "the first one's, at depth {depth}");
        parent = name;
    }
    assert!(times.iter().all(|time| *time == times[0]), "{times:?}");
}

/// Reads of `db` in five seconds, 16 at a time, beside so many of another vdisk.
fn reads_beside<D: Disk>(
    machine: &mut Machine<D>,
    (other, of_other): (&str, usize),
    random: &mut SplitMix64,
) -> u64 {
    let other = position(machine, other);
    let until = machine.now + Nanos::from_secs(5);
    let mut of = HashMap::new();
    let mut reads = 0;
    let mut place = || (random.below(SIZE / 4096) * 4096, 4096);
    while machine.now < until {
        while of.len() < 16 + of_other {
            let own = of.values().filter(|vdisk| **vdisk == 0).count();
            let vdisk = if own < 16 { 0 } else { other };
            let read = machine.submit(vdisk, RequestKind::Read, place(), None, false);
            of.insert(read.expect("room"), vdisk);
        }
        assert!(machine.step());
        for reply in std::mem::take(&mut machine.replies) {
            reply.result.expect("readable");
            reads += u64::from(of.remove(&reply.handle) == Some(0));
        }
    }
    machine.settle();
    reads
}

/// One record and one flush, as a mark, when another clone begins with that moment: on a disk that
/// turns, the wait for the place behind the last batch, a turn at most, and the flush.
#[test]
fn a_clone_takes_as_long_as_a_mark_on_a_hard_disk() {
    let mut machine = machine(hard_disk(820 * MIB, Store::Sparse));
    for part in 0..4 {
        let data = vec![part as u8; MIB as usize];
        machine.write(0, part * MIB, &data).expect("written");
    }
    machine.settle();
    clone_newest(&mut machine, "db", "first");
    machine.settle();
    let db = machine.set.vdisk_id("db").expect("served");
    let first = machine.set.vdisk_id("first").expect("served");
    let golden = Moment::Seq(machine.set.origin(first).expect("a clone").1);
    let mut times = Vec::new();
    for count in 0..40_u64 {
        // What an idle log notes comes with the next second.
        let until = machine.now + Nanos(2_500_000_000 + 1_234_567 * count);
        while machine.now < until {
            machine.set.turn(machine.now, &mut machine.replies);
            let wake = machine.set.next_wake().expect("it ticks");
            machine.now = wake.max(machine.now).min(until);
        }
        let config = clone_config(&format!("c{count}"));
        let made = timed(&mut machine, |machine, done| {
            machine.set.clone_vdisk(db, &golden, config, done);
        });
        times.push(made.1);
        machine.settle();
    }
    times.sort_unstable();
    let (median, most) = (times[20].as_millis_f64(), times[39].as_millis_f64());
    println!("a clone on a hard disk: median {median:.1} ms, at most {most:.1} ms");
    assert!(most <= 10.0, "{most}");
}

/// One record of its parent, and for one with a log the label, which then has its space back.
#[test]
fn a_clone_is_dropped_in_a_tenth_of_a_second_on_a_hard_disk() {
    let mut machine = machine(hard_disk(820 * MIB, Store::Sparse));
    machine
        .write(0, 0, &vec![1; 4 * MIB as usize])
        .expect("written");
    machine.settle();
    for name in ["read", "written"] {
        clone_newest(&mut machine, "db", name);
    }
    machine.settle();
    let written = position(&machine, "written");
    for part in 0..32 {
        let data = vec![part as u8; MIB as usize];
        machine.write(written, part * MIB, &data).expect("written");
    }
    machine.flush(written).expect("flushed");
    machine.settle();
    assert_eq!(machine.set.label().histories().len(), 2);
    for name in ["read", "written"] {
        let clone = machine.set.vdisk_id(name).expect("served");
        let ((), took) = timed(&mut machine, |machine, done| {
            machine.set.drop_clone(clone, done);
        });
        println!("{name}: dropped in {:.1} ms", took.as_millis_f64());
        assert!(took <= Nanos::from_millis(100), "{name}: {took:?}");
    }
    machine.settle();
    assert_eq!(machine.set.label().histories().len(), 1);
}

/// A thousand at once: how long that took, and the bytes of the log for each.
fn thousand<D: Disk>(machine: &mut Machine<D>) -> (Nanos, u64) {
    let db = machine.set.vdisk_id("db").expect("served");
    machine
        .write(0, 0, &vec![7; MIB as usize])
        .expect("written");
    machine.settle();
    let used = |machine: &Machine<D>| {
        let report = machine.set.history(db).expect("a history");
        report.status.used_units * 4096
    };
    let before = (used(machine), machine.set.label().histories().len());
    let newest = machine.set.history(db).expect("a history").status.newest;
    let configs = (0..1000).map(|number| clone_config(&format!("clone-{number}")));
    let configs: Vec<CloneConfig> = configs.collect();
    let ((made, _), took) = timed(machine, |machine, done| {
        let newest = Moment::Seq(newest);
        machine.set.clone_vdisks(db, &newest, configs, done);
    });
    assert_eq!(made.len(), 1000);
    assert_eq!(machine.set.label().histories().len(), before.1);
    machine.settle();
    for name in ["clone-0", "clone-500", "clone-999"] {
        let at = position(machine, name);
        let read = machine.read(at, MIB - 4096, 8192).expect("readable");
        assert!(
            read[..4096] == [7; 4096] && read[4096..] == [0; 4096],
            "{name}"
        );
    }
    (took, (used(machine) - before.0) / 1000)
}

#[test]
fn a_thousand_clones_are_made_in_five_seconds() {
    let drive = OverlapDrive::find("sata-870").expect("the preset exists");
    let ssd = VirtualOverlapDisk::of_drive(&drive, 820 * MIB, 1, Store::Sparse);
    let results = [
        (
            "desktop-7200-2008",
            thousand(&mut machine(hard_disk(820 * MIB, Store::Sparse))),
        ),
        ("sata-870", thousand(&mut machine(ssd))),
    ];
    for (disk, (took, bytes)) in results {
        let ms = took.as_millis_f64();
        println!("{disk}: 1,000 clones in {ms:.0} ms, {bytes} bytes each");
        assert!(took <= Nanos::from_secs(5), "{disk}: {took:?}");
        assert!(bytes <= 64 << 10, "{disk}: {bytes}");
    }
}

/// A clone reads what its parent has, and pays for it: beside it its parent has what is reserved.
/// Most of what the parent reads lies in its log, which has 40 %.
#[test]
fn reads_of_a_clone_leave_its_parent_what_is_reserved() {
    let mut random = SplitMix64::new(4);
    let mut machine = machine(hard_disk(820 * MIB, Store::Sparse));
    for part in 0..SIZE / MIB {
        for vdisk in [0, 1] {
            let data = vec![part as u8 + 1; MIB as usize];
            machine.write(vdisk, part * MIB, &data).expect("written");
        }
    }
    let made = clone_newest(&mut machine, "db", "read");
    clone_newest(&mut machine, "db", "written");
    machine.settle();
    // It has a log of its own then.
    let written = position(&machine, "written");
    machine.write(written, 0, &[1; 4096]).expect("written");
    machine.settle();
    let alone = reads_beside(&mut machine, ("plain", 0), &mut random);
    // Five seconds of a hard disk differ by a fifth from the five before.
    let mut beside = [("plain", 0), ("read", 0), ("written", 0)];
    for _ in 0..2 {
        for (name, reads) in &mut beside {
            *reads += reads_beside(&mut machine, (name, 200), &mut random);
        }
    }
    println!(
        "made in {:.0} ms on a hard disk; reads alone {}, beside others {beside:?}",
        made.as_millis_f64(),
        2 * alone
    );
    for (name, reads) in beside {
        assert!(
            reads * 10 >= 2 * alone * 4,
            "{name}: {reads} of {}",
            2 * alone
        );
    }
}
