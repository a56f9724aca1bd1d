//! Blocks of a log that rot: they are not served, and a fold goes on without them.

use super::common::{BLANK, MIB, Machine, TestDisk, histories, new_disk, put};
use super::{DISK, QUANTUM, open_disk};
use disktime_disks::FaultHandle;
use disktime_engine::IoError;
use disktime_history::WhenFull;
use disktime_units::Nanos;
use std::cell::RefCell;
use std::rc::Rc;

/// Where on the disk the log has the first block of 0x5A.
fn place_in_log(machine: &Machine<TestDisk>, handle: &FaultHandle) -> u64 {
    let area = machine.set.label().histories()[0].extents()[0].0;
    let mut log = vec![0; 4 * MIB as usize];
    handle.peek(area, &mut log);
    let block = log.chunks(4096).position(|block| *block == [0x5A; 4096]);
    area + block.expect("it is in the log") as u64 * 4096
}

#[test]
fn rotten_blocks_of_the_log_are_not_served() {
    let disk = Rc::new(RefCell::new(new_disk(DISK, 4096, 1)));
    let handle = disk.borrow().handle();
    let of_machine = TestDisk::sharing(&disk, QUANTUM, None);
    let mut machine = open_disk(of_machine);
    machine.write(0, 0, &[0x5A; 3 * 4096]).expect("a write");
    machine.flush(0).expect("a flush");
    let at = place_in_log(&machine, &handle) + 4096;
    let mut rotten = [0x5A; 4096];
    rotten[17] ^= 4;
    put(&mut disk.borrow_mut(), at, &rotten);
    assert_eq!(machine.read(0, 0, 3 * 4096), Err(IoError::Io));
    assert!(machine.read(0, 0, 4096).expect("whole") == [0x5A; 4096]);
    assert_eq!(machine.read(0, 4096, 4096), Err(IoError::Io));
    // A change of a part of it would make a new checksum for rotten bytes.
    assert_eq!(machine.write(0, 5000, &[1; 9]), Err(IoError::Io));
    machine.write(0, 4096, &[1; 4096]).expect("as a whole");
    assert!(machine.read(0, 4096, 4096).expect("whole") == [1; 4096]);
}

#[test]
fn a_block_that_rotted_before_its_fold_is_lost_alone() {
    let disk = Rc::new(RefCell::new(new_disk(DISK, 4096, 1)));
    let handle = disk.borrow().handle();
    let mut machine = open_disk(TestDisk::sharing(&disk, QUANTUM, None));
    machine.write(0, 0, &[0x5A; 3 * 4096]).expect("a write");
    machine.flush(0).expect("a flush");
    let at = place_in_log(&machine, &handle) + 4096;
    put(&mut disk.borrow_mut(), at, &[0xEB; 4096]);
    // Elsewhere, until the first segment was folded.
    for round in 0..320 {
        let offset = MIB + (round % 8) * (256 << 10);
        machine.write(0, offset, &[7; 256 << 10]).expect("a write");
    }
    let vdisk = machine.handle(0);
    let report = machine.set.history(vdisk).expect("a history");
    assert!(report.status.floor > 4, "{report:?}");
    assert!(machine.read(0, 0, 4096).expect("whole") == [0x5A; 4096]);
    assert_eq!(machine.read(0, 4096, 4096), Err(IoError::Io));
    assert!(machine.read(0, 8192, 4096).expect("whole") == [0x5A; 4096]);
    machine.write(0, 4096, &[1; 4096]).expect("it is mended");
    assert!(machine.read(0, 4096, 4096).expect("whole") == [1; 4096]);
}

#[test]
fn blocks_behind_a_pass_of_which_all_is_lost_are_folded() {
    const SIZE: u64 = 16 * MIB;
    /// As many blocks as one pass has on a disk without seeks.
    const PASS: u64 = 4 * MIB;
    const PIECE: u64 = 256 << 10;
    let disk = Rc::new(RefCell::new(new_disk(DISK, 4096, 1)));
    let handle = disk.borrow().handle();
    let vdisks = [histories::with_history(SIZE, 1 << 50, WhenFull::Shorten)];
    let of_machine = TestDisk::sharing(&disk, QUANTUM, None);
    let opened = histories::open_at(of_machine, &vdisks, BLANK, Nanos::ZERO);
    let mut machine = opened.expect("it opens").0;
    for offset in (0..PASS).step_by(PIECE as usize) {
        let data = [0x5A; PIECE as usize];
        machine.write(0, offset, &data).expect("a write");
    }
    machine.write(0, 2 * PASS, &[0x77; 4096]).expect("a write");
    machine.flush(0).expect("a flush");
    let area = machine.set.label().histories()[0].extents()[0].0;
    let mut log = vec![0; 2 * PASS as usize];
    handle.peek(area, &mut log);
    let blocks = log.chunks(4096).zip((area..).step_by(4096));
    for (_, at) in blocks.filter(|(block, _)| *block == [0x5A; 4096]) {
        put(&mut disk.borrow_mut(), at, &[0xEB; 4096]);
    }
    // Elsewhere, until the first segment was folded.
    for round in 0..320 {
        let offset = 3 * PASS + (round % 8) * PIECE;
        let data = [7; PIECE as usize];
        machine.write(0, offset, &data).expect("a write");
    }
    assert_eq!(machine.read(0, 0, 4096), Err(IoError::Io));
    assert_eq!(machine.read(0, PASS - 4096, 4096), Err(IoError::Io));
    let kept = machine.read(0, 2 * PASS, 4096).expect("whole");
    assert!(kept == [0x77; 4096], "it lay behind what was lost");
}
