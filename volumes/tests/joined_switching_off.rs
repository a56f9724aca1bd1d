//! Histories that are switched off and whose logs lie on another disk: the vdisk has its newest
//! content, whenever power fails; both labels are without the log; what others need is refused.

mod common;

use common::histories::{clone_config, listener, wait, with_history};
use common::pairs::{Opened, Pair, after_crash, handles, new_pair, open_pair};
use common::{BLANK, MIB, TestDisk, configs};
use disktime_disks::{FaultDisk, FaultHandle};
use disktime_history::{Moment, WhenFull};
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use disktime_volumes::{Format, VdiskConfig, VolumeError};

const DISK: u64 = 160 * MIB;
const SIZE: u64 = 2 * MIB;
/// The disk of the image, and that of the log.
const IMAGE: usize = 0;
const LOG: usize = 1;

/// `db`, with a vdisk beside its log.
fn vdisks(db: VdiskConfig) -> [Vec<VdiskConfig>; 2] {
    [vec![db], configs(&[("web", MIB)])]
}

fn on() -> [Vec<VdiskConfig>; 2] {
    let mut db = with_history(SIZE, 1 << 50, WhenFull::Shorten);
    db.spec.log_disk = Some(LOG);
    vdisks(db)
}

fn off() -> [Vec<VdiskConfig>; 2] {
    let mut db = configs(&[("db", SIZE)]).remove(0);
    db.spec.history_off = true;
    db.spec.log_disk = Some(LOG);
    vdisks(db)
}

fn without() -> [Vec<VdiskConfig>; 2] {
    vdisks(configs(&[("db", SIZE)]).remove(0))
}

fn open(
    disks: [FaultDisk; 2],
    vdisks: &[Vec<VdiskConfig>; 2],
    format: Format,
    now: Nanos,
) -> Opened {
    let disks = disks.map(|disk| TestDisk::around(disk, 256 << 10));
    open_pair(disks, vdisks, format, now)
}

/// The machine stops; what a power failure leaves.
fn stopped(pair: Pair, handles: &[FaultHandle; 2]) -> ([FaultDisk; 2], Nanos) {
    let now = pair.now;
    pair.set.abandon();
    (after_crash(handles, 1), now)
}

/// A vdisk that was written and marked; its disks, and what it holds.
fn written() -> ([FaultDisk; 2], Nanos, Vec<u8>) {
    let mut random = SplitMix64::new(1);
    let disks = new_pair(DISK, 1);
    let handles = handles(&disks);
    let mut pair = open(disks, &on(), BLANK, Nanos::ZERO).expect("it opens").0;
    let mut content = vec![0; SIZE as usize];
    for at in 0..24 {
        let offset = random.below(SIZE - 64 * 1024);
        let len = 1 + random.below(64 * 1024);
        let bytes = vec![at as u8 + 1; len as usize];
        pair.write(0, offset, &bytes).expect("written");
        content[offset as usize..][..len as usize].copy_from_slice(&bytes);
        if at == 12 {
            let (heard, done) = listener();
            let db = pair.handle(0);
            pair.set.set_of_mut(db).mark(db, "half", done);
            wait(&mut pair, &heard).expect("a mark");
        }
    }
    pair.flush(0).expect("a flush");
    let (disks, now) = stopped(pair, &handles);
    (disks, now, content)
}

fn read_all(pair: &mut Pair) -> Vec<u8> {
    pair.read(0, 0, SIZE).expect("it can be read")
}

/// How many records of histories each label has.
fn records(pair: &Pair) -> [usize; 2] {
    [IMAGE, LOG].map(|at| pair.set.sets()[at].label().histories().len())
}

#[test]
fn the_vdisk_has_the_content_and_nothing_is_left_on_either_disk() {
    let (disks, now, content) = written();
    let handles = handles(&disks);
    let (mut pair, reports) = open(disks, &off(), Format::Refuse, now).expect("it opens");
    let ended = &reports[IMAGE].ended_histories;
    assert_eq!(*ended, [("db".to_owned(), common::histories::HISTORY)]);
    assert!(read_all(&mut pair) == content);
    assert_eq!(records(&pair), [0, 0]);
    for set in pair.set.sets() {
        assert!(set.history_streams().is_empty());
    }
    pair.write(0, 0, &[99; 4096]).expect("it is written itself");
    pair.write(1, 0, &[98; 4096])
        .expect("and so is the other one");
    pair.flush(0).expect("a flush");
    let (disks, now) = stopped(pair, &handles);
    // Again, and without a word of it.
    let handles = common::pairs::handles(&disks);
    let (mut pair, reports) = open(disks, &off(), Format::Refuse, now).expect("it opens");
    assert!(reports.iter().all(|one| one.ended_histories.is_empty()));
    let found = read_all(&mut pair);
    assert!(found[..4096] == [99; 4096] && found[4096..] == content[4096..]);
    let (disks, now) = stopped(pair, &handles);
    let handles = common::pairs::handles(&disks);
    let pair = open(disks, &without(), Format::Refuse, now)
        .expect("it opens")
        .0;
    let (disks, now) = stopped(pair, &handles);
    let (mut pair, reports) = open(disks, &on(), Format::Refuse, now).expect("it gets a new one");
    assert_eq!(reports[LOG].histories.len(), 1);
    assert!(read_all(&mut pair)[4096..] == content[4096..]);
    pair.set.abandon();
}

/// Power fails at each operation of each disk while the history is switched off: the next start
/// ends it. Where the file has the history back, that is served, or refused with the way out.
#[test]
fn a_crash_at_any_operation_is_repeated_harmlessly() {
    let count = |disk: usize| {
        let (disks, now, _) = written();
        let handles = handles(&disks);
        let opened = open(disks, &off(), Format::Refuse, now).expect("it opens");
        opened.0.set.abandon();
        handles[disk].operations()
    };
    let (mut kept, mut refused) = (0, 0);
    for disk in [IMAGE, LOG] {
        for operation in 0..count(disk) {
            let when = format!("disk {disk}, operation {operation}");
            let (disks, now, content) = written();
            let of_disks = handles(&disks);
            of_disks[disk].freeze_at(operation);
            // It waits without end for what is frozen.
            let stuck = open(disks, &off(), Format::Refuse, now).err();
            let is_stuck = stuck.is_some_and(|it| matches!(it.error, VolumeError::Stuck { .. }));
            assert!(is_stuck, "{when}");
            let mut disks = after_crash(&of_disks, operation);
            if operation % 3 == 0 {
                let of_disks = handles(&disks);
                match open(disks, &on(), Format::Refuse, now) {
                    Ok((mut pair, reports)) => {
                        assert!(read_all(&mut pair) == content, "{when}");
                        kept += usize::from(reports[LOG].histories.is_empty());
                        pair.set.abandon();
                    }
                    Err(misfit) => {
                        refused += 1;
                        let why = misfit.error.to_string();
                        assert!(why.contains("it was being switched off"), "{when}: {why}");
                    }
                }
                disks = after_crash(&of_disks, operation);
            }
            let of_disks = handles(&disks);
            let opened = open(disks, &off(), Format::Refuse, now);
            let (mut pair, _) = opened.unwrap_or_else(|error| panic!("{when}: {error}"));
            assert!(read_all(&mut pair) == content, "{when}");
            assert_eq!(records(&pair), [0, 0], "{when}");
            // And is served without the log that is free now.
            for set in pair.set.sets() {
                assert!(set.history_streams().is_empty(), "{when}");
            }
            pair.write(0, 4096, &[77; 4096]).expect("it is written");
            pair.flush(0).expect("a flush");
            let (disks, now) = stopped(pair, &of_disks);
            let (mut pair, _) = open(disks, &off(), Format::Refuse, now).expect("it opens");
            let found = read_all(&mut pair);
            assert!(found[4096..8192] == [77; 4096], "{when}");
            assert!(found[8192..] == content[8192..], "{when}");
            pair.set.abandon();
        }
    }
    assert!(kept > 3 && refused > 0, "{kept} {refused}");
}

#[test]
fn what_cannot_end_is_refused_and_nothing_is_changed() {
    let (disks, now, _) = written();
    let of_disks = handles(&disks);
    let mut pair = open(disks, &on(), Format::Refuse, now).expect("it opens").0;
    let (heard, done) = listener();
    let db = pair.handle(0);
    let set = pair.set.set_of_mut(db);
    set.clone_vdisk(db, &Moment::Ago(0), clone_config("x"), done);
    wait(&mut pair, &heard).expect("a clone");
    let (disks, now) = stopped(pair, &of_disks);
    let told = |disks: [FaultDisk; 2], vdisks: &[Vec<VdiskConfig>; 2]| {
        let handles = handles(&disks);
        let content = |handle: &FaultHandle| {
            let mut bytes = vec![0; DISK as usize];
            handle.peek(0, &mut bytes);
            bytes
        };
        let before = [content(&handles[0]), content(&handles[1])];
        let misfit = open(disks, vdisks, Format::Refuse, now).err();
        let misfit = misfit.expect("it is refused");
        assert!([content(&handles[0]), content(&handles[1])] == before);
        (after_crash(&handles, 1), misfit.error.to_string())
    };
    let (disks, why) = told(disks, &off());
    assert!(
        why.contains("the clones x begin with moments of it"),
        "{why}"
    );
    let mut nowhere = off();
    nowhere[IMAGE][0].spec.log_disk = None;
    let (_, why) = told(disks, &nowhere);
    assert!(
        why.contains("no disk of the file is known to be that one"),
        "{why}"
    );
}

/// The caller may remember an older log than that which the label names.
#[test]
fn the_log_that_ends_is_that_of_the_label() {
    let (disks, now, content) = written();
    let of_disks = handles(&disks);
    let (pair, _) = open(disks, &off(), Format::Refuse, now).expect("it opens");
    let (disks, now) = stopped(pair, &of_disks);
    let of_disks = handles(&disks);
    let here = vdisks(with_history(SIZE, 1 << 50, WhenFull::Shorten));
    let (mut pair, _) = open(disks, &here, Format::Refuse, now).expect("it gets a new one");
    pair.write(0, 4096, &[55; 4096]).expect("it is written");
    pair.flush(0).expect("a flush");
    let (disks, now) = stopped(pair, &of_disks);
    let (mut pair, reports) = open(disks, &off(), Format::Refuse, now).expect("it opens");
    assert_eq!(reports[IMAGE].ended_histories.len(), 1);
    let found = read_all(&mut pair);
    assert!(found[4096..8192] == [55; 4096] && found[8192..] == content[8192..]);
    assert_eq!(records(&pair), [0, 0]);
    pair.set.abandon();
}

/// What a crash leaves on the log's disk is freed, though a log there is not opened that may have
/// clones.
#[test]
fn a_crash_beside_a_log_that_is_not_served_is_repeated_too() {
    let mut web = with_history(MIB, 1 << 50, WhenFull::Shorten);
    web.spec.name = "web".to_owned();
    let [db, _] = on();
    let both = [db, vec![web]];
    let [db, _] = off();
    let alone = [db, Vec::new()];
    let mut left = 0;
    for operation in 0.. {
        let disks = new_pair(2 * DISK, 1);
        let of_disks = handles(&disks);
        let (mut pair, _) = open(disks, &both, BLANK, Nanos::ZERO).expect("it opens");
        pair.write(0, 0, &[1; 8192]).expect("it is written");
        pair.flush(0).expect("a flush");
        let (disks, now) = stopped(pair, &of_disks);
        let of_disks = handles(&disks);
        of_disks[LOG].freeze_at(operation);
        if let Ok((pair, _)) = open(disks, &alone, Format::Refuse, now) {
            pair.set.abandon();
            break;
        }
        let disks = after_crash(&of_disks, operation);
        let of_disks = handles(&disks);
        let (pair, reports) = open(disks, &alone, Format::Refuse, now).expect("it opens");
        left += usize::from(reports[IMAGE].ended_histories.is_empty());
        assert_eq!(records(&pair), [0, 1], "operation {operation}");
        let (disks, now) = stopped(pair, &of_disks);
        let (mut pair, _) = open(disks, &both, Format::Refuse, now).expect("it gets a new one");
        assert_eq!(pair.read(0, 0, 8192), Ok(vec![1; 8192]));
        pair.set.abandon();
    }
    assert!(left > 0, "no crash came behind the label of the image");
}
