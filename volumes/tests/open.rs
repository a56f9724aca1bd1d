//! Opening disks: blank, foreign, damaged, too small, grown, without data; and removing vdisks.

mod common;

use common::{
    BLANK, DIRTY, MIB, TestDisk, crash, disk_for, labelled, new_disk, open, put, service, spec,
};
use disktime_disks::{Buffer, Disk, FaultDisk, FaultOptions, Operation};
use disktime_engine::IoError;
use disktime_testing::sentences::assert_says;
use disktime_volumes::{Format, LabelledDisk, VirtualDriver, VolumeError, reconcile};

const QUANTUM: u32 = 64 << 10;
const UNKNOWN: Format = Format::IfBlank { known_zero: false };

fn try_open(disk: FaultDisk, specs: &[(&str, u64)], format: Format) -> Result<(), VolumeError> {
    open(TestDisk::around(disk, QUANTUM), specs, format).map(drop)
}

/// A disk with two vdisks of 1 MiB that was formatted as given.
fn formatted(format: Format) -> FaultDisk {
    let disk = disk_for(format, 16 * MIB);
    let handle = disk.handle();
    try_open(disk, &[("a", MIB), ("b", MIB)], format).expect("open");
    crash(&handle, 1)
}

#[test]
fn a_foreign_disk_is_named_and_left_alone() {
    let mut disk = new_disk(16 * MIB, 4096, 1);
    let mut superblock = vec![0; 4096];
    superblock[1024 + 0x38..][..2].copy_from_slice(&[0x53, 0xEF]);
    superblock[1024 + 0x60] = 0x40;
    put(&mut disk, 0, &superblock);
    let handle = disk.handle();
    let before = handle.operations();
    let refused = try_open(disk, &[("a", MIB)], UNKNOWN)
        .expect_err("it holds ext4")
        .to_string();
    assert!(refused.contains("an ext4 file system"), "{refused}");
    assert_says(&refused, &["disktime format FILE --disk NAME --force"]);
    assert_eq!(handle.operations(), before, "something was written");
    let disk = crash(&handle, 1);
    try_open(disk, &[("a", MIB)], DIRTY).expect("forced");
}

#[test]
fn a_backup_partition_table_is_seen_and_erased_by_force() {
    let mut disk = new_disk(16 * MIB, 512, 1);
    put(
        &mut disk,
        16 * MIB - 512,
        &[b"EFI PART".as_slice(), &[0; 504]].concat(),
    );
    let handle = disk.handle();
    let refused = try_open(disk, &[], UNKNOWN)
        .expect_err("foreign")
        .to_string();
    assert_says(&refused, &["the backup of a GPT partition table"]);
    let disk = crash(&handle, 1);
    let handle = disk.handle();
    let mut forced = labelled(TestDisk::around(disk, QUANTUM), DIRTY).expect("forced");
    forced
        .write_format(&mut VirtualDriver::default())
        .expect("format");
    let mut tail = [1; 512];
    handle.peek(16 * MIB - 512, &mut tail);
    assert_eq!(tail, [0; 512]);
}

#[test]
fn nothing_is_written_when_the_vdisks_do_not_fit() {
    let disk = new_disk(16 * MIB, 4096, 1);
    let handle = disk.handle();
    let refused = try_open(disk, &[("a", 2 * MIB), ("b", 14 * MIB)], BLANK);
    let words = refused.expect_err("15 MiB are free").to_string();
    assert_says(&words, &["`b` needs 14MiB more", "13MiB are free"]);
    assert_eq!(handle.operations(), 0, "something was written");
    let handle = formatted(BLANK).handle();
    let disk = crash(&handle, 1);
    let handle = disk.handle();
    let refused = try_open(disk, &[("c", MIB), ("b", 4096)], BLANK);
    assert!(
        matches!(refused, Err(VolumeError::Shrinks { .. })),
        "{refused:?}"
    );
    assert_eq!(handle.operations(), 0, "something was written");
}

#[test]
fn a_blank_disk_is_formatted_only_when_that_is_allowed() {
    let refused = try_open(new_disk(16 * MIB, 4096, 1), &[("a", MIB)], Format::Refuse);
    assert!(
        matches!(refused, Err(VolumeError::Unlabelled)),
        "{refused:?}"
    );
    let small = try_open(new_disk(MIB, 4096, 1), &[], BLANK)
        .expect_err("too small")
        .to_string();
    assert_says(&small, &["has 1MiB", "at least 2MiB"]);
}

#[test]
fn a_damaged_label_is_not_formatted_over() {
    let mut disk = formatted(BLANK);
    for copy in [0, 512 << 10] {
        let mut block = vec![0; 4096];
        disk.handle().peek(copy, &mut block);
        block[200] ^= 1;
        put(&mut disk, copy, &block);
    }
    let handle = disk.handle();
    let before = handle.operations();
    let words = try_open(disk, &[("a", MIB)], BLANK)
        .expect_err("damaged")
        .to_string();
    assert!(words.contains("copy 0: its checksum is wrong"), "{words}");
    assert!(words.contains("copy 1: its checksum is wrong"), "{words}");
    assert_eq!(handle.operations(), before);
}

#[test]
fn one_whole_copy_is_enough() {
    let mut disk = formatted(BLANK);
    let handle = disk.handle();
    let table = labelled(TestDisk::around(disk, QUANTUM), Format::Refuse).expect("label");
    let newest = table.label().clone();
    drop(table);
    disk = crash(&handle, 1);
    // The label with the vdisks is the third write, which is to copy 1.
    put(&mut disk, 0, &[0xEB; 4096]);
    let found = labelled(TestDisk::around(disk, QUANTUM), Format::Refuse).expect("copy 1");
    assert_eq!(*found.label(), newest);
}

#[test]
fn a_truncated_disk_is_refused_and_a_grown_one_is_used() {
    let small = |size: u64| {
        let source = formatted(BLANK).handle();
        let mut disk = FaultDisk::new(FaultOptions {
            block_bytes: 4096,
            service: service(),
            ..FaultOptions::instant(size)
        });
        let mut label = vec![0; MIB as usize];
        source.peek(0, &mut label);
        put(&mut disk, 0, &label);
        disk
    };
    let words = try_open(small(2 * MIB), &[("a", MIB)], BLANK)
        .expect_err("small")
        .to_string();
    assert_says(&words, &["has 2MiB", "up to 3MiB"]);
    let specs = [("a", MIB), ("b", 20 * MIB)];
    let (machine, report) =
        open(TestDisk::around(small(32 * MIB), QUANTUM), &specs, BLANK).expect("it grew");
    assert_eq!(report.grown, [("b".to_owned(), MIB, 20 * MIB)]);
    let extents = machine.set.label().vdisks()[1].extents();
    let maps: Vec<bool> = extents
        .iter()
        .map(|extent| extent.map_offset_bytes.is_some())
        .collect();
    assert_eq!(
        maps,
        [false, false, true],
        "nothing is known of the new space"
    );
}

#[test]
fn a_removed_vdisk_frees_its_space_and_its_data_is_never_seen_again() {
    let disk = formatted(BLANK);
    let handle = disk.handle();
    let (mut machine, _) = open(
        TestDisk::around(disk, QUANTUM),
        &[("a", MIB), ("b", MIB)],
        BLANK,
    )
    .expect("open");
    machine
        .write(1, 0, &vec![0x5A; MIB as usize])
        .expect("write");
    machine.flush(1).expect("flush");
    drop(machine);
    let disk = crash(&handle, 1);
    let handle = disk.handle();
    let mut driver = VirtualDriver::default();
    let mut disk = labelled(TestDisk::around(disk, QUANTUM), Format::Refuse).expect("label");
    assert_eq!(disk.orphans(&[spec("a", MIB)]), [("b".to_owned(), MIB)]);
    let free = disk.free_bytes();
    disk.remove(&mut driver, "b").expect("remove");
    assert_eq!(disk.free_bytes(), free + MIB);
    assert!(matches!(
        disk.remove(&mut driver, "b"),
        Err(VolumeError::Unknown { .. })
    ));
    drop(disk);
    let disk = TestDisk::around(crash(&handle, 1), QUANTUM);
    let specs = [("a", MIB), ("c", 4 * MIB)];
    let (mut machine, _) = open(disk, &specs, Format::Refuse).expect("open");
    assert_eq!(
        machine.set.label().vdisks()[1].extents()[0].offset_bytes,
        2 * MIB,
        "the space of b"
    );
    assert_eq!(machine.read(1, 0, 4 * MIB), Ok(vec![0; 4 * MIB as usize]));
    machine
        .write(1, MIB - 3, &[7; 6])
        .expect("across an extent with a map and one without");
    assert_eq!(
        machine.read(1, MIB - 4, 8),
        Ok(vec![0, 7, 7, 7, 7, 7, 7, 0])
    );
}

#[test]
fn a_damaged_map_is_the_failure_of_its_vdisk_alone() {
    let mut disk = formatted(DIRTY);
    let handle = disk.handle();
    let map = {
        let table = labelled(TestDisk::around(disk, QUANTUM), Format::Refuse).expect("label");
        table.label().vdisks()[0].extents()[0]
            .map_offset_bytes
            .expect("it has a map")
    };
    disk = crash(&handle, 1);
    put(&mut disk, map, &[0xEB; 8192]);
    let specs = [("a", MIB), ("b", MIB)];
    let disk = TestDisk::around(disk, QUANTUM);
    let (mut machine, report) = open(disk, &specs, Format::Refuse).expect("open");
    assert!(
        report.messages[0].contains("zero map of vdisk `a` is damaged"),
        "{report:?}"
    );
    assert_eq!(machine.read(0, 0, 10), Err(IoError::Io));
    assert_eq!(machine.flush(0), Ok(()));
    assert_eq!(machine.read(1, 0, 10), Ok(vec![0; 10]));
}

#[test]
fn label_and_maps_are_paid_by_the_metadata_stream() {
    let disk = TestDisk::around(formatted(DIRTY), QUANTUM);
    let (mut machine, _) = open(disk, &[("a", MIB), ("b", MIB)], Format::Refuse).expect("open");
    let charged = |machine: &common::Machine<TestDisk>| -> Vec<u64> {
        let report = machine.set.report(machine.now);
        report
            .streams
            .values()
            .map(|stream| stream.windows.total.counters)
            .map(|counters| (counters.reserved + counters.spare).0)
            .collect()
    };
    let before = charged(&machine);
    assert!(
        before[0] > 0 && before[1..].iter().all(|time| *time == 0),
        "{before:?}"
    );
    machine.write_fua(0, 0, &[1; 4096]).expect("write");
    let after = charged(&machine);
    assert!(
        after[0] > before[0],
        "the zero map was not paid by metadata: {after:?}"
    );
    // Metadata, trims, and the vdisks in their order.
    assert!(
        after[2] > 0,
        "the write was not paid by its vdisk: {after:?}"
    );
    assert_eq!((after[1], after[3]), (0, 0), "{after:?}");
}

/// A pure model: nothing can be read back, and clients bring no buffers.
struct Model(TestDisk, disktime_disks::DiskProperties);

impl Disk for Model {
    fn properties(&self) -> &disktime_disks::DiskProperties {
        &self.1
    }
    fn submit(&mut self, now: disktime_units::Nanos, mut request: disktime_disks::DiskRequest) {
        let moves = matches!(request.operation, Operation::Read | Operation::Write);
        if moves {
            request.buffers = vec![Buffer::zeroed(request.len_bytes as usize)];
        }
        self.0.submit(now, request);
    }
    fn collect(
        &mut self,
        now: disktime_units::Nanos,
        completions: &mut Vec<disktime_disks::Completion>,
    ) {
        self.0.collect(now, completions);
        completions.iter_mut().for_each(|done| done.buffers.clear());
    }
    fn next_completion(&self) -> Option<disktime_units::Nanos> {
        self.0.next_completion()
    }
}

#[test]
fn a_disk_that_holds_no_data_serves_requests_without_buffers() {
    use disktime_engine::{Request, RequestKind, Service};
    let inner = TestDisk::around(new_disk(16 * MIB, 4096, 1), QUANTUM);
    let mut properties = inner.properties().clone();
    properties.capabilities.holds_data = false;
    for format in [BLANK, DIRTY] {
        let inner = TestDisk::around(new_disk(16 * MIB, 4096, 1), QUANTUM);
        let disk = Model(inner, properties.clone());
        let (mut machine, _) = open(disk, &[("a", 4 * MIB)], format).expect("open");
        let kinds = [
            RequestKind::Write,
            RequestKind::Read,
            RequestKind::WriteZeroes,
        ];
        let kinds = kinds
            .into_iter()
            .chain([RequestKind::Trim, RequestKind::Flush]);
        let places = [(0, 4096), (100, 200_000), (MIB - 1, 2)];
        let mut count = 0;
        for (index, kind) in kinds.enumerate() {
            for (offset, len) in places {
                let is_flush = kind == RequestKind::Flush;
                let (offset_bytes, len_bytes) = if is_flush { (0, 0) } else { (offset, len) };
                let request = Request {
                    origin: index as u64,
                    handle: offset,
                    vdisk: machine.handle(0),
                    kind,
                    offset_bytes,
                    len_bytes,
                    fua: index % 2 == 0,
                    buffer: None,
                };
                assert!(machine.set.submit(machine.now, request).is_ok());
                count += 1;
            }
        }
        let replies = machine.settle();
        assert_eq!(replies.len(), count);
        assert!(
            replies.iter().all(|reply| reply.result.is_ok()),
            "{replies:?}"
        );
        assert!(
            machine.now > disktime_units::Nanos::ZERO,
            "no disk time passed"
        );
    }
}

#[test]
fn a_plan_is_for_the_disk_that_was_read() {
    let disk = formatted(BLANK);
    let mut disk: LabelledDisk<TestDisk> =
        labelled(TestDisk::around(disk, QUANTUM), Format::Refuse).expect("label");
    let plan = reconcile(disk.label(), &[spec("c", MIB)]).expect("it fits");
    assert_eq!(plan.orphans().len(), 2);
    disk.apply(&mut VirtualDriver::default(), plan)
        .expect("apply");
    let names: Vec<_> = disk
        .label()
        .vdisks()
        .iter()
        .map(|vdisk| vdisk.name())
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
}
