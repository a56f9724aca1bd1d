//! A history is switched off: its newest content is in the image afterwards, whatever lay in the
//! log, and a power failure at any write of it loses nothing; what others need is refused; and a
//! log that is made anew in the same space finds nothing of the old one.

mod common;

use common::histories::{
    HISTORY, clone_config, listener, mark, open_fault_disk as open, open_moment, wait, with_history,
};
use common::{BLANK, DIRTY, MIB, Machine, TestDisk, configs, crash, disk_for, put};
use disktime_disks::{DiskErrorKind, Fault, FaultDisk, FaultHandle, FaultKind, Operation};
use disktime_engine::RequestKind;
use disktime_history::{Moment, WhenFull};
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use disktime_volumes::{Format, VdiskConfig, VirtualDriver};

const DISK: u64 = 72 * MIB;
const SIZE: u64 = 2 * MIB;

fn on() -> [VdiskConfig; 1] {
    [with_history(SIZE, 1 << 50, WhenFull::Refuse)]
}

fn off() -> [VdiskConfig; 1] {
    let mut vdisk = configs(&[("db", SIZE)]).remove(0);
    vdisk.spec.history_off = true;
    [vdisk]
}

/// The machine stops; what a power failure leaves.
fn stopped(
    mut machine: Machine<TestDisk>,
    handle: &FaultHandle,
    is_closed: bool,
) -> (FaultDisk, Nanos) {
    let now = machine.now;
    if is_closed {
        let mut driver = VirtualDriver { now };
        machine.set.close_histories(&mut driver).expect("it closes");
    }
    machine.set.abandon();
    (crash(handle, 1), now + Nanos::from_secs(1))
}

/// Changes of all kinds, with marks and reverts in between; the content.
fn use_it(machine: &mut Machine<TestDisk>, seed: u64) -> Vec<u8> {
    let mut random = SplitMix64::new(seed);
    let mut copy = vec![0; SIZE as usize];
    let mut marked = Vec::new();
    for step in 0..60_u8 {
        let offset = random.below(SIZE - (64 << 10));
        let len = 1 + random.below(64 << 10);
        let range = offset as usize..(offset + len) as usize;
        match random.below(8) {
            0 => {
                machine
                    .call(0, RequestKind::WriteZeroes, (offset, len), None, false)
                    .expect("zeroes");
                copy[range].fill(0);
            }
            1 => {
                mark(machine, 0, &format!("m{step}")).expect("a mark");
                marked.push((format!("m{step}"), copy.clone()));
            }
            2 if !marked.is_empty() => {
                let at = random.below(marked.len() as u64) as usize;
                let moment = Moment::parse(&marked[at].0).expect("a moment");
                let (heard, done) = listener();
                let vdisk = machine.handle(0);
                machine.set.revert(vdisk, &moment, done);
                wait(machine, &heard).expect("it goes back");
                copy.clone_from(&marked[at].1);
            }
            _ => {
                machine
                    .write(0, offset, &vec![step + 1; len as usize])
                    .expect("a write");
                copy[range].fill(step + 1);
            }
        }
    }
    machine.flush(0).expect("a flush");
    copy
}

fn read_all(machine: &mut Machine<TestDisk>) -> Vec<u8> {
    machine.read(0, 0, SIZE).expect("readable")
}

#[test]
fn the_newest_content_is_in_the_image_and_the_log_is_free() {
    for (seed, format) in [(1, BLANK), (2, DIRTY), (3, DIRTY)] {
        let disk = disk_for(format, DISK);
        let handle = disk.handle();
        let (mut machine, _) = open(disk, &on(), format, Nanos::ZERO).expect("it opens");
        let copy = use_it(&mut machine, seed);
        let (disk, now) = stopped(machine, &handle, seed == 2);
        let handle = disk.handle();
        let (mut machine, report) = open(disk, &off(), Format::Refuse, now).expect("it opens");
        assert_eq!(report.ended_histories, [("db".to_owned(), HISTORY)]);
        assert!(report.messages.is_empty(), "{report:?}");
        assert!(machine.set.label().histories().is_empty());
        assert!(machine.set.history_streams().is_empty());
        assert!(read_all(&mut machine) == copy, "seed {seed}");
        let refused = mark(&mut machine, 0, "gone").expect_err("no history");
        assert!(refused.contains("has no history"), "{refused}");
        // It is a plain vdisk at once and after a restart, where `off` means none.
        machine.write(0, 4096, &[0xDD; 512]).expect("a write");
        machine.flush(0).expect("a flush");
        let mut copy = copy;
        copy[4096..4096 + 512].fill(0xDD);
        machine.set.abandon();
        let mut handle = handle;
        for vdisks in [off(), [configs(&[("db", SIZE)]).remove(0)]] {
            let disk = crash(&handle, 1);
            handle = disk.handle();
            let (mut machine, report) = open(disk, &vdisks, Format::Refuse, now).expect("it opens");
            assert!(report.ended_histories.is_empty() && report.messages.is_empty());
            assert!(read_all(&mut machine) == copy, "seed {seed}");
            machine.set.abandon();
        }
    }
}

/// The new log lies where the old one lay, whose bytes are still there.
#[test]
fn a_history_that_is_switched_on_again_finds_nothing_of_the_old_one() {
    let disk = disk_for(BLANK, DISK);
    let handle = disk.handle();
    let (mut machine, _) = open(disk, &on(), BLANK, Nanos::ZERO).expect("it opens");
    let area = machine.set.label().histories()[0].extents().to_vec();
    let copy = use_it(&mut machine, 7);
    let (disk, now) = stopped(machine, &handle, true);
    let handle = disk.handle();
    let (machine, _) = open(disk, &off(), Format::Refuse, now).expect("it is switched off");
    let (disk, now) = stopped(machine, &handle, true);
    let handle = disk.handle();
    let mut old = vec![0; (2 * MIB) as usize];
    handle.peek(area[0].0, &mut old);
    let (mut machine, report) = open(disk, &on(), Format::Refuse, now).expect("it is on again");
    assert_eq!(report.histories, [("db".to_owned(), HISTORY)]);
    assert_eq!(machine.set.label().histories()[0].extents(), area);
    let vdisk = machine.handle(0);
    let status = machine.set.history(vdisk).expect("a history").status;
    assert!(status.marks.is_empty() && status.newest < 10, "{status:?}");
    assert!(read_all(&mut machine) == copy);
    for moment in ["m1", "#40"] {
        let moment = Moment::parse(moment).expect("a moment");
        assert!(open_moment(&mut machine, 0, &moment).is_err());
    }
    machine.write(0, 0, &[9; 4096]).expect("a write");
    machine.flush(0).expect("a flush");
    // The slot that the new log writes next has an old segment in it, also after a crash.
    let mut handle = handle;
    for _ in 0..3 {
        let (disk, now) = stopped(machine, &handle, false);
        handle = disk.handle();
        (machine, _) = open(disk, &on(), Format::Refuse, now).expect("it opens");
        let there = read_all(&mut machine);
        assert!(there[..4096] == [9; 4096] && there[4096..] == copy[4096..]);
    }
    machine.set.abandon();
    // Were its superblocks the old ones, the old log would be there: it was not wiped.
    let mut disk = crash(&handle, 1);
    let (mut first, log) = (vec![0; 4096], 16..32);
    disk.handle().peek(area[0].0, &mut first);
    assert!(
        first[log.clone()] != old[log],
        "the uuid of the log is another one"
    );
    put(&mut disk, area[0].0, &first);
}

#[test]
fn a_crash_at_any_write_leaves_the_content() {
    let now = Nanos::from_secs(100);
    let base = || {
        let disk = disk_for(DIRTY, DISK);
        let handle = disk.handle();
        let (mut machine, _) = open(disk, &on(), DIRTY, Nanos::ZERO).expect("it opens");
        let copy = use_it(&mut machine, 5);
        (stopped(machine, &handle, false).0, copy)
    };
    let (disk, _) = base();
    let handle = disk.handle();
    let (machine, _) = open(disk, &off(), Format::Refuse, now).expect("it is switched off");
    machine.set.abandon();
    let operations = handle.operations();
    assert!(operations > 30, "{operations}");
    let mut outcomes = [0, 0];
    for point in (0..operations).step_by(3) {
        let (disk, copy) = base();
        let handle = disk.handle();
        handle.freeze_at(point);
        assert!(open(disk, &off(), Format::Refuse, now).map(drop).is_err());
        let disk = crash(&handle, point);
        let later = now + Nanos::from_secs(2000);
        // The file says it again, or has the history back: both find the newest content.
        let vdisks = if point % 2 == 0 { off() } else { on() };
        let (mut machine, report) =
            open(disk, &vdisks, Format::Refuse, later).expect("the next start");
        assert!(read_all(&mut machine) == copy, "point {point}");
        outcomes[usize::from(report.ended_histories.is_empty())] += 1;
        machine.write_fua(0, 0, &[7; 4096]).expect("a write");
        machine.set.abandon();
    }
    assert!(outcomes.iter().all(|count| *count > 0), "{outcomes:?}");
}

/// One copy of the label is damaged and takes no write, so the other one is all that is whole.
#[test]
fn a_label_of_which_one_copy_is_whole_is_not_written_and_the_history_stays() {
    let copies = [0, 512 << 10];
    for (damaged, whole) in [(copies[0], copies[1]), (copies[1], copies[0])] {
        let disk = disk_for(BLANK, DISK);
        let handle = disk.handle();
        let (mut machine, _) = open(disk, &on(), BLANK, Nanos::ZERO).expect("it opens");
        machine.write(0, 0, &[1; 4096]).expect("a write");
        let (mut disk, now) = stopped(machine, &handle, true);
        put(&mut disk, damaged, &[0xEB; 4096]);
        let handle = disk.handle();
        handle.inject(Fault {
            range_bytes: damaged..damaged + 4096,
            ..Fault::every(Operation::Write, FaultKind::Error(DiskErrorKind::Io))
        });
        let label = || {
            let mut copy = vec![0; 64 << 10];
            handle.peek(whole, &mut copy);
            copy
        };
        let before = label();
        let (mut machine, report) = open(disk, &off(), Format::Refuse, now).expect("it is served");
        let said = report.messages.join(" ");
        assert!(said.contains("stays damaged"), "{said}");
        assert!(said.contains("is not switched off: the label"), "{said}");
        assert!(report.ended_histories.is_empty());
        assert!(label() == before);
        machine
            .write(0, 4096, &[2; 4096])
            .expect("with its history");
        assert!(machine.set.history(machine.handle(0)).is_some());
        let (disk, now) = stopped(machine, &handle, true);
        let (mut machine, report) = open(disk, &off(), Format::Refuse, now).expect("healed");
        assert_eq!(report.ended_histories, [("db".to_owned(), HISTORY)]);
        let found = read_all(&mut machine);
        assert!(found[..4096] == [1; 4096] && found[4096..8192] == [2; 4096]);
    }
}

#[test]
fn what_others_need_is_refused_and_nothing_is_changed() {
    let disk = disk_for(BLANK, 160 * MIB);
    let handle = disk.handle();
    let (mut machine, _) = open(disk, &on(), BLANK, Nanos::ZERO).expect("it opens");
    machine.write(0, 0, &[1; 4096]).expect("a write");
    mark(&mut machine, 0, "golden").expect("a mark");
    let (heard, done) = listener();
    let vdisk = machine.handle(0);
    let golden = Moment::parse("golden").expect("a moment");
    machine
        .set
        .clone_vdisk(vdisk, &golden, clone_config("copy"), done);
    wait(&mut machine, &heard).expect("a clone");
    let (disk, now) = stopped(machine, &handle, true);
    let handle = disk.handle();
    let refused = open(disk, &off(), Format::Refuse, now).map(drop);
    let refused = refused.expect_err("a clone needs it").to_string();
    assert!(refused.contains("the clones copy begin"), "{refused}");
    assert_eq!(handle.operations(), 1, "the flush before a log is read");

    // Left out it is refused, and the sentence says what to write.
    let disk = crash(&handle, 1);
    let plain = configs(&[("db", SIZE)]);
    let refused = open(disk, &plain, Format::Refuse, now).map(drop);
    let refused = refused.expect_err("it is not explicit").to_string();
    assert!(refused.contains("\"history\": \"off\""), "{refused}");
}

#[test]
fn a_log_that_has_lost_durable_data_is_kept_and_nothing_is_changed() {
    let disk = disk_for(BLANK, DISK);
    let handle = disk.handle();
    let (mut machine, _) = open(disk, &on(), BLANK, Nanos::ZERO).expect("it opens");
    let area = machine.set.label().histories()[0].extents()[0].0;
    machine.write(0, 0, &[1; 4096]).expect("a write");
    machine.flush(0).expect("a flush");
    let (mut disk, now) = stopped(machine, &handle, true);
    // The header of the write, behind EPOCH, BRANCH and the CHECKPOINT with its tables.
    put(&mut disk, area + 37 * 4096, &[0xEB; 4096]);
    let handle = disk.handle();
    let before = handle.operations();
    let refused = open(disk, &off(), Format::Refuse, now).map(drop);
    let refused = refused.expect_err("it has lost data").to_string();
    assert!(refused.contains("lost data that was durable"), "{refused}");
    assert!(refused.contains("accept-loss"), "{refused}");
    assert_eq!(
        handle.operations(),
        before + 1,
        "the flush before a log is read"
    );
}
