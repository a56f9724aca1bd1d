//! The promise on drives that overlap requests: random sets at the limit of admission on every
//! modelled drive, and on drives that take any time within their prices.
//!
//! Checked: no account has more than its bound unspent at the end of a period with requests
//! waiting; one with a limit is charged no more than the limit allows in all. The bound is W, that
//! of the drive's figures.

use super::outcome::SeedOutcome;
use disktime_lab::overlap::cases::T1M;
use disktime_lab::overlap::sets::{Admission, SetFamily, set};
use disktime_lab::overlap::{Case, LabDrive, Mood, OverlapClient, OverlapRun};
use disktime_random::SplitMix64;
use disktime_scheduler::{Limit, PolicyKind, StreamConfig};
use disktime_units::{Nanos, Share};

/// Time between checks of how many requests were served, and between live changes.
const SLICE: Nanos = Nanos::from_millis(50);
/// A set of sleepers is not run for longer.
const LONGEST: Nanos = Nanos::from_secs(30);

/// Half of what one account has is given to another.
#[derive(Debug, Clone, Copy)]
struct Change {
    from: usize,
    to: usize,
}

/// Runs a seed until so many requests are served.
pub(super) fn run(seed: u64, requests: u64) -> SeedOutcome {
    let mut rng = SplitMix64::new(seed ^ 0x0ce2_1a90_0000_0000);
    let (mut case, moody) = draw(&mut rng, seed);
    let description = format!("{case}{moody}");
    let config = case.drive.config(PolicyKind::Fahrrad);
    let device = case.drive.device(seed);
    let answers = [Nanos(0), Nanos(1_000), Nanos(10_000), Nanos(100_000)];
    let turnaround = answers[rng.below(4) as usize];
    let clients = case.clients.clone();
    let mut run = OverlapRun::new(config, device, case.drive.cost(), clients, turnaround, seed);
    let changes = rng.percent(30);
    let mut served = 0;
    while served < requests && run.now() < LONGEST {
        run.run(run.now(), SLICE);
        served = run.results().iter().map(|one| one.requests).sum();
        if changes
            && rng.percent(10)
            && let Some(change) = draw_change(&mut rng, &case.clients)
        {
            apply(&mut run, &mut case.clients, change);
        }
    }
    let mut outcome = SeedOutcome {
        seed,
        requests: served,
        ..SeedOutcome::default()
    };
    check(&run, &case, &mut outcome);
    for violation in &mut outcome.violations {
        *violation = format!("{violation} [{description}]");
    }
    outcome
}

fn draw(rng: &mut SplitMix64, seed: u64) -> (Case, String) {
    let name = LabDrive::NAMES[rng.below(LabDrive::NAMES.len() as u64) as usize];
    let mut drive = LabDrive::find(name).used_up();
    let mut moody = String::new();
    if rng.percent(30) {
        let mood = Mood::ALL[rng.below(4) as usize];
        moody = format!(", {mood:?} within its prices");
        drive = drive.within_its_prices(mood);
    }
    let family = SetFamily::ALL[rng.below(4) as usize];
    let mut case = set(family, &drive, Admission::Promised, seed, 0);
    for client in &mut case.clients {
        if client.wakes.is_none() && rng.percent(20) {
            let answers = [0, 1, 10, 100, 1_000, 20_000].map(Nanos::from_micros);
            client.turnaround = Some(answers[rng.below(6) as usize]);
        }
    }
    if rng.percent(20) {
        limit(rng, &mut case.clients);
    }
    if rng.percent(20) {
        group(&mut case.clients);
    }
    if rng.percent(20) {
        case.clients.push(OverlapClient::new("discards", 32, T1M));
    }
    (case, moody)
}

/// Half of the streams get a limit from u to 1.3 u, best effort one of its own.
fn limit(rng: &mut SplitMix64, clients: &mut [OverlapClient]) {
    for client in clients {
        if rng.percent(50) {
            continue;
        }
        let share = client.config.reservation.map_or(300_000, |one| one.share.0);
        let share = u64::from(share) * rng.range(100, 131) / 100;
        client.config.limit = Some(Limit {
            share: Share(share.min(1_000_000) as u32),
            period: rng.log_uniform(Nanos::from_millis(20), Nanos::from_millis(500)),
        });
    }
}

/// The first two share what the first has, with different weights.
fn group(clients: &mut [OverlapClient]) {
    if let [first, second, ..] = clients {
        first.group = Some(0);
        second.group = Some(0);
        second.config = StreamConfig {
            weight: 300,
            ..StreamConfig::BEST_EFFORT
        };
    }
}

fn draw_change(rng: &mut SplitMix64, clients: &[OverlapClient]) -> Option<Change> {
    let count = clients.len() as u64;
    let change = Change {
        from: rng.below(count) as usize,
        to: rng.below(count) as usize,
    };
    let has = |index: usize| clients[index].config.reservation.is_some();
    (change.from != change.to && has(change.from) && has(change.to)).then_some(change)
}

fn apply<D: disktime_lab::overlap::OverlapDevice>(
    run: &mut OverlapRun<D>,
    clients: &mut [OverlapClient],
    change: Change,
) {
    let share = |client: &OverlapClient| client.config.reservation.map_or(0, |one| one.share.0);
    let moved = share(&clients[change.from]) / 2;
    for (index, share) in [
        (change.from, share(&clients[change.from]) - moved),
        (change.to, share(&clients[change.to]) + moved),
    ] {
        let config = &mut clients[index].config;
        if let Some(reservation) = &mut config.reservation {
            reservation.share = Share(share);
        }
        if let Some(limit) = &mut config.limit {
            limit.share = Share(limit.share.0.max(share));
        }
        run.reconfigure(index, *config);
    }
}

fn check<D: disktime_lab::overlap::OverlapDevice>(
    run: &OverlapRun<D>,
    case: &Case,
    outcome: &mut SeedOutcome,
) {
    let bound = run.scheduler().unspent_bound().0 as i64;
    for (index, (client, result)) in case.clients.iter().zip(run.results()).enumerate() {
        let counters = result.counters;
        outcome.deadlines += counters.deadlines_met + counters.deadlines_missed;
        let unspent = counters.unspent_max.unwrap_or(0);
        outcome.unspent = outcome.unspent.max(unspent as f64 / bound as f64);
        if unspent > bound {
            outcome.violations.push(format!(
                "{} (number {index}): {unspent} ns unspent, bound {bound}",
                client.name
            ));
        }
        if let Some(limit) = client.config.limit {
            let used = counters.reserved + counters.spare - counters.waited;
            check_limit(run.now(), used, (index, limit), bound, outcome);
        }
    }
}

/// In all its time an account has had at most its limit, that of one period in advance, and a
/// request.
fn check_limit(
    now: Nanos,
    used: Nanos,
    (index, limit): (usize, Limit),
    bound: i64,
    outcome: &mut SeedOutcome,
) {
    let part = |time: Nanos| (u128::from(time.0) * u128::from(limit.share.0) / 1_000_000) as i64;
    let over = used.0 as i64 - part(now + limit.period);
    outcome.over_limit = outcome.over_limit.max(over as f64 / bound as f64);
    if over > bound {
        outcome.violations.push(format!(
            "number {index} has had {over} ns more than its limit, allowed {bound}"
        ));
    }
}
