//! Sizes that label, zero maps and data path agree on. Pure numbers.

/// Unit of the label and of zero maps.
pub const UNIT_BYTES: usize = 4096;
/// Extents and zero maps lie at multiples of this; the label has the first of them.
pub const EXTENT_ALIGNMENT_BYTES: u64 = 1 << 20;
/// What one bit of a zero map or of an allocation map stands for.
pub(crate) const CHUNK_BYTES: u64 = 64 << 10;

/// What precedes the bits in a block of a zero map.
pub(crate) const MAP_HEADER_BYTES: usize = 64;
/// The bits of a block of a zero map.
pub(crate) const MAP_BITS_BYTES: usize = UNIT_BYTES - MAP_HEADER_BYTES;
/// How many chunks they cover.
pub(crate) const CHUNKS_PER_BLOCK: u64 = MAP_BITS_BYTES as u64 * 8;
/// Two blocks of a zero map that carry the same.
pub(crate) const PAIR_BYTES: u64 = 2 * UNIT_BYTES as u64;

/// The part of a range that is whole chunks, if there is one.
pub(crate) fn whole_chunks(start: u64, end: u64) -> Option<(u64, u64)> {
    let (first, behind) = (start.next_multiple_of(CHUNK_BYTES), end - end % CHUNK_BYTES);
    (first < behind).then_some((first, behind))
}

/// How many pairs of blocks the map of an extent has.
pub(crate) fn pair_count(extent_bytes: u64) -> u64 {
    extent_bytes
        .div_ceil(CHUNK_BYTES)
        .div_ceil(CHUNKS_PER_BLOCK)
}

/// Bytes of the pairs.
pub(crate) fn pairs_bytes(extent_bytes: u64) -> u64 {
    pair_count(extent_bytes) * PAIR_BYTES
}

/// Space that the map of an extent takes on the disk.
pub(crate) fn region_bytes(extent_bytes: u64) -> u64 {
    pairs_bytes(extent_bytes).next_multiple_of(EXTENT_ALIGNMENT_BYTES)
}
