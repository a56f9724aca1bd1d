//! The state of the fault-injecting disk: requests in flight, scripted faults, the crash point.

use super::content::{Content, SECTOR_BYTES, Sector};
use super::{Fault, FaultKind, RandomFaults, ServiceTime};
use crate::{Completion, DiskError, DiskErrorKind, DiskProperties, DiskRequest, Operation};
use disktime_random::SplitMix64;
use disktime_units::Nanos;

struct InFlight {
    request: DiskRequest,
    /// When it ends; `None` if it is stuck.
    finish: Option<Nanos>,
    /// Versions up to this one are covered, if it is a flush.
    covers: u64,
    error: Option<DiskErrorKind>,
}

pub(super) struct FaultState {
    content: Content,
    service: ServiceTime,
    random_faults: RandomFaults,
    random: SplitMix64,
    /// Each with the number of matching requests so far.
    faults: Vec<(Fault, u64)>,
    size_bytes: u64,
    max_in_flight: usize,
    volatile_cache: bool,
    /// When a serial model is free.
    free_at: Nanos,
    in_flight: Vec<InFlight>,
    /// Number of the version written last.
    sequence: u64,
    flush_failed: bool,
    /// How many writes, zeroings, discards and flushes were submitted.
    operations: u64,
    freeze_at: Option<u64>,
    frozen: bool,
}

impl FaultState {
    pub(super) fn new(
        service: ServiceTime,
        random_faults: RandomFaults,
        seed: u64,
        properties: &DiskProperties,
    ) -> FaultState {
        FaultState {
            content: Content::default(),
            service,
            random_faults,
            random: SplitMix64::new(seed),
            faults: Vec::new(),
            size_bytes: properties.size_bytes,
            max_in_flight: properties.max_in_flight,
            volatile_cache: properties.capabilities.volatile_cache,
            free_at: Nanos::ZERO,
            in_flight: Vec::with_capacity(properties.max_in_flight),
            sequence: 0,
            flush_failed: false,
            operations: 0,
            freeze_at: None,
            frozen: false,
        }
    }

    pub(super) fn inject(&mut self, fault: Fault) {
        self.faults.push((fault, 0));
    }

    pub(super) fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// How many writes, zeroings, discards and flushes were submitted.
    pub(super) fn operations(&self) -> u64 {
        self.operations
    }

    pub(super) fn freeze_at(&mut self, operation: u64) {
        self.freeze_at = Some(operation);
    }

    pub(super) fn is_frozen(&self) -> bool {
        self.frozen
    }

    pub(super) fn content(&self) -> &Content {
        &self.content
    }

    pub(super) fn set_content(&mut self, content: Content) {
        self.content = content;
    }

    pub(super) fn submit(&mut self, now: Nanos, request: DiskRequest) {
        let changes = request.operation != Operation::Read;
        if changes && self.freeze_at == Some(self.operations) {
            self.frozen = true;
        } else if self.frozen {
            return;
        }
        if changes {
            self.operations += 1;
        }
        let mut finish = Some(self.finish_time(now, &request));
        let mut error = self.refusal(&request);
        for kind in self.faults_for(&request) {
            match kind {
                FaultKind::Error(kind) => error = Some(kind),
                FaultKind::Delay(delay) => finish = finish.map(|at| at.saturating_add(delay)),
                FaultKind::Stuck => finish = None,
            }
        }
        self.in_flight.push(InFlight {
            request,
            finish,
            covers: self.sequence,
            error,
        });
    }

    fn finish_time(&mut self, now: Nanos, request: &DiskRequest) -> Nanos {
        match &mut self.service {
            ServiceTime::Constant(time) => now.saturating_add(*time),
            ServiceTime::Model(model) => {
                let start = now.max(self.free_at);
                let (offset, len) = (request.offset_bytes, request.len_bytes);
                self.free_at = model.serve(start, request.operation, offset, len);
                self.free_at
            }
        }
    }

    /// Why a request fails without any fault: it is invalid.
    fn refusal(&self, request: &DiskRequest) -> Option<DiskErrorKind> {
        let beyond = request
            .offset_bytes
            .checked_add(request.len_bytes)
            .is_none_or(|end| end > self.size_bytes);
        let held: u64 = request
            .buffers
            .iter()
            .map(|buffer| buffer.len() as u64)
            .sum();
        let moves = request.operation.moves_data();
        let sector = SECTOR_BYTES as u64;
        let odd = !request.offset_bytes.is_multiple_of(sector)
            || !request.len_bytes.is_multiple_of(sector);
        let wrong_room = moves && held != request.len_bytes;
        let refused = beyond || odd || wrong_room || self.in_flight.len() >= self.max_in_flight;
        refused.then_some(DiskErrorKind::Io)
    }

    fn faults_for(&mut self, request: &DiskRequest) -> Vec<FaultKind> {
        let mut hits = Vec::new();
        let end = request.offset_bytes.saturating_add(request.len_bytes);
        for (fault, seen) in &mut self.faults {
            let touches = request.operation == Operation::Flush
                || (request.offset_bytes < fault.range_bytes.end && fault.range_bytes.start < end);
            if fault
                .operation
                .is_some_and(|wanted| wanted != request.operation)
                || !touches
            {
                continue;
            }
            let number = *seen;
            *seen += 1;
            let last = fault.times.map(|times| fault.skip.saturating_add(times));
            if number >= fault.skip && last.is_none_or(|last| number < last) {
                hits.push(fault.kind);
            }
        }
        let chances = self.random_faults;
        if self.random.chance(chances.errors_per_million) {
            hits.push(FaultKind::Error(DiskErrorKind::Io));
        }
        if self.random.chance(chances.delays_per_million) {
            hits.push(FaultKind::Delay(chances.delay));
        }
        if self.random.chance(chances.stuck_per_million) {
            hits.push(FaultKind::Stuck);
        }
        hits
    }

    pub(super) fn collect(&mut self, now: Nanos, completions: &mut Vec<Completion>) {
        if self.frozen {
            return;
        }
        while let Some((at, index)) = self.first_finished() {
            if at > now {
                return;
            }
            let done = self.in_flight.remove(index);
            completions.push(self.complete(at, done));
        }
    }

    /// The request that ends first, by submission among equals.
    fn first_finished(&self) -> Option<(Nanos, usize)> {
        let ends = self.in_flight.iter().enumerate();
        ends.filter_map(|(index, request)| Some((request.finish?, index)))
            .min()
    }

    pub(super) fn next_completion(&self) -> Option<Nanos> {
        if self.frozen {
            None
        } else {
            self.first_finished().map(|(at, _)| at)
        }
    }

    pub(super) fn release_stuck(&mut self, now: Nanos) {
        for request in &mut self.in_flight {
            request.finish.get_or_insert(now);
        }
    }

    fn complete(&mut self, at: Nanos, mut done: InFlight) -> Completion {
        let request = &done.request;
        let promises = request.operation == Operation::Flush || request.fua;
        let mut error = done.error;
        if error.is_none() && promises && self.flush_failed {
            error = Some(DiskErrorKind::FlushFailedBefore);
        }
        match request.operation {
            Operation::Flush if error.is_none() => self.content.flush(done.covers),
            Operation::Flush => self.flush_failed = true,
            Operation::Read if error.is_none() => {
                let mut sector = request.offset_bytes / SECTOR_BYTES as u64;
                for buffer in &mut done.request.buffers {
                    self.content.read(sector, buffer);
                    sector += (buffer.len() / SECTOR_BYTES) as u64;
                }
            }
            Operation::Read => {}
            Operation::Write | Operation::WriteZeroes | Operation::Discard => {
                self.change(&done.request, error.is_some());
            }
        }
        let request = done.request;
        Completion {
            tag: request.tag,
            result: error.map_or(Ok(()), |kind| Err(failure(kind, &request))),
            completed_at: at,
            buffers: request.buffers,
        }
    }

    /// Writes a request's sectors; a failed one leaves any of them written, and nothing durable.
    fn change(&mut self, request: &DiskRequest, failed: bool) {
        if failed && self.refusal(request).is_some() {
            return;
        }
        self.sequence += 1;
        // The content of a discarded range is not defined, so sometimes it is kept.
        if request.operation == Operation::Discard && self.random.chance(500_000) {
            return;
        }
        let durable = !failed && (request.fua || !self.volatile_cache);
        for (sector, data) in sectors_of(request) {
            if failed && self.random.chance(500_000) {
                continue;
            }
            if durable {
                self.content.write_durable(sector, data);
            } else {
                self.content.write_pending(sector, self.sequence, data);
            }
        }
    }

    /// Power is lost. Parts of the requests in flight may be written; returns the content that
    /// survives.
    pub(super) fn crash(&mut self, random: &mut SplitMix64) -> Content {
        self.frozen = true;
        for lost in std::mem::take(&mut self.in_flight) {
            let changes = matches!(
                lost.request.operation,
                Operation::Write | Operation::WriteZeroes | Operation::Discard
            );
            if !changes || self.refusal(&lost.request).is_some() {
                continue;
            }
            self.sequence += 1;
            for (sector, data) in sectors_of(&lost.request) {
                self.content.write_pending(sector, self.sequence, data);
            }
        }
        let mut content = std::mem::take(&mut self.content);
        content.crash(random);
        content
    }
}

/// The sectors that a request changes, with their new bytes.
fn sectors_of(request: &DiskRequest) -> impl Iterator<Item = (u64, Sector)> + '_ {
    let first = request.offset_bytes / SECTOR_BYTES as u64;
    let count = request.len_bytes / SECTOR_BYTES as u64;
    let mut data = request
        .buffers
        .iter()
        .flat_map(|buffer| buffer.chunks_exact(SECTOR_BYTES));
    (first..first + count).map(move |sector| {
        let bytes = data
            .next()
            .and_then(|chunk| <[u8; SECTOR_BYTES]>::try_from(chunk).ok());
        (sector, bytes.map(Box::new))
    })
}

fn failure(kind: DiskErrorKind, request: &DiskRequest) -> DiskError {
    let cause = match kind {
        DiskErrorKind::Io => "it was made to fail, or was not valid",
        DiskErrorKind::NoSpace => "there was made to be no space",
        DiskErrorKind::ReadOnly => "it was made to be read-only",
        DiskErrorKind::NotSupported => "it was made to be unsupported",
        DiskErrorKind::FlushFailedBefore => "an earlier flush failed",
    };
    DiskError {
        kind,
        context: format!(
            "fault-injecting disk: {:?} of {} bytes at byte {} failed: {cause}",
            request.operation, request.len_bytes, request.offset_bytes
        ),
    }
}
