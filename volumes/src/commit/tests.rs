//! Unit tests of `commit`.

use super::*;
use crate::target::DiskIndex;
use disktime_engine::StreamId;

fn target(stream: u32) -> Target {
    Target::whole_disk(DiskIndex::FIRST, StreamId::for_test(stream))
}

fn pipeline() -> CommitPipeline {
    CommitPipeline::with_capacity(4, 4)
}

fn flush_write_flush(stages: &mut Vec<Stage>) {
    stages.push(Stage::Flush(target(1)));
    stages.push(Stage::write_map(1, Half::First, 2, target(0)));
    stages.push(Stage::write_map(0, Half::First, 1, target(0)));
    stages.push(Stage::Flush(target(0)));
}

fn block(extent: usize, which: usize) -> Option<CommitIo> {
    let source = BlockSource::ZeroMap {
        extent,
        half: Half::First,
    };
    let target = target(0);
    Some(CommitIo::Write {
        source,
        which,
        target,
    })
}

fn covered(pipeline: &mut CommitPipeline) -> Vec<u32> {
    let ids = std::iter::from_fn(|| pipeline.take_covered());
    ids.map(|id| id.index() as u32).collect()
}

#[test]
fn a_flush_waits_for_all_before_it_and_writes_run_side_by_side() {
    let mut pipeline = pipeline();
    pipeline.join(RequestId::new(7));
    pipeline.begin(flush_write_flush);
    assert_eq!(pipeline.next_io(), Some(CommitIo::Flush(target(1))));
    assert_eq!(pipeline.next_io(), None, "a write passed the data flush");
    assert_eq!(pipeline.io_done(Ok(())), None);
    for (extent, which) in [(1, 1), (1, 0), (0, 0)] {
        assert_eq!(pipeline.next_io(), block(extent, which));
    }
    for _ in 0..3 {
        assert_eq!(pipeline.next_io(), None, "the second flush passed a write");
        assert_eq!(pipeline.io_done(Ok(())), None);
    }
    assert_eq!(pipeline.next_io(), Some(CommitIo::Flush(target(0))));
    assert_eq!(pipeline.io_done(Ok(())), Some(Ok(())));
    assert_eq!(covered(&mut pipeline), [7]);
}

#[test]
fn requests_that_join_during_a_run_share_the_next() {
    let mut pipeline = pipeline();
    let one_flush = |stages: &mut Vec<Stage>| stages.push(Stage::Flush(target(1)));
    pipeline.join(RequestId::new(1));
    pipeline.begin(one_flush);
    assert!(pipeline.next_io().is_some());
    for id in [2, 3] {
        pipeline.join(RequestId::new(id));
    }
    assert!(!pipeline.can_begin(), "two runs at a time");
    assert_eq!(pipeline.io_done(Ok(())), Some(Ok(())));
    assert_eq!(covered(&mut pipeline), [1]);
    assert!(pipeline.can_begin());
    pipeline.begin(one_flush);
    assert!(pipeline.next_io().is_some());
    assert_eq!(pipeline.io_done(Ok(())), Some(Ok(())));
    assert_eq!(covered(&mut pipeline), [2, 3]);
    assert!(!pipeline.can_begin());
}

#[test]
fn a_failed_write_ends_the_run_once_its_neighbours_are_back() {
    let mut pipeline = pipeline();
    pipeline.join(RequestId::new(1));
    pipeline.begin(flush_write_flush);
    pipeline.next_io();
    pipeline.io_done(Ok(()));
    pipeline.next_io();
    pipeline.next_io();
    assert_eq!(pipeline.io_done(Err(IoError::NoSpace)), None);
    assert_eq!(
        pipeline.next_io(),
        None,
        "something was sent after a failure"
    );
    assert_eq!(
        pipeline.io_done(Err(IoError::Io)),
        Some(Err(IoError::NoSpace))
    );
    assert_eq!(covered(&mut pipeline), [1]);
    pipeline.join(RequestId::new(2));
    assert!(pipeline.can_begin(), "a failed run blocks the next");
    pipeline.begin(flush_write_flush);
    assert_eq!(pipeline.next_io(), Some(CommitIo::Flush(target(1))));
    assert_eq!(pipeline.io_done(Err(IoError::Io)), Some(Err(IoError::Io)));
    assert_eq!(covered(&mut pipeline), [2]);
}

#[test]
fn refused_requests_are_taken_like_committed_ones() {
    let mut pipeline = pipeline();
    for id in [4, 5] {
        pipeline.join(RequestId::new(id));
    }
    pipeline.refuse_waiting();
    assert_eq!(covered(&mut pipeline), [4, 5]);
    assert!(!pipeline.can_begin() && !pipeline.has_io());
}
