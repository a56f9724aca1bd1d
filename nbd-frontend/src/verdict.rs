//! What becomes of a request header, judged against the export and nothing else: served, answered
//! at once, or refused with which error.
//!
//! The rules where the protocol leaves a choice: unaligned ranges are served; a zero length is
//! answered at once; FUA on a command that writes nothing is accepted and ignored; a flag that was
//! not offered is EINVAL.

use crate::export::Export;
use crate::protocol::{ErrorNumber, MAXIMUM_BLOCK_BYTES, RequestHeader, command, command_flag};
use disktime_engine::{IoError, RequestKind};

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Goes to the service.
    Serve { kind: RequestKind, fua: bool },
    /// There is nothing to do: success.
    Nothing,
    /// Refused. The data of a write are still to be thrown away.
    Refuse(ErrorNumber),
    /// The client says good-bye.
    Disconnect,
}

/// How many bytes of data follow the header.
pub(crate) fn payload_bytes(header: &RequestHeader) -> u32 {
    if header.command == command::WRITE {
        header.len_bytes
    } else {
        0
    }
}

/// Judges a header.
pub(crate) fn judge(header: &RequestHeader, export: &Export) -> Verdict {
    let flags = export.flags;
    let (kind, offered) = match header.command {
        command::READ => (RequestKind::Read, true),
        command::WRITE => (RequestKind::Write, true),
        command::FLUSH => (RequestKind::Flush, flags.flush),
        command::TRIM => (RequestKind::Trim, flags.trim),
        command::WRITE_ZEROES => (RequestKind::WriteZeroes, flags.write_zeroes),
        command::DISC => return Verdict::Disconnect,
        _ => return Verdict::Refuse(ErrorNumber::Inval),
    };
    let mut known = if flags.fua { command_flag::FUA } else { 0 };
    if kind == RequestKind::WriteZeroes {
        known |= command_flag::NO_HOLE;
    }
    if !offered || header.flags & !known != 0 {
        return Verdict::Refuse(ErrorNumber::Inval);
    }
    let writes = !matches!(kind, RequestKind::Read | RequestKind::Flush);
    if writes && flags.read_only {
        return Verdict::Refuse(ErrorNumber::Perm);
    }
    if let Some(error) = range_error(header, kind, export) {
        return Verdict::Refuse(error);
    }
    if header.len_bytes == 0 && kind != RequestKind::Flush {
        return Verdict::Nothing;
    }
    Verdict::Serve {
        kind,
        fua: writes && header.flags & command_flag::FUA != 0,
    }
}

fn range_error(header: &RequestHeader, kind: RequestKind, export: &Export) -> Option<ErrorNumber> {
    let (offset, len) = (header.offset_bytes, header.len_bytes);
    let has_data = matches!(kind, RequestKind::Read | RequestKind::Write);
    if kind == RequestKind::Flush {
        return (offset != 0 || len != 0).then_some(ErrorNumber::Inval);
    }
    if has_data && len > export.maximum_block.min(MAXIMUM_BLOCK_BYTES) {
        return Some(ErrorNumber::Inval);
    }
    let inside = offset
        .checked_add(u64::from(len))
        .is_some_and(|end| end <= export.size_bytes);
    match kind {
        _ if inside => None,
        RequestKind::Write | RequestKind::WriteZeroes => Some(ErrorNumber::NoSpc),
        _ => Some(ErrorNumber::Inval),
    }
}

/// The protocol's number for what went wrong below.
pub(crate) fn error_number(error: IoError) -> ErrorNumber {
    match error {
        IoError::Io => ErrorNumber::Io,
        IoError::Invalid => ErrorNumber::Inval,
        IoError::NoSpace => ErrorNumber::NoSpc,
        IoError::ReadOnly => ErrorNumber::Perm,
        IoError::NotSupported => ErrorNumber::NotSup,
        IoError::Shutdown => ErrorNumber::Shutdown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::{ExportFlags, ExportHandle};
    use disktime_engine::VdiskId;

    const MIB: u64 = 1 << 20;

    fn export() -> Export {
        Export::new(ExportHandle(0), VdiskId(0), "disk", 64 * MIB)
    }

    fn verdict(command: u16, flags: u16, offset_bytes: u64, len_bytes: u32) -> Verdict {
        judge(
            &RequestHeader {
                flags,
                command,
                cookie: 0,
                offset_bytes,
                len_bytes,
            },
            &export(),
        )
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
        let fua = command_flag::FUA;
        let write = Verdict::Serve {
            kind: RequestKind::Write,
            fua: true,
        };
        assert_eq!(verdict(command::WRITE, fua, 0, 1), write);
        let read = Verdict::Serve {
            kind: RequestKind::Read,
            fua: false,
        };
        assert_eq!(
            verdict(command::READ, fua, 0, 1),
            read,
            "FUA is legal on every command"
        );
        let zeroes = Verdict::Serve {
            kind: RequestKind::WriteZeroes,
            fua: true,
        };
        let both = fua | command_flag::NO_HOLE;
        assert_eq!(verdict(command::WRITE_ZEROES, both, 0, 1), zeroes);
        assert_eq!(
            verdict(command::WRITE, command_flag::NO_HOLE, 0, 1),
            refused
        );
        for bit in 2..16 {
            assert_eq!(verdict(command::READ, 1 << bit, 0, 1), refused);
            assert_eq!(verdict(command::WRITE_ZEROES, 1 << bit, 0, 1), refused);
        }
        assert_eq!(verdict(command::FLUSH, 0, 0, 1), refused);
        for unknown in [5, 7, 8, 99, u16::MAX] {
            assert_eq!(verdict(unknown, 0, 0, 0), refused);
        }
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
                let header = RequestHeader {
                    flags: 0,
                    command,
                    cookie: 0,
                    offset_bytes: 0,
                    len_bytes,
                };
                assert_eq!(judge(&header, &export), Verdict::Refuse(ErrorNumber::Perm));
            }
        }
    }
}
