//! Clones to which nothing was written: they take no space, and get it with the first change.

use super::common::histories::{call_moment, listener, wait};
use super::common::{MIB, Machine, TestDisk};
use super::{SIZE, clone_at, drop_clone, mark, new_machine, nth, read_all, reopened};
use disktime_engine::{IoError, Reply, RequestKind, Service};
use disktime_history::Moment;
use disktime_volumes::{Uuid, VirtualDriver};

/// A vdisk with ones in its first MiB, and a clone of it.
fn with_clone(seed: u64) -> (Machine<TestDisk>, disktime_disks::FaultHandle) {
    let (mut machine, handle) = new_machine(seed);
    machine
        .write(0, 0, &vec![1; MIB as usize])
        .expect("written");
    mark(&mut machine, 0, "golden");
    clone_at(&mut machine, 0, "golden", "x").expect("a clone");
    (machine, handle)
}

fn expected() -> Vec<u8> {
    let mut content = vec![1; MIB as usize];
    content.resize(SIZE as usize, 0);
    content
}

fn logs(machine: &Machine<TestDisk>) -> usize {
    machine.set.label().histories().len()
}

/// Reads, flushes, moments and restarts, by a crash and in good order, set nothing aside.
#[test]
fn a_clone_that_is_only_read_takes_no_space() {
    let (mut machine, mut handle) = with_clone(1);
    let label = machine.set.label().clone();
    for round in 0..3 {
        let x = nth(&machine, "x");
        machine.write(0, 0, &[round; 4096]).expect("db goes on");
        machine.flush(x).expect("nothing is to be flushed");
        assert!(read_all(&mut machine, "x") == expected(), "{round}");
        let vdisk = machine.handle(x);
        let report = machine.set.history(vdisk).expect("a history");
        assert_eq!((report.area_bytes, report.status.used_units), (0, 0));
        assert!(report.max_bytes >= 64 * MIB);
        let (heard, done) = listener();
        machine.set.open_moment(vdisk, &Moment::Seq(0), done);
        let (moment, _) = wait(&mut machine, &heard).expect("it opens");
        let read = call_moment(&mut machine, moment, RequestKind::Read, 4096);
        assert!(read.expect("readable") == [1; 4096]);
        machine.set.close_moment(moment);
        let (heard, done) = listener();
        machine.set.drop_mark(vdisk, "none", done);
        let why = wait(&mut machine, &heard).expect_err("it has none");
        assert!(why.contains("there is no mark of that name"), "{why}");
        machine.settle();
        assert_eq!(logs(&machine), 1);
        if round == 1 {
            machine.flush(0).expect("a flush");
            let mut driver = VirtualDriver { now: machine.now };
            machine.set.close_histories(&mut driver).expect("it closes");
        }
        machine = reopened(machine, &mut handle, u64::from(round));
        assert_eq!(machine.set.label().histories(), label.histories());
    }
    drop_clone(&mut machine, "x").expect("dropped");
    assert_eq!(logs(&machine), 1);
    let report = machine.set.history(machine.handle(0));
    assert_eq!(
        report.expect("a history").space.holders.len(),
        1,
        "the mark"
    );
}

/// What comes first needs the log; reads and what comes behind it do not overtake one another.
#[test]
fn each_first_change_sets_the_log_aside() {
    let what = [
        RequestKind::Write,
        RequestKind::WriteZeroes,
        RequestKind::Trim,
    ];
    for (seed, kind) in what.into_iter().enumerate() {
        let (mut machine, mut handle) = with_clone(seed as u64);
        let x = nth(&machine, "x");
        let data = (kind == RequestKind::Write).then_some(&[7; 8192][..]);
        let first = machine.submit(x, kind, (4096, 8192), data, false);
        let second = machine.submit(x, RequestKind::Write, (8192, 4096), Some(&[8; 4096]), false);
        let edge = machine.submit(x, RequestKind::Write, (100, 10), Some(&[9; 10]), true);
        let flush = machine.submit(x, RequestKind::Flush, (0, 0), None, false);
        for taken in [first, second, edge, flush] {
            taken.expect("taken");
        }
        let replies = machine.settle();
        assert_eq!(replies.len(), 4);
        assert!(replies.iter().all(|reply| reply.result.is_ok()));
        let mut content = expected();
        content[4096..8192].fill(if kind == RequestKind::Write { 7 } else { 0 });
        content[8192..12288].fill(8);
        content[100..110].fill(9);
        assert!(read_all(&mut machine, "x") == content, "{kind:?}");
        machine.flush(x).expect("a flush");
        assert_eq!(logs(&machine), 2);
        machine = reopened(machine, &mut handle, 1);
        assert!(read_all(&mut machine, "x") == content, "{kind:?}");
        assert!(read_all(&mut machine, "db") == expected(), "{kind:?}");
    }
}

/// A mark, a revert, a cut with another vdisk, a clone of it.
#[test]
fn what_is_recorded_sets_the_log_aside() {
    for what in 0..4 {
        let (mut machine, mut handle) = with_clone(what);
        let x = machine.handle(nth(&machine, "x"));
        let (heard, done) = listener();
        let cut = Uuid::from_bytes([3; 16]);
        match what {
            0 => machine.set.mark(x, "m", done),
            1 => machine.set.revert(x, &Moment::Seq(0), done),
            2 => machine.set.hold(x, cut, "m", done),
            _ => {
                let parent = nth(&machine, "x");
                let made = clone_at(&mut machine, parent, "seq:0", "y");
                done(made.map(|(_, seq)| seq));
            }
        }
        wait(&mut machine, &heard).expect("it is done");
        if what == 2 {
            let (heard, done) = listener();
            machine.set.mark_cut(x, "m", (cut, 1), done);
            wait(&mut machine, &heard).expect("it is done");
            machine.set.release(x, cut);
        }
        assert_eq!(logs(&machine), 2, "{what}");
        let status = machine.set.history(x).expect("a history").status;
        let marks = usize::from(what == 0 || what == 2);
        assert_eq!(status.marks.len(), marks, "{what}");
        machine = reopened(machine, &mut handle, 1);
        assert!(read_all(&mut machine, "x") == expected());
        if what == 3 {
            assert!(read_all(&mut machine, "y") == expected());
            drop_clone(&mut machine, "y").expect("dropped");
        }
        drop_clone(&mut machine, "x").expect("dropped");
        assert_eq!(logs(&machine), 1);
    }
}

/// Eight clones `c0` to `c7` more, each written to if there is space for it; those for which there
/// is none.
fn with_clones_without_space(seed: u64) -> (Machine<TestDisk>, Vec<String>) {
    let (mut machine, _) = with_clone(seed);
    let names: Vec<String> = (0..8).map(|number| format!("c{number}")).collect();
    for name in &names {
        clone_at(&mut machine, 0, "golden", name).expect("it takes no space");
    }
    let mut without = Vec::new();
    for name in names {
        let vdisk = nth(&machine, &name);
        match machine.write(vdisk, 0, &[5; 4096]) {
            Ok(()) => assert!(without.is_empty()),
            Err(error) => {
                assert_eq!(error, IoError::NoSpace);
                without.push(name);
            }
        }
    }
    (machine, without)
}

/// There is space for some of them: the others get ENOSPC, alone, and can be read.
#[test]
fn a_clone_for_which_there_is_no_space_gets_enospc_alone() {
    let (mut machine, without) = with_clones_without_space(4);
    assert!((1..8).contains(&without.len()), "{without:?}");
    for name in &without {
        assert!(read_all(&mut machine, name) == expected(), "{name}");
        let vdisk = machine.handle(nth(&machine, name));
        let (heard, done) = listener();
        machine.set.mark(vdisk, "m", done);
        let why = wait(&mut machine, &heard).expect_err("there is no space");
        assert!(why.contains("needs") && why.contains("free"), "{why}");
        let (heard, done) = listener();
        machine.set.revert(vdisk, &Moment::Seq(0), done);
        let why = wait(&mut machine, &heard).expect_err("there is no space");
        assert!(why.contains("needs"), "{why}");
    }
    machine.write(0, 0, &[6; 4096]).expect("its parent goes on");
    drop_clone(&mut machine, "c0").expect("dropped");
    let vdisk = nth(&machine, &without[0]);
    machine.write(vdisk, 0, &[5; 4096]).expect("now there is");
}

/// Changes parts of one block twice; the second waits until the first is answered.
fn change_a_block_twice(machine: &mut Machine<TestDisk>, vdisk: u32) {
    for offset in [100, 200] {
        let place = (offset, 10);
        let taken = machine.submit(vdisk, RequestKind::Write, place, Some(&[9; 10]), false);
        taken.expect("taken");
    }
}

/// The answers to both, which do not take for ever.
fn two_replies(machine: &mut Machine<TestDisk>) -> Vec<Reply> {
    for _ in 0..10_000 {
        if machine.replies.len() == 2 {
            return machine.settle();
        }
        machine.step();
    }
    panic!("a change is not answered");
}

/// The answer to the first releases the second, which gets the same.
#[test]
fn changes_of_one_block_that_find_no_space_are_all_answered() {
    let (mut machine, without) = with_clones_without_space(6);
    let vdisk = nth(&machine, &without[0]);
    for _ in 0..2 {
        change_a_block_twice(&mut machine, vdisk);
        let replies = two_replies(&mut machine);
        let results: Vec<_> = replies.iter().map(|reply| reply.result).collect();
        assert_eq!(results, [Err(IoError::NoSpace); 2]);
    }
    assert!(read_all(&mut machine, &without[0]) == expected());
}

/// At each step of the making of its log: all are answered, and the log is closed.
#[test]
fn a_stop_with_changes_that_wait_for_a_log_ends() {
    for steps in 0..30 {
        let (mut machine, mut handle) = with_clone(7);
        let x = nth(&machine, "x");
        change_a_block_twice(&mut machine, x);
        for _ in 0..steps {
            machine.step();
        }
        machine.set.begin_stop();
        machine.set.fail_queued();
        let replies = two_replies(&mut machine);
        let mut content = expected();
        for (reply, from) in replies.iter().zip([100, 200]) {
            match reply.result {
                Ok(()) => content[from..from + 10].fill(9),
                Err(error) => assert_eq!(error, IoError::Shutdown, "{steps}"),
            }
        }
        let mut driver = VirtualDriver { now: machine.now };
        machine.set.close_histories(&mut driver).expect("it closes");
        machine = reopened(machine, &mut handle, steps);
        assert!(read_all(&mut machine, "x") == content, "{steps}");
    }
}

/// Dropped at each step of the making of its log: what it took is free.
#[test]
fn a_clone_can_be_dropped_while_its_log_is_made() {
    for steps in 0..30 {
        let (mut machine, mut handle) = with_clone(5);
        let x = nth(&machine, "x");
        let taken = machine.submit(x, RequestKind::Write, (0, 4096), Some(&[2; 4096]), false);
        taken.expect("taken");
        for _ in 0..steps {
            machine.step();
        }
        drop_clone(&mut machine, "x").expect("dropped");
        assert_eq!(logs(&machine), 1, "{steps}");
        clone_at(&mut machine, 0, "golden", "z").expect("its place is free");
        let z = nth(&machine, "z");
        machine.write(z, 0, &[3; 4096]).expect("written");
        assert!(read_all(&mut machine, "z")[4096..] == expected()[4096..]);
        let machine = reopened(machine, &mut handle, steps);
        assert!(machine.set.vdisk_id("x").is_none());
        assert_eq!(logs(&machine), 2);
    }
}
