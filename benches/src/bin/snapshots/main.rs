//! A history beside qcow2's internal snapshots and chains of backing files, on the same file
//! system: what writes lose, how long a snapshot, a revert, a clone and a deletion take, and what
//! depth costs a read. In real time, in rounds that take turns; medians with the least and the
//! greatest.
//!
//! Commands are timed as a user sees them, start of the program included. Ours work on the running
//! server; `qemu-img` wants the image closed.

mod disktime;
mod qcow2;

use clap::Parser;
use disktime_benches::program::Program;
use disktime_benches::spread::Spread;
use disktime_benches::{BenchResult, fio, machine};
use disktime_lab::{Table, cells};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A history beside qcow2's snapshots and backing chains.
#[derive(Debug, Parser)]
#[command(name = "snapshots")]
struct Arguments {
    /// The disktime to measure; without it, the one beside this program, which is built first.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Where the disks' files lie; a temporary directory without it.
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
    /// Size of the disk that is served.
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    size_mib: u64,
    /// How often all is measured.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long each rate is measured.
    #[arg(long, value_name = "SECONDS", default_value_t = 3)]
    seconds: u64,
}

/// How many clones or backing files lie below what is read.
const DEPTHS: [usize; 3] = [1, 16, 64];
/// Blocks of 4 KiB that each of them has of its own.
const BLOCKS_EACH: usize = 64;

/// What is measured in each round.
struct Setting {
    directory: PathBuf,
    program: Program,
    size_mib: u64,
    time: Duration,
}

/// What was measured, by what and by whom.
#[derive(Default)]
struct Figures {
    rows: Vec<(&'static str, &'static str)>,
    values: BTreeMap<(&'static str, &'static str), Vec<f64>>,
}

impl Figures {
    fn note(&mut self, what: &'static str, who: &'static str, value: f64) {
        if !self.values.contains_key(&(what, who)) {
            self.rows.push((what, who));
        }
        self.values.entry((what, who)).or_default().push(value);
    }

    fn table(&self) -> Table {
        let mut table = Table::headed("what | of | median | least | greatest");
        let mut rows = self.rows.clone();
        // As they were first measured, what belongs together behind one another.
        let first = |what: &str| self.rows.iter().position(|row| row.0 == what);
        rows.sort_by_key(|row| first(row.0));
        for (what, who) in rows {
            let spread = Spread::of(self.values[&(what, who)].clone());
            let text = |pick: fn(Spread) -> f64| {
                spread.map_or_else(String::new, |spread| significant(pick(spread)))
            };
            table.row(cells![
                what,
                who,
                text(|spread| spread.median),
                text(|spread| spread.least),
                text(|spread| spread.greatest)
            ]);
        }
        table
    }
}

/// With three digits that count.
fn significant(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// Runs a command to its end, without what it prints; how long it took, in milliseconds.
fn timed(command: &mut Command) -> BenchResult<f64> {
    let began = Instant::now();
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| {
        let program = command.get_program().display();
        format!("{program} cannot be started ({error}); install it: apt-get install qemu-utils")
    })?;
    let took = began.elapsed();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?} failed: {said}").into());
    }
    Ok(took.as_secs_f64() * 1e3)
}

fn fio_run(socket: &Path, export: &str, more: &[String]) -> BenchResult<f64> {
    let uri = format!("--uri=nbd+unix:///{export}?socket={}", socket.display());
    let own = ["--name=nbd", "--ioengine=nbd", "--norandommap", &uri];
    let all = own
        .into_iter()
        .map(str::to_owned)
        .chain(more.iter().cloned());
    Ok(fio::rate(&fio::run(all)?, 0))
}

/// Writes all of it once, in order.
fn fill(socket: &Path, export: &str, size_mib: u64) -> BenchResult {
    let size = format!("--size={size_mib}m");
    let arguments = ["--rw=write", "--bs=1m", "--iodepth=4", &size];
    fio_run(socket, export, &arguments.map(str::to_owned)).map(drop)
}

/// Random requests of 4 KiB; how many a second.
fn rate(socket: &Path, export: &str, way: &str, depth: usize, of: &Setting) -> BenchResult<f64> {
    let arguments = [
        format!("--rw={way}"),
        "--bs=4k".to_owned(),
        format!("--iodepth={depth}"),
        format!("--size={}m", of.size_mib),
        "--time_based".to_owned(),
        format!("--runtime={}", of.time.as_secs()),
    ];
    fio_run(socket, export, &arguments)
}

/// Writes some random blocks, the same for the same seed.
fn write_blocks(socket: &Path, export: &str, seed: usize, of: &Setting) -> BenchResult {
    let arguments = [
        "--rw=randwrite".to_owned(),
        "--bs=4k".to_owned(),
        format!("--randseed={}", seed + 1),
        format!("--size={}m", of.size_mib),
        format!("--io_size={}k", BLOCKS_EACH * 4),
    ];
    fio_run(socket, export, &arguments).map(drop)
}

/// The name of the figure of reads at a depth.
fn reads_at(depth: usize) -> &'static str {
    match depth {
        1 => "4 KiB reads a second, one at a time, depth 1",
        16 => "… depth 16",
        _ => "… depth 64",
    }
}

const WRITES: &str = "4 KiB random writes a second, 16 at a time";
const SNAPSHOT: &str = "a snapshot, ms";
const REVERT: &str = "a revert to it, ms";
const CLONE: &str = "a clone of it, ms";
const DELETE: &str = "its deletion, ms";

fn main() -> BenchResult {
    let arguments = Arguments::parse();
    let program = Program::find(arguments.program.as_deref())?;
    let directory = match &arguments.directory {
        Some(directory) => tempfile::tempdir_in(directory)?,
        None => tempfile::tempdir()?,
    };
    let mut figures = Figures::default();
    for round in 0..arguments.rounds {
        let of = Setting {
            directory: directory.path().join(round.to_string()),
            program: program.clone(),
            size_mib: arguments.size_mib,
            time: Duration::from_secs(arguments.seconds),
        };
        std::fs::create_dir_all(&of.directory)?;
        disktime::measure(&of, &mut figures)?;
        qcow2::measure(&of, &mut figures)?;
        std::fs::remove_dir_all(&of.directory)?;
    }
    println!("{}", machine::sentence());
    println!(
        "{} MiB, {} rounds, {} s for each rate\n",
        arguments.size_mib, arguments.rounds, arguments.seconds
    );
    println!("{}", figures.table());
    Ok(())
}
