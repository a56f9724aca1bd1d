//! Requests that a log makes of the data paths of its disks: what each is for.
//!
//! Invariant: each is answered once, and its entry is taken out then; those that a data path does
//! not take yet wait here, in order, by place.

use super::reading::ReadKey;
use crate::data_path::DataPath;
use crate::ids::VdiskSlot;
use crate::request::InnerTerms;
use disktime_disks::{Buffer, Disk};
use disktime_engine::{Request, RequestKind, StreamId, VdiskId};
use disktime_history::{IoId, Judge, Unit};
use disktime_units::Nanos;
use slab::Slab;
use std::collections::VecDeque;
use std::ops::Range;

/// The origin of inner requests; no reactor gives it to a client.
pub(crate) const ORIGIN: u64 = u64::MAX;

/// Where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Image,
    Log,
}

/// What it is for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// A write or flush that the log asked for.
    Step(IoId),
    /// A read that it asked for.
    StepRead(IoId),
    /// A piece of a read from the image: it begins at this byte of the vdisk. `whole`: it has the
    /// buffer of the reading.
    ImagePiece {
        read: ReadKey,
        start: u64,
        whole: bool,
    },
    /// A piece of a read from a log.
    LogPiece(LogPiece),
    /// Units of the log from this one on that a fold reads, for these places of its pass.
    FoldRead { places: Range<usize>, unit: Unit },
    /// A write of so many blocks to the image.
    FoldWrite { blocks: u64 },
    /// The flush of the image.
    FoldFlush,
    /// A read of the verification of that number.
    VerifyRead(u64),
}

/// Blocks from `lba` on that are read from units of a log from `unit` on.
#[derive(Debug)]
pub(super) struct LogPiece {
    pub(super) read: ReadKey,
    /// Whose log it is, by its place in the list of the set; `None`: the reader's own.
    pub(super) elder: Option<usize>,
    pub(super) lba: u64,
    pub(super) unit: Unit,
    pub(super) checksums: Vec<u32>,
    pub(super) judge: Judge,
}

/// What a vdisk has on the disk of a place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ground {
    /// Of the data path of that disk.
    pub slot: VdiskSlot,
    /// Pays there for folds, and for reads of what other vdisks have.
    pub other_stream: StreamId,
}

/// An inner request that is to be sent.
#[derive(Debug)]
pub(super) struct InnerRequest {
    place: Place,
    kind: RequestKind,
    offset_bytes: u64,
    len_bytes: u64,
    buffer: Option<Buffer>,
    /// The other stream of the place pays.
    is_of_fold: bool,
    /// A read of what lies in this slot, on the disk of the place.
    content: Option<VdiskSlot>,
}

/// The inner requests of one vdisk.
#[derive(Debug, Default)]
pub(super) struct InnerRequests {
    in_flight: Slab<Purpose>,
    /// By place: what the data path has not taken.
    waiting: [VecDeque<(usize, InnerRequest)>; 2],
}

impl InnerRequest {
    /// About a range of bytes of a place (offset, length), paid by the stream of the place.
    pub(super) fn new(
        place: Place,
        kind: RequestKind,
        (offset_bytes, len_bytes): (u64, u64),
        buffer: Option<Buffer>,
    ) -> InnerRequest {
        InnerRequest {
            place,
            kind,
            offset_bytes,
            len_bytes,
            buffer,
            is_of_fold: false,
            content: None,
        }
    }

    /// The same, of what another vdisk has in a slot.
    pub(super) fn of(self, content: VdiskSlot) -> InnerRequest {
        InnerRequest {
            content: Some(content),
            ..self
        }
    }

    /// The same, paid by the stream of folds on the disk of its place.
    pub(super) fn of_fold(self) -> InnerRequest {
        InnerRequest {
            is_of_fold: true,
            ..self
        }
    }
}

/// Of an answer: the position of the vdisk, and the number of the request.
pub(super) fn position(handle: u64) -> (usize, usize) {
    ((handle >> 32) as usize, handle as u32 as usize)
}

impl InnerRequests {
    /// To be sent with the next [`InnerRequests::send`].
    pub(super) fn push(&mut self, purpose: Purpose, request: InnerRequest) {
        let key = self.in_flight.insert(purpose);
        self.waiting[request.place as usize].push_back((key, request));
    }

    /// Takes what an answered request was for.
    pub(super) fn take(&mut self, key: usize) -> Purpose {
        self.in_flight.remove(key)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Sends what the data path of the disk of a place takes; whether that was anything. `at`: the
    /// position of the vdisk.
    pub(super) fn send<D: Disk>(
        &mut self,
        now: Nanos,
        at: usize,
        (place, ground): (Place, Ground),
        path: &mut DataPath<D>,
    ) -> bool {
        let waiting = &mut self.waiting[place as usize];
        let before = waiting.len();
        while let Some((key, inner)) = waiting.pop_front() {
            let request = Request {
                origin: ORIGIN,
                handle: (at as u64) << 32 | key as u64,
                vdisk: VdiskId(0),
                kind: inner.kind,
                offset_bytes: inner.offset_bytes,
                len_bytes: inner.len_bytes,
                fua: false,
                buffer: inner.buffer,
            };
            let is_other = inner.is_of_fold || inner.content.is_some();
            let terms = InnerTerms {
                payer: is_other.then_some(ground.other_stream),
                content: inner.content,
            };
            if let Err(request) = path.submit_inner(now, ground.slot, request, terms) {
                let buffer = request.buffer;
                waiting.push_front((key, InnerRequest { buffer, ..inner }));
                break;
            }
        }
        waiting.len() < before
    }
}
