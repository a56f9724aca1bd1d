//! The buffer that requests of the device are read into: a front part for the header and the fixed
//! part, and after it a buffer for data. So the data of a large write are in memory that a disk
//! accepts, and go to the disk without a copy.

use crate::device::{Device, DeviceRead};
use crate::protocol::{HEADER_BYTES, Header, Malformed, Operation, decode};
use disktime_engine::{Buffer, BufferPool};
use std::io::{self, IoSliceMut};

/// Largest request; the mount's `max_read` is the same.
pub(crate) const REQUEST_BYTES_MAX: u32 = 1 << 20;

/// The header, and the fixed part of a write.
const FRONT_BYTES: usize = HEADER_BYTES + 40;
/// The data of a write of at most this length are copied to a buffer of their own size: cheaper
/// than to give away a buffer of the largest size.
const COPIED_BYTES_MAX: usize = 64 << 10;

/// Holds one request at a time.
#[derive(Debug)]
pub(crate) struct ReadBuffer {
    front: [u8; FRONT_BYTES],
    data: Buffer,
    /// A message without its data, in one piece.
    joined: Vec<u8>,
    len: usize,
}

impl ReadBuffer {
    pub(crate) fn new() -> ReadBuffer {
        ReadBuffer {
            front: [0; FRONT_BYTES],
            data: Buffer::zeroed(REQUEST_BYTES_MAX as usize),
            joined: Vec::new(),
            len: 0,
        }
    }

    /// Reads the next request of the device.
    pub(crate) fn fill(&mut self, device: &Device) -> io::Result<DeviceRead> {
        let mut parts = [
            IoSliceMut::new(&mut self.front),
            IoSliceMut::new(&mut self.data),
        ];
        let taken = device.read(&mut parts)?;
        self.len = match taken {
            DeviceRead::Request(len) => len,
            DeviceRead::Empty | DeviceRead::Disconnected => 0,
        };
        Ok(taken)
    }

    /// The header of the request.
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

    /// The operation of the request with this header.
    pub(crate) fn operation(&mut self, header: &Header) -> Result<Operation<'_>, Malformed> {
        let data_len = self.len.saturating_sub(FRONT_BYTES);
        let front = &self.front[HEADER_BYTES..self.len.min(FRONT_BYTES)];
        // Names that are longer than the front part are rare and short.
        let whole = if data_len == 0 || header.is_write() {
            front
        } else {
            self.joined.clear();
            self.joined.extend_from_slice(front);
            self.joined.extend_from_slice(&self.data[..data_len]);
            &self.joined
        };
        let operation = decode(header, whole, None)?;
        match operation {
            Operation::Write { len_bytes, .. } if len_bytes as usize != data_len => Err(Malformed),
            operation => Ok(operation),
        }
    }

    /// The data of a write, `len` bytes.
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
