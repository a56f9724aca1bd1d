//! Whether the file of an open disk was cut.

use super::{Backing, BackingKind};
use crate::CutMark;

impl Backing {
    /// Marks where the file was cut since it was opened, if it was. Asked before writes are sent,
    /// so that none makes it long again, and before a flush is answered: a cut takes away what was
    /// written. A file system that could keep the caller waiting is not
    /// asked.
    pub(crate) fn note_cut(&self, mark: &CutMark) {
        if self.kind != BackingKind::File || self.waits_for_others {
            return;
        }
        // A seek to the end is the cheapest way to ask. The position is not used: all I/O names its
        // offset.
        // SAFETY: the descriptor is open; the call takes and returns plain integers.
        let end = unsafe { libc::lseek(self.fd(), 0, libc::SEEK_END) };
        if let Ok(len_bytes) = u64::try_from(end)
            && len_bytes < self.whole_bytes
        {
            mark.note(len_bytes);
        }
    }
}
