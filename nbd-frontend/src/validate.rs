//! Validation of a request header against the export and what was negotiated, and nothing else: it
//! is submitted, answered at once, or refused with an error.
//!
//! The rules where the protocol leaves a choice: unaligned ranges are served; a length of zero
//! succeeds at once, except for a block status, whose reply must have a descriptor; FUA on a
//! command that writes nothing is accepted and ignored; a flag that was not offered is EINVAL;
//! FAST_ZERO together with NO_HOLE is ENOTSUP, because it is not known whether the disk allocates
//! faster than it writes.

use crate::export::Export;
use crate::negotiated::Negotiated;
use disktime_engine::{IoError, RequestKind};
use disktime_nbd_protocol::{
    ErrorNumber, MAXIMUM_BLOCK_BYTES, RequestHeader, command, command_flag,
};

/// What is done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestAction {
    /// Submit it to the service.
    Submit {
        kind: RequestKind,
        fua: bool,
        /// For a read: the reply has one piece of data. For a block status: one descriptor.
        single: bool,
    },
    /// There is nothing to do: reply with success.
    Succeed,
    /// Reply with an error. The data of a write have to be skipped.
    Refuse(ErrorNumber),
    /// The client ends the session (DISC).
    Disconnect,
}

/// The number of data bytes that follow the header.
pub(crate) fn payload_bytes(header: &RequestHeader) -> u32 {
    if header.command == command::WRITE {
        header.len_bytes
    } else {
        0
    }
}

/// Validates a header.
pub(crate) fn validate(
    header: &RequestHeader,
    export: &Export,
    negotiated: &Negotiated,
) -> RequestAction {
    let flags = export.flags;
    let has = |flag| header.flags & flag != 0;
    // The flags that a command accepts besides FUA, and whether the command was offered.
    let (kind, accepted, offered) = match header.command {
        command::READ if negotiated.structured => (RequestKind::Read, command_flag::DF, true),
        command::READ => (RequestKind::Read, 0, true),
        command::WRITE => (RequestKind::Write, 0, true),
        command::FLUSH => (RequestKind::Flush, 0, flags.flush),
        command::TRIM => (RequestKind::Trim, 0, flags.trim || export.ignores_trims),
        command::CACHE => (RequestKind::Cache, 0, flags.cache),
        command::WRITE_ZEROES => {
            let fast = if flags.fast_zero {
                command_flag::FAST_ZERO
            } else {
                0
            };
            let kind = match () {
                () if has(command_flag::FAST_ZERO) => RequestKind::ZeroFast,
                () if has(command_flag::NO_HOLE) => RequestKind::ZeroKeepingSpace,
                () => RequestKind::WriteZeroes,
            };
            (kind, command_flag::NO_HOLE | fast, flags.write_zeroes)
        }
        command::BLOCK_STATUS => {
            let offered = negotiated.structured && negotiated.has_contexts();
            (RequestKind::Status, command_flag::REQ_ONE, offered)
        }
        command::DISC => return RequestAction::Disconnect,
        _ => return RequestAction::Refuse(ErrorNumber::Inval),
    };
    let accepted = accepted | if flags.fua { command_flag::FUA } else { 0 };
    if !offered || header.flags & !accepted != 0 {
        return RequestAction::Refuse(ErrorNumber::Inval);
    }
    if kind.modifies() && flags.read_only {
        return RequestAction::Refuse(ErrorNumber::Perm);
    }
    if let Some(error) = range_error(header, kind, export) {
        return RequestAction::Refuse(error);
    }
    if header.len_bytes == 0 && kind != RequestKind::Flush {
        return RequestAction::Succeed;
    }
    if kind == RequestKind::Trim && !flags.trim {
        return RequestAction::Succeed;
    }
    if kind == RequestKind::ZeroFast && has(command_flag::NO_HOLE) {
        return RequestAction::Refuse(ErrorNumber::NotSup);
    }
    RequestAction::Submit {
        kind,
        fua: kind.modifies() && has(command_flag::FUA),
        single: has(command_flag::DF | command_flag::REQ_ONE),
    }
}

fn range_error(header: &RequestHeader, kind: RequestKind, export: &Export) -> Option<ErrorNumber> {
    let (offset, len) = (header.offset_bytes, header.len_bytes);
    if kind == RequestKind::Flush {
        return (offset != 0 || len != 0).then_some(ErrorNumber::Inval);
    }
    if kind == RequestKind::Status && len == 0 {
        return Some(ErrorNumber::Inval);
    }
    if kind.moves_data() && len > export.maximum_block.min(MAXIMUM_BLOCK_BYTES) {
        let whole = header.flags & command_flag::DF != 0;
        return Some(if whole {
            ErrorNumber::Overflow
        } else {
            ErrorNumber::Inval
        });
    }
    let inside = offset
        .checked_add(u64::from(len))
        .is_some_and(|end| end <= export.size_bytes);
    match kind {
        _ if inside => None,
        _ if kind == RequestKind::Write || kind.zeroes() => Some(ErrorNumber::NoSpc),
        _ => Some(ErrorNumber::Inval),
    }
}

/// The protocol's number for an error of the service.
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
mod tests;
