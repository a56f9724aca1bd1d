//! A vdisk that is a slice of bytes.
//!
//! Invariant: a 64 KiB piece is a hole if all of its bytes are zero.

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
        (RequestKind::Flush | RequestKind::Cache | RequestKind::Allocate, None) => {}
        (kind, buffer) => panic!("{kind:?} came with {buffer:?}"),
    }
    request.reply(Ok(()))
}

/// Writes the extents, as many as fit: pieces that are alike and adjacent are one.
fn write_extents(content: &[u8], offset_bytes: u64, room: &mut Buffer) {
    let mut extents: Vec<Extent> = Vec::new();
    let (mut rest, mut at) = (content, offset_bytes);
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(rest.len().min(piece_bytes(at)));
        let zero = piece.iter().all(|byte| *byte == 0);
        let len_bytes = piece.len() as u64;
        match extents.last_mut() {
            Some(last) if last.zero == zero => last.len_bytes += len_bytes,
            _ => extents.push(Extent {
                len_bytes,
                hole: zero,
                zero,
            }),
        }
        (rest, at) = (behind, at + len_bytes);
    }
    let (entries, _) = room.as_chunks_mut::<{ Extent::BYTES }>();
    let told = extents.len().min(entries.len());
    for (entry, extent) in entries.iter_mut().zip(&extents) {
        *entry = extent.encode();
    }
    room.set_len(told * Extent::BYTES);
}
