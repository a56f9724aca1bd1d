//! Requests that fail before anything is done: a buffer that is not the request's, and names that
//! cannot be given.

mod common;

use common::{BLANK, MIB, Machine, TestDisk, disk_for, labelled, open};
use disktime_engine::{Buffer, Extent, IoError, Request, RequestKind, Service};
use disktime_volumes::VirtualDriver;
use std::cell::RefCell;
use std::rc::Rc;

fn machine() -> Machine<TestDisk> {
    let disk = TestDisk::around(disk_for(BLANK, 16 * MIB), 64 << 10);
    let (machine, _) = open(disk, &[("a", 2 * MIB), ("b", 2 * MIB)], BLANK).expect("open");
    machine
}

/// What a request of `len_bytes` with a buffer of `buffer_bytes` is answered with.
fn answer(kind: RequestKind, len_bytes: u64, buffer_bytes: Option<usize>) -> Result<(), IoError> {
    let mut machine = machine();
    let request = Request {
        origin: 1,
        handle: 7,
        vdisk: machine.handle(0),
        kind,
        offset_bytes: 4096,
        len_bytes,
        fua: false,
        buffer: buffer_bytes.map(Buffer::zeroed),
    };
    machine.set.submit(machine.now, request).expect("room");
    let mut replies = machine.settle();
    assert_eq!(replies.len(), 1);
    let reply = replies.remove(0);
    let returned = reply.buffer.map(|buffer| buffer.len());
    assert!(returned.is_some() == buffer_bytes.is_some(), "{kind:?}");
    reply.result
}

#[test]
fn a_request_whose_buffer_is_not_its_own_is_refused() {
    let invalid = Err(IoError::Invalid);
    for kind in [RequestKind::Read, RequestKind::Write] {
        assert_eq!(answer(kind, 4096, Some(4096)), Ok(()));
        for buffer_bytes in [None, Some(4095), Some(4097), Some(1)] {
            assert_eq!(answer(kind, 4096, buffer_bytes), invalid, "{kind:?}");
        }
    }
    let status = RequestKind::Status;
    assert_eq!(answer(status, 4096, Some(Extent::BYTES)), Ok(()));
    assert_eq!(answer(status, 4096, Some(Extent::BYTES - 1)), invalid);
    assert_eq!(answer(status, 0, Some(Extent::BYTES)), invalid);
    assert_eq!(answer(status, 4096, None), invalid);
    for kind in [RequestKind::Trim, RequestKind::WriteZeroes] {
        assert_eq!(answer(kind, 4096, None), Ok(()));
        assert_eq!(answer(kind, 4096, Some(4096)), invalid, "{kind:?}");
    }
}

#[test]
fn a_renamed_vdisk_keeps_its_data_and_a_false_name_changes_nothing() {
    let disk = Rc::new(RefCell::new(disk_for(BLANK, 16 * MIB)));
    let shared = || TestDisk::sharing(&disk, 64 << 10, None);
    assert!(labelled(shared(), BLANK).expect("open").is_new());
    let specs = [("a", 2 * MIB), ("b", 2 * MIB)];
    let (mut machine, _) = open(shared(), &specs, BLANK).expect("open");
    machine.write_fua(0, 0, &[5; 4096]).expect("write");
    drop(machine);

    let mut driver = VirtualDriver::default();
    let mut renamed = labelled(shared(), BLANK).expect("open");
    assert!(!renamed.is_new());
    for (old, new) in [("c", "d"), ("a", "b")] {
        assert!(
            renamed.rename(&mut driver, old, new).is_err(),
            "{old} to {new}"
        );
    }
    renamed.rename(&mut driver, "a", "c").expect("it is free");
    drop(renamed);

    let specs = [("b", 2 * MIB), ("c", 2 * MIB)];
    let (mut machine, _) = open(shared(), &specs, BLANK).expect("open");
    let names: Vec<&str> = machine
        .set
        .label()
        .vdisks()
        .iter()
        .map(|it| it.name())
        .collect();
    assert_eq!(names, ["c", "b"]);
    assert_eq!(machine.read(1, 0, 4096), Ok(vec![5; 4096]));
}
