//! The two ways by which requests come from the kernel.

/// How requests come from the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// Over io_uring if the kernel offers it (Linux 6.14, `enable_uring` of its module `fuse` set
    /// to `Y` before the mount), otherwise by `/dev/fuse`.
    #[default]
    Best,
    /// By reading and writing `/dev/fuse`.
    Device,
}
