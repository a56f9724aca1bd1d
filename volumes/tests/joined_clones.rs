//! Clones of vdisks whose logs lie on another disk: they are their full copies, whatever becomes of
//! their parents and whenever power fails; each disk is paid for what it does; a disk that fails or
//! is full costs the clone alone.

mod common;
mod two_disks;

use common::histories::{Heard, listener, open_fault_disk, wait};
use common::pairs::after_crash;
use common::{MIB, TestDisk, configs, crash, labelled};
use disktime_disks::{DiskErrorKind, Fault, FaultKind, Operation};
use disktime_engine::{IoError, RequestKind, VdiskId};
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use disktime_volumes::{Format, VirtualDriver};
use two_disks::{IMAGE, LOG, QUANTUM, SIZE, Served, logged, vdisks};

/// What both disks have without any clone: the logs of `logs`, and of `db` and `own`.
const NO_CLONES: [usize; 2] = [1, 2];

#[test]
fn clones_are_their_full_copies() {
    let mut restarts = 0;
    for seed in 0..2 {
        let mut random = SplitMix64::new(seed);
        let mut served = Served::new(seed);
        let mut copies: Vec<(String, Vec<u8>)> = ["db", "logs", "own"]
            .map(|name| (name.to_owned(), vec![0; SIZE as usize]))
            .into();
        let mut made = 0;
        for step in 0..400 {
            let at = random.below(copies.len() as u64) as usize;
            let (name, mut copy) = copies[at].clone();
            match random.below(30) {
                0 | 1 if copies.len() < 8 => {
                    made += 1;
                    let clone = format!("c{made}");
                    served.make(&name, &clone).expect("a clone");
                    copies.push((clone, copy));
                }
                2 if at > 2 && served.give_up(&name).is_ok() => {
                    copies.remove(at);
                }
                3 => {
                    for (name, _) in &copies {
                        served.flush(name);
                    }
                    served = served.reopened(random.next_u64() >> 1);
                    restarts += 1;
                    assert!(!served.says(&["not served"]), "{:?}", served.reports);
                    for (name, copy) in &copies {
                        assert!(served.read(name, 0, SIZE) == *copy, "{seed} {step}: {name}");
                    }
                }
                _ => {
                    let offset = random.below(SIZE);
                    let len = (1 + random.below(64 << 10)).min(SIZE - offset);
                    let bytes = vec![random.below(255) as u8 + 1; len as usize];
                    served.write(&name, offset, &bytes).expect("written");
                    copy[offset as usize..][..len as usize].copy_from_slice(&bytes);
                    copies[at].1 = copy;
                }
            }
        }
        for (name, copy) in &copies {
            assert!(served.read(name, 0, SIZE) == *copy, "{seed}: {name}");
        }
        for (name, _) in copies[3..].iter().rev() {
            served.give_up(name).expect("none comes from it");
        }
        assert_eq!(served.logs(), NO_CLONES);
        assert_eq!(served.reopened(1).logs(), NO_CLONES);
        assert!(made > 6, "{made}");
    }
    assert!(restarts > 10, "{restarts}");
}

/// Clones of both disks are written at once, so their logs are made one after the other.
#[test]
fn each_disk_pays_for_what_it_does_and_keeps_nothing() {
    let mut served = Served::new(3);
    served
        .write("db", 0, &vec![1; MIB as usize])
        .expect("written");
    let streams = |served: &Served| [IMAGE, LOG].map(|at| served.charged(at).len());
    let before = streams(&served);
    for (parent, name) in [("db", "x"), ("own", "y"), ("x", "z")] {
        served.make(parent, name).expect("a clone");
    }
    // Logs that are idle have said what is durable.
    let until = served.pair.now + Nanos::from_secs(3);
    while served.pair.now < until {
        served.pair.step();
    }
    // `y` lies on one disk.
    assert_eq!(streams(&served), [before[0] + 2, before[1] + 3]);
    let of_log = served.set(LOG).history_streams();
    let of_log = of_log.iter().find(|one| one.vdisk == "z");
    let of_log = of_log.and_then(|one| one.log).expect("it has one there");
    let z = served.id("z").expect("served");
    let of_image = served.set(IMAGE).stream(z).expect("it has one there");
    let changes = |served: &mut Served, offset: u64| {
        let charged = [served.charged(IMAGE), served.charged(LOG)];
        served.read("z", offset, MIB);
        let after = [served.charged(IMAGE), served.charged(LOG)];
        let all = charged.into_iter().zip(after);
        let changed = all.map(|(before, after)| {
            let both = before.iter().zip(&after);
            let changed = both.filter(|(before, after)| before != after);
            changed.map(|(before, _)| before.0).collect::<Vec<_>>()
        });
        changed.collect::<Vec<_>>()
    };
    assert_eq!(changes(&mut served, 0), [vec![], vec![of_log]]);
    assert_eq!(changes(&mut served, MIB), [vec![of_image], vec![]]);

    for name in ["x", "y", "z", "db", "own"] {
        let vdisk = served.nth(name);
        let data = Some(&[7; 4096][..]);
        let write = served
            .pair
            .submit(vdisk, RequestKind::Write, (0, 4096), data, true);
        write.expect("taken");
    }
    let replies = served.pair.settle();
    assert_eq!(replies.len(), 5);
    assert!(replies.iter().all(|reply| reply.result.is_ok()));
    assert_eq!(served.logs(), [1, 5]);
    for name in ["z", "y", "x"] {
        served.give_up(name).expect("dropped");
    }
    assert_eq!(streams(&served), before);
    assert!(
        served
            .set(LOG)
            .history_streams()
            .iter()
            .all(|one| one.vdisk != "z")
    );
    assert_eq!(served.logs(), NO_CLONES);
}

/// Power fails at each step of the making of a clone, of its log, and of its drop.
#[test]
fn a_power_failure_at_any_step_leaves_a_clone_or_none() {
    let mut outcomes = [0, 0];
    for steps in 0..90 {
        let mut served = Served::new(steps);
        served.write("db", 0, &[5; 8192]).expect("written");
        served.flush("db");
        let mut left = steps;
        let made = served.begin("db", "x");
        let heard = |heard: &Heard<(VdiskId, u64)>| heard.lock().expect("no panic").is_some();
        while !heard(&made) && served.steps(&mut left) {}
        let is_made = heard(&made);
        let mut is_written = false;
        let mut drops = None;
        if is_made && left > 0 {
            let x = served.nth("x");
            let data = Some(&[6; 4096][..]);
            let write = served
                .pair
                .submit(x, RequestKind::Write, (0, 4096), data, true);
            write.expect("taken");
            while served.pair.replies.is_empty() && served.steps(&mut left) {}
            is_written = !served.pair.replies.is_empty();
        }
        if is_written && left > 0 {
            drops = Some(served.begin_drop("x"));
            while served.steps(&mut left) {}
        }
        let is_dropped = drops
            .as_ref()
            .is_some_and(|drops| drops.lock().expect("no panic").is_some());
        let mut served = served.reopened(steps);
        assert!(
            !served.says(&["not served"]),
            "{steps}: {:?}",
            served.reports
        );
        match served.id("x") {
            Some(_) => {
                outcomes[0] += 1;
                assert!(!is_dropped, "{steps}: it stays dropped");
                let read = served.read("x", 0, 8192);
                let (of_write, rest) = read.split_at(4096);
                assert!(rest == [5; 4096], "{steps}");
                let has_write = of_write == [6; 4096];
                assert!(has_write || of_write == [5; 4096], "{steps}");
                assert!(has_write || !is_written, "{steps}: it was answered");
                served.write("x", 0, &[7; 4096]).expect("it can be written");
                served.give_up("x").expect("dropped");
            }
            None => {
                outcomes[1] += 1;
                let may_be_gone = !is_made || drops.is_some();
                assert!(may_be_gone, "{steps}: it was made");
            }
        }
        assert!(served.read("db", 0, 8192) == [5; 8192], "{steps}");
        assert_eq!(served.logs(), NO_CLONES, "{steps}");
        served.pair.set.abandon();
    }
    assert!(outcomes.iter().all(|count| *count > 3), "{outcomes:?}");
}

/// The disk of the log fails at each write of the making of a clone's log, or takes none any more
/// until power fails.
#[test]
fn a_clone_whose_log_cannot_be_made_can_be_read() {
    let mut failures = 0;
    for (writes, is_stuck) in (0..10).flat_map(|writes| [(writes, false), (writes, true)]) {
        let mut served = Served::new(writes);
        served.write("db", 0, &[1; 4096]).expect("written");
        served.make("db", "x").expect("a clone");
        served.make("own", "y").expect("a clone");
        served.pair.settle();
        let kind = match is_stuck {
            true => FaultKind::Stuck,
            false => FaultKind::Error(DiskErrorKind::Io),
        };
        served.handles[LOG].inject(Fault {
            skip: writes,
            times: (!is_stuck).then_some(1),
            ..Fault::every(Operation::Write, kind)
        });
        let mut failed = false;
        if is_stuck {
            let x = served.nth("x");
            let data = Some(&[2; 4096][..]);
            let write = served
                .pair
                .submit(x, RequestKind::Write, (0, 4096), data, true);
            write.expect("taken");
            for _ in 0..200 {
                served.pair.step();
            }
            failed = served.pair.replies.is_empty();
        } else {
            failed |= served.write("x", 0, &[2; 4096]).is_err();
            served.handles[LOG].clear_faults();
            let expected = [if failed { 1 } else { 2 }; 4096];
            assert!(served.read("x", 0, 4096) == expected, "{writes}");
            served
                .write("logs", 0, &[3; 4096])
                .expect("on the other disk");
            served.read("y", 0, 4096);
        }
        failures += usize::from(failed);
        let mut served = served.reopened(writes);
        assert!(
            !served.says(&["not served"]),
            "{writes}: {:?}",
            served.reports
        );
        let read = served.read("x", 0, 4096);
        assert!(
            read == [2; 4096] || (failed && read == [1; 4096]),
            "{writes} {is_stuck}"
        );
        for name in ["x", "y"] {
            served.write(name, 0, &[4; 4096]).expect("now it can");
            served.give_up(name).expect("dropped");
        }
        assert_eq!(served.logs(), NO_CLONES);
        served.pair.set.abandon();
    }
    assert!(failures > 8, "{failures}");
}

#[test]
fn a_clone_for_which_the_disk_of_the_log_has_no_space_gets_enospc_alone() {
    let mut served = Served::new(5);
    served.write("db", 0, &[1; 4096]).expect("written");
    let names: Vec<String> = (0..8).map(|number| format!("c{number}")).collect();
    for name in &names {
        served.make("db", name).expect("it takes no space");
    }
    let mut without = Vec::new();
    for name in &names {
        match served.write(name, 0, &[2; 4096]) {
            Ok(()) => assert!(without.is_empty()),
            Err(error) => {
                assert_eq!(error, IoError::NoSpace);
                without.push(name.clone());
            }
        }
    }
    assert!((2..8).contains(&without.len()), "{without:?}");
    for name in &without {
        assert!(served.read(name, 0, 4096) == [1; 4096]);
    }
    for name in ["db", "own", "logs"] {
        served.write(name, 4096, &[3; 4096]).expect("it goes on");
    }
    let refused = served
        .make("db", "more")
        .expect_err("there is no space for it");
    assert!(refused.contains("space"), "{refused}");
    // There is on the disk of the vdisk, which is not asked.
    served.make("logs", "there").expect("a clone");
    served.give_up("c0").expect("dropped");
    served
        .write(&without[0], 0, &[4; 4096])
        .expect("now there is");
}

/// The disk of the log alone does not know whose clones they are: nothing of them is freed.
#[test]
fn logs_of_clones_stay_while_their_parent_is_not_served() {
    let mut served = Served::new(6);
    served.write("db", 0, &[1; 4096]).expect("written");
    served.make("db", "x").expect("a clone");
    served.make("own", "y").expect("a clone");
    for name in ["x", "y"] {
        served.write(name, 0, &[2; 4096]).expect("written");
        served.flush(name);
    }
    // `y` is dropped, and power fails before its log is freed.
    served.handles[LOG].inject(Fault {
        range_bytes: 0..MIB,
        ..Fault::every(Operation::Write, FaultKind::Stuck)
    });
    let dropped = served.begin_drop("y");
    wait(&mut served.pair, &dropped).expect("dropped");
    served.pair.set.abandon();
    let [image, log] = after_crash(&served.handles, 1);
    let handle = log.handle();
    let own = vec![logged("own", None)];
    let (machine, report) =
        open_fault_disk(log, &own, Format::Refuse, Nanos(1)).expect("it opens alone");
    assert_eq!(report.messages, Vec::<String>::new());
    assert_eq!(
        machine.set.label().histories().len(),
        5,
        "with that of `logs`"
    );
    machine.set.abandon();
    let disks = [image, crash(&handle, 1)];
    let mut served = Served::open(disks, &vdisks(), Format::Refuse, Nanos(1));
    assert!(served.says(&["the space of a clone that was dropped is free now"]));
    assert_eq!(served.logs(), [1, 3]);
    assert!(served.read("x", 0, 4096) == [2; 4096]);
    // What it begins with is kept by the disk of the log, too.
    let db = served.set(IMAGE).uuid(served.id("db").expect("served"));
    served.pair.set.abandon();
    for handle in &served.handles {
        let disk = TestDisk::around(crash(handle, 1), QUANTUM);
        let mut disk = labelled(disk, Format::Refuse).expect("it opens");
        let of_db = ("db", db.expect("it has one"));
        let freed = disk.remove_log(&mut VirtualDriver::default(), of_db);
        match disk.label().find("db") {
            Some(_) => assert!(matches!(freed, Ok(false)), "the log is not there"),
            None => {
                let why = freed.expect_err("a clone needs it").to_string();
                assert!(why.contains("clones begin with moments of it"), "{why}");
            }
        }
    }
}

#[test]
fn a_clone_that_is_not_served_can_be_dropped() {
    for has_log in [false, true] {
        let mut served = Served::new(7);
        served.make("db", "x").expect("a clone");
        if has_log {
            served.write("x", 0, &[2; 4096]).expect("written");
        }
        served.flush("db");
        let mut with_another = vdisks();
        with_another[IMAGE].extend(configs(&[("x", MIB)]));
        let mut served = served.reopened_with(1, &with_another);
        assert!(served.says(&["the clone `x` is not served", "disktime drop x"]));
        assert_eq!(served.logs(), [1, 2 + usize::from(has_log)]);
        let (heard, done) = listener();
        served.pair.set.sets_mut()[IMAGE].drop_recorded_clone("x", done);
        wait(&mut served.pair, &heard).expect("dropped");
        served.pair.settle();
        assert_eq!(served.logs(), NO_CLONES);
        served.pair.set.abandon();
    }
}
