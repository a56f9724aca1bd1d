//! The verdict on a run: what was promised against what was seen.

use super::case::Account;
use super::outcome::SeedOutcome;
use super::world::World;
use disktime_units::Nanos;

impl World {
    /// The verdict.
    pub(super) fn outcome(
        mut self,
        seed: u64,
        account: Account,
        one_at_a_time: bool,
    ) -> SeedOutcome {
        let mut outcome = SeedOutcome {
            seed,
            account: Some(account),
            requests: self.served,
            ..SeedOutcome::default()
        };
        self.check_sums();
        for index in 0..self.joined {
            if one_at_a_time {
                self.check_promise(index, &mut outcome);
                self.check_limit(index, account, &mut outcome);
            }
        }
        outcome.violations = self.violations;
        outcome
    }

    fn check_sums(&mut self) {
        let disk = self.scheduler.disk_counters(self.now);
        let charged: Nanos = (0..self.joined)
            .map(|index| self.scheduler.stream_counters(self.stream(index)))
            .map(|counters| counters.reserved + counters.spare)
            .sum();
        let clock = &self.clock;
        let sums = [
            ("charges by stream", charged, "of the disk", disk.charged),
            ("busy time", clock.busy, "of the disk", disk.busy),
            (
                "charges and switching",
                disk.charged + disk.switching,
                "busy and waiting",
                disk.busy + disk.waiting,
            ),
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
        for (left, one, right, other) in sums {
            if one != other {
                self.violate(format!("{left}: {} ns; {right}: {} ns", one.0, other.0));
            }
        }
        if disk.longest > self.worst_case {
            self.violate(format!("a dispatch took {}, more than W", disk.longest));
        }
    }

    fn check_promise(&mut self, index: usize, outcome: &mut SeedOutcome) {
        let id = self.stream(index);
        let counters = self.scheduler.stream_counters(id);
        let bound = self.scheduler.unspent_bound().0 as i64;
        let member = self.parties[index].member;
        outcome.deadlines += counters.deadlines_met + counters.deadlines_missed;
        if member.config.limit.is_some() {
            // What its limit holds back is not owed.
            return;
        }
        let unspent = counters.unspent_max.unwrap_or(0);
        outcome.unspent = outcome.unspent.max(unspent as f64 / bound as f64);
        if unspent > bound || counters.deadlines_missed > 0 {
            let missed = counters.deadlines_missed;
            self.violate(format!(
                "stream {index} ({member:?}): {unspent} ns unspent at a period end, {missed} missed; \
                 the bound is {bound}"
            ));
        }
        let Some(windows) = &mut self.parties[index].windows else {
            return;
        };
        windows.end(self.now);
        let worst = windows.worst;
        let nanos = |ppm_nanos: i128| (ppm_nanos / 1_000_000) as i64;
        let (from_start, inside) = (nanos(worst.from_start), nanos(worst.inside));
        let bound_inside = bound + self.worst_case.0 as i64;
        outcome.periods += worst.periods;
        outcome.from_start = outcome.from_start.max(from_start as f64 / bound as f64);
        outcome.inside = outcome.inside.max(inside as f64 / bound_inside as f64);
        if from_start > bound || inside > bound_inside {
            self.violate(format!(
                "stream {index} ({member:?}): short by {from_start} ns from the start of a backlog \
                 (bound {bound}), by {inside} over whole periods inside one (bound {bound_inside})"
            ));
        }
    }

    fn check_limit(&mut self, index: usize, account: Account, outcome: &mut SeedOutcome) {
        let Some(over) = self.parties[index].over_limit() else {
            return;
        };
        let allowed = match account {
            Account::Served => self.worst_case.0,
            Account::Reserved => self.worst_case.0 * 2,
        } as i64;
        outcome.over_limit = outcome.over_limit.max(over as f64 / allowed as f64);
        if over > allowed {
            let member = self.parties[index].member;
            self.violate(format!(
                "stream {index} ({member:?}): {over} ns beyond its limit in a period of it, allowed \
                 {allowed}"
            ));
        }
    }
}
