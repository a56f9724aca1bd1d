//! Unit tests of `validate`.

use super::*;
use crate::changed::{ChangedContext, ChangedRanges};
use crate::export::ExportHandle;
use disktime_engine::VdiskId;
use disktime_nbd_protocol::ExportFlags;

const MIB: u64 = 1 << 20;

fn export() -> Export {
    Export::new(ExportHandle(0), VdiskId(0), "disk", 64 * MIB)
}

const ALL: Negotiated = Negotiated {
    structured: true,
    allocation: Some(1),
    changed: Vec::new(),
};

fn header(command: u16, flags: u16, offset_bytes: u64, len_bytes: u32) -> RequestHeader {
    RequestHeader {
        flags,
        ..RequestHeader::new(command, 0, offset_bytes, len_bytes)
    }
}

fn action(command: u16, flags: u16, offset_bytes: u64, len_bytes: u32) -> RequestAction {
    let header = header(command, flags, offset_bytes, len_bytes);
    validate(&header, &export(), &Negotiated::default())
}

fn action_with_extensions(
    command: u16,
    flags: u16,
    offset_bytes: u64,
    len_bytes: u32,
) -> RequestAction {
    validate(
        &header(command, flags, offset_bytes, len_bytes),
        &export(),
        &ALL,
    )
}

fn submit(kind: RequestKind, fua: bool, single: bool) -> RequestAction {
    RequestAction::Submit { kind, fua, single }
}

#[test]
fn ranges_beyond_the_end_have_the_error_of_their_command() {
    let end = 64 * MIB;
    for (command, error) in [
        (command::READ, ErrorNumber::Inval),
        (command::TRIM, ErrorNumber::Inval),
        (command::WRITE, ErrorNumber::NoSpc),
        (command::WRITE_ZEROES, ErrorNumber::NoSpc),
    ] {
        for (offset, len) in [(end, 1), (end - 1, 2), (u64::MAX, 1), (u64::MAX - 1, 4096)] {
            assert_eq!(
                action(command, 0, offset, len),
                RequestAction::Refuse(error),
                "{command}"
            );
        }
        assert!(matches!(
            action(command, 0, end - 1, 1),
            RequestAction::Submit { .. }
        ));
        assert_eq!(action(command, 0, end, 0), RequestAction::Succeed);
    }
}

#[test]
fn only_reads_and_writes_are_limited_to_32_mib() {
    let too_long = MAXIMUM_BLOCK_BYTES + 1;
    let refused = RequestAction::Refuse(ErrorNumber::Inval);
    assert_eq!(action(command::READ, 0, 0, too_long), refused);
    assert_eq!(action(command::WRITE, 0, 0, u32::MAX), refused);
    assert!(matches!(
        action(command::TRIM, 0, 0, too_long),
        RequestAction::Submit { .. }
    ));
    assert!(matches!(
        action(command::WRITE_ZEROES, 0, 0, too_long),
        RequestAction::Submit { .. }
    ));
}

#[test]
fn flags_are_accepted_where_they_were_offered() {
    let refused = RequestAction::Refuse(ErrorNumber::Inval);
    let (fua, no_hole) = (command_flag::FUA, command_flag::NO_HOLE);
    let write = submit(RequestKind::Write, true, false);
    assert_eq!(action(command::WRITE, fua, 0, 1), write);
    let read = submit(RequestKind::Read, false, false);
    assert_eq!(
        action(command::READ, fua, 0, 1),
        read,
        "FUA is legal on every command"
    );
    let zeroes = submit(RequestKind::ZeroKeepingSpace, true, false);
    assert_eq!(action(command::WRITE_ZEROES, fua | no_hole, 0, 1), zeroes);
    assert_eq!(action(command::WRITE, no_hole, 0, 1), refused);
    for bit in 2..16 {
        assert_eq!(action(command::READ, 1 << bit, 0, 1), refused);
        assert_eq!(action(command::CACHE, 1 << bit, 0, 1), refused);
        if 1 << bit != command_flag::FAST_ZERO {
            assert_eq!(action(command::WRITE_ZEROES, 1 << bit, 0, 1), refused);
        }
        if 1 << bit != command_flag::REQ_ONE {
            assert_eq!(
                action_with_extensions(command::BLOCK_STATUS, 1 << bit, 0, 1),
                refused
            );
        }
    }
    assert_eq!(action(command::FLUSH, 0, 0, 1), refused);
    for unknown in [8, 9, 99, u16::MAX] {
        assert_eq!(action_with_extensions(unknown, 0, 0, 0), refused);
    }
}

#[test]
fn extensions_are_refused_unless_negotiated() {
    let refused = RequestAction::Refuse(ErrorNumber::Inval);
    let status = |negotiated: Negotiated| {
        let header = header(command::BLOCK_STATUS, command_flag::REQ_ONE, 5, 7);
        validate(&header, &export(), &negotiated)
    };
    assert_eq!(status(Negotiated::default()), refused);
    let without_contexts = Negotiated {
        structured: true,
        ..Negotiated::default()
    };
    assert_eq!(status(without_contexts.clone()), refused);
    let served = submit(RequestKind::Status, false, true);
    assert_eq!(status(ALL), served);
    let number = 2;
    let ranges = ChangedRanges::default();
    let changed = vec![ChangedContext { number, ranges }];
    let with_another = Negotiated {
        changed,
        ..without_contexts
    };
    assert_eq!(status(with_another), served, "any context will do");
    assert_eq!(action(command::READ, command_flag::DF, 0, 1), refused);
    let read = submit(RequestKind::Read, false, true);
    assert_eq!(
        action_with_extensions(command::READ, command_flag::DF, 0, 1),
        read
    );
}

#[test]
fn a_block_status_is_inside_the_export_and_not_empty_and_may_be_long() {
    let refused = RequestAction::Refuse(ErrorNumber::Inval);
    assert_eq!(
        action_with_extensions(command::BLOCK_STATUS, 0, 0, 0),
        refused
    );
    assert_eq!(
        action_with_extensions(command::BLOCK_STATUS, 0, 64 * MIB, 1),
        refused
    );
    let whole = action_with_extensions(command::BLOCK_STATUS, 0, 0, 64 << 20);
    assert_eq!(whole, submit(RequestKind::Status, false, false));
}

#[test]
fn a_read_that_is_too_long_for_one_piece_overflows() {
    let (flags, long) = (command_flag::DF, MAXIMUM_BLOCK_BYTES + 1);
    let overflow = RequestAction::Refuse(ErrorNumber::Overflow);
    assert_eq!(
        action_with_extensions(command::READ, flags, 0, long),
        overflow
    );
    let longest = action_with_extensions(command::READ, flags, 0, MAXIMUM_BLOCK_BYTES);
    assert_eq!(longest, submit(RequestKind::Read, false, true));
}

#[test]
fn the_flags_of_write_zeroes_choose_its_kind() {
    let zeroes = |flags| action(command::WRITE_ZEROES, flags, 0, 1);
    assert_eq!(zeroes(0), submit(RequestKind::WriteZeroes, false, false));
    let (fast, no_hole) = (command_flag::FAST_ZERO, command_flag::NO_HOLE);
    assert_eq!(zeroes(fast), submit(RequestKind::ZeroFast, false, false));
    assert_eq!(
        zeroes(fast | no_hole),
        RequestAction::Refuse(ErrorNumber::NotSup)
    );
    let mut export = export();
    export.flags.fast_zero = false;
    let header = header(command::WRITE_ZEROES, fast, 0, 1);
    let refused = RequestAction::Refuse(ErrorNumber::Inval);
    assert_eq!(validate(&header, &export, &ALL), refused);
}

#[test]
fn a_read_only_export_refuses_every_write() {
    let flags = ExportFlags {
        read_only: true,
        ..ExportFlags::default()
    };
    let export = Export { flags, ..export() };
    for command in [command::WRITE, command::TRIM, command::WRITE_ZEROES] {
        for len_bytes in [0, 1] {
            let header = header(command, 0, 0, len_bytes);
            let verdict = validate(&header, &export, &ALL);
            assert_eq!(verdict, RequestAction::Refuse(ErrorNumber::Perm));
        }
    }
}

#[test]
fn a_trim_that_is_not_offered_is_refused_or_ignored() {
    let mut export = export();
    export.flags.trim = false;
    let action = |export: &Export, offset| {
        let header = header(command::TRIM, 0, offset, 4096);
        validate(&header, export, &Negotiated::default())
    };
    let refused = RequestAction::Refuse(ErrorNumber::Inval);
    assert_eq!(action(&export, 0), refused);
    export.ignores_trims = true;
    assert_eq!(action(&export, 0), RequestAction::Succeed);
    assert_eq!(action(&export, 64 * MIB), refused, "beyond the end");
    export.flags.read_only = true;
    assert_eq!(action(&export, 0), RequestAction::Refuse(ErrorNumber::Perm));
}
