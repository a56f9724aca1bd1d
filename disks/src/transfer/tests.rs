//! The state machine against results that a real kernel gives rarely: short transfers, refusals,
//! failed syncs.

use super::*;

fn device() -> DeviceState {
    DeviceState::described("test".into(), 512, true, true)
}

fn request(operation: Operation, offset_bytes: u64, lens: &[usize], fua: bool) -> DiskRequest {
    DiskRequest {
        tag: 7,
        operation,
        offset_bytes,
        len_bytes: lens.iter().map(|len| *len as u64).sum(),
        fua,
        buffers: match operation {
            Operation::Read | Operation::Write => {
                lens.iter().map(|len| Buffer::zeroed(*len)).collect()
            }
            _ => Vec::new(),
        },
    }
}

fn started(request: DiskRequest, device: &DeviceState) -> Transfer {
    let mut transfer = Transfer::default();
    transfer.start(request, device);
    transfer
}

fn finished(transfer: &mut Transfer, device: &DeviceState) -> Completion {
    assert_eq!(transfer.next_step(), None);
    transfer
        .finish(Nanos(5), device)
        .expect("a request without a next step is done")
}

#[test]
fn a_short_read_goes_on_in_the_middle_of_a_piece() {
    let device = device();
    let mut transfer = started(
        request(Operation::Read, 8192, &[1024, 2048], false),
        &device,
    );
    let second = transfer.pieces()[1];
    assert_eq!(
        transfer.next_step(),
        Some(Step::Read { offset_bytes: 8192 })
    );
    // 1536 whole bytes and an odd rest: the first piece and a block of the second.
    transfer.settle(1536 + 100, &device);
    assert_eq!(
        transfer.next_step(),
        Some(Step::Read {
            offset_bytes: 8192 + 1536
        })
    );
    assert_eq!(transfer.pieces().len(), 1);
    assert_eq!(
        transfer.pieces()[0].iov_base,
        second.iov_base.wrapping_byte_add(512)
    );
    assert_eq!(transfer.pieces()[0].iov_len, 1536);
    transfer.settle(1536, &device);
    let completion = finished(&mut transfer, &device);
    assert_eq!((completion.tag, completion.buffers.len()), (7, 2));
    assert!(completion.result.is_ok());
}

#[test]
fn a_transfer_that_does_not_move_is_an_error_and_not_a_loop() {
    let device = device();
    for returned in [0, 100] {
        let mut transfer = started(request(Operation::Read, 0, &[4096], false), &device);
        transfer.settle(returned, &device);
        let error = finished(&mut transfer, &device)
            .result
            .expect_err("nothing moved");
        assert!(error.context.contains("ended before"), "{error}");
    }
}

#[test]
fn an_interrupted_call_is_made_again() {
    let device = device();
    let mut transfer = started(request(Operation::Write, 0, &[4096], false), &device);
    let step = transfer.next_step();
    transfer.settle(-i64::from(libc::EINTR), &device);
    assert_eq!(transfer.next_step(), step);
}

#[test]
fn a_durable_write_is_synced_where_rwf_dsync_is_not_known() {
    let device = device();
    let mut transfer = started(request(Operation::Write, 0, &[4096], true), &device);
    assert_eq!(
        transfer.next_step(),
        Some(Step::Write {
            offset_bytes: 0,
            durable: true
        })
    );
    transfer.settle(-i64::from(libc::EOPNOTSUPP), &device);
    assert_eq!(
        transfer.next_step(),
        Some(Step::Write {
            offset_bytes: 0,
            durable: false
        })
    );
    transfer.settle(4096, &device);
    assert_eq!(transfer.next_step(), Some(Step::Sync));
    transfer.settle(0, &device);
    assert!(finished(&mut transfer, &device).result.is_ok());
}

#[test]
fn zeroes_are_written_in_pieces_when_nothing_else_works() {
    let device = device();
    let len = (2 << 20) + 4096;
    let mut transfer = started(request(Operation::WriteZeroes, 4096, &[len], true), &device);
    for _ in 0..2 {
        assert!(matches!(transfer.next_step(), Some(Step::Allocate { .. })));
        transfer.settle(-i64::from(libc::EOPNOTSUPP), &device);
    }
    let mut offset = 4096;
    for written in [1 << 20, 1 << 20, 4096_u64] {
        assert_eq!(
            transfer.next_step(),
            Some(Step::Write {
                offset_bytes: offset,
                durable: false
            })
        );
        let pieces: usize = transfer.pieces().iter().map(|piece| piece.iov_len).sum();
        assert_eq!(pieces as u64, written);
        transfer.settle(written as i64, &device);
        offset += written;
    }
    assert_eq!(
        transfer.next_step(),
        Some(Step::Sync),
        "the zeroes were to be durable"
    );
    transfer.settle(0, &device);
    assert!(finished(&mut transfer, &device).result.is_ok());
    // The next one knows.
    let next = started(request(Operation::WriteZeroes, 0, &[4096], false), &device);
    assert!(matches!(next.next_step(), Some(Step::Write { .. })));
}

#[test]
fn a_failed_flush_is_final_for_every_promise_but_not_for_plain_io() {
    let device = device();
    let mut during = started(request(Operation::Flush, 0, &[], false), &device);
    let mut flush = started(request(Operation::Flush, 0, &[], false), &device);
    flush.settle(-i64::from(libc::EIO), &device);
    let error = finished(&mut flush, &device)
        .result
        .expect_err("the flush failed");
    assert_eq!(error.kind, DiskErrorKind::Io);
    let promises = [
        request(Operation::Flush, 0, &[], false),
        request(Operation::Write, 0, &[512], true),
        request(Operation::WriteZeroes, 0, &[512], true),
    ];
    for promise in promises {
        let mut transfer = started(promise, &device);
        let error = finished(&mut transfer, &device)
            .result
            .expect_err("nothing is durable now");
        assert_eq!(error.kind, DiskErrorKind::FlushFailedBefore);
    }
    during.settle(0, &device);
    let error = finished(&mut during, &device)
        .result
        .expect_err("it proves nothing");
    assert_eq!(error.kind, DiskErrorKind::FlushFailedBefore);
    let mut plain = started(request(Operation::Write, 0, &[512], false), &device);
    plain.settle(512, &device);
    assert!(finished(&mut plain, &device).result.is_ok());
}

#[test]
fn no_space_is_told_apart() {
    let device = device();
    let mut transfer = started(request(Operation::Write, 0, &[512], false), &device);
    transfer.settle(-i64::from(libc::ENOSPC), &device);
    let error = finished(&mut transfer, &device)
        .result
        .expect_err("no space");
    assert_eq!(error.kind, DiskErrorKind::NoSpace);
    assert!(
        error.context.contains("write of 512 bytes at byte 0"),
        "{error}"
    );
}
