//! What comes around a revert: requests before it, while it is being done, and behind it.

use super::common::{BLANK, new_disk};
use super::{DISK, Machine, TestDisk, call_moment, listener, mark, open, open_moment, undo, wait};
use disktime_engine::RequestKind;
use disktime_history::Moment;

/// Begins a revert and writes before it is done; what is there then.
fn write_during_revert(moment: &str, place: (u64, u64)) -> Vec<u8> {
    let disk = new_disk(DISK, 4096, 1);
    let mut machine = open(disk, BLANK);
    machine.write(0, 0, &[1; 64 << 10]).expect("it is written");
    mark(&mut machine, "one").expect("it is marked");
    machine.write(0, 0, &[2; 64 << 10]).expect("it is written");
    machine.flush(0).expect("it is flushed");
    let (heard, done) = listener();
    let vdisk = machine.handle(0);
    let moment = Moment::parse(moment).expect("a moment");
    machine.set.revert(vdisk, &moment, done);
    assert!(heard.lock().expect("no panic").is_none(), "it takes time");
    let data = vec![9; place.1 as usize];
    let write = machine.submit(0, RequestKind::Write, place, Some(&data), false);
    assert!(write.is_some(), "it is taken");
    wait(&mut machine, &heard).expect("it goes back");
    let replies = machine.settle();
    assert!(replies.iter().all(|reply| reply.result.is_ok()));
    machine.read(0, 0, 64 << 10).expect("it can be read")
}

/// A client can come while a revert is being done: the rest of a block that it writes in part is
/// that of the moment.
#[test]
fn a_write_during_a_revert_lies_on_the_content_of_the_moment() {
    for place in [(100, 50), (4096, 4096), (8000, 9000)] {
        let (start, end) = (place.0 as usize, (place.0 + place.1) as usize);
        let found = write_during_revert("one", place);
        let mut copy = vec![1; 64 << 10];
        copy[start..end].fill(9);
        assert!(found == copy, "{place:?}");
    }
}

/// What came before a revert is done before it; what comes while it is being done is done behind
/// it.
#[test]
fn requests_around_a_revert_see_the_content_before_it_or_behind_it() {
    let disk = new_disk(DISK, 4096, 1);
    let mut machine = open(disk, BLANK);
    machine.write(0, 0, &[1; 64 << 10]).expect("it is written");
    let marked = mark(&mut machine, "one").expect("it is marked");
    let (past, _) = open_moment(&mut machine, "one").expect("it opens");
    machine.write(0, 0, &[2; 64 << 10]).expect("it is written");
    let range = (0, 8192);
    let ask = |machine: &mut Machine<TestDisk>, kind, data| {
        let handle = machine.submit(0, kind, range, data, false);
        handle.expect("it is taken")
    };
    let before = ask(&mut machine, RequestKind::Read, None);
    let written = ask(&mut machine, RequestKind::Write, Some(&[7; 8192][..]));
    let (heard, done) = listener();
    let (second, refused) = listener();
    let vdisk = machine.handle(0);
    let moment = Moment::parse("one").expect("a moment");
    machine.set.revert(vdisk, &moment, done);
    machine.set.revert(vdisk, &moment, refused);
    let why = wait(&mut machine, &second).expect_err("one at a time");
    assert!(why.contains("another revert is being done"), "{why}");
    assert!(heard.lock().expect("no panic").is_none(), "it takes time");
    let during = ask(&mut machine, RequestKind::Read, None);
    let extents = ask(&mut machine, RequestKind::Status, None);
    let flushed = machine.submit(0, RequestKind::Flush, (0, 0), None, false);
    let replies = machine.settle();
    let seq = wait(&mut machine, &heard).expect("it goes back");
    assert!(seq > marked);
    let order: Vec<u64> = replies.iter().map(|reply| reply.handle).collect();
    let place = |handle: u64| {
        order
            .iter()
            .position(|one| *one == handle)
            .expect("answered")
    };
    for late in [during, extents, flushed.expect("it is taken")] {
        assert!(place(late) > place(before) && place(late) > place(written));
    }
    assert!(replies.iter().all(|reply| reply.result.is_ok()));
    let held = |handle: u64| {
        let buffer = replies[place(handle)].buffer.as_deref().expect("data");
        assert!(buffer.iter().all(|byte| *byte == buffer[0]));
        buffer[0]
    };
    assert_eq!((held(before), held(during)), (2, 1));
    // What was written before is where the revert left it.
    let kept = call_moment(&mut machine, past, RequestKind::Read, 8192);
    assert!(kept.expect("it can be read").iter().all(|byte| *byte == 1));
    undo(&mut machine).expect("it is undone");
    let content = machine.read(0, 0, 64 << 10).expect("it can be read");
    assert!(content[..8192].iter().all(|byte| *byte == 7) && content[8192] == 2);
}
