//! Neighbours that are no load of reads and writes: block status, which takes the processor and no
//! disk time, and a storm of trims. In real time, over NBD.
//!
//! A victim with half of the disk reads 4 KiB at random. Beside it
//!
//! - status: four clients with 64 requests in flight each ask for all extents of a vdisk in 4,096
//!   pieces. As they need the processor themselves, the control is a run in which they ask a second
//!   server, where a vdisk is in use as well;
//! - trims: one client trims a vdisk that is all written, 1 MiB at a time, 64 in flight, from its
//!   beginning to its end and over again; for each of the ways in which a vdisk may treat trims.
//!
//! The runs of a round are interleaved; the middle round counts. The clients of the neighbour have
//! a lower priority than the rest, so that it is the server's time that they take.
//!
//! What is not known here: how the server bounds either.

use crate::overlapping::{PART_BYTES, Plan, Stream, VICTIMS};
use crate::served::{Got, Kind, Served, fill};
use disktime_benches::program::Program;
use disktime_benches::{BenchResult, machine};
use disktime_lab::{Table, cells};
use disktime_nbd_client::{ClientRequest, NbdClient, StructuredClient};
use disktime_nbd_protocol::NbdUri;
use disktime_units::RequestKind;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the victim keeps at least: beside status of what it has in the control, beside trims of
/// half of what it has alone.
const TARGET: f64 = 0.90;
/// Clients that ask for status, and the requests of each in flight.
const ASKING_CLIENTS: usize = 4;
const ASKING_DEPTH: usize = 64;
/// Every other chunk of the vdisk is a hole.
const CHUNK_BYTES: u64 = 64 << 10;
const TRIM_BYTES: u32 = 1 << 20;
const TRIM_DEPTH: usize = 64;
/// In the control, the second server's vdisk is read once in this time.
const CONTROL_PAUSE: Duration = Duration::from_micros(500);

/// By so much the neighbour's threads are nicer than this one.
const LOWER_PRIORITY: i32 = 10;

/// Requests that go on in threads until they are stopped.
struct Neighbour {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<u64, String>>>,
}

impl Neighbour {
    fn new() -> Neighbour {
        Neighbour {
            stop: Arc::default(),
            threads: Vec::new(),
        }
    }

    /// Adds a thread that calls `answer` until it is stopped.
    fn add(&mut self, mut answer: impl FnMut() -> BenchResult + Send + 'static) {
        let stop = Arc::clone(&self.stop);
        self.threads.push(std::thread::spawn(move || {
            // SAFETY: asks for and changes the priority of this thread only; a failure leaves it.
            unsafe {
                let priority = libc::getpriority(libc::PRIO_PROCESS, 0);
                libc::setpriority(libc::PRIO_PROCESS, 0, priority + LOWER_PRIORITY);
            }
            let mut answers = 0;
            while !stop.load(Ordering::Relaxed) {
                answer().map_err(|error| error.to_string())?;
                answers += 1;
            }
            Ok(answers)
        }));
    }

    /// Stops it; how many answers it got.
    fn end(self) -> BenchResult<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let mut answers = 0;
        for thread in self.threads {
            answers += thread
                .join()
                .map_err(|_| "a neighbour's thread panicked")??;
        }
        Ok(answers)
    }
}

/// Asks for the status of `bg`, again and again.
fn asking(uri: &NbdUri) -> BenchResult<Neighbour> {
    let mut neighbour = Neighbour::new();
    let request = ClientRequest::new(0, RequestKind::Status, 0, PART_BYTES as u32);
    for _ in 0..ASKING_CLIENTS {
        let mut client = StructuredClient::connect(uri)?;
        for _ in 0..ASKING_DEPTH {
            client.send(&request, 0)?;
        }
        neighbour.add(move || {
            client.receive()?;
            client.send(&request, 0)?;
            Ok(())
        });
    }
    Ok(neighbour)
}

/// Trims `bg` from its beginning to its end, and over again.
fn trimming(uri: &NbdUri) -> BenchResult<Neighbour> {
    let mut client = NbdClient::connect(uri)?;
    let trims = PART_BYTES / u64::from(TRIM_BYTES);
    let mut next = (0..trims).cycle().map(|index| {
        let offset_bytes = index * u64::from(TRIM_BYTES);
        ClientRequest::new(0, RequestKind::Trim, offset_bytes, TRIM_BYTES)
    });
    for request in next.by_ref().take(TRIM_DEPTH) {
        client.send_request(&request)?;
    }
    let mut data = Vec::new();
    let mut neighbour = Neighbour::new();
    neighbour.add(move || {
        client.receive_reply(&mut data)?;
        let request = next.next().ok_or("it goes round")?;
        Ok(client.send_request(&request)?)
    });
    Ok(neighbour)
}

/// Makes every other chunk of `bg` a hole.
fn fragment(served: &Served) -> BenchResult {
    let mut client = NbdClient::connect(&served.uri("bg"))?;
    for chunk in (0..PART_BYTES / CHUNK_BYTES).step_by(2) {
        let offset_bytes = chunk * CHUNK_BYTES;
        let request = ClientRequest::new(0, RequestKind::Trim, offset_bytes, CHUNK_BYTES as u32);
        client.call(&request, &mut Vec::new())?;
    }
    Ok(())
}

/// What the victim got alone and beside neighbours, in one round.
#[derive(Debug, Clone)]
struct Round {
    /// Mean of before and after.
    alone: f64,
    /// In the control, if there is one: as a part of alone, and the 99th percentile of its latency
    /// in microseconds.
    control: Option<(f64, f64)>,
    /// As a part of alone,
    kept: f64,
    /// its 99th percentile of latency in microseconds,
    p99_us: f64,
    /// and the answers that the neighbour got meanwhile.
    answers: u64,
}

fn victim_of(served: &Served, victim: Stream) -> BenchResult<Got> {
    let got = served.load(&[("db", victim)])?;
    Ok(*got.first().ok_or("the victim got nothing")?)
}

fn beside(served: &Served, victim: Stream, neighbour: Neighbour) -> BenchResult<(Got, u64)> {
    let got = victim_of(served, victim);
    let answers = neighbour.end()?;
    Ok((got?, answers))
}

fn status_round(served: &Served, second: &Served, victim: Stream) -> BenchResult<Round> {
    let before = victim_of(served, victim)?.rate;
    let mut elsewhere = asking(&second.uri("bg"))?;
    let mut reader = NbdClient::connect(&second.uri("db"))?;
    elsewhere.add(move || {
        let request = ClientRequest::new(0, RequestKind::Read, 0, 4096);
        reader.call(&request, &mut Vec::new())?;
        std::thread::sleep(CONTROL_PAUSE);
        Ok(())
    });
    let (control, _) = beside(served, victim, elsewhere)?;
    let (got, answers) = beside(served, victim, asking(&served.uri("bg"))?)?;
    let alone = (before + victim_of(served, victim)?.rate) / 2.0;
    Ok(Round {
        alone,
        control: Some((control.rate / alone, control.p99_us.unwrap_or_default())),
        kept: got.rate / alone,
        p99_us: got.p99_us.unwrap_or_default(),
        answers,
    })
}

fn trim_round(served: &Served, victim: Stream) -> BenchResult<Round> {
    let before = victim_of(served, victim)?.rate;
    fill(&served.path_of("bg"))?;
    let (got, answers) = beside(served, victim, trimming(&served.uri("bg"))?)?;
    let alone = (before + victim_of(served, victim)?.rate) / 2.0;
    Ok(Round {
        alone,
        control: None,
        kept: got.rate / alone,
        p99_us: got.p99_us.unwrap_or_default(),
        answers,
    })
}

/// A row of the table.
struct Cell {
    disk: &'static str,
    neighbour: String,
    victim: Stream,
    /// The middle one, by what the victim kept of its due.
    round: Round,
}

impl Cell {
    /// Runs so many rounds.
    fn of(
        (disk, neighbour, victim): (&'static str, String, Stream),
        rounds: usize,
        mut round: impl FnMut() -> BenchResult<Round>,
    ) -> BenchResult<Cell> {
        let mut all = (0..rounds)
            .map(|_| round())
            .collect::<BenchResult<Vec<Round>>>()?;
        all.sort_by(|a, b| a.of_its_due().total_cmp(&b.of_its_due()));
        let round = all.swap_remove(rounds / 2);
        Ok(Cell {
            disk,
            neighbour,
            victim,
            round,
        })
    }

    fn is_met(&self) -> bool {
        self.round.of_its_due() >= TARGET
    }

    fn json(&self) -> Value {
        let Round {
            alone,
            control,
            kept,
            p99_us,
            answers,
        } = self.round;
        json!({
            "disk": self.disk, "neighbour": self.neighbour, "depth": self.victim.depth,
            "alone": alone, "control": control, "kept": kept, "of_its_due": self.round.of_its_due(),
            "p99_us": p99_us, "answers": answers,
        })
    }
}

impl Round {
    /// What the victim kept of what is due to it: of its rate in the control, as status takes no
    /// disk time; of half of its rate alone beside trims.
    fn of_its_due(&self) -> f64 {
        self.kept / self.control.map_or(0.5, |(rate, _)| rate)
    }
}

/// Runs all of it; what was measured, and whether every target was met.
pub(crate) fn run(program: &Program, directory: &Path, plan: Plan) -> BenchResult<(Value, bool)> {
    std::fs::create_dir_all(directory)?;
    let scratch = tempfile::tempdir_in(directory)?;
    let start = |name: &str, model, trim| {
        let kind = Kind {
            model,
            policy: "fahrrad",
            trim,
        };
        Served::start(program, &scratch.path().join(name), kind, plan.milliseconds)
    };
    let mut all = Vec::new();
    for (disk, model) in [("file", None), ("cloud-16k", Some("cloud-16k"))] {
        let served = start(disk, model, "pass")?;
        let second = start(&format!("{disk}-2"), model, "pass")?;
        fragment(&served)?;
        fragment(&second)?;
        for victim in VICTIMS {
            let what = (disk, "status".to_owned(), victim);
            all.push(Cell::of(what, plan.rounds, || {
                status_round(&served, &second, victim)
            })?);
        }
    }
    for trim in ["pass", "hold", "ignore"] {
        let served = start(&format!("trim-{trim}"), None, trim)?;
        for victim in VICTIMS {
            let what = ("file", format!("trims, {trim}"), victim);
            all.push(Cell::of(what, plan.rounds, || trim_round(&served, victim))?);
        }
    }
    println!("{}", table(&all));
    let met = all.iter().all(Cell::is_met);
    let figures: Vec<Value> = all.iter().map(Cell::json).collect();
    let measured = json!({ "machine": machine::describe(), "cells": figures, "met": met });
    Ok((measured, met))
}

fn table(all: &[Cell]) -> Table {
    let mut table = Table::headed(
        "disk | neighbour | victim's depth | alone | control / p99 µs | kept | of its due | p99 µs | answers",
    );
    for cell in all {
        let round = &cell.round;
        table.row(cells![
            cell.disk,
            cell.neighbour,
            cell.victim.depth,
            format!("{:.0}", round.alone),
            round
                .control
                .map_or("–".to_owned(), |(rate, p99_us)| format!(
                    "{rate:.2} / {p99_us:.0}"
                )),
            format!("{:.2}", round.kept),
            format!("{:.2}", round.of_its_due()),
            format!("{:.0}", round.p99_us),
            round.answers,
        ]);
    }
    table
}
