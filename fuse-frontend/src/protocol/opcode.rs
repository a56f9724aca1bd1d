//! The opcodes of the kernel's messages, and the length of each fixed part.

/// The operation of a message. Other opcodes get ENOSYS, and the kernel does without them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Opcode {
    Lookup = 1,
    Forget = 2,
    GetAttributes = 3,
    SetAttributes = 4,
    SymbolicLink = 6,
    MakeNode = 8,
    MakeDirectory = 9,
    Unlink = 10,
    RemoveDirectory = 11,
    Rename = 12,
    Link = 13,
    Open = 14,
    Read = 15,
    Write = 16,
    FileSystemStatistics = 17,
    Release = 18,
    Fsync = 20,
    Flush = 25,
    Init = 26,
    OpenDirectory = 27,
    ReadDirectory = 28,
    ReleaseDirectory = 29,
    FsyncDirectory = 30,
    Access = 34,
    Create = 35,
    Destroy = 38,
    BatchForget = 42,
    Allocate = 43,
    ReadDirectoryPlus = 44,
    Rename2 = 45,
    Seek = 46,
}

impl Opcode {
    /// All that are known.
    pub(crate) const ALL: [Opcode; 31] = [
        Opcode::Lookup,
        Opcode::Forget,
        Opcode::GetAttributes,
        Opcode::SetAttributes,
        Opcode::SymbolicLink,
        Opcode::MakeNode,
        Opcode::MakeDirectory,
        Opcode::Unlink,
        Opcode::RemoveDirectory,
        Opcode::Rename,
        Opcode::Link,
        Opcode::Open,
        Opcode::Read,
        Opcode::Write,
        Opcode::FileSystemStatistics,
        Opcode::Release,
        Opcode::Fsync,
        Opcode::Flush,
        Opcode::Init,
        Opcode::OpenDirectory,
        Opcode::ReadDirectory,
        Opcode::ReleaseDirectory,
        Opcode::FsyncDirectory,
        Opcode::Access,
        Opcode::Create,
        Opcode::Destroy,
        Opcode::BatchForget,
        Opcode::Allocate,
        Opcode::ReadDirectoryPlus,
        Opcode::Rename2,
        Opcode::Seek,
    ];

    pub(crate) fn from_number(number: u32) -> Option<Opcode> {
        // The two that matter for speed are found at once.
        match number {
            15 => Some(Opcode::Read),
            16 => Some(Opcode::Write),
            _ => Opcode::ALL
                .into_iter()
                .find(|opcode| *opcode as u32 == number),
        }
    }
}

/// How long the fixed part of a message with this opcode is. What follows it is names or data.
pub(crate) fn fixed_bytes(opcode: Opcode) -> usize {
    match opcode {
        Opcode::Lookup
        | Opcode::SymbolicLink
        | Opcode::Unlink
        | Opcode::RemoveDirectory
        | Opcode::FileSystemStatistics
        | Opcode::Destroy => 0,
        Opcode::Forget
        | Opcode::Link
        | Opcode::Rename
        | Opcode::Open
        | Opcode::OpenDirectory
        | Opcode::MakeDirectory
        | Opcode::Access
        | Opcode::BatchForget => 8,
        Opcode::GetAttributes
        | Opcode::MakeNode
        | Opcode::Rename2
        | Opcode::Fsync
        | Opcode::FsyncDirectory
        | Opcode::Create => 16,
        Opcode::Release | Opcode::ReleaseDirectory | Opcode::Flush | Opcode::Seek => 24,
        Opcode::Allocate => 32,
        Opcode::Read | Opcode::Write | Opcode::ReadDirectory | Opcode::ReadDirectoryPlus => 40,
        // 16 bytes before protocol 7.36, 64 since; what is missing is taken for zero.
        Opcode::Init => 16,
        Opcode::SetAttributes => 88,
    }
}
