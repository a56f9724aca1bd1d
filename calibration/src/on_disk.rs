//! The prober of every disk: closed-loop clients on a [`Disk`], on either clock.
//!
//! Invariants: each client has one request in flight at most, and there are at most as many clients
//! as the disk takes requests; every request is waited for before a probe ends; without consent
//! nothing but reads is sent.
//!
//! What is not known here: which probes are run, and why.

use crate::clock::Clock;
use crate::places::PlaceSource;
use crate::probe::{
    Burst, BurstProbe, DeviceFacts, Places, Probe, ProbeError, Prober, Sample, TENTHS,
};
use disktime_disks::{Buffer, Completion, Disk, DiskRequest, Operation};
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// Latencies that are kept of a probe.
const MAX_LATENCIES: usize = 1 << 20;
/// Without an answer for so long, the device is given up.
const SILENT_SECONDS: u64 = 30;
/// A wait ends after this, so that silence is noticed.
const MAX_WAIT: Nanos = Nanos::from_secs(1);

/// Runs probes on a disk.
pub struct OnDisk<D, C> {
    disk: D,
    clock: C,
    consent: bool,
    places: PlaceSource,
    random: SplitMix64,
    /// Buffers that are not in flight, by length.
    buffers: HashMap<u64, Vec<Buffer>>,
    completions: Vec<Completion>,
}

/// A request of a client.
#[derive(Debug, Clone, Copy, Default)]
struct Client {
    sent_at: Nanos,
    /// Its next request is the flush behind a write.
    flush_next: bool,
}

/// A probe that is running.
struct Run {
    probe: Probe,
    end: Nanos,
    clients: Vec<Client>,
    /// When each client that has nothing in flight sends its next request.
    due: BinaryHeap<Reverse<(Nanos, usize)>>,
    in_flight: usize,
}

impl<D: Disk, C: Clock> OnDisk<D, C> {
    /// A prober of `disk`. With `consent` it may write to it, and lose what it holds.
    pub fn new(disk: D, clock: C, consent: bool) -> OnDisk<D, C> {
        let size_bytes = disk.properties().size_bytes;
        OnDisk {
            places: PlaceSource::new(size_bytes, 1),
            disk,
            clock,
            consent,
            random: SplitMix64::new(2),
            buffers: HashMap::new(),
            completions: Vec::new(),
        }
    }

    /// Runs a probe; `seen` is told when each request was sent and when it ended.
    fn run_with(
        &mut self,
        probe: &Probe,
        mut seen: impl FnMut(Nanos, Nanos),
    ) -> Result<(), ProbeError> {
        if !self.consent && (probe.flushes || probe.operation != Operation::Read) {
            return Err(ProbeError::NoConsent);
        }
        let mut now = self.clock.now();
        let mut run = Run::new(*probe, now);
        let mut answered_at = now;
        loop {
            let mut completions = std::mem::take(&mut self.completions);
            self.disk.collect(now, &mut completions);
            for completion in completions.drain(..) {
                answered_at = now;
                self.take_back(&mut run, completion, &mut seen)?;
            }
            self.completions = completions;
            self.send_due(&mut run, now);
            if run.in_flight == 0 && run.due.is_empty() {
                return Ok(());
            }
            if run.in_flight > 0 && (now - answered_at).0 > SILENT_SECONDS * 1_000_000_000 {
                return Err(ProbeError::Silent(SILENT_SECONDS));
            }
            if run.in_flight == 0 {
                answered_at = now;
            }
            let due = run.due.peek().map(|Reverse((at, _))| *at);
            let next = [due, self.disk.next_completion()]
                .into_iter()
                .flatten()
                .min();
            let until = next.unwrap_or(Nanos::MAX).min(now + MAX_WAIT);
            self.clock.wait(self.disk.wake_fd(), until);
            now = self.clock.now();
        }
    }

    fn take_back(
        &mut self,
        run: &mut Run,
        completion: Completion,
        seen: &mut impl FnMut(Nanos, Nanos),
    ) -> Result<(), ProbeError> {
        for buffer in completion.buffers {
            let kept = self.buffers.entry(buffer.len() as u64).or_default();
            kept.push(buffer);
        }
        run.in_flight -= 1;
        if let Err(error) = completion.result {
            return Err(ProbeError::Failed(error.to_string()));
        }
        let index = completion.tag as usize;
        let client = &mut run.clients[index];
        let at = completion.completed_at;
        if run.probe.flushes && !client.flush_next {
            client.flush_next = true;
            run.due.push(Reverse((at, index)));
            return Ok(());
        }
        client.flush_next = false;
        seen(client.sent_at, at);
        run.due.push(Reverse((at + run.probe.turnaround, index)));
        Ok(())
    }

    fn send_due(&mut self, run: &mut Run, now: Nanos) {
        while let Some(&Reverse((at, index))) = run.due.peek() {
            if at > now && at < run.end {
                break;
            }
            run.due.pop();
            if at.max(now) >= run.end {
                continue;
            }
            let client = &mut run.clients[index];
            client.sent_at = now;
            let operation = if client.flush_next {
                Operation::Flush
            } else {
                run.probe.operation
            };
            let request = self.request(&run.probe, operation, index);
            run.in_flight += 1;
            self.disk.submit(now, request);
        }
        self.disk.flush_submissions();
    }

    fn request(&mut self, probe: &Probe, operation: Operation, client: usize) -> DiskRequest {
        let len_bytes = match operation {
            Operation::Flush => 0,
            _ => probe.len_bytes,
        };
        let offset_bytes = match operation {
            Operation::Flush => 0,
            _ => self.places.next(probe.places, len_bytes),
        };
        let holds_data = self.disk.properties().capabilities.holds_data;
        let buffers = if holds_data && operation.moves_data() {
            vec![self.buffer(len_bytes)]
        } else {
            Vec::new()
        };
        DiskRequest {
            tag: client as u64,
            operation,
            offset_bytes,
            len_bytes,
            fua: false,
            buffers,
        }
    }

    /// A buffer of random bytes: drives that compress or leave out zeroes would look too fast.
    fn buffer(&mut self, len_bytes: u64) -> Buffer {
        let kept = self.buffers.entry(len_bytes).or_default();
        if let Some(buffer) = kept.pop() {
            return buffer;
        }
        let mut buffer = Buffer::zeroed(len_bytes as usize);
        for word in buffer.chunks_exact_mut(8) {
            word.copy_from_slice(&self.random.next_u64().to_ne_bytes());
        }
        buffer
    }
}

impl Run {
    fn new(probe: Probe, now: Nanos) -> Run {
        let clients = probe.depth.max(1) as usize;
        Run {
            probe,
            end: now + probe.duration,
            clients: vec![Client::default(); clients],
            due: (0..clients).map(|client| Reverse((now, client))).collect(),
            in_flight: 0,
        }
    }
}

impl<D: Disk, C: Clock> Prober for OnDisk<D, C> {
    fn facts(&self) -> DeviceFacts {
        let properties = self.disk.properties();
        DeviceFacts {
            size_bytes: properties.size_bytes,
            max_depth: u32::try_from(properties.max_in_flight).unwrap_or(u32::MAX),
            rotational: properties.has_seeks,
            discards: properties.capabilities.discards(),
        }
    }

    fn run(&mut self, probe: &Probe) -> Result<Sample, ProbeError> {
        let start = self.clock.now();
        let mut sample = Sample {
            elapsed: probe.duration,
            ..Sample::default()
        };
        let tenth = (probe.duration.0 / TENTHS as u64).max(1);
        self.run_with(probe, |sent_at, at| {
            let mut index = ((at - start).0 / tenth) as usize;
            // One request at a time: the last one counts, as it may be the only one.
            if probe.depth == 1 {
                index = index.min(TENTHS - 1);
            }
            if index < TENTHS {
                sample.tenths[index] += 1;
                sample.latency_sums[index] += at - sent_at;
                if sample.latencies.len() < MAX_LATENCIES {
                    sample.latencies.push(at - sent_at);
                }
            }
        })?;
        sample.latencies.sort_unstable();
        Ok(sample)
    }

    fn bursts(&mut self, probe: &BurstProbe) -> Result<Vec<Burst>, ProbeError> {
        let writes = Probe {
            operation: Operation::Write,
            len_bytes: probe.write_bytes,
            places: Places::Random,
            depth: probe.depth,
            flushes: false,
            turnaround: Nanos::ZERO,
            duration: probe.burst,
        };
        let reads = Probe {
            operation: Operation::Read,
            len_bytes: probe.read_bytes,
            depth: 1,
            duration: probe.watch,
            ..writes
        };
        let mut bursts = Vec::new();
        for _ in 0..probe.repeats {
            let mut burst = Burst {
                started_at: self.clock.now(),
                ..Burst::default()
            };
            self.run_with(&writes, |_, at| {
                burst.writes += 1;
                burst.answered_at = burst.answered_at.max(at);
            })?;
            self.run_with(&reads, |sent_at, at| burst.reads.push((at, at - sent_at)))?;
            bursts.push(burst);
        }
        Ok(bursts)
    }
}
