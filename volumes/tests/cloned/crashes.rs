//! Power failures while clones are made and dropped.

use super::common::histories::{listener, open_at, wait, with_history};
use super::common::{self, TestDisk, crash};
use super::{
    QUANTUM, SIZE, clone_at, clone_config, drop_clone, mark, new_machine, nth, open, read_all,
    reopened,
};
use disktime_history::{Moment, WhenFull};
use disktime_units::Nanos;
use disktime_volumes::{Format, VirtualDriver};

/// Power is lost after every write or flush of a clone that is made: it is there whole, or not at
/// all, and what it takes is free again.
#[test]
fn a_clone_is_there_or_not_after_a_crash() {
    let mut outcomes = [0, 0];
    for cut in 0..60 {
        let (mut machine, mut handle) = new_machine(cut);
        machine.write(0, 0, &[5; 8192]).expect("written");
        mark(&mut machine, 0, "golden");
        machine.flush(0).expect("a flush");
        let (heard, done) = listener();
        let db = machine.handle(0);
        let moment = Moment::parse("golden").expect("a moment");
        machine
            .set
            .clone_vdisk(db, &moment, clone_config("x"), done);
        for _ in 0..cut {
            machine.step();
        }
        let is_made = heard.lock().expect("no panic").take();
        let mut machine = reopened(machine, &mut handle, cut);
        match machine.set.vdisk_id("x") {
            Some(_) => {
                outcomes[0] += 1;
                let mut expected = vec![5; 8192];
                expected.resize(SIZE as usize, 0);
                assert!(read_all(&mut machine, "x") == expected, "cut {cut}");
                let x = nth(&machine, "x");
                machine.write(x, 0, &[6; 4096]).expect("written");
                drop_clone(&mut machine, "x").expect("dropped");
            }
            None => {
                outcomes[1] += 1;
                assert!(is_made.is_none(), "cut {cut}: it was answered");
            }
        }
        let read = machine.read(0, 0, 8192).expect("readable");
        assert!(read == vec![5; 8192]);
        assert_eq!(machine.set.label().histories().len(), 1, "cut {cut}");
        clone_at(&mut machine, 0, "golden", "x").expect("a clone");
        machine.settle();
    }
    assert!(outcomes.iter().all(|count| *count > 3), "{outcomes:?}");
}

/// Power is lost when a drop was answered, before the label is written without the clone's log.
#[test]
fn what_a_dropped_clone_took_is_free_after_a_crash() {
    let mut freed = 0;
    for steps in 0..24 {
        let (mut machine, mut handle) = new_machine(steps);
        mark(&mut machine, 0, "golden");
        clone_at(&mut machine, 0, "golden", "x").expect("a clone");
        let x = nth(&machine, "x");
        machine.write(x, 0, &[6; 4096]).expect("written");
        machine.settle();
        assert_eq!(machine.set.label().histories().len(), 2);
        let (heard, done) = listener();
        let x = machine.set.vdisk_id("x").expect("served");
        machine.set.drop_clone(x, done);
        wait(&mut machine, &heard).expect("dropped");
        for _ in 0..steps {
            machine.step();
        }
        let now = machine.now;
        machine.set.abandon();
        let disk = crash(&handle, steps);
        handle = disk.handle();
        let vdisks = [with_history(SIZE, 1 << 50, WhenFull::Shorten)];
        let disk = TestDisk::around(disk, QUANTUM);
        let (machine, report) = open_at(disk, &vdisks, Format::Refuse, now).expect("it opens");
        let says = |one: &String| one.contains("of a clone that was dropped is free now");
        freed += usize::from(report.messages.iter().any(says));
        assert!(machine.set.vdisk_id("x").is_none(), "it stays dropped");
        assert_eq!(machine.set.label().histories().len(), 1);
        let machine = reopened(machine, &mut handle, steps);
        assert_eq!(machine.set.label().histories().len(), 1);
        machine.set.abandon();
    }
    assert!(freed > 0, "some crashes come before the label is written");
}

#[test]
fn what_clones_begin_with_is_not_removed() {
    let (mut machine, handle) = new_machine(5);
    machine.write(0, 0, &[4; 4096]).expect("written");
    mark(&mut machine, 0, "golden");
    clone_at(&mut machine, 0, "golden", "x").expect("a clone");
    machine.flush(0).expect("a flush");
    machine.set.abandon();
    let disk = crash(&handle, 1);
    let handle = disk.handle();
    let disk = TestDisk::around(disk, QUANTUM);
    let mut disk = common::labelled(disk, Format::Refuse).expect("it opens");
    let before = disk.label().clone();
    let refused = disk.remove(&mut VirtualDriver::default(), "db");
    let why = refused.expect_err("a clone needs it").to_string();
    assert!(why.contains("clones begin with moments of it"), "{why}");
    assert!(*disk.label() == before);
    drop(disk);
    let mut machine = open(crash(&handle, 1), Format::Refuse, Nanos::from_secs(100));
    assert!(read_all(&mut machine, "x")[..4096] == [4; 4096]);
    drop_clone(&mut machine, "x").expect("dropped");
    machine.set.abandon();
}
