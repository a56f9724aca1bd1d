//! Vdisks hold what was written to them and zeroes elsewhere: compared with plain memory.

mod common;

use common::{BLANK, DIRTY, MIB, Machine, TestDisk, crash, disk_for, new_disk, open, soil};
use disktime_engine::{IoError, RequestKind};
use disktime_volumes::Format;
use proptest::prelude::*;

const SIZES: [u64; 2] = [2 * MIB + 12_345, MIB];
const GROWN: [u64; 2] = [3 * MIB + 1, 2 * MIB];

/// What a byte of a vdisk should be; `None` after a trim.
type Model = Vec<Vec<Option<u8>>>;

#[derive(Debug, Clone)]
struct Step {
    vdisk: usize,
    kind: RequestKind,
    offset: u64,
    len: u64,
    fill: u8,
    fua: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![
        6 => Just(RequestKind::Write),
        4 => Just(RequestKind::Read),
        2 => Just(RequestKind::WriteZeroes),
        1 => Just(RequestKind::ZeroKeepingSpace),
        1 => Just(RequestKind::Allocate),
        2 => Just(RequestKind::Trim),
        1 => Just(RequestKind::Flush),
    ];
    let len = prop_oneof![3 => 1..700u64, 3 => 1..20_000u64, 2 => 1..300_000u64];
    let align = prop_oneof![Just(1u64), Just(512), Just(4096), Just(65536)];
    (
        0..2usize,
        kind,
        0..SIZES[0],
        len,
        align,
        1..=255u8,
        prop::bool::weighted(0.1),
    )
        .prop_map(|(vdisk, kind, offset, len, align, fill, fua)| {
            let offset = offset % SIZES[vdisk] / align * align;
            let len = len.next_multiple_of(align).min(SIZES[vdisk] - offset);
            let (offset, len) = if kind == RequestKind::Flush {
                (0, 0)
            } else {
                (offset, len)
            };
            Step {
                vdisk,
                kind,
                offset,
                len,
                fill,
                fua,
            }
        })
}

impl Step {
    fn changes(&self) -> bool {
        self.kind.modifies()
    }

    fn touches(&self, other: &Step) -> bool {
        self.vdisk == other.vdisk
            && self.offset < other.offset + other.len
            && other.offset < self.offset + self.len
    }

    fn data(&self) -> Vec<u8> {
        (0..self.len)
            .map(|at| self.fill.wrapping_add((at / 512) as u8).max(1))
            .collect()
    }

    fn apply(&self, model: &mut Model) {
        let range = self.offset as usize..(self.offset + self.len) as usize;
        let target = &mut model[self.vdisk][range];
        match self.kind {
            RequestKind::Write => {
                for (byte, new) in target.iter_mut().zip(self.data()) {
                    *byte = Some(new);
                }
            }
            RequestKind::Trim => target.fill(None),
            kind if kind.zeroes() => target.fill(Some(0)),
            _ => {}
        }
    }
}

fn agrees(found: &[u8], models: &[&[Option<u8>]]) -> Result<(), String> {
    for (at, byte) in found.iter().enumerate() {
        let fits = |model: &&[Option<u8>]| model[at].is_none_or(|expected| expected == *byte);
        if !models.iter().any(fits) {
            return Err(format!("byte {at} is {byte:#x}, not {:?}", models[0][at]));
        }
    }
    Ok(())
}

/// Submits steps that do not write the same bytes at once, and compares the reads with what was
/// there before and after: a read that meets a write may see either.
fn run_batch(
    machine: &mut Machine<TestDisk>,
    batch: &[Step],
    model: &mut Model,
) -> Result<(), TestCaseError> {
    let before = model.clone();
    let mut handles = Vec::new();
    for step in batch {
        let data = step.data();
        let place = (step.offset, step.len);
        let handle = machine.submit(step.vdisk as u32, step.kind, place, Some(&data), step.fua);
        handles.push(handle.expect("a batch is smaller than the queue"));
        step.apply(model);
    }
    let replies = machine.settle();
    prop_assert_eq!(replies.len(), batch.len());
    for reply in replies {
        prop_assert_eq!(reply.result, Ok(()));
        let index = handles.iter().position(|handle| *handle == reply.handle);
        let step = &batch[index.expect("the reply is one of ours")];
        if step.kind == RequestKind::Read {
            let range = step.offset as usize..(step.offset + step.len) as usize;
            let models = [
                &before[step.vdisk][range.clone()],
                &model[step.vdisk][range],
            ];
            let found = reply.buffer.expect("a read brings its buffer back");
            agrees(&found, &models).map_err(TestCaseError::fail)?;
        }
    }
    Ok(())
}

fn compare_all(machine: &mut Machine<TestDisk>, model: &Model) -> Result<(), TestCaseError> {
    for (vdisk, bytes) in model.iter().enumerate() {
        let found = machine
            .read(vdisk as u32, 0, bytes.len() as u64)
            .expect("it is readable");
        agrees(&found, &[bytes]).map_err(TestCaseError::fail)?;
        let mut at = 0;
        for extent in machine.status(vdisk as u32, (0, bytes.len() as u64)) {
            let end = at + extent.len_bytes as usize;
            let zeroes = found[at..end].iter().all(|byte| *byte == 0);
            prop_assert!(zeroes || !extent.zero, "{at}..{end} is called zeroes");
            at = end;
        }
        prop_assert_eq!(at, bytes.len(), "one answer covers a small vdisk");
    }
    Ok(())
}

/// Batches, then a flush, a power failure, a restart that grows the vdisks, and more batches.
fn story(format: Format, block: u32, quantum: u32, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut disk = new_disk(16 * MIB, block, 5);
    if format == DIRTY {
        soil(&mut disk);
    }
    let handle = disk.handle();
    let specs = [("a", SIZES[0]), ("b", SIZES[1])];
    let (mut machine, _) = open(TestDisk::around(disk, quantum), &specs, format).expect("open");
    let mut model: Model = SIZES
        .iter()
        .map(|size| vec![Some(0); *size as usize])
        .collect();
    let (first, second) = steps.split_at(steps.len() / 2);
    for batch in batches(first) {
        run_batch(&mut machine, &batch, &mut model)?;
    }
    machine.flush(0).expect("flush");
    machine.flush(1).expect("flush");
    let disk = crash(&handle, 11);
    drop(machine);
    let specs = [("b", GROWN[1]), ("a", GROWN[0])];
    let disk = TestDisk::around(disk, quantum);
    let (mut machine, report) = open(disk, &specs, Format::Refuse).expect("the label is there");
    prop_assert_eq!(report.grown.len(), 2);
    model.swap(0, 1);
    model[0].resize(GROWN[1] as usize, Some(0));
    model[1].resize(GROWN[0] as usize, Some(0));
    compare_all(&mut machine, &model)?;
    for mut batch in batches(second) {
        batch
            .iter_mut()
            .for_each(|step| step.vdisk = 1 - step.vdisk);
        run_batch(&mut machine, &batch, &mut model)?;
    }
    compare_all(&mut machine, &model)
}

/// Up to eight steps at once of which no two write the same bytes.
fn batches(steps: &[Step]) -> Vec<Vec<Step>> {
    let mut batches: Vec<Vec<Step>> = Vec::new();
    for step in steps {
        let clash = |batch: &Vec<Step>| {
            batch.len() >= 8
                || batch
                    .iter()
                    .any(|other| step.touches(other) && step.changes() && other.changes())
        };
        match batches.last_mut() {
            Some(batch) if !clash(batch) => batch.push(step.clone()),
            _ => batches.push(vec![step.clone()]),
        }
    }
    batches
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn vdisks_on_a_dirty_disk_hold_what_was_written(
        steps in prop::collection::vec(step(), 2..80),
        block in prop_oneof![Just(512u32), Just(4096)],
        quantum in prop_oneof![Just(16u32 << 10), Just(128 << 10), Just(1 << 20)],
    ) {
        story(DIRTY, block, quantum, &steps)?;
    }

    #[test]
    fn vdisks_on_a_blank_disk_hold_what_was_written(
        steps in prop::collection::vec(step(), 2..80),
        block in prop_oneof![Just(512u32), Just(4096)],
        quantum in prop_oneof![Just(16u32 << 10), Just(128 << 10)],
    ) {
        story(BLANK, block, quantum, &steps)?;
    }
}

fn machine(format: Format) -> Machine<TestDisk> {
    let disk = disk_for(format, 16 * MIB);
    let specs = [("a", 4 * MIB), ("b", 2 * MIB)];
    open(TestDisk::around(disk, 128 << 10), &specs, format)
        .expect("open")
        .0
}

#[test]
fn what_was_never_written_reads_as_zeroes_without_the_disk() {
    let mut machine = machine(DIRTY);
    let before = machine.now;
    assert_eq!(machine.read(0, 100, MIB), Ok(vec![0; MIB as usize]));
    assert_eq!(machine.now, before, "the disk was asked");
    machine.write(0, 70_000, b"x").expect("write");
    let mut expected = vec![0; 70_001];
    expected[70_000] = b'x';
    assert_eq!(machine.read(0, 0, 70_001), Ok(expected));
}

#[test]
fn beyond_the_end_is_refused_and_nothing_happens() {
    let mut machine = machine(BLANK);
    let size = 4 * MIB;
    assert_eq!(machine.read(0, size - 1, 2), Err(IoError::Invalid));
    assert_eq!(machine.read(0, u64::MAX, 2), Err(IoError::Invalid));
    assert_eq!(machine.write(0, size, b"x"), Err(IoError::NoSpace));
    for kind in [RequestKind::Trim, RequestKind::WriteZeroes] {
        let refused = machine.call(0, kind, (1, size), None, false);
        assert_eq!(refused.map(drop), Err(IoError::NoSpace));
    }
    let no_buffer = machine.call(0, RequestKind::Write, (0, 512), None, false);
    assert_eq!(no_buffer.map(drop), Err(IoError::Invalid));
    assert_eq!(
        machine.read(7, 0, 1),
        Err(IoError::Invalid),
        "there is no vdisk 7"
    );
    assert_eq!(
        machine.write(0, size, b""),
        Ok(()),
        "nothing at the end is nothing"
    );
}

#[test]
fn a_full_vdisk_gives_requests_back_and_delays_no_other() {
    let mut machine = machine(BLANK);
    let place = (0, 4096);
    let mut taken = 0;
    while machine
        .submit(0, RequestKind::Read, place, None, false)
        .is_some()
    {
        taken += 1;
    }
    assert_eq!(taken, disktime_volumes::MAX_REQUESTS);
    let other = machine
        .submit(1, RequestKind::Read, place, None, false)
        .expect("b has room");
    while !machine.replies.iter().any(|reply| reply.handle == other) {
        assert!(machine.step(), "b is never answered");
    }
    assert!(machine.replies.len() < 32, "b waited for the queue of a");
    assert_eq!(machine.settle().len(), taken + 1);
    assert!(
        machine
            .submit(0, RequestKind::Read, place, None, false)
            .is_some()
    );
    machine.settle();
}

#[test]
fn the_bytes_of_a_vdisk_are_bounded_too() {
    let disk = new_disk(64 * MIB, 4096, 1);
    let (mut machine, _) =
        open(TestDisk::around(disk, 128 << 10), &[("a", 32 * MIB)], BLANK).expect("open");
    let place = (0, 32 * MIB);
    assert!(
        machine
            .submit(0, RequestKind::Read, place, None, false)
            .is_some()
    );
    assert!(
        machine
            .submit(0, RequestKind::Read, place, None, false)
            .is_some()
    );
    assert!(
        machine
            .submit(0, RequestKind::Read, (0, 1), None, false)
            .is_none(),
        "64 MiB are held"
    );
    machine.settle();
}

#[test]
fn many_unaligned_writes_to_one_block_are_all_there() {
    for format in [BLANK, DIRTY] {
        let mut machine = machine(format);
        for at in 0..200u64 {
            machine.submit(
                0,
                RequestKind::Write,
                (at * 7 + 3, 7),
                Some(&[at as u8 + 1; 7]),
                false,
            );
        }
        assert!(machine.settle().iter().all(|reply| reply.result.is_ok()));
        let found = machine.read(0, 3, 1400).expect("read");
        for (at, bytes) in found.chunks_exact(7).enumerate() {
            assert_eq!(bytes, [at as u8 + 1; 7], "write {at} was lost");
        }
    }
}
