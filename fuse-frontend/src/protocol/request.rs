//! Decoding of the kernel's messages.

use super::opcode::{Opcode, fixed_bytes};
use super::wire::{Reader, TooShort};

/// Length of a request's header.
pub(crate) const HEADER_BYTES: usize = 40;

/// The message is not what its opcode says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

impl From<TooShort> for Malformed {
    fn from(_: TooShort) -> Malformed {
        Malformed
    }
}

/// The first part of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// Length of the whole message.
    pub(crate) len_bytes: u32,
    /// The operation; an unknown number is not an error.
    pub(crate) opcode: u32,
    /// Identifies the request in its reply.
    pub(crate) unique: u64,
    pub(crate) inode: u64,
    /// The thread that makes the request, which is the process for a program of one thread.
    pub(crate) process: u32,
}

impl Header {
    /// Whether data follows.
    pub(crate) fn is_write(&self) -> bool {
        self.opcode == Opcode::Write as u32
    }

    /// The header at the front of `bytes`.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Header, Malformed> {
        let mut reader = Reader(bytes.get(..HEADER_BYTES).ok_or(Malformed)?);
        let (len_bytes, opcode) = (reader.u32()?, reader.u32()?);
        let (unique, inode) = (reader.u64()?, reader.u64()?);
        let (_user, _group) = (reader.u32()?, reader.u32()?);
        let process = reader.u32()?;
        Ok(Header {
            len_bytes,
            opcode,
            unique,
            inode,
            process,
        })
    }
}

/// What a program wants to set, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct SetAttributes {
    pub(crate) mode: Option<u32>,
    pub(crate) user: Option<u32>,
    pub(crate) group: Option<u32>,
    pub(crate) size_bytes: Option<u64>,
    /// Whether times are set.
    pub(crate) times: bool,
}

/// An operation on the header's inode. Handles come from the reply to [`Operation::Open`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation<'a> {
    Init {
        major: u32,
        minor: u32,
        readahead_bytes: u32,
        /// The first 32 flags, and 32 more of kernels that have them.
        flags: u64,
    },
    Lookup {
        name: &'a [u8],
    },
    /// Wants no reply.
    Forget,
    GetAttributes,
    SetAttributes(SetAttributes),
    Access {
        mask: u32,
    },
    /// Something that would change the directory: the verb, for the log, and a name.
    Change {
        verb: &'static str,
        name: &'a [u8],
    },
    Open {
        flags: u32,
    },
    Read {
        handle: u64,
        offset_bytes: u64,
        len_bytes: u32,
    },
    /// Its data is the variable part, of `len_bytes` or more.
    Write {
        handle: u64,
        offset_bytes: u64,
        len_bytes: u32,
        /// The file's flags at the time of the write, those of this write alone included.
        flags: u32,
    },
    Fsync {
        handle: u64,
    },
    Flush {
        handle: u64,
    },
    Release {
        handle: u64,
    },
    Allocate {
        handle: u64,
        offset_bytes: u64,
        len_bytes: u64,
        mode: u32,
    },
    /// For what is data, or for a hole, as `whence` says; the kernel does the other kinds itself.
    Seek {
        handle: u64,
        offset_bytes: u64,
        whence: u32,
    },
    Statistics,
    OpenDirectory,
    ReadDirectory {
        from: u64,
        room_bytes: u32,
        with_attributes: bool,
    },
    ReleaseDirectory,
    FsyncDirectory,
    Destroy,
    /// Not supported: ENOSYS.
    Unknown,
}

impl Operation<'_> {
    /// The handle of the open file that it reads, changes or makes durable.
    pub(crate) fn handle(&self) -> Option<u64> {
        match *self {
            Operation::Read { handle, .. }
            | Operation::Write { handle, .. }
            | Operation::Fsync { handle }
            | Operation::Flush { handle }
            | Operation::Allocate { handle, .. }
            | Operation::Seek { handle, .. } => Some(handle),
            _ => None,
        }
    }
}

/// Decodes what follows the header. The fixed part may be longer than it needs to be, and holds the
/// variable part as well if `variable` is `None`: that is how they come from the device.
pub(crate) fn decode<'a>(
    header: &Header,
    fixed: &'a [u8],
    variable: Option<&'a [u8]>,
) -> Result<Operation<'a>, Malformed> {
    let Some(opcode) = Opcode::from_number(header.opcode) else {
        return Ok(Operation::Unknown);
    };
    let len = fixed_bytes(opcode);
    let (front, after) = fixed.split_at_checked(len).ok_or(Malformed)?;
    let mut fields = Reader(front);
    let mut rest = Reader(variable.unwrap_or(after));
    let operation = match opcode {
        Opcode::Init => init(fields, after)?,
        Opcode::Lookup => Operation::Lookup { name: rest.name()? },
        Opcode::Forget | Opcode::BatchForget => Operation::Forget,
        Opcode::GetAttributes => Operation::GetAttributes,
        Opcode::SetAttributes => Operation::SetAttributes(set_attributes(fields)?),
        Opcode::Access => Operation::Access {
            mask: fields.u32()?,
        },
        Opcode::Create => change("create", rest)?,
        Opcode::MakeNode => change("create", rest)?,
        Opcode::MakeDirectory => change("create the directory", rest)?,
        Opcode::SymbolicLink | Opcode::Link => change("create the link", rest)?,
        Opcode::Unlink | Opcode::RemoveDirectory => change("remove", rest)?,
        Opcode::Rename | Opcode::Rename2 => change("rename", rest)?,
        Opcode::Open => Operation::Open {
            flags: fields.u32()?,
        },
        Opcode::Read => read(fields)?,
        Opcode::Write => write(fields)?,
        Opcode::Fsync => Operation::Fsync {
            handle: fields.u64()?,
        },
        Opcode::Flush => Operation::Flush {
            handle: fields.u64()?,
        },
        Opcode::Release => Operation::Release {
            handle: fields.u64()?,
        },
        Opcode::Allocate => Operation::Allocate {
            handle: fields.u64()?,
            offset_bytes: fields.u64()?,
            len_bytes: fields.u64()?,
            mode: fields.u32()?,
        },
        Opcode::Seek => seek(fields)?,
        Opcode::FileSystemStatistics => Operation::Statistics,
        Opcode::OpenDirectory => Operation::OpenDirectory,
        Opcode::ReadDirectory => list(fields, false)?,
        Opcode::ReadDirectoryPlus => list(fields, true)?,
        Opcode::ReleaseDirectory => Operation::ReleaseDirectory,
        Opcode::FsyncDirectory => Operation::FsyncDirectory,
        Opcode::Destroy => Operation::Destroy,
    };
    Ok(operation)
}

fn init<'a>(mut fields: Reader<'_>, after: &[u8]) -> Result<Operation<'a>, Malformed> {
    let (major, minor) = (fields.u32()?, fields.u32()?);
    let (readahead_bytes, low) = (fields.u32()?, fields.u32()?);
    let high = Reader(after).u32().unwrap_or(0);
    Ok(Operation::Init {
        major,
        minor,
        readahead_bytes,
        flags: u64::from(low) | u64::from(high) << 32,
    })
}

fn change<'a>(verb: &'static str, mut rest: Reader<'a>) -> Result<Operation<'a>, Malformed> {
    let name = rest.name()?;
    Ok(Operation::Change { verb, name })
}

fn read<'a>(mut fields: Reader<'_>) -> Result<Operation<'a>, Malformed> {
    let (handle, offset_bytes) = (fields.u64()?, fields.u64()?);
    Ok(Operation::Read {
        handle,
        offset_bytes,
        len_bytes: fields.u32()?,
    })
}

fn write<'a>(mut fields: Reader<'_>) -> Result<Operation<'a>, Malformed> {
    let (handle, offset_bytes) = (fields.u64()?, fields.u64()?);
    let (len_bytes, _write_flags) = (fields.u32()?, fields.u32()?);
    let _lock_owner = fields.u64()?;
    Ok(Operation::Write {
        handle,
        offset_bytes,
        len_bytes,
        flags: fields.u32()?,
    })
}

fn seek<'a>(mut fields: Reader<'_>) -> Result<Operation<'a>, Malformed> {
    let (handle, offset_bytes) = (fields.u64()?, fields.u64()?);
    Ok(Operation::Seek {
        handle,
        offset_bytes,
        whence: fields.u32()?,
    })
}

fn list<'a>(mut fields: Reader<'_>, with_attributes: bool) -> Result<Operation<'a>, Malformed> {
    let (_handle, from) = (fields.u64()?, fields.u64()?);
    Ok(Operation::ReadDirectory {
        from,
        room_bytes: fields.u32()?,
        with_attributes,
    })
}

fn set_attributes(mut fields: Reader<'_>) -> Result<SetAttributes, Malformed> {
    const MODE: u32 = 1 << 0;
    const USER: u32 = 1 << 1;
    const GROUP: u32 = 1 << 2;
    const SIZE: u32 = 1 << 3;
    // Of access and of modification, to a time or to now; of change.
    const TIMES: u32 = 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 10;
    let valid = fields.u32()?;
    let (_padding, _handle) = (fields.u32()?, fields.u64()?);
    let size_bytes = fields.u64()?;
    // A lock's owner and three times.
    fields.skip(8 + 3 * 8 + 3 * 4)?;
    let mode = fields.u32()?;
    let _unused = fields.u32()?;
    let (user, group) = (fields.u32()?, fields.u32()?);
    Ok(SetAttributes {
        mode: (valid & MODE != 0).then_some(mode),
        user: (valid & USER != 0).then_some(user),
        group: (valid & GROUP != 0).then_some(group),
        size_bytes: (valid & SIZE != 0).then_some(size_bytes),
        times: valid & TIMES != 0,
    })
}
