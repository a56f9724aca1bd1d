//! A segment that ends before it holds a batch.

use crate::{
    Expectation, Geometry, Log, Need, Notice, Part, Recovery, Report, RequestId, SUPERBLOCK_UNITS,
    Settings, Step, UNIT_BYTES, View, WhenFull, new_log,
};

const GEOMETRY: Geometry = Geometry {
    log: [3; 16],
    vdisk: [4; 16],
    disk: [5; 16],
    slot_units: 16,
    slots: 8,
    vdisk_blocks: 16,
};

fn open(disk: &[u8]) -> (Log, Report) {
    let mut recovery = Recovery::new(Expectation {
        vdisk: GEOMETRY.vdisk,
        disk: GEOMETRY.disk,
        area_units: GEOMETRY.area_units(),
    });
    loop {
        match recovery.need() {
            Need::Flush => recovery.flushed(Ok(())),
            Need::Read { unit, units } => {
                let from = unit as usize * UNIT_BYTES;
                recovery.give(Ok(&disk[from..from + units as usize * UNIT_BYTES]));
            }
            Need::Nothing => break,
        }
    }
    let settings = Settings {
        commits_in_flight: 1,
        when_full: WhenFull::Refuse,
        batch_ppm: 500_000,
        step_ppm: 1_000_000,
        gather_ns: 0,
        window_ns: 1,
        program_version: [0, 1, 0],
    };
    recovery.finish(settings).expect("it opens")
}

/// Does all that the log asks for; the data of requests is zeroes. Until a request is done; its
/// seq.
fn drive(log: &mut Log, disk: &mut [u8]) -> Option<u64> {
    let mut now_ns = 1;
    while let Some(step) = log.take_step(now_ns) {
        now_ns += 1;
        match step {
            Step::Write { io, unit, parts } => {
                let mut at = unit as usize * UNIT_BYTES;
                for part in parts {
                    let bytes = match part {
                        Part::Bytes(bytes) => bytes,
                        Part::Request { blocks, .. } => vec![0; blocks as usize * UNIT_BYTES],
                    };
                    disk[at..at + bytes.len()].copy_from_slice(&bytes);
                    at += bytes.len();
                }
                log.complete(io, Ok(()));
            }
            Step::Read { io, unit, units } => {
                let from = unit as usize * UNIT_BYTES;
                log.complete_read(io, Ok(&disk[from..from + units as usize * UNIT_BYTES]));
            }
            Step::Flush { io } | Step::WriteImage { io } | Step::AwaitReads { io } => {
                log.complete(io, Ok(()));
            }
        }
        while let Some(notice) = log.take_notice() {
            if let Notice::Done { seq, .. } = notice {
                return Some(seq);
            }
        }
    }
    None
}

#[test]
fn a_segment_that_holds_no_batch_is_sealed_with_its_header() {
    let mut disk = vec![0; GEOMETRY.area_units() as usize * UNIT_BYTES];
    let block = new_log(GEOMETRY, [0, 1, 0]).expect("a possible geometry");
    for unit in SUPERBLOCK_UNITS {
        disk[unit as usize * UNIT_BYTES..][..UNIT_BYTES].copy_from_slice(&block);
    }
    let (mut log, _) = open(&disk);
    drive(&mut log, &mut disk);
    log.begin_sealing();
    drive(&mut log, &mut disk);
    assert!(log.open_segment(1));
    log.checkpoint_wanted = false;
    log.begin_sealing();
    drive(&mut log, &mut disk);
    log.write(RequestId(1), 3, &[0; UNIT_BYTES], true)
        .expect("taken");
    // The superblocks do not name the checkpoint of the next segment yet.
    let newest = drive(&mut log, &mut disk).expect("it is written");
    let (mut log, report) = open(&disk);
    drive(&mut log, &mut disk);
    assert_eq!(log.report().lost_from, None);
    assert!(report.newest >= newest, "{report:?}");
    let run = log.look_up(View::Now, 3, 1).expect("it is there");
    assert!(matches!(run.source, crate::Source::Log { .. }));
}
