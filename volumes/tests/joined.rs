//! Logs on another disk than their images: two disks as one service. What clients read is what they
//! wrote; what was flushed survives power failures of both disks; a log disk that fails costs the
//! vdisks with logs there and no others; a log disk that is another than it was is refused, and
//! nothing is written.

mod common;

use common::histories::{HISTORY, with_history};
use common::pairs::{Opened, after_crash, handles, new_pair, open_pair, options_of};
use common::stamps::{BLOCKS, StampClient};
use common::{BLANK, MIB, TestDisk, configs, crash, disk_loop, new_disk};
use disktime_disks::{DiskErrorKind, Fault, FaultDisk, FaultHandle, FaultKind, Operation};
use disktime_engine::{IoError, PolicyKind};
use disktime_history::WhenFull;
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use disktime_volumes::{Format, LabelledDisk, Misfit, VdiskConfig, VirtualDriver, VolumeError};
use disktime_workloads::StampLoad;

const QUANTUM: u32 = 64 << 10;
const DISK: u64 = 160 * MIB;
const SIZE: u64 = (BLOCKS * 4096) as u64;
const DEPTH: usize = 24;
const SEEDS: u64 = 1;
const ROUNDS: u64 = 8;
const STEPS: u64 = 2500;

/// A vdisk whose log lies on the disk at `log`.
fn logged(name: &str, log: usize, window_ns: u64) -> VdiskConfig {
    let mut config = with_history(SIZE, window_ns, WhenFull::Shorten);
    name.clone_into(&mut config.spec.name);
    config.spec.log_disk = Some(log);
    config
}

/// Each disk has a vdisk without a history, and one whose log lies on the other.
fn crossed(window_ns: u64) -> [Vec<VdiskConfig>; 2] {
    let with = |plain: &str, config: VdiskConfig| {
        let mut vdisks = configs(&[(plain, SIZE)]);
        vdisks.push(config);
        vdisks
    };
    [
        with("web", logged("db", 1, window_ns)),
        with("mail", logged("logs", 0, window_ns)),
    ]
}

/// The second disk holds nothing but the log of `db`, which lies on the first.
fn one_log() -> [Vec<VdiskConfig>; 2] {
    let [with_log, _] = crossed(1 << 50);
    [with_log, Vec::new()]
}

fn open(
    disks: [FaultDisk; 2],
    vdisks: &[Vec<VdiskConfig>; 2],
    format: Format,
    now: Nanos,
) -> Opened {
    let disks = disks.map(|disk| TestDisk::around(disk, QUANTUM));
    open_pair(disks, vdisks, format, now)
}

fn new_disks(seed: u64) -> [FaultDisk; 2] {
    new_pair(DISK, seed)
}

/// Four clients, one for each vdisk of two disks that are crossed.
fn clients(seed: u64) -> Vec<StampClient> {
    let client =
        |vdisk| StampClient::new(vdisk, DEPTH, StampLoad::new(seed + u64::from(vdisk), 30));
    (0..4).map(client).collect()
}

#[test]
fn what_was_flushed_survives_power_failures_of_both_disks() {
    let mut folds = [0; 2];
    for seed in 0..SEEDS {
        let mut random = SplitMix64::new(seed);
        let mut clients = clients(seed);
        let mut next = 0;
        let mut disks = new_disks(seed);
        let mut now = Nanos::ZERO;
        for round in 0..ROUNDS {
            let handles = handles(&disks);
            let format = if round == 0 { BLANK } else { Format::Refuse };
            // The window is short, so that a tick folds all segments that are sealed.
            let opened = open(disks, &crossed(1), format, now);
            let mut machine = opened.expect("it opens").0;
            for client in &mut clients {
                let when = format!("seed {seed} round {round}");
                client.recover(&mut machine, &when).expect("readable");
            }
            for _ in 0..random.below(STEPS) {
                for client in &mut clients {
                    client.submit_some(&mut machine, &mut next);
                }
                machine.step();
                for reply in std::mem::take(&mut machine.replies) {
                    reply.result.expect("nothing fails");
                    clients[reply.origin as usize].answered(reply.handle);
                }
            }
            for (folds, position) in folds.iter_mut().zip([1, 3]) {
                let vdisk = machine.handle(position);
                let report = machine.set.set_of_mut(vdisk).history(vdisk);
                *folds += u64::from(report.expect("its history").status.floor > 0);
            }
            now = machine.now + Nanos::from_millis(random.below(1500));
            machine.set.abandon();
            disks = after_crash(&handles, random.next_u64() >> 1);
        }
    }
    assert!(
        folds.iter().all(|folds| *folds > 0),
        "both logs were folded"
    );
}

#[test]
fn each_disk_pays_for_what_it_does() {
    let mut machine = open(new_disks(1), &one_log(), BLANK, Nanos::ZERO)
        .expect("it opens")
        .0;
    for at in 0..64 {
        machine
            .write(1, at * 4096, &[at as u8 + 1; 4096])
            .expect("it is logged");
    }
    machine.flush(1).expect("a flush");
    let read = machine.read(1, 0, 64 * 4096).expect("readable");
    assert!(
        read.chunks(4096)
            .zip(1..)
            .all(|(block, byte)| block.iter().all(|at| *at == byte))
    );
    let sets = machine.set.sets();
    let requests = |set: usize, stream| {
        let counted = sets[set].report(machine.now);
        counted.streams[&stream].windows.total.counters.requests
    };
    let (of_image, of_log) = (&sets[0].history_streams()[0], &sets[1].history_streams()[0]);
    assert_eq!((&*of_image.vdisk, &*of_log.vdisk), ("db", "db"));
    assert!(of_image.log.is_none(), "the log lies on the other disk");
    assert!(requests(1, of_log.log.expect("it lies here")) > 64);
    let vdisk = machine.handle(1);
    let own = sets[0].stream(vdisk).expect("its stream");
    assert_eq!(requests(0, own), 0, "nothing of it lies in the image yet");
}

#[test]
fn a_log_disk_that_fails_costs_no_other_vdisk() {
    let disks = new_disks(1);
    let handles = handles(&disks);
    let mut machine = open(disks, &crossed(1 << 50), BLANK, Nanos::ZERO)
        .expect("it opens")
        .0;
    for vdisk in 0..4 {
        machine.write(vdisk, 0, &[7; 8192]).expect("all is well");
    }
    handles[1].inject(Fault::every(
        Operation::Write,
        FaultKind::Error(DiskErrorKind::Io),
    ));
    assert_eq!(machine.write(1, 0, &[8; 4096]), Err(IoError::Io));
    assert_eq!(machine.flush(1), Err(IoError::Io));
    let db = machine.handle(1);
    let report = machine.set.set_of_mut(db).history(db).expect("its history");
    assert!(report.is_broken);
    // Its newest data can be read; all others are served, but for writes to the failing disk.
    assert_eq!(machine.read(1, 0, 8192), Ok(vec![7; 8192]));
    machine.write(0, 0, &[8; 4096]).expect("on the first disk");
    machine.flush(0).expect("on the first disk");
    assert_eq!(machine.read(2, 0, 8192), Ok(vec![7; 8192]));
    machine
        .write(3, 4096, &[9; 4096])
        .expect("its log is on the first disk");
    machine.flush(3).expect("its log is on the first disk");
}

/// What both disks hold.
fn content(handles: &[FaultHandle; 2]) -> [Vec<u8>; 2] {
    [&handles[0], &handles[1]].map(|handle| {
        let mut bytes = vec![0; DISK as usize];
        handle.peek(0, &mut bytes);
        bytes
    })
}

/// Opens two disks that do not belong together; what they are told, once nothing was written.
fn refusal(
    disks: [FaultDisk; 2],
    vdisks: &[Vec<VdiskConfig>; 2],
    format: Format,
) -> (usize, String) {
    let handles = handles(&disks);
    let before = content(&handles);
    let refused = open(disks, vdisks, format, Nanos::ZERO).err();
    let Misfit { disk, error } = refused.expect("it is refused");
    assert!(content(&handles) == before, "{error}");
    (disk, error.to_string())
}

/// Two disks with a log, closed in good order.
fn made(vdisks: &[Vec<VdiskConfig>; 2], seed: u64) -> [FaultDisk; 2] {
    let disks = new_disks(seed);
    let handles = handles(&disks);
    let mut machine = open(disks, vdisks, BLANK, Nanos(seed)).expect("it opens").0;
    machine.write(1, 0, &[7; 4096]).expect("it is logged");
    machine.flush(1).expect("a flush");
    machine.set.abandon();
    after_crash(&handles, 1)
}

#[test]
fn the_disk_of_a_log_is_the_one_that_it_was() {
    let vdisks = one_log();
    // Blank, and another one.
    let [image, _] = made(&vdisks, 1);
    let (disk, told) = refusal([image, new_disk(DISK, 4096, 9)], &vdisks, BLANK);
    assert_eq!(disk, 0);
    assert!(
        told.contains("which is blank; bring the disk of its log back"),
        "{told}"
    );

    let [image, log] = made(&vdisks, 1);
    let other = one_of_another_machine();
    let (_, told) = refusal([image, other], &vdisks, Format::Refuse);
    assert!(told.contains("which is the disk"), "{told}");
    drop(log);

    // The file says that it lies beside its image, and of one beside its image that it does not.
    let mut here = one_log();
    here[0][1].spec.log_disk = None;
    let (_, told) = refusal(made(&vdisks, 1), &here, Format::Refuse);
    assert!(
        told.contains("give its `history` its `disk` back"),
        "{told}"
    );
    let (_, told) = refusal(made(&here, 1), &vdisks, Format::Refuse);
    assert!(
        told.contains("leave the `disk` of its `history` out"),
        "{told}"
    );
    // Without a history its newest data would not be seen.
    let mut without = one_log();
    without[0][1] = configs(&[("db", SIZE)]).remove(0);
    let (_, told) = refusal(made(&vdisks, 1), &without, Format::Refuse);
    assert!(told.contains("give it its `history` back"), "{told}");
}

/// A disk with another uuid.
fn one_of_another_machine() -> FaultDisk {
    let disk = new_disk(DISK, 4096, 3);
    let handle = disk.handle();
    let mut driver = VirtualDriver::default();
    let disk = disk_loop(TestDisk::around(disk, QUANTUM), PolicyKind::Fifo, 24);
    let mut labelled =
        LabelledDisk::open(disk, &mut driver, options_of(5, BLANK, Nanos::ZERO)).expect("blank");
    labelled.write_format(&mut driver).expect("it is formatted");
    drop(labelled);
    crash(&handle, 1)
}

#[test]
fn a_log_is_that_of_its_image() {
    let vdisks = one_log();
    // The log's disk as it was before the history, and the image's.
    let before = |disk: usize| {
        let mut none = one_log();
        none[0][1] = configs(&[("db", SIZE)]).remove(0);
        let disks = new_disks(1);
        let handles = handles(&disks);
        let machine = open(disks, &none, BLANK, Nanos(1)).expect("it opens").0;
        machine.set.abandon();
        crash(&handles[disk], 1)
    };
    let [image, _] = made(&vdisks, 1);
    let (disk, told) = refusal([image, before(1)], &vdisks, Format::Refuse);
    assert_eq!(disk, 1);
    assert!(told.contains("which does not hold it"), "{told}");
    let [_, log] = made(&vdisks, 1);
    let (disk, told) = refusal([before(0), log], &vdisks, Format::Refuse);
    assert_eq!(disk, 1);
    assert!(
        told.contains("with changes, and the disk of the vdisk knows of none"),
        "{told}"
    );
}

/// A power failure at each write of the first opening: the next one finds two disks that belong
/// together, and what is written then is there.
#[test]
fn a_history_on_two_disks_is_made_or_not() {
    let vdisks = one_log();
    let count = |disk: usize| {
        let disks = new_disks(1);
        let handles = handles(&disks);
        open(disks, &vdisks, BLANK, Nanos::ZERO)
            .expect("it opens")
            .0
            .set
            .abandon();
        handles[disk].operations()
    };
    let mut taken_over = 0;
    for disk in [0, 1] {
        for operation in 0..count(disk) {
            let disks = new_disks(1);
            let handles = handles(&disks);
            handles[disk].freeze_at(operation);
            // It waits without end for what is frozen.
            let refused = open(disks, &vdisks, BLANK, Nanos::ZERO).err();
            assert!(refused.is_some_and(|it| matches!(it.error, VolumeError::Stuck { .. })));
            let when = format!("disk {disk}, operation {operation}");
            let opened = open(after_crash(&handles, operation), &vdisks, BLANK, Nanos(1));
            let (mut machine, reports) = opened.unwrap_or_else(|error| panic!("{when}: {error}"));
            taken_over += usize::from(reports[1].histories.is_empty());
            machine.write(1, 0, &[7; 4096]).expect("it is logged");
            machine.flush(1).expect("a flush");
            assert_eq!(machine.read(1, 0, 4096), Ok(vec![7; 4096]), "{when}");
            machine.set.abandon();
        }
    }
    assert!(taken_over > 0, "a log was there that no image knew of");
}

#[test]
fn both_disks_hold_what_the_history_takes() {
    let [image, log] = [0, 1].map(|disk| {
        let machine = open(new_disks(1), &one_log(), BLANK, Nanos::ZERO)
            .expect("it opens")
            .0;
        let set = &machine.set.sets()[disk];
        let db = machine.set.sets()[0]
            .label()
            .find("db")
            .expect("it is there")
            .uuid();
        let entry = set
            .label()
            .history_of(db)
            .expect("both disks say it")
            .clone();
        assert_eq!(entry.log_disk(), machine.set.sets()[1].label().disk_uuid());
        assert_eq!(
            entry.image_disk(),
            machine.set.sets()[0].label().disk_uuid()
        );
        entry.area_bytes()
    });
    assert_eq!((image, log), (0, HISTORY));
}
