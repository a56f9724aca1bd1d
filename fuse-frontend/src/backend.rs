//! What the directory shows and whom it asks: the one trait between this door and the server.

use disktime_engine::{Buffer, IoError, RequestKind};
use std::future::Future;

/// One file of the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FuseFile {
    /// Its name: one path component.
    pub name: String,
    /// Its length, which is the vdisk's size.
    pub size_bytes: u64,
    /// Whether it refuses to be opened for writing.
    pub read_only: bool,
    /// What programs are told to read and write at a time (`st_blksize`), rounded up to a power
    /// of two from 4 KiB to 1 MiB.
    pub optimal_io_bytes: u32,
}

/// Serves the files' bytes.
///
/// The directory may have many requests under way; the backend bounds how many it takes at once
/// by not resolving the future yet, which holds the program that asked.
pub trait FuseBackend: Send + Sync + 'static {
    /// The files. Asked once, when the directory is mounted.
    fn files(&self) -> Vec<FuseFile>;

    /// Does one request for the file at position `file` of [`FuseBackend::files`].
    ///
    /// Offset and length are any number of bytes inside the file; a flush has 0 and 0. A write brings
    /// its data in `buffer`. A read brings room there, with arbitrary old content, and the
    /// answer to one that succeeded is that buffer, filled. Other answers may give the buffer back to
    /// be used again. `fua`: answer when the data is durable.
    fn submit(
        &self,
        file: usize,
        kind: RequestKind,
        offset_bytes: u64,
        len_bytes: u64,
        fua: bool,
        buffer: Option<Buffer>,
    ) -> impl Future<Output = Result<Option<Buffer>, IoError>> + Send;
}
