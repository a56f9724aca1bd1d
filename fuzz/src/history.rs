//! A log whose bytes are anything.
//!
//! The input is a byte that says what it is: a unit, tables of a checkpoint, a moment's text, or
//! changes of a small log that a server could have written. Of the last, checksums of headers are
//! made right if the input asks for it, because hardly any change would else come past the first
//! check. What holds: nothing panics or runs for ever; what decodes encodes to the same; a
//! log that opens serves whole blocks only.

use disktime_history::{
    Expectation, Fetched, Geometry, Log, Need, Notice, Part, Recovery, RequestId, SUPERBLOCK_UNITS,
    Settings, Source, Step, UNIT_BYTES, View, ViewId, WhenFull, fuzzing, new_log,
};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Bytes of the input that say what the rest is.
pub const CONTROL_BYTES: usize = 1;
/// Bytes of a change: unit, offset (2), new byte, whether the unit is made whole.
pub const CHANGE_BYTES: usize = 5;

const GEOMETRY: Geometry = Geometry {
    log: [3; 16],
    vdisk: [4; 16],
    disk: [5; 16],
    slot_units: 16,
    slots: 6,
    vdisk_blocks: 16,
};
/// The vdisk of the small log grows to so many.
const GROWN_BLOCKS: u64 = 20;
const SETTINGS: Settings = Settings {
    commits_in_flight: 2,
    when_full: WhenFull::Shorten,
    batch_ppm: 500_000,
    step_ppm: 1,
    gather_ns: 0,
    window_ns: 1,
    program_version: [0, 1, 0],
};
const BLOCK: [u8; UNIT_BYTES] = [7; UNIT_BYTES];

/// The entry point.
pub fn run(data: &[u8]) {
    let Some((control, rest)) = data.split_at_checked(CONTROL_BYTES) else {
        return;
    };
    match control[0] % 4 {
        0 => unit(rest, control[0] & 4 != 0),
        1 => fuzzing::decode_tables(rest),
        2 => fuzzing::parse_moment(&String::from_utf8_lossy(rest)),
        _ => whole_log(rest),
    }
}

fn unit(bytes: &[u8], make_whole: bool) {
    fuzzing::decode_unit(GEOMETRY.log, bytes);
    if make_whole {
        // What an input leaves out of a unit is zero.
        let mut unit = bytes.to_vec();
        unit.resize(UNIT_BYTES, 0);
        fuzzing::make_whole(GEOMETRY.log, &mut unit);
        fuzzing::decode_unit(GEOMETRY.log, &unit);
    }
}

/// A log that holds a bit of everything.
pub fn small_log() -> &'static [u8] {
    static LOG: OnceLock<Vec<u8>> = OnceLock::new();
    LOG.get_or_init(|| {
        let mut disk = vec![0; GEOMETRY.area_units() as usize * UNIT_BYTES];
        let block = new_log(GEOMETRY, [0, 1, 0]).expect("a possible geometry");
        for unit in SUPERBLOCK_UNITS {
            write(&mut disk, unit, &block);
        }
        let mut log = open(&disk).expect("it opens");
        drive(&mut log, &mut disk);
        let mut id = 0;
        let mut request = || {
            id += 1;
            RequestId(id)
        };
        for lba in 0..12 {
            log.write(request(), lba, &BLOCK, true).expect("taken");
            drive(&mut log, &mut disk);
        }
        log.zero(request(), 3, 4, true, true).expect("taken");
        drive(&mut log, &mut disk);
        log.grow(GROWN_BLOCKS, GEOMETRY.slots).expect("taken");
        drive(&mut log, &mut disk);
        log.mark(request(), "here", None).expect("taken");
        drive(&mut log, &mut disk);
        let moment = log.status().marks[0].moment;
        log.revert(request(), moment).expect("taken");
        drive(&mut log, &mut disk);
        log.fold(moment - 1).expect("taken");
        drive(&mut log, &mut disk);
        disk
    })
}

fn whole_log(changes: &[u8]) {
    let mut disk = small_log().to_vec();
    for change in changes.chunks_exact(CHANGE_BYTES).take(64) {
        let at = usize::from(change[0]) % (disk.len() / UNIT_BYTES) * UNIT_BYTES;
        let unit = &mut disk[at..at + UNIT_BYTES];
        let offset = u16::from_le_bytes([change[1], change[2]]);
        unit[usize::from(offset) % UNIT_BYTES] = change[3];
        if change[4] & 1 == 1 {
            fuzzing::make_whole(GEOMETRY.log, unit);
        }
    }
    let Some(mut log) = open(&disk) else {
        return;
    };
    if !drive(&mut log, &mut disk) {
        return;
    }
    check(&log, &disk);
    check_lazily(&mut log, &mut disk);
    if log.accept_loss(RequestId(999)).is_ok() {
        drive(&mut log, &mut disk);
        check(&log, &disk);
    }
    if log.write(RequestId(1000), 1, &BLOCK, true).is_ok() {
        drive(&mut log, &mut disk);
        check(&log, &disk);
        // What was written by then is found again.
        let mut again = open(&disk).expect("it opens");
        assert!(drive(&mut again, &mut disk));
        let (first, second) = (log.status(), again.status());
        assert!(again.report().lost_from.is_none() && second.newest >= first.newest);
        check(&again, &disk);
    }
}

fn open(disk: &[u8]) -> Option<Log> {
    let mut recovery = Recovery::new(Expectation {
        vdisk: GEOMETRY.vdisk,
        disk: GEOMETRY.disk,
        area_units: (disk.len() / UNIT_BYTES) as u32,
    });
    for _ in 0..10_000 {
        match recovery.need() {
            Need::Flush => recovery.flushed(Ok(())),
            Need::Read { unit, units } => recovery.give(Ok(read(disk, unit, units))),
            Need::Nothing => return recovery.finish(SETTINGS).ok().map(|(log, _)| log),
        }
    }
    panic!("recovery does not end");
}

/// Does all that the log asks for; whether it can be read: not if it is damaged beside its image.
fn drive(log: &mut Log, disk: &mut [u8]) -> bool {
    let mut now_ns = 1_000_000;
    for _ in 0..10_000 {
        now_ns += 1000;
        let Some(step) = log.take_step(now_ns) else {
            while let Some(notice) = log.take_notice() {
                let is_readable = log.look_up(View::Now, 0, 1).is_some();
                assert!(notice != Notice::Broken || !is_readable || log.status().free_slots == 0);
            }
            return log.look_up(View::Now, 0, 1).is_some();
        };
        match step {
            Step::Write { io, unit, parts } => {
                let mut bytes = Vec::new();
                for part in parts {
                    match part {
                        Part::Bytes(more) => bytes.extend(more),
                        Part::Request { blocks, .. } => {
                            (0..blocks).for_each(|_| bytes.extend(BLOCK));
                        }
                    }
                }
                write(disk, unit, &bytes);
                log.complete(io, Ok(()));
            }
            Step::Read { io, unit, units } => log.complete_read(io, Ok(read(disk, unit, units))),
            Step::WriteImage { io } => {
                let mut at = 0;
                while let Some((lba, run)) = log.fold_next(at) {
                    assert!(run.blocks > 0 && run.source != Source::Image);
                    if let Source::Log { unit, checksum } = run.source
                        && !log.verifies(unit, checksum, read(disk, unit, 1))
                    {
                        log.fold_lost(lba).expect("the vdisk is small");
                    }
                    at = lba + run.blocks;
                }
                assert!(at <= GROWN_BLOCKS);
                log.complete(io, Ok(()));
            }
            Step::Flush { io } | Step::AwaitReads { io } => log.complete(io, Ok(())),
        }
    }
    panic!("the log does not come to rest");
}

fn check(log: &Log, disk: &[u8]) {
    let size = log.vdisk_blocks();
    assert!(size <= GROWN_BLOCKS);
    let mut at = 0;
    while at < size {
        let run = log.look_up(View::Now, at, size - at);
        let run = run.expect("the newest content can be looked up");
        assert!((1..=size - at).contains(&run.blocks));
        if let Source::Log { unit, checksum } = run.source {
            let block = read(disk, unit, 1);
            assert!(!log.verifies(unit, checksum, block) || block == BLOCK);
        }
        at += run.blocks;
    }
}

/// A moment that is found block by block is the same as one that is built as a whole.
fn check_lazily(log: &mut Log, disk: &mut [u8]) {
    let moment = log.status().newest;
    let (whole, lazy) = (RequestId(2001), RequestId(2002));
    if log.open_view(whole, moment).is_err() || log.open_view_lazily(lazy, moment).is_err() {
        return;
    }
    let views = views_opened(log, disk);
    let [Some(whole), Some(lazy)] = [whole, lazy].map(|request| views.get(&request).copied())
    else {
        return;
    };
    for lba in 0..log.vdisk_blocks_at(moment) {
        if log.fetch(RequestId(2003), View::At(lazy), lba, 1) == Ok(Fetched::Later) {
            views_opened(log, disk);
        }
        let found = log.look_up(View::At(lazy), lba, 1);
        let expected = log.look_up(View::At(whole), lba, 1);
        assert!(found == expected, "{found:?} is not {expected:?}");
    }
    log.close_view(whole);
    log.close_view(lazy);
}

/// Does all reads that the log asks for; the views that open.
fn views_opened(log: &mut Log, disk: &mut [u8]) -> BTreeMap<RequestId, ViewId> {
    let mut views = BTreeMap::new();
    for _ in 0..10_000 {
        while let Some(notice) = log.take_notice() {
            if let Notice::ViewOpened { request, view } = notice {
                views.insert(request, view);
            }
        }
        match log.take_step(2_000_000) {
            Some(Step::Read { io, unit, units }) => {
                log.complete_read(io, Ok(read(disk, unit, units)));
            }
            Some(step) => panic!("{step:?} while nothing is written"),
            None => return views,
        }
    }
    panic!("the log does not come to rest");
}

fn read(disk: &[u8], unit: u32, units: u32) -> &[u8] {
    let from = unit as usize * UNIT_BYTES;
    &disk[from..from + units as usize * UNIT_BYTES]
}

fn write(disk: &mut [u8], unit: u32, bytes: &[u8]) {
    let from = unit as usize * UNIT_BYTES;
    disk[from..from + bytes.len()].copy_from_slice(bytes);
}
