//! Where requests of the device are read to: a front part with room for the header and the fixed
//! part, and a buffer behind it, so that the data of a large write lies in memory that a disk accepts
//! and is handed on as it is.

use crate::device::{Device, Taken};
use crate::protocol::{HEADER_BYTES, Header, Malformed, Operation, decode};
use disktime_engine::{Buffer, BufferPool};
use std::io::{self, IoSliceMut};

/// Largest request; the mount's `max_read` is the same.
pub(crate) const REQUEST_BYTES_MAX: u32 = 1 << 20;

/// The header, and the fixed part of a write.
const FRONT_BYTES: usize = HEADER_BYTES + 40;
/// A write of at most so much is copied to a buffer of its own size: cheaper than to let it keep one of
/// the largest.
const COPIED_BYTES_MAX: usize = 64 << 10;

/// One request at a time.
#[derive(Debug)]
pub(crate) struct Inbox {
    front: [u8; FRONT_BYTES],
    data: Buffer,
    /// A message without its data, in one piece.
    joined: Vec<u8>,
    len: usize,
}

impl Inbox {
    pub(crate) fn new() -> Inbox {
        Inbox {
            front: [0; FRONT_BYTES],
            data: Buffer::zeroed(REQUEST_BYTES_MAX as usize),
            joined: Vec::new(),
            len: 0,
        }
    }

    /// Takes the next request of the device.
    pub(crate) fn fill(&mut self, device: &Device) -> io::Result<Taken> {
        let mut parts = [
            IoSliceMut::new(&mut self.front),
            IoSliceMut::new(&mut self.data),
        ];
        let taken = device.take(&mut parts)?;
        self.len = match taken {
            Taken::Request(len) => len,
            Taken::Nothing | Taken::Gone => 0,
        };
        Ok(taken)
    }

    /// What the request says.
    pub(crate) fn header(&self) -> Result<Header, Malformed> {
        if self.len < HEADER_BYTES {
            return Err(Malformed);
        }
        let header = Header::decode(&self.front)?;
        match header.len_bytes as usize == self.len {
            true => Ok(header),
            false => Err(Malformed),
        }
    }

    /// What the request, whose header this is, asks.
    pub(crate) fn operation(&mut self, header: &Header) -> Result<Operation<'_>, Malformed> {
        let behind = self.len.saturating_sub(FRONT_BYTES);
        let front = &self.front[HEADER_BYTES..self.len.min(FRONT_BYTES)];
        // Names that reach over the front part are rare and short.
        let whole = if behind == 0 || header.is_write() {
            front
        } else {
            self.joined.clear();
            self.joined.extend_from_slice(front);
            self.joined.extend_from_slice(&self.data[..behind]);
            &self.joined
        };
        let operation = decode(header, whole, None)?;
        match operation {
            Operation::Write { len_bytes, .. } if len_bytes as usize != behind => Err(Malformed),
            operation => Ok(operation),
        }
    }

    /// The first bytes of a write's data.
    pub(crate) fn take_data(&mut self, len: usize, pool: &mut BufferPool) -> Buffer {
        if len <= COPIED_BYTES_MAX {
            let mut buffer = pool.take(len);
            buffer.copy_from_slice(&self.data[..len]);
            return buffer;
        }
        let fresh = pool.take(REQUEST_BYTES_MAX as usize);
        let mut buffer = std::mem::replace(&mut self.data, fresh);
        buffer.set_len(len);
        buffer
    }
}
