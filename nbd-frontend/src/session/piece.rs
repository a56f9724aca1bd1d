//! A piece of a reply on its way to the peer: a head of a few bytes, and a body that lies elsewhere
//! (a buffer, an error's text), so nothing is copied.
//!
//! A body can have gaps: ranges of zeroes in the middle of a structured read, which are not sent.

use super::gaps::ZeroGaps;
use disktime_engine::Buffer;
use disktime_nbd_protocol::{ChunkHeader, ErrorNumber};
use std::io::IoSlice;

/// The longest head: that of an error with its offset.
const HEAD_BYTES_MAX: usize = ChunkHeader::BYTES + 14;

/// A piece of a reply.
#[derive(Debug)]
pub(super) struct ReplyPiece {
    head: [u8; HEAD_BYTES_MAX],
    head_len: u8,
    is_last: bool,
    body: Body,
    charged_bytes: usize,
}

/// What follows the head.
#[derive(Debug)]
enum Body {
    Nothing,
    ErrorText(ErrorNumber),
    /// `start..end` of the buffer, and what follows the gaps.
    Data {
        buffer: Buffer,
        start: u32,
        end: u32,
        gaps: ZeroGaps,
    },
}

impl ReplyPiece {
    /// The last piece of a reply, with a head and no body.
    #[inline]
    pub(super) fn new<const BYTES: usize>(head_start: [u8; BYTES]) -> ReplyPiece {
        let mut head = [0; HEAD_BYTES_MAX];
        head[..BYTES].copy_from_slice(&head_start);
        ReplyPiece {
            head,
            head_len: BYTES as u8,
            is_last: true,
            body: Body::Nothing,
            charged_bytes: 0,
        }
    }

    /// Appends to the head. The sizes are known at compile time, so this costs a few stores.
    #[inline]
    pub(super) fn with_head<const BYTES: usize>(mut self, more: [u8; BYTES]) -> ReplyPiece {
        let at = usize::from(self.head_len);
        self.head[at..at + BYTES].copy_from_slice(&more);
        self.head_len += BYTES as u8;
        self
    }

    /// Marks a piece that is not the last of its reply.
    pub(super) fn with_more_pieces(mut self) -> ReplyPiece {
        self.is_last = false;
        self
    }

    /// Sets the text of an error as the body.
    pub(super) fn with_error_text(mut self, error: ErrorNumber) -> ReplyPiece {
        self.body = Body::ErrorText(error);
        self
    }

    /// Sets `start..end` of a buffer as the body, followed by the data between and behind the gaps.
    /// The buffer counts `charged_bytes` until the piece is sent.
    #[inline]
    pub(super) fn with_data(
        mut self,
        buffer: Buffer,
        (start, end): (u32, u32),
        gaps: ZeroGaps,
        charged_bytes: usize,
    ) -> ReplyPiece {
        self.body = Body::Data {
            buffer,
            start,
            end,
            gaps,
        };
        self.charged_bytes = charged_bytes;
        self
    }

    /// Whether the reply is complete with this piece.
    pub(super) fn is_last(&self) -> bool {
        self.is_last
    }

    /// What its buffer counts against the session's limits.
    pub(super) fn charged_bytes(&self) -> usize {
        self.charged_bytes
    }

    /// The buffer, if the body lies in one.
    pub(super) fn into_buffer(self) -> Option<Buffer> {
        match self.body {
            Body::Data { buffer, .. } => Some(buffer),
            Body::Nothing | Body::ErrorText(_) => None,
        }
    }

    fn head(&self) -> &[u8] {
        &self.head[..usize::from(self.head_len)]
    }

    /// The body up to the first gap.
    fn body_start(&self) -> &[u8] {
        match &self.body {
            Body::Nothing => &[],
            Body::ErrorText(error) => error.sentence().as_bytes(),
            Body::Data {
                buffer, start, end, ..
            } => &buffer[*start as usize..*end as usize],
        }
    }

    /// The parts of the body between and behind the gaps, in order.
    fn body_behind_gaps(&self) -> impl Iterator<Item = &[u8]> {
        let (data, gaps): (&[u8], ZeroGaps) = match &self.body {
            Body::Data { buffer, gaps, .. } => (buffer, *gaps),
            Body::Nothing | Body::ErrorText(_) => (&[], ZeroGaps::NONE),
        };
        gaps.parts_behind()
            .map(|(start, end)| &data[start as usize..end as usize])
    }

    #[inline]
    fn has_gaps(&self) -> bool {
        matches!(&self.body, Body::Data { gaps, .. } if !gaps.is_empty())
    }

    /// The number of bytes to be sent.
    pub(super) fn len(&self) -> usize {
        let mut len = self.head().len() + self.body_start().len();
        if self.has_gaps() {
            len += self.body_behind_gaps().map(<[u8]>::len).sum::<usize>();
        }
        len
    }

    /// Adds the bytes to be sent; returns whether all of them had space.
    #[inline]
    pub(super) fn add_to<'a>(&'a self, slices: &mut SliceList<'_, 'a>) -> bool {
        let mut fits = slices.add(self.head()) && slices.add(self.body_start());
        if self.has_gaps() {
            fits = fits && self.body_behind_gaps().all(|part| slices.add(part));
        }
        fits
    }
}

/// The slices of the next system call.
pub(super) struct SliceList<'s, 'a> {
    slices: &'s mut [IoSlice<'a>],
    used: usize,
    /// Bytes of the first piece that are sent already.
    skip: usize,
}

impl<'s, 'a> SliceList<'s, 'a> {
    pub(super) fn new(slices: &'s mut [IoSlice<'a>], skip: usize) -> SliceList<'s, 'a> {
        let used = 0;
        SliceList { slices, used, skip }
    }

    /// How many slices are set.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    /// Adds the bytes of `part` that are not sent yet; returns whether there was space.
    #[inline]
    fn add(&mut self, part: &'a [u8]) -> bool {
        let unsent = part.get(self.skip..).unwrap_or(&[]);
        self.skip = self.skip.saturating_sub(part.len());
        if unsent.is_empty() {
            return true;
        }
        let Some(slice) = self.slices.get_mut(self.used) else {
            return false;
        };
        *slice = IoSlice::new(unsent);
        self.used += 1;
        true
    }
}
