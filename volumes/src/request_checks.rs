//! What is wrong with a request before anything is done: its range and its buffer.
//!
//! Not known here: what lies where in the vdisk, and how it stands.

use disktime_engine::{Extent, IoError, Request, RequestKind};

/// Why a request fails if its range is not within a vdisk of that size.
pub(crate) fn range_error(request: &Request, size_bytes: u64) -> Option<IoError> {
    let end = request.offset_bytes.checked_add(request.len_bytes);
    let is_within = end.is_some_and(|end| end <= size_bytes);
    (!is_within).then_some(match request.kind.modifies() {
        true => IoError::NoSpace,
        false => IoError::Invalid,
    })
}

/// Whether a request has the buffer that its kind and length ask for; where no data is kept, data
/// needs none.
pub(crate) fn buffer_fits(request: &Request, holds_data: bool) -> bool {
    let kind = request.kind;
    match &request.buffer {
        Some(buffer) if kind == RequestKind::Status => {
            buffer.len() >= Extent::BYTES && request.len_bytes > 0
        }
        Some(buffer) => kind.moves_data() && buffer.len() as u64 == request.len_bytes,
        None if kind == RequestKind::Status => false,
        None => !kind.moves_data() || !holds_data || request.len_bytes == 0,
    }
}
