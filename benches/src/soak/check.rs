//! Runs a set and compares what was seen with what was promised.

use super::case::{Account, Case};
use super::outcome::SeedOutcome;
use disktime_lab::oracle::World;

/// Runs a set until so many requests are served.
pub(super) fn run(case: Case, seed: u64, requests: u64) -> SeedOutcome {
    let (account, is_serial) = (case.account(), case.is_serial());
    let description = case.describe();
    let mut world = case.world();
    world.run_requests(requests);
    world.drain();
    let mut outcome = SeedOutcome {
        seed,
        account: Some(account),
        requests: world.served(),
        violations: world.take_violations(),
        ..SeedOutcome::default()
    };
    outcome.violations.extend(world.sums_off());
    if let Some(longest) = world.longer_than_worst_case() {
        let sentence = format!("a dispatch took {longest}, more than W");
        outcome.violations.push(sentence);
    }
    if is_serial {
        for index in 0..world.joined() {
            check_promise(&world, index, &mut outcome);
            check_limit(&world, index, account, &mut outcome);
        }
    }
    for violation in &mut outcome.violations {
        *violation = format!("{violation} [{description}]");
    }
    outcome
}

fn check_promise(world: &World, index: usize, outcome: &mut SeedOutcome) {
    let counters = world.counters(index);
    outcome.deadlines += counters.deadlines_met + counters.deadlines_missed;
    let config = world.config(index);
    if config.limit.is_some() {
        // What its limit holds back is not owed.
        return;
    }
    let audit = world.audit(index);
    let part = |value: i64, bound: i64| value as f64 / bound as f64;
    outcome.unspent = outcome.unspent.max(part(audit.unspent, audit.bound));
    outcome.periods += audit.periods;
    outcome.from_start = outcome.from_start.max(part(audit.from_start, audit.bound));
    outcome.inside = outcome.inside.max(part(audit.inside, audit.bound_inside));
    if !audit.holds() {
        let client = world.client(index).config();
        let sentence = format!("stream {index} ({config:?}, {client:?}): {audit:?}");
        outcome.violations.push(sentence);
    }
}

fn check_limit(world: &World, index: usize, account: Account, outcome: &mut SeedOutcome) {
    let Some(over) = world.over_limit(index) else {
        return;
    };
    let requests = match account {
        Account::Served => 1,
        Account::Reserved => 2,
    };
    let allowed = world.worst_case().0 as i64 * requests;
    outcome.over_limit = outcome.over_limit.max(over as f64 / allowed as f64);
    if over > allowed {
        let config = world.config(index);
        outcome.violations.push(format!(
            "stream {index} ({config:?}): {over} ns beyond its limit in a period of it, allowed \
             {allowed}"
        ));
    }
}
