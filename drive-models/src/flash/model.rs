//! The events of the requests of a flash drive, in the order of their times.
//!
//! A request's end is known late: a read that was sent earlier may reach the link later, and a
//! program that a write causes delays the reads behind it. So the model goes from event to event,
//! never beyond the next completion, and each request carries the time before which it cannot end.
//!
//! Invariants: `now` never goes back; events are handled in order of time, those of one time in the
//! order in which they were made; the bytes in the buffer never exceed its size.

use super::dies::Dies;
use super::in_flight::{InFlight, Slot};
use super::parameters::FlashParameters;
use crate::cost::moving;
use crate::slowdown::Slowdown;
use crate::{ModelCompletion, ModelRequest, Operation, OverlapModel};
use disktime_units::Nanos;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// What happens to a request next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// A read reaches the dies.
    ReachesDies(Slot),
    /// A piece of a read is read at the die.
    Read {
        slot: Slot,
        lun: u32,
        len_bytes: u32,
    },
    /// A piece of a read is over the channel.
    OverChannel { slot: Slot, len_bytes: u32 },
    /// A write's bytes are over the link.
    ReachesBuffer(Slot),
    /// A flush, or the flush of a durable write, begins.
    Flush(Slot),
}

/// A flash drive, one event after the other.
#[derive(Debug)]
pub struct FlashModel {
    parameters: FlashParameters,
    slowdown: Slowdown,
    now: Nanos,
    /// Events made so far, so that those of one time stay in order.
    made: u64,
    steps: BinaryHeap<Reverse<(Nanos, u64, Step)>>,
    /// Ends of programs, and the bytes that each takes out of the buffer.
    programs: BinaryHeap<Reverse<(Nanos, u64, u32)>>,
    dies: Dies,
    controller_free: Nanos,
    /// When the link is free towards the host, and towards the drive.
    link_free: [Nanos; 2],
    buffered_bytes: u64,
    /// Bytes in the buffer that are not a full stripe yet.
    unprogrammed_bytes: u32,
    /// Writes that wait for the buffer, in order.
    waiting: VecDeque<Slot>,
    in_flight: InFlight,
}

const TO_HOST: usize = 0;
const TO_DRIVE: usize = 1;

impl FlashModel {
    /// A drive with these figures, whose chances repeat for the same seed.
    ///
    /// # Panics
    /// If it has no die, or its buffer does not hold two stripes.
    pub fn new(parameters: FlashParameters, seed: u64) -> FlashModel {
        assert!(
            parameters.luns() > 0 && parameters.stripe_bytes > 0,
            "a flash drive needs a die and a stripe size"
        );
        assert!(
            parameters.buffer_bytes >= 2 * u64::from(parameters.stripe_bytes),
            "the buffer of a flash drive holds at least two stripes"
        );
        FlashModel {
            dies: Dies::new(&parameters, seed),
            parameters,
            slowdown: Slowdown::NONE,
            now: Nanos::ZERO,
            made: 0,
            steps: BinaryHeap::new(),
            programs: BinaryHeap::new(),
            controller_free: Nanos::ZERO,
            link_free: [Nanos::ZERO; 2],
            buffered_bytes: 0,
            unprogrammed_bytes: 0,
            waiting: VecDeque::new(),
            in_flight: InFlight::default(),
        }
    }

    /// The same drive, slower for a time.
    pub fn with_slowdown(mut self, slowdown: Slowdown) -> FlashModel {
        self.slowdown = slowdown;
        self
    }

    /// Bytes of writes that are in the buffer, for tests and reports.
    pub fn buffered_bytes(&self) -> u64 {
        self.buffered_bytes
    }

    fn make(&mut self, at: Nanos, step: Step) {
        self.made += 1;
        self.steps.push(Reverse((at, self.made, step)));
    }

    /// The time of the next event.
    fn next_event(&self) -> Option<Nanos> {
        let step = self.steps.peek().map(|Reverse((at, ..))| *at);
        let program = self.programs.peek().map(|Reverse((at, ..))| *at);
        match (step, program) {
            (Some(step), Some(program)) => Some(step.min(program)),
            (one, other) => one.or(other),
        }
    }

    /// Handles the next event, if it is due by `until`.
    fn advance(&mut self, until: Nanos) -> bool {
        let Some(at) = self.next_event().filter(|at| *at <= until) else {
            return false;
        };
        self.now = at;
        let program = self.programs.peek();
        if let Some(Reverse((_, _, len_bytes))) = program.filter(|Reverse((end, ..))| *end == at) {
            self.buffered_bytes -= u64::from(*len_bytes);
            self.programs.pop();
            self.buffer_waiting();
        } else if let Some(Reverse((_, _, step))) = self.steps.pop() {
            self.take(step);
        }
        self.in_flight.prune();
        true
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::ReachesDies(slot) => self.read_at_dies(slot),
            Step::Read {
                slot,
                lun,
                len_bytes,
            } => self.read_over_channel(slot, lun, len_bytes),
            Step::OverChannel { slot, len_bytes } => self.read_over_link(slot, len_bytes),
            Step::ReachesBuffer(slot) => {
                self.waiting.push_back(slot);
                self.in_flight.suspend(slot);
                self.buffer_waiting();
            }
            Step::Flush(slot) => self.flush(slot),
        }
    }

    /// The controller takes a command that keeps it for `time`; when it is done with it.
    fn command(&mut self, now: Nanos, time: Nanos) -> Nanos {
        let time = self.slowdown.scaled(now, time);
        self.controller_free = self.controller_free.max(now) + time;
        self.controller_free
    }

    fn over_link(&mut self, direction: usize, now: Nanos, len_bytes: u64) -> Nanos {
        let time = moving(self.parameters.link_per_mib, len_bytes);
        let time = self.slowdown.scaled(now, time);
        self.link_free[direction] = self.link_free[direction].max(now) + time;
        self.link_free[direction]
    }

    fn submit_read(&mut self, now: Nanos, request: ModelRequest) {
        let there = self.command(now, self.parameters.command) + self.parameters.read_latency;
        let (stripe, len) = self.pieces(&request).next().unwrap_or((0, 0));
        let lun = self.dies.lun_of(stripe);
        let read = self.dies.earliest_read(&self.parameters, lun, there);
        let slot = self
            .in_flight
            .insert(request, self.earliest_from(read, len));
        self.make(there, Step::ReachesDies(slot));
    }

    /// Stripes of a read and the bytes of each in it. A read of nothing has one piece of nothing.
    fn pieces(&self, request: &ModelRequest) -> impl Iterator<Item = (u64, u32)> + use<> {
        let stripe_bytes = u64::from(self.parameters.stripe_bytes);
        let start = request.offset_bytes;
        let end = start + request.len_bytes;
        let last = end.max(start + 1).div_ceil(stripe_bytes);
        (start / stripe_bytes..last).map(move |stripe| {
            let from = start.max(stripe * stripe_bytes);
            let to = end.min((stripe + 1) * stripe_bytes);
            (stripe, (to - from) as u32)
        })
    }

    /// When a piece of a read that is read at `at` is at the host, if nothing is in its way.
    fn earliest_from(&self, at: Nanos, len_bytes: u32) -> Nanos {
        let len_bytes = u64::from(len_bytes);
        at + moving(self.parameters.channel_per_mib, len_bytes)
            + moving(self.parameters.link_per_mib, len_bytes)
    }

    fn read_at_dies(&mut self, slot: Slot) {
        let request = self.in_flight.get(slot).what;
        let mut pieces = 0;
        for (stripe, len_bytes) in self.pieces(&request) {
            pieces += 1;
            let lun = self.dies.lun_of(stripe);
            let read = self
                .dies
                .read(&self.parameters, &self.slowdown, lun, self.now);
            self.make(
                read,
                Step::Read {
                    slot,
                    lun,
                    len_bytes,
                },
            );
            let earliest = self.earliest_from(read, len_bytes);
            self.in_flight.raise(slot, earliest);
        }
        self.in_flight.get_mut(slot).pieces_left = pieces;
    }

    fn read_over_channel(&mut self, slot: Slot, lun: u32, len_bytes: u32) {
        let (parameters, slowdown) = (&self.parameters, &self.slowdown);
        let there = self
            .dies
            .transfer(parameters, slowdown, lun, len_bytes, self.now);
        self.make(there, Step::OverChannel { slot, len_bytes });
        let link = moving(self.parameters.link_per_mib, u64::from(len_bytes));
        self.in_flight.raise(slot, there + link);
    }

    fn read_over_link(&mut self, slot: Slot, len_bytes: u32) {
        let there = self.over_link(TO_HOST, self.now, u64::from(len_bytes));
        let request = self.in_flight.get_mut(slot);
        request.pieces_left -= 1;
        if request.pieces_left == 0 {
            self.in_flight.finish(slot, there);
        } else {
            self.in_flight.raise(slot, there);
        }
    }

    fn submit_write(&mut self, now: Nanos, request: ModelRequest) {
        let taken = self.command(now, self.parameters.write_command);
        let there = self.over_link(TO_DRIVE, taken, request.len_bytes);
        let slot = self.in_flight.insert(request, there);
        self.make(there, Step::ReachesBuffer(slot));
    }

    /// Takes waiting writes into the buffer, a stripe's worth at a time, as far as there is room.
    /// Less than a stripe always has room once the programs have ended, so no write waits for ever.
    fn buffer_waiting(&mut self) {
        let stripe = u64::from(self.parameters.stripe_bytes);
        while let Some(slot) = self.waiting.front().copied() {
            let request = self.in_flight.get_mut(slot);
            let chunk = request.unbuffered_bytes.min(stripe);
            if self.buffered_bytes + chunk > self.parameters.buffer_bytes {
                return;
            }
            request.unbuffered_bytes -= chunk;
            let all = request.unbuffered_bytes == 0;
            self.buffered_bytes += chunk;
            self.unprogrammed_bytes += chunk as u32;
            if self.unprogrammed_bytes >= self.parameters.stripe_bytes {
                self.unprogrammed_bytes -= self.parameters.stripe_bytes;
                self.program(self.parameters.stripe_bytes);
            }
            if all {
                self.waiting.pop_front();
                self.answer_write(slot);
            }
        }
    }

    fn answer_write(&mut self, slot: Slot) {
        let answered = self.now + self.parameters.write_latency;
        if self.in_flight.get(slot).what.durable {
            self.in_flight.raise(slot, answered);
            self.make(answered, Step::Flush(slot));
        } else {
            self.in_flight.finish(slot, answered);
        }
    }

    fn program(&mut self, len_bytes: u32) {
        let end = self
            .dies
            .program(&self.parameters, &self.slowdown, self.now);
        self.made += 1;
        self.programs.push(Reverse((end, self.made, len_bytes)));
    }

    fn submit_flush(&mut self, now: Nanos, request: ModelRequest) {
        let taken = self.command(now, self.parameters.command) + self.parameters.write_latency;
        let slot = self.in_flight.insert(request, taken);
        self.make(taken, Step::Flush(slot));
    }

    /// Programs what is left in the buffer, and waits for all programs so far.
    fn flush(&mut self, slot: Slot) {
        if self.unprogrammed_bytes > 0 {
            let rest = std::mem::take(&mut self.unprogrammed_bytes);
            self.program(rest);
        }
        let shortest = self.now + self.slowdown.scaled(self.now, self.parameters.flush);
        let end = shortest.max(self.dies.last_program());
        self.in_flight.finish(slot, end);
    }

    fn submit_discard(&mut self, now: Nanos, request: ModelRequest) {
        let parameters = &self.parameters;
        let time =
            parameters.discard_command + moving(parameters.discard_per_mib, request.len_bytes);
        let end = self.command(now, time) + self.parameters.write_latency;
        let slot = self.in_flight.insert(request, end);
        self.in_flight.finish(slot, end);
    }

    /// When the first write that waits for the buffer can be answered at the earliest.
    fn earliest_waiting(&self) -> Option<Nanos> {
        self.waiting.front()?;
        let Reverse((end, ..)) = self.programs.peek()?;
        Some(*end + self.parameters.write_latency)
    }
}

impl OverlapModel for FlashModel {
    fn submit(&mut self, now: Nanos, request: ModelRequest) {
        while self.advance(now) {}
        self.now = self.now.max(now);
        let now = self.now;
        match request.operation {
            Operation::Read => self.submit_read(now, request),
            Operation::Write | Operation::WriteZeroes => self.submit_write(now, request),
            Operation::Flush => self.submit_flush(now, request),
            Operation::Discard => self.submit_discard(now, request),
        }
        self.in_flight.prune();
    }

    fn next_completion(&self) -> Option<Nanos> {
        let known = self.in_flight.first().map(|(time, ..)| time);
        match (known, self.earliest_waiting()) {
            (Some(known), Some(waiting)) => Some(known.min(waiting)),
            (one, other) => one.or(other),
        }
    }

    fn pop_completion(&mut self, until: Nanos) -> Option<ModelCompletion> {
        loop {
            let next = self.next_completion().filter(|next| *next <= until)?;
            if let Some((at, _, true)) = self.in_flight.first()
                && at == next
            {
                let request = self.in_flight.remove_first()?;
                self.in_flight.prune();
                return Some(ModelCompletion {
                    tag: request.tag,
                    at,
                });
            }
            let advanced = self.advance(next);
            debug_assert!(
                advanced,
                "a request in flight without an event before its end"
            );
            if !advanced {
                return None;
            }
        }
    }
}
