//! The guarantee, in virtual time, through the program itself: on the modelled hard disk, admitted
//! to the last part per million, every stream gets its share and keeps its throughput, whatever the
//! others do (I2, I3, I6 of the house).
//!
//! All windows are whole periods of all streams, and all periods start with the window. A failure
//! prints the two files to give to `disktime simulate`. Clients without think time are backlogged
//! all the time; for others nothing is claimed, but they disturb like the rest.

mod mix;
mod simulator;

use disktime_lab::client_kind::Pattern;
use mix::{Mix, PERIODS_MS, Switching, WHOLE_PPM};
use serde_json::Value;
use simulator::Simulator;

/// A whole number of all periods of [`PERIODS_MS`].
const WINDOW_MS: u64 = 120_000;
/// The allowance of the promise, in parts per million of the disk: 0.1 percentage points.
const SHORTFALL_PPM: f64 = 1_000.0;
/// Worst isolation ratio that is allowed,
const ISOLATION_MIN: f64 = 0.98;
/// for periods from this on.
const ISOLATION_PERIOD_MS: u64 = 500;

fn reproduce(mix: &Mix, window_ms: u64) -> String {
    format!(
        "{mix}\nconfiguration: {}\nworkload: {}",
        mix.configuration(),
        mix.workload(window_ms, window_ms)
    )
}

fn number(value: &Value, what: &str) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{what} is missing in the report"))
}

/// What a set of runs came to at worst.
#[derive(Debug, Default)]
struct Worst {
    mixes: usize,
    periods: u64,
    shortfall_ppm: f64,
    unspent_of_bound: f64,
}

impl Worst {
    /// Runs a mix over the window and holds it to the promise.
    fn hold(&mut self, simulator: &Simulator, mix: &Mix) -> Value {
        let report = simulator.run(mix, WINDOW_MS);
        let context = || reproduce(mix, WINDOW_MS);
        let disk = &report["disks"]["h"];
        let bound_ms = number(&disk["unspent_bound_ms"], "unspent_bound_ms");
        let window_ns = WINDOW_MS as f64 * 1e6;
        let allowed_ppm = SHORTFALL_PPM.max(2e6 * simulator.facts.worst_case as f64 / window_ns);
        for (index, stream) in mix.streams.iter().enumerate() {
            let vdisk = &report["vdisks"][format!("v{index}")];
            assert_eq!(vdisk["deadlines_missed"], 0, "v{index} of {}", context());
            if stream.client.think_us > 0 {
                continue;
            }
            let used_ppm = number(&vdisk["reserved_used_ns"], "reserved_used_ns") / window_ns
                * WHOLE_PPM as f64;
            let short_ppm = stream.share_ppm as f64 - used_ppm;
            assert!(
                short_ppm <= allowed_ppm,
                "v{index} is short of its share by {short_ppm:.0} ppm, {allowed_ppm:.0} allowed: {}",
                context()
            );
            let unspent_ms = number(&vdisk["unspent_max_ms"], "unspent_max_ms");
            assert!(
                unspent_ms <= bound_ms,
                "v{index} had {unspent_ms} ms unspent at a period's end, bound {bound_ms}: {}",
                context()
            );
            self.periods += number(&vdisk["deadlines_met"], "deadlines_met") as u64;
            self.shortfall_ppm = self.shortfall_ppm.max(short_ppm);
            self.unspent_of_bound = self.unspent_of_bound.max(unspent_ms / bound_ms);
        }
        self.mixes += 1;
        // At the end of the run one request may be in service, or one stream be waited for.
        let open_ns = uncharged_ns(disk);
        assert!(
            (0..=simulator.facts.worst_case as i64).contains(&open_ns),
            "{open_ns} ns of the disk's time are charged to no stream: {}",
            context()
        );
        assert_eq!(
            disk["overruns"],
            0,
            "W is not a true bound in {}",
            context()
        );
        report
    }
}

/// Busy and waiting time, less what was charged to streams and to the switching account.
fn uncharged_ns(disk: &Value) -> i64 {
    let nanos = |field: &str| number(&disk[field], field) as i64;
    nanos("busy_ns") + nanos("waiting_ns") - nanos("charged_ns") - nanos("switching_ns")
}

fn whole_periods(mix: &Mix) -> bool {
    mix.streams
        .iter()
        .all(|stream| WINDOW_MS.is_multiple_of(stream.period_ms))
}

#[test]
fn mixes_are_admitted_to_the_last_part_per_million() {
    let simulator = Simulator::new();
    for switching in [Switching::Account, Switching::Served] {
        for seed in 0..10 {
            let mix = mix::random(seed, switching, simulator.facts, &PERIODS_MS, false);
            assert!(whole_periods(&mix), "{mix}");
            let verdict = simulator.check(&mix);
            assert_eq!(verdict["admitted"], true, "{mix}: {verdict:#}");
            assert_eq!(
                verdict["disks"]["h"]["left_share"], 0.0,
                "{mix}: {verdict:#}"
            );
            // One part per million more is refused.
            let mut greedy = mix.clone();
            greedy.streams[0].share_ppm += 1;
            assert_eq!(simulator.check(&greedy)["admitted"], false, "{greedy}");
        }
    }
}

fn every_pair(switching: Switching) {
    let simulator = Simulator::new();
    let mut worst = Worst::default();
    for mix in mix::pairs(switching, simulator.facts, &PERIODS_MS) {
        worst.hold(&simulator, &mix);
    }
    println!("every pair, {switching:?}: {worst:.4?}");
    assert!(
        worst.periods > 10_000,
        "too few periods were checked: {worst:?}"
    );
}

#[test]
fn i3_every_pair_of_kinds_gets_its_share_with_the_switching_account() {
    every_pair(Switching::Account);
}

#[test]
fn i3_every_pair_of_kinds_gets_its_share_each_paying_its_seeks() {
    every_pair(Switching::Served);
}

#[test]
fn i3_random_mixes_get_their_shares() {
    let simulator = Simulator::new();
    for switching in [Switching::Account, Switching::Served] {
        let mut worst = Worst::default();
        for seed in 0..60 {
            let mix = mix::random(seed, switching, simulator.facts, &PERIODS_MS, false);
            worst.hold(&simulator, &mix);
        }
        println!("random mixes, {switching:?}: {worst:.4?}");
    }
}

#[test]
fn i3_streams_that_pause_take_nothing_from_those_that_do_not() {
    let simulator = Simulator::new();
    for switching in [Switching::Account, Switching::Served] {
        let mut worst = Worst::default();
        for seed in 1_000..1_030 {
            let mix = mix::random(seed, switching, simulator.facts, &PERIODS_MS, true);
            worst.hold(&simulator, &mix);
        }
        println!("mixes with pauses, {switching:?}: {worst:.4?}");
    }
}

/// Throughput over share × throughput alone, of the worst stream.
fn isolation(simulator: &mut Simulator, worst: &mut Worst, mix: &Mix) -> f64 {
    let report = worst.hold(simulator, mix);
    let mut least = f64::MAX;
    for (slot, stream) in mix.streams.iter().enumerate() {
        let iops = number(&report["clients"][format!("c{slot}")]["iops"], "iops");
        let alone = simulator.alone(mix, slot, WINDOW_MS);
        let ratio = iops / alone / (stream.share_ppm as f64 / WHOLE_PPM as f64);
        assert!(
            ratio >= ISOLATION_MIN,
            "v{slot} has {iops} of {alone} requests per second, isolation {ratio:.4}: {}",
            reproduce(mix, WINDOW_MS)
        );
        least = least.min(ratio);
    }
    least
}

#[test]
fn isolation_is_at_least_98_per_cent_for_periods_from_half_a_second() {
    let mut simulator = Simulator::new();
    let long: Vec<u64> = PERIODS_MS
        .into_iter()
        .filter(|period| *period >= ISOLATION_PERIOD_MS)
        .collect();
    let facts = simulator.facts;
    let mut mixes = mix::pairs(Switching::Account, facts, &long);
    mixes.extend(
        (2_000..2_045).map(|seed| mix::random(seed, Switching::Account, facts, &long, false)),
    );
    let mut worst = Worst::default();
    let ratios: Vec<f64> = mixes
        .iter()
        .map(|mix| isolation(&mut simulator, &mut worst, mix))
        .collect();
    let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
    let least = ratios.iter().zip(&mixes).min_by(|a, b| a.0.total_cmp(b.0));
    let (least, mix) = least.expect("there are mixes");
    println!("isolation: worst {least:.4}, mean of each mix's worst {mean:.4}; {worst:.4?}");
    println!("the worst isolation: {mix}");
}

#[test]
fn i2_charges_and_the_switching_account_are_busy_and_waiting_time_exactly() {
    let simulator = Simulator::new();
    for switching in [Switching::Account, Switching::Served] {
        for seed in 3_000..3_015 {
            let mix = mix::random(seed, switching, simulator.facts, &PERIODS_MS, true);
            // The clients stop, and everything is answered before the end.
            let text = simulator.text(&mix, 20_000, 40_000);
            let report: Value = serde_json::from_str(&text).expect("a report in JSON");
            let disk = &report["disks"]["h"];
            assert_eq!(uncharged_ns(disk), 0, "{}", reproduce(&mix, 20_000));
            let busy = number(&disk["busy_ns"], "busy_ns");
            assert!(busy > 1e10, "busy for {busy} ns only: {mix}");
        }
    }
}

#[test]
fn i6_two_runs_are_the_same_to_the_byte() {
    let simulator = Simulator::new();
    for switching in [Switching::Account, Switching::Served] {
        for seed in 4_000..4_004 {
            let mix = mix::random(seed, switching, simulator.facts, &PERIODS_MS, true);
            let texts = [0, 1].map(|_| simulator.text(&mix, 30_000, 30_000));
            assert_eq!(texts[0], texts[1], "{}", reproduce(&mix, 30_000));
        }
    }
}

#[test]
fn the_same_yardstick_shows_what_fifo_does_not_keep() {
    let mut simulator = Simulator::new();
    let period = [ISOLATION_PERIOD_MS];
    let mixes = mix::pairs(Switching::Account, simulator.facts, &period);
    let of_patterns = |mix: &&Mix| {
        let patterns = [0, 1].map(|slot| mix.streams[slot].client.kind.pattern);
        patterns == [Pattern::Sequential, Pattern::Random]
    };
    let mix = mixes.iter().find(of_patterns).expect("each meets each");
    let report = simulator.run_under_fifo(mix, WINDOW_MS);
    let ratios = [0, 1].map(|slot| {
        let iops = number(&report["clients"][format!("c{slot}")]["iops"], "iops");
        let share = mix.streams[slot].share_ppm as f64 / WHOLE_PPM as f64;
        iops / simulator.alone(mix, slot, WINDOW_MS) / share
    });
    println!("{mix} under fifo: isolation {ratios:.3?}");
    assert!(ratios[0].min(ratios[1]) < 0.5, "{ratios:?}: {mix}");
}
