//! The guarantee in real time: `disktime serve` on a paced hard disk, loaded by fio over NBD.
//!
//! First shares: what a vdisk received of its reserved time, read from the server's own books
//! before and after. Then isolation: the throughput, as fio sees it, of a stream beside all kinds
//! of others, over its share of what it has alone; and the same under `fifo`, for comparison.

use crate::fio::{self, Job};
use crate::server::{Reserve, Server};
use disktime_benches::program::Program;
use disktime_benches::{BenchResult, machine};
use disktime_lab::client_kind::{ClientKind, Pattern};
use disktime_lab::measures::{Sharing, least, mean};
use disktime_lab::{Table, cells};
use disktime_observe::{DiskDifference, ServerDifference, ServerStatus, StreamWindow};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{Duration, Instant};

use Pattern::{Random, Sequential};

/// Received and reserved differ by this at most.
const SHARE_TARGET: f64 = 0.01;
/// Requests that the modelled time could not be kept for, at most.
const PACING_TARGET: f64 = 0.001;
/// Charges and measured time differ by this at most.
const CHARGES_TARGET: f64 = 0.01;
/// Least isolation.
const ISOLATION_TARGET: f64 = 0.95;
/// The share of which isolation is measured.
const VICTIM_PERCENT: u32 = 45;
/// The period of the streams whose shares are measured.
const SHARE_PERIOD_MS: u64 = 500;
/// Readings of the server's books at each end of a measurement of shares,
const READINGS: u32 = 10;
/// and the time that they are spread over: a period.
const READINGS_TIME: Duration = Duration::from_millis(SHARE_PERIOD_MS);
/// Before a measurement starts.
const RAMP_S: u64 = 2;

/// How long and how much.
struct Plan {
    splits: &'static [(u32, u32)],
    share_s: u64,
    victims: &'static [ClientKind],
    others: &'static [ClientKind],
    isolation_s: u64,
    fifo_s: u64,
}

const VICTIMS: [ClientKind; 4] = [
    ClientKind::reads(Sequential, 1),
    ClientKind::reads(Sequential, 8),
    ClientKind::reads(Random, 1),
    ClientKind::reads(Random, 8),
];

const OTHERS: [ClientKind; 9] = [
    ClientKind::reads(Sequential, 1),
    ClientKind::reads(Sequential, 8),
    ClientKind::reads(Sequential, 64),
    ClientKind::reads(Random, 1),
    ClientKind::reads(Random, 8),
    ClientKind::reads(Random, 64),
    ClientKind::writes(Random, 1),
    ClientKind::writes(Random, 8),
    ClientKind::writes(Random, 64),
];

const WHOLE: Plan = Plan {
    splits: &[(60, 30), (45, 45), (10, 80)],
    share_s: 30,
    victims: &VICTIMS,
    others: &OTHERS,
    isolation_s: 20,
    fifo_s: 8,
};

const QUICK: Plan = Plan {
    splits: &[(45, 45)],
    share_s: 15,
    victims: &[VICTIMS[0], VICTIMS[3]],
    others: &[OTHERS[1], OTHERS[5], OTHERS[8]],
    isolation_s: 12,
    fifo_s: 6,
};

/// Runs it all; what was measured, and whether every target was met.
pub(crate) fn run(
    program: &Program,
    quick: bool,
    seconds: Option<u64>,
) -> BenchResult<(Value, bool)> {
    let mut plan = if quick { QUICK } else { WHOLE };
    if let Some(seconds) = seconds {
        (plan.share_s, plan.isolation_s) = (seconds, seconds);
        plan.fifo_s = plan.fifo_s.min(seconds);
    }
    let shares = shares(program, &plan)?;
    let isolation = isolation(program, &plan)?;
    let parts = [&shares, &isolation];
    let met = parts.iter().all(|part| part["met"] == true);
    let measured = json!({
        "machine": machine::describe(), "shares": shares, "isolation": isolation, "met": met,
    });
    Ok((measured, met))
}

/// What was counted of the disk between two readings.
fn disk(counted: &ServerDifference) -> BenchResult<&DiskDifference> {
    let disk = counted.disks.get("hdd0");
    disk.ok_or_else(|| "the server's status has no disk `hdd0`".into())
}

/// The server's status, several times over one period. Where in a period a stream is served is the
/// scheduler's to choose, so a window that cuts through periods may show up to u·p·(1 − u) too much
/// or too little at each end; the mean of windows that start all over a period does not.
fn readings(server: &Server) -> BenchResult<Vec<ServerStatus>> {
    let start = Instant::now();
    let mut readings = Vec::new();
    for count in 1..=READINGS {
        readings.push(server.status()?);
        let next = READINGS_TIME * count / READINGS;
        std::thread::sleep(next.saturating_sub(start.elapsed()));
    }
    Ok(readings)
}

/// What a vdisk received on an account, over the disk's time; the mean of all windows.
fn mean_part(
    before: &[ServerStatus],
    after: &[ServerStatus],
    vdisk: &str,
    account: fn(&StreamWindow) -> u64,
) -> BenchResult<f64> {
    let mut sum = 0.0;
    for (before, after) in before.iter().zip(after) {
        let counted = after.since(before);
        let elapsed_ns = disk(&counted)?.window.elapsed_ns;
        let Some(stream) = counted.vdisks.get(vdisk) else {
            return Err(format!("the server's status has no vdisk `{vdisk}`").into());
        };
        sum += account(&stream.window) as f64 / elapsed_ns as f64;
    }
    Ok(sum / before.len() as f64)
}

fn shares(program: &Program, plan: &Plan) -> BenchResult<Value> {
    println!("Shares: sequential reads of depth 8 against random reads of depth 8, p = 500 ms\n");
    let mut table = Table::headed(
        "reserved | received on reservation | spare | farthest off | requests late | charges off by | load",
    );
    let (mut measured, mut met) = (Vec::new(), true);
    for (first, second) in plan.splits {
        let reserves = [*first, *second].map(|percent| Reserve {
            percent,
            period_ms: SHARE_PERIOD_MS,
        });
        let server = Server::start(program, "fahrrad", &reserves)?;
        let jobs = [
            Job {
                kind: ClientKind::reads(Sequential, 8),
                uri: server.uri("v0"),
            },
            Job {
                kind: ClientKind::reads(Random, 8),
                uri: server.uri("v1"),
            },
        ];
        let run = fio::start(&jobs, 0, RAMP_S + plan.share_s + 2)?;
        std::thread::sleep(Duration::from_secs(RAMP_S));
        let before = readings(&server)?;
        std::thread::sleep(Duration::from_secs(plan.share_s) - READINGS_TIME);
        let after = readings(&server)?;
        let load = machine::load();
        run.report()?;
        let part = |vdisk: &str, account| mean_part(&before, &after, vdisk, account);
        let reserved_used = [
            part("v0", |window| window.reserved_used_ns)?,
            part("v1", |window| window.reserved_used_ns)?,
        ];
        let spare = [
            part("v0", |window| window.spare_ns)?,
            part("v1", |window| window.spare_ns)?,
        ];
        let counted = after[0].since(&before[0]);
        let DiskDifference { window, pacing, .. } = disk(&counted)?;
        let reserved = [f64::from(*first) / 100.0, f64::from(*second) / 100.0];
        let off = (reserved_used[0] - reserved[0])
            .abs()
            .max((reserved_used[1] - reserved[1]).abs());
        let late = pacing.overruns as f64 / (pacing.requests as f64).max(1.0);
        let used = window.busy_ns + window.waiting_ns;
        let charged = window.charged_ns + window.switching_ns;
        let charges_off = (charged as f64 / used as f64 - 1.0).abs();
        met &= off <= SHARE_TARGET && late <= PACING_TARGET && charges_off <= CHARGES_TARGET;
        table.row(vec![
            format!("{first} % / {second} %"),
            format!(
                "{:.2} % / {:.2} %",
                reserved_used[0] * 100.0,
                reserved_used[1] * 100.0
            ),
            format!("{:.2} % / {:.2} %", spare[0] * 100.0, spare[1] * 100.0),
            format!("{:.2} pp", off * 100.0),
            format!("{:.3} %", late * 100.0),
            format!("{:.3} %", charges_off * 100.0),
            format!("{load:.1}"),
        ]);
        measured.push(json!({
            "reserved": reserved, "reserved_used": reserved_used, "spare": spare, "late": late,
            "charges_off": charges_off, "load": load, "log": server.log(),
        }));
        eprintln!(
            "{first}/{second}: received {:.4} and {:.4}",
            reserved_used[0], reserved_used[1]
        );
    }
    println!("{table}");
    Ok(json!({ "runs": measured, "met": met }))
}

/// Throughput of kinds alone on the disk, measured once each.
struct Alone<'a> {
    server: &'a Server,
    seconds: u64,
    known: HashMap<(usize, ClientKind), f64>,
}

impl Alone<'_> {
    fn rate(&mut self, slot: usize, kind: ClientKind) -> BenchResult<f64> {
        if let Some(known) = self.known.get(&(slot, kind)) {
            return Ok(*known);
        }
        let job = Job {
            kind,
            uri: self.server.uri(&format!("v{slot}")),
        };
        let rate = fio::rates(&[job], RAMP_S, self.seconds)?[0];
        eprintln!("{kind} alone: {rate:.1} requests/s");
        self.known.insert((slot, kind), rate);
        Ok(rate)
    }
}

/// A victim beside another.
struct VictimPair {
    victim: ClientKind,
    other: ClientKind,
    /// Of the victim and of the other, beside each other and alone.
    rates: [f64; 2],
    alone: [f64; 2],
    load: f64,
}

impl VictimPair {
    fn sharing(&self) -> Sharing {
        let share = f64::from(VICTIM_PERCENT) / 100.0;
        let streams = self.rates.into_iter().zip(self.alone);
        streams.map(|(rate, alone)| (rate, alone, share)).collect()
    }

    /// The victim's.
    fn isolation(&self) -> f64 {
        self.sharing().isolations().next().unwrap_or(f64::NAN)
    }

    fn efficiency(&self) -> f64 {
        self.sharing().efficiency()
    }
}

/// Measures each pair; the second of a pair that is alike is a different vdisk all the same.
fn pairs(
    server: &Server,
    plan: &Plan,
    seconds: u64,
    alone: &mut Alone<'_>,
) -> BenchResult<Vec<VictimPair>> {
    let mut pairs = Vec::new();
    for victim in plan.victims.iter().copied() {
        for other in plan.others.iter().copied() {
            let jobs = [(victim, "v0"), (other, "v1")].map(|(kind, vdisk)| Job {
                kind,
                uri: server.uri(vdisk),
            });
            let rates = fio::rates(&jobs, RAMP_S, seconds)?;
            let pair = VictimPair {
                victim,
                other,
                rates: [rates[0], rates[1]],
                alone: [alone.rate(0, victim)?, alone.rate(1, other)?],
                load: machine::load(),
            };
            eprintln!(
                "{victim} beside {other}: {:.1} requests/s, isolation {:.3}, load {:.1}",
                rates[0],
                pair.isolation(),
                pair.load
            );
            pairs.push(pair);
        }
    }
    Ok(pairs)
}

fn isolation(program: &Program, plan: &Plan) -> BenchResult<Value> {
    println!(
        "Isolation: a stream with {VICTIM_PERCENT} % and p = 1 s beside another with as much\n"
    );
    let reserve = Reserve {
        percent: VICTIM_PERCENT,
        period_ms: 1_000,
    };
    let server = Server::start(program, "fahrrad", &[reserve; 2])?;
    let mut alone = Alone {
        server: &server,
        seconds: plan.isolation_s,
        known: HashMap::new(),
    };
    let fahrrad = pairs(&server, plan, plan.isolation_s, &mut alone)?;
    let fifo_server = Server::start(program, "fifo", &[reserve; 2])?;
    let fifo = pairs(&fifo_server, plan, plan.fifo_s, &mut alone)?;
    let mut table = Table::headed(
        "stream | beside | alone | fahrrad | isolation | efficiency | fifo | isolation | efficiency",
    );
    for (ours, theirs) in fahrrad.iter().zip(&fifo) {
        let mut row = cells![ours.victim, ours.other, format!("{:.1}/s", ours.alone[0])];
        for pair in [ours, theirs] {
            row.push(format!("{:.1}/s", pair.rates[0]));
            row.push(format!("{:.3}", pair.isolation()));
            row.push(format!("{:.3}", pair.efficiency()));
        }
        table.row(row);
    }
    println!("{table}");
    println!(
        "{}",
        worst_and_mean(&[("fahrrad", &fahrrad), ("fifo", &fifo)])
    );
    let met = fahrrad
        .iter()
        .all(|pair| pair.isolation() >= ISOLATION_TARGET);
    Ok(json!({
        "fahrrad": pairs_to_json(&fahrrad), "fifo": pairs_to_json(&fifo), "met": met,
        "logs": [server.log(), fifo_server.log()],
    }))
}

fn worst_and_mean(policies: &[(&str, &[VictimPair])]) -> Table {
    let mut table = Table::headed(
        "policy | worst isolation | mean isolation | worst efficiency | mean efficiency",
    );
    for (name, pairs) in policies {
        let mut row = cells![name];
        for figure in [VictimPair::isolation, VictimPair::efficiency] {
            let figures = || pairs.iter().map(figure);
            row.push(format!("{:.3}", least(figures())));
            row.push(format!("{:.3}", mean(figures())));
        }
        table.row(row);
    }
    table
}

fn pairs_to_json(pairs: &[VictimPair]) -> Value {
    let pair = |pair: &VictimPair| {
        json!({
            "victim": pair.victim.to_string(),
            "other": pair.other.to_string(),
            "victim_iops": pair.rates[0],
            "victim_iops_alone": pair.alone[0],
            "other_iops": pair.rates[1],
            "other_iops_alone": pair.alone[1],
            "isolation": pair.isolation(),
            "efficiency": pair.efficiency(),
            "load": pair.load,
        })
    };
    pairs.iter().map(pair).collect()
}
