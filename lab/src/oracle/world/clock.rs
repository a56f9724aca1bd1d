//! What the disk's time goes to: service, nothing to do, or sleep with requests queued, which must
//! be a wait that is charged or be due to limits, or to a policy that paces requests.

use super::World;
use disktime_scheduler::Settlement;
use disktime_units::Nanos;

/// The disk's time, by what it was spent on.
#[derive(Debug, Default)]
pub(super) struct Clock {
    busy: Nanos,
    /// With nothing to do.
    empty: Nanos,
    /// Idle with requests queued.
    asleep: Nanos,
    /// Idle because limits held all streams back.
    held_back: Nanos,
    /// The part of `asleep` of which it is not yet known what it was.
    unexplained: Nanos,
    waiting_seen: Nanos,
    sleep_so_far: Nanos,
    longest_sleep: Nanos,
    /// What completed dispatches were charged, and their parts of the busy time.
    settled: Nanos,
    parts: Nanos,
}

impl World {
    pub(super) fn note_settlement(&mut self, settlement: &Settlement) {
        self.clock.settled += settlement.charged;
        self.clock.parts += settlement.measured;
    }

    pub(super) fn violate(&mut self, what: String) {
        let now = self.now;
        self.violations.push(format!("at {now}: {what}"));
    }

    pub(super) fn pass_time(&mut self, to: Nanos) {
        let passed = to - self.now;
        self.now = to;
        let clock = &mut self.clock;
        if self.in_flight > 0 {
            clock.busy += passed;
            clock.sleep_so_far = Nanos::ZERO;
        } else if self.queued == 0 {
            clock.empty += passed;
        } else if passed > Nanos::ZERO {
            clock.asleep += passed;
            clock.unexplained += passed;
            clock.sleep_so_far += passed;
            clock.longest_sleep = clock.longest_sleep.max(clock.sleep_so_far);
            if !self.has_limits && self.wake.is_none() {
                let queued = self.queued;
                self.violate(format!(
                    "{queued} requests are queued, nothing is in flight, and there is no time to wake \
                     up"
                ));
            }
        }
    }

    /// After a call that saw time pass: what the disk stood idle for. Only a wait, which is charged
    /// to a stream, or limits may keep requests from it.
    pub(super) fn explain_sleep(&mut self) {
        let asleep = std::mem::take(&mut self.clock.unexplained);
        if asleep == Nanos::ZERO {
            return;
        }
        let waiting = self.scheduler.disk_counters(self.now).waiting;
        let waited = waiting - self.clock.waiting_seen;
        self.clock.waiting_seen = waiting;
        self.note_all(self.now - asleep);
        if waited == asleep {
            return;
        }
        let idle = asleep.saturating_sub(waited);
        self.clock.held_back += idle;
        let may_go =
            |member: &super::Member| member.client.queued > 0 && member.config.limit.is_none();
        let may_go = !self.is_paced && self.members.iter().any(may_go);
        if waited > asleep || may_go {
            let queued = self.queued;
            self.violate(format!(
                "the disk stood idle for {asleep} with {queued} requests queued, {waited} of it \
                 charged"
            ));
        }
    }

    /// Notes what all streams were charged, for time from `start` on.
    fn note_all(&mut self, start: Nanos) {
        let now = self.now;
        for member in &mut self.members[..self.joined] {
            if let Some(id) = member.id {
                let counters = self.scheduler.stream_counters(id);
                member.books.note(&counters, start, now);
            }
        }
    }

    /// The way back from spare service is charged when another stream's request completes.
    pub(super) fn note_limited(&mut self) {
        let now = self.now;
        for member in self.members[..self.joined].iter_mut() {
            if let Some(id) = member.id.filter(|_| member.books.is_limited()) {
                let counters = self.scheduler.stream_counters(id);
                member.books.note(&counters, now, now);
            }
        }
    }

    /// Time with something in flight.
    pub fn busy(&self) -> Nanos {
        self.clock.busy
    }

    /// Time with requests queued and nothing in flight.
    pub fn asleep(&self) -> Nanos {
        self.clock.asleep
    }

    /// The longest such time.
    pub fn longest_sleep(&self) -> Nanos {
        self.clock.longest_sleep
    }

    /// What of charges and times does not add up, seen from both sides. After [`World::drain`].
    pub fn sums_off(&self) -> Vec<String> {
        let disk = self.scheduler.disk_counters(self.now);
        let charged: Nanos = (0..self.joined).map(|index| self.received(index)).sum();
        let clock = &self.clock;
        let sums = [
            ("charges by stream", charged, "of the disk", disk.charged),
            ("busy time", clock.busy, "of the disk", disk.busy),
            (
                "charges and switching",
                disk.charged + disk.switching,
                "what was settled and waiting",
                clock.settled + disk.waiting,
            ),
            ("busy time", disk.busy, "its parts", clock.parts),
            (
                "asleep",
                clock.asleep,
                "waiting and held back by limits",
                disk.waiting + clock.held_back,
            ),
            (
                "the clock",
                self.now,
                "busy, empty and asleep",
                clock.busy + clock.empty + clock.asleep,
            ),
        ];
        let off = sums.into_iter().filter(|(_, one, _, other)| one != other);
        off.map(|(left, one, right, other)| {
            format!("{left}: {} ns; {right}: {} ns", one.0, other.0)
        })
        .collect()
    }

    /// Charges to streams + switching account = what was settled + waiting, and the parts of the
    /// busy time are all of it. After [`World::drain`].
    ///
    /// # Panics
    /// If not (I2).
    pub fn assert_charges_add_up(&self, context: &str) {
        let off = self.sums_off();
        let violations = &self.violations;
        assert!(
            off.is_empty() && violations.is_empty(),
            "{context}: {off:#?} {violations:#?}"
        );
        assert!(
            self.has_limits || self.is_paced || self.clock.held_back == Nanos::ZERO,
            "{context}: idle without limits for {}",
            self.clock.held_back
        );
    }
}
