//! Isolation in real time on disks that overlap requests: a victim with half of the disk beside
//! four aggressors.
//!
//! - disktime over NBD, loaded by its own client; under `fahrrad` and `fifo`, on paced models and
//!   on a file of this machine.
//! - `kernel`: the same loads by fio on a file of this machine: as it is, through a loop device
//!   with bfq and a cgroup for each client, and through QEMU's throttle filter.
//!
//! Isolation is the victim's rate beside an aggressor over half of its rate alone on the same
//! system in the same round. Rounds repeat all cells of a system; the middle one counts.
//!
//! What is not known here: how fast one system is beside another.

mod kernel;

use crate::served::{Kind, Served};
use disktime_benches::program::Program;
use disktime_benches::{BenchResult, machine};
use disktime_lab::Table;
use kernel::Kernel;
use serde_json::{Value, json};
use std::path::Path;

/// Least isolation on a paced model.
const MODEL_TARGET: f64 = 0.90;
/// Least isolation on a file of this machine.
const FILE_TARGET: f64 = 0.80;
/// Bytes of the file that each of the two clients uses.
pub(crate) const PART_BYTES: u64 = 512 << 20;

/// A closed loop of random requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) writes: bool,
    pub(crate) block_bytes: u32,
    pub(crate) depth: u32,
}

impl Stream {
    pub(crate) const fn reads(block_bytes: u32, depth: u32) -> Stream {
        Stream {
            writes: false,
            block_bytes,
            depth,
        }
    }

    const fn writes(block_bytes: u32, depth: u32) -> Stream {
        Stream {
            writes: true,
            ..Stream::reads(block_bytes, depth)
        }
    }

    fn name(&self) -> String {
        let what = if self.writes { "writes" } else { "reads" };
        format!(
            "{} KiB {what}, depth {}",
            self.block_bytes >> 10,
            self.depth
        )
    }
}

pub(crate) const VICTIMS: [Stream; 2] = [Stream::reads(4 << 10, 1), Stream::reads(4 << 10, 8)];

const AGGRESSORS: [Stream; 4] = [
    Stream::reads(64 << 10, 32),
    Stream::writes(64 << 10, 32),
    Stream::reads(4 << 10, 128),
    Stream::writes(1 << 20, 8),
];

/// What two clients share.
pub(crate) trait System {
    /// Requests per second of the victim, and of the aggressor if there is one.
    fn rates(&mut self, victim: Stream, aggressor: Option<Stream>) -> BenchResult<Vec<f64>>;
}

/// How long and how often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) milliseconds: u64,
    pub(crate) rounds: usize,
}

/// Isolation by victim and aggressor.
type Isolation = Vec<f64>;

/// Runs all systems; what was measured, and whether every target was met.
pub(crate) fn run(program: &Program, directory: &Path, plan: Plan) -> BenchResult<(Value, bool)> {
    std::fs::create_dir_all(directory)?;
    let scratch = tempfile::tempdir_in(directory)?;
    let mut columns = Vec::new();
    let mut met = true;
    for model in ["nvme-970pro", "sata-870", "cloud-16k"] {
        for policy in ["fahrrad", "fifo"] {
            let directory = scratch.path().join(format!("{model}-{policy}"));
            let kind = Kind {
                model: Some(model),
                policy,
                trim: "pass",
            };
            let mut system = Served::start(program, &directory, kind, plan.milliseconds)?;
            let isolation = measured(&mut system, plan)?;
            met &= policy == "fifo" || isolation.iter().all(|one| *one >= MODEL_TARGET);
            columns.push((format!("{model}, {policy}"), isolation));
        }
    }
    let ours = columns.len();
    for policy in ["fahrrad", "fifo"] {
        let directory = scratch.path().join(format!("file-{policy}"));
        let kind = Kind {
            model: None,
            policy,
            trim: "pass",
        };
        let mut system = Served::start(program, &directory, kind, plan.milliseconds)?;
        columns.push((format!("file, {policy}"), measured(&mut system, plan)?));
    }
    for peer in Kernel::ALL {
        let directory = scratch.path().join(peer.name().replace(' ', "-"));
        let mut system = peer.start(&directory, plan.milliseconds)?;
        columns.push((
            format!("file, {}", peer.name()),
            measured(system.as_mut(), plan)?,
        ));
    }
    let (file, others) = (&columns[ours].1, &columns[ours + 1..]);
    let is_best = |(cell, own): (usize, &f64)| {
        *own >= FILE_TARGET && others.iter().all(|(_, other)| *own > other[cell])
    };
    met &= file.iter().enumerate().all(is_best);
    println!("{}", table(&columns));
    let by_system: serde_json::Map<String, Value> = columns
        .into_iter()
        .map(|(name, isolation)| (name, json!(isolation)))
        .collect();
    let measured = json!({
        "machine": machine::describe(), "cells": cells(), "isolation": by_system, "met": met,
    });
    Ok((measured, met))
}

/// Isolation in each cell; the middle one of the rounds.
fn measured(system: &mut dyn System, plan: Plan) -> BenchResult<Isolation> {
    let mut rounds = Vec::with_capacity(plan.rounds);
    for _ in 0..plan.rounds {
        rounds.push(one_round(system)?);
    }
    let middle = |cell: usize| {
        let mut figures: Vec<f64> = rounds.iter().map(|round: &Isolation| round[cell]).collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    Ok((0..VICTIMS.len() * AGGRESSORS.len()).map(middle).collect())
}

fn one_round(system: &mut dyn System) -> BenchResult<Isolation> {
    let mut isolation = Vec::new();
    for victim in VICTIMS {
        let before = system.rates(victim, None)?[0];
        let mut beside = Vec::new();
        for aggressor in AGGRESSORS {
            beside.push(system.rates(victim, Some(aggressor))?[0]);
        }
        let after = system.rates(victim, None)?[0];
        let half_alone = (before + after) / 4.0;
        isolation.extend(beside.into_iter().map(|rate| rate / half_alone));
    }
    Ok(isolation)
}

fn cells() -> Vec<String> {
    let cell = |victim: Stream, other: Stream| format!("{} beside {}", victim.depth, other.name());
    let beside = |victim| AGGRESSORS.map(move |other| cell(victim, other));
    VICTIMS.into_iter().flat_map(beside).collect()
}

fn table(columns: &[(String, Isolation)]) -> Table {
    let names = columns.iter().map(|(name, _)| name.clone());
    let head = std::iter::once("victim's depth, beside".to_owned()).chain(names);
    let mut table = Table::new(head);
    for (index, cell) in cells().into_iter().enumerate() {
        let figures = columns.iter().map(|(_, all)| format!("{:.2}", all[index]));
        table.row(std::iter::once(cell).chain(figures).collect());
    }
    table
}
