//! Fields at places of a block.

/// Writes `field` at a place that the caller knows to exist.
pub(crate) fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}
