//! Unit tests of `verdict`.

use super::*;
use crate::export::{ExportFlags, ExportHandle};
use disktime_engine::VdiskId;

const MIB: u64 = 1 << 20;

fn export() -> Export {
    Export::new(ExportHandle(0), VdiskId(0), "disk", 64 * MIB)
}

const ALL: Negotiated = Negotiated {
    structured: true,
    allocation: Some(1),
};

fn header(command: u16, flags: u16, offset_bytes: u64, len_bytes: u32) -> RequestHeader {
    RequestHeader {
        flags,
        command,
        cookie: 0,
        offset_bytes,
        len_bytes,
    }
}

fn verdict(command: u16, flags: u16, offset_bytes: u64, len_bytes: u32) -> Verdict {
    let header = header(command, flags, offset_bytes, len_bytes);
    judge(&header, &export(), Negotiated::default())
}

fn extended(command: u16, flags: u16, offset_bytes: u64, len_bytes: u32) -> Verdict {
    judge(
        &header(command, flags, offset_bytes, len_bytes),
        &export(),
        ALL,
    )
}

fn serve(kind: RequestKind, fua: bool, single: bool) -> Verdict {
    Verdict::Serve { kind, fua, single }
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
                verdict(command, 0, offset, len),
                Verdict::Refuse(error),
                "{command}"
            );
        }
        assert!(matches!(
            verdict(command, 0, end - 1, 1),
            Verdict::Serve { .. }
        ));
        assert_eq!(verdict(command, 0, end, 0), Verdict::Nothing);
    }
}

#[test]
fn only_reads_and_writes_are_limited_to_32_mib() {
    let too_long = MAXIMUM_BLOCK_BYTES + 1;
    let refused = Verdict::Refuse(ErrorNumber::Inval);
    assert_eq!(verdict(command::READ, 0, 0, too_long), refused);
    assert_eq!(verdict(command::WRITE, 0, 0, u32::MAX), refused);
    assert!(matches!(
        verdict(command::TRIM, 0, 0, too_long),
        Verdict::Serve { .. }
    ));
    assert!(matches!(
        verdict(command::WRITE_ZEROES, 0, 0, too_long),
        Verdict::Serve { .. }
    ));
}

#[test]
fn flags_are_accepted_where_they_were_offered() {
    let refused = Verdict::Refuse(ErrorNumber::Inval);
    let (fua, no_hole) = (command_flag::FUA, command_flag::NO_HOLE);
    let write = serve(RequestKind::Write, true, false);
    assert_eq!(verdict(command::WRITE, fua, 0, 1), write);
    let read = serve(RequestKind::Read, false, false);
    assert_eq!(
        verdict(command::READ, fua, 0, 1),
        read,
        "FUA is legal on every command"
    );
    let zeroes = serve(RequestKind::ZeroKeepingSpace, true, false);
    assert_eq!(verdict(command::WRITE_ZEROES, fua | no_hole, 0, 1), zeroes);
    assert_eq!(verdict(command::WRITE, no_hole, 0, 1), refused);
    for bit in 2..16 {
        assert_eq!(verdict(command::READ, 1 << bit, 0, 1), refused);
        assert_eq!(verdict(command::CACHE, 1 << bit, 0, 1), refused);
        if 1 << bit != command_flag::FAST_ZERO {
            assert_eq!(verdict(command::WRITE_ZEROES, 1 << bit, 0, 1), refused);
        }
        if 1 << bit != command_flag::REQ_ONE {
            assert_eq!(extended(command::BLOCK_STATUS, 1 << bit, 0, 1), refused);
        }
    }
    assert_eq!(verdict(command::FLUSH, 0, 0, 1), refused);
    for unknown in [8, 9, 99, u16::MAX] {
        assert_eq!(extended(unknown, 0, 0, 0), refused);
    }
}

#[test]
fn what_needs_an_agreement_is_refused_without_it() {
    let refused = Verdict::Refuse(ErrorNumber::Inval);
    let status = |negotiated| {
        let header = header(command::BLOCK_STATUS, command_flag::REQ_ONE, 5, 7);
        judge(&header, &export(), negotiated)
    };
    assert_eq!(status(Negotiated::default()), refused);
    let structured = true;
    let allocation = None;
    assert_eq!(
        status(Negotiated {
            structured,
            allocation
        }),
        refused
    );
    assert_eq!(status(ALL), serve(RequestKind::Status, false, true));
    assert_eq!(verdict(command::READ, command_flag::DF, 0, 1), refused);
    let read = serve(RequestKind::Read, false, true);
    assert_eq!(extended(command::READ, command_flag::DF, 0, 1), read);
}

#[test]
fn a_block_status_lies_inside_and_is_not_empty_and_may_be_long() {
    let refused = Verdict::Refuse(ErrorNumber::Inval);
    assert_eq!(extended(command::BLOCK_STATUS, 0, 0, 0), refused);
    assert_eq!(extended(command::BLOCK_STATUS, 0, 64 * MIB, 1), refused);
    let whole = extended(command::BLOCK_STATUS, 0, 0, 64 << 20);
    assert_eq!(whole, serve(RequestKind::Status, false, false));
}

#[test]
fn a_read_that_is_too_long_for_one_piece_overflows() {
    let (flags, long) = (command_flag::DF, MAXIMUM_BLOCK_BYTES + 1);
    let overflow = Verdict::Refuse(ErrorNumber::Overflow);
    assert_eq!(extended(command::READ, flags, 0, long), overflow);
    let longest = extended(command::READ, flags, 0, MAXIMUM_BLOCK_BYTES);
    assert_eq!(longest, serve(RequestKind::Read, false, true));
}

#[test]
fn zeroing_says_how_in_its_flags() {
    let zeroes = |flags| verdict(command::WRITE_ZEROES, flags, 0, 1);
    assert_eq!(zeroes(0), serve(RequestKind::WriteZeroes, false, false));
    let (fast, no_hole) = (command_flag::FAST_ZERO, command_flag::NO_HOLE);
    assert_eq!(zeroes(fast), serve(RequestKind::ZeroFast, false, false));
    assert_eq!(zeroes(fast | no_hole), Verdict::Refuse(ErrorNumber::NotSup));
    let mut export = export();
    export.flags.fast_zero = false;
    let header = header(command::WRITE_ZEROES, fast, 0, 1);
    let refused = Verdict::Refuse(ErrorNumber::Inval);
    assert_eq!(judge(&header, &export, ALL), refused);
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
            let verdict = judge(&header, &export, ALL);
            assert_eq!(verdict, Verdict::Refuse(ErrorNumber::Perm));
        }
    }
}
