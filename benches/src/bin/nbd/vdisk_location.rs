//! Finds where the bytes of our vdisk lie in the file of its disk, without relying on what the
//! server says: by writing marks over NBD and searching the file for them.

use crate::client;
use crate::peers::{ExportBytes, Server};
use disktime_benches::BenchResult;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// Vdisks begin and end at multiples of this.
const BLOCK_BYTES: usize = 4096;

/// Where the bytes of a server's export lie in `file`, in one piece.
///
/// # Errors
/// If they do not lie there, or not in one piece.
pub(crate) fn find(server: &Server, file: PathBuf, size_bytes: u64) -> BenchResult<ExportBytes> {
    let (first, last) = ([0xA5; BLOCK_BYTES], [0x5A; BLOCK_BYTES]);
    client::write_ends(server.socket(), server.export(), &first, &last)?;
    let handle = File::open(&file)?;
    let length = handle.metadata()?.len();
    let mut block = [0; BLOCK_BYTES];
    for offset_bytes in (0..length.saturating_sub(size_bytes) + 1).step_by(BLOCK_BYTES) {
        handle.read_exact_at(&mut block, offset_bytes)?;
        if block != first {
            continue;
        }
        handle.read_exact_at(&mut block, offset_bytes + size_bytes - BLOCK_BYTES as u64)?;
        if block != last {
            break;
        }
        // What was read here must not stay in the page cache: writes around it would pay for that.
        // SAFETY: plain integers and an open descriptor; it is advice only.
        unsafe { libc::posix_fadvise(handle.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
        return Ok(ExportBytes {
            file,
            offset_bytes,
            size_bytes,
        });
    }
    Err(format!("the vdisk does not lie in one piece in {}", file.display()).into())
}
