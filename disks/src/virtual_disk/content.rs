//! What a disk in virtual time keeps of the data, and which requests it refuses.
//!
//! Invariant: a request without buffers, or on a disk that holds no data, moves none.

use super::Store;
use super::chunks::Chunks;
use crate::{ContentMap, DiscardEffect, DiskError, DiskErrorKind, DiskProperties, DiskRequest};
use disktime_drive_models::Operation;

/// The data of a disk in virtual time.
#[derive(Debug)]
pub(super) struct Content {
    chunks: Chunks,
}

impl Content {
    /// What `store` keeps of a disk with these properties, whose capabilities follow from it.
    pub(super) fn new(store: Store, properties: &mut DiskProperties) -> Content {
        let kept_bytes = match store {
            Store::None => 0,
            Store::Sparse => properties.size_bytes,
            Store::Head(bytes) => bytes.min(properties.size_bytes),
        };
        let capabilities = &mut properties.capabilities;
        capabilities.holds_data = store != Store::None;
        if capabilities.discards() && capabilities.holds_data {
            capabilities.discard = DiscardEffect::Zeroes;
        }
        Content {
            chunks: Chunks::new(kept_bytes),
        }
    }

    /// Where content lies, if the disk holds any.
    pub(super) fn map(&self, properties: &DiskProperties) -> Option<&dyn ContentMap> {
        let known = properties.capabilities.holds_data;
        known.then_some(&self.chunks as &dyn ContentMap)
    }

    /// An error if the request is not one that the disk can do.
    pub(super) fn check(
        &self,
        properties: &DiskProperties,
        request: &DiskRequest,
    ) -> Result<(), DiskError> {
        refusal(properties, request).map_or(Ok(()), |context| {
            Err(DiskError {
                kind: DiskErrorKind::Io,
                context,
            })
        })
    }

    /// Does to the data what a request asks for.
    pub(super) fn apply(&mut self, properties: &DiskProperties, request: &mut DiskRequest) {
        if !properties.capabilities.holds_data {
            return;
        }
        let DiskRequest {
            operation,
            offset_bytes,
            len_bytes,
            ..
        } = *request;
        let mut offset = offset_bytes;
        match operation {
            Operation::Read => {
                for buffer in &mut request.buffers {
                    self.chunks.read(offset, buffer);
                    offset += buffer.len() as u64;
                }
            }
            Operation::Write => {
                for buffer in &request.buffers {
                    self.chunks.write(offset, buffer);
                    offset += buffer.len() as u64;
                }
            }
            Operation::WriteZeroes => self.chunks.zero(offset, len_bytes),
            Operation::Discard if properties.capabilities.discards() => {
                self.chunks.zero(offset, len_bytes)
            }
            Operation::Discard | Operation::Flush => {}
        }
    }
}

/// Why a request is refused, if it is.
fn refusal(properties: &DiskProperties, request: &DiskRequest) -> Option<String> {
    let DiskRequest {
        operation,
        offset_bytes,
        len_bytes,
        ..
    } = *request;
    if operation == Operation::Flush {
        return None;
    }
    let block = u64::from(properties.block_bytes);
    let end = offset_bytes.checked_add(len_bytes);
    if !offset_bytes.is_multiple_of(block) || !len_bytes.is_multiple_of(block) {
        return Some(format!(
            "{operation:?} of {len_bytes} bytes at {offset_bytes} is not aligned to {block} \
                 bytes"
        ));
    }
    if end.is_none_or(|end| end > properties.size_bytes) {
        return Some(format!(
            "{operation:?} of {len_bytes} bytes at {offset_bytes} lies beyond the disk's {} \
                 bytes",
            properties.size_bytes
        ));
    }
    let moves = operation.moves_data();
    let held: u64 = request
        .buffers
        .iter()
        .map(|buffer| buffer.len() as u64)
        .sum();
    if moves
        && properties.capabilities.holds_data
        && !request.buffers.is_empty()
        && held != len_bytes
    {
        return Some(format!(
            "{operation:?} of {len_bytes} bytes at {offset_bytes} came with {held} bytes of \
                 buffers"
        ));
    }
    None
}
