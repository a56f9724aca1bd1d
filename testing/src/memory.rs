//! A vdisk that is a slice of bytes.
//!
//! Invariant: a status tells of each 64 KiB piece by itself whether it is a hole: whether all of
//! its bytes are zero.

use disktime_engine::{Buffer, Extent, Reply, Request, RequestKind};

/// The number of bytes from `at` to the end of its 64 KiB piece.
pub fn piece_bytes(at: u64) -> usize {
    ((64 << 10) - at % (64 << 10)) as usize
}

/// Does a request on the content of its vdisk, and answers it. What is trimmed is zeroes.
///
/// # Panics
/// If it lies beyond the end, or has not the buffer that its kind needs.
pub fn perform(content: &mut [u8], mut request: Request) -> Reply {
    let start = request.offset_bytes as usize;
    let content = &mut content[start..start + request.len_bytes as usize];
    match (request.kind, &mut request.buffer) {
        (RequestKind::Read, Some(buffer)) => buffer.copy_from_slice(content),
        (RequestKind::Write, Some(buffer)) => content.copy_from_slice(buffer),
        (RequestKind::Status, Some(buffer)) => {
            write_extents(content, request.offset_bytes, buffer);
        }
        (RequestKind::Trim, None) => content.fill(0),
        (kind, None) if kind.zeroes() => content.fill(0),
        (RequestKind::Flush | RequestKind::Cache, None) => {}
        (kind, buffer) => panic!("{kind:?} came with {buffer:?}"),
    }
    request.reply(Ok(()))
}

/// Writes an extent for each 64 KiB piece, as many as fit.
fn write_extents(content: &[u8], offset_bytes: u64, room: &mut Buffer) {
    let (mut rest, mut at, mut used) = (content, offset_bytes, 0);
    let (entries, _) = room.as_chunks_mut::<{ Extent::BYTES }>();
    for entry in entries {
        let len = rest.len().min(piece_bytes(at));
        if len == 0 {
            break;
        }
        let (piece, behind) = rest.split_at(len);
        let zero = piece.iter().all(|byte| *byte == 0);
        *entry = Extent {
            len_bytes: len as u64,
            hole: zero,
            zero,
        }
        .encode();
        (rest, at, used) = (behind, at + len as u64, used + Extent::BYTES);
    }
    room.set_len(used);
}
