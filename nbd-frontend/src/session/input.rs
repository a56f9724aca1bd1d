//! The buffer for received bytes that are not parsed yet.

/// A buffer whose bytes in `start..end` are waiting.
#[derive(Debug)]
pub(super) struct InputBuffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl InputBuffer {
    /// A buffer of `size` bytes that begins with `carried`; as large as `carried` at least.
    pub(super) fn new(size: usize, carried: &[u8]) -> InputBuffer {
        let mut bytes = vec![0; size.max(carried.len())].into_boxed_slice();
        bytes[..carried.len()].copy_from_slice(carried);
        InputBuffer {
            bytes,
            start: 0,
            end: carried.len(),
        }
    }

    pub(super) fn waiting(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Space behind the waiting bytes, which are moved to the front.
    pub(super) fn space(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.bytes[self.end..]
    }

    /// The first `count` bytes of the last `space` were filled.
    pub(super) fn filled(&mut self, count: usize) {
        self.end += count;
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.start += count;
    }

    /// Discards the waiting bytes.
    pub(super) fn clear(&mut self) {
        self.start = self.end;
    }
}
