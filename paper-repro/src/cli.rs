//! The command line: what there is to say, and what is done then.

use crate::experiment::{Experiment, Origin, Real};
use crate::report::{Conditions, Entry};
use crate::{Output, experiments, session};
use clap::{Parser, Subcommand};
use disktime_lab::Length;
use disktime_lab::real::RealDisk;
use disktime_lab::{LabError, LabResult};
use disktime_units::{Nanos, parse_duration};
use std::path::{Path, PathBuf};

/// The figures of RTAS 2008, Fahrrad (EuroSys 2008) and Zygaria (RTAS 2006), run again, and claims
/// of this project: on hard disks, and beside fifo, mClock and a likeness of blk-iocost on SSDs.
#[derive(Debug, Parser)]
#[command(name = "paper-repro", version, about, long_about = None, arg_required_else_help = true)]
#[command(after_help = "Examples:\n  \
    cargo run --release -p paper-repro -- all --out report\n  \
    cargo run --release -p paper-repro -- run R2 R3\n  \
    cargo run --release -p paper-repro -- run R1 --real paced\n\n\
    Exit status: 0 all ran (a verdict may be negative: it is printed), 1 something failed (the\n\
    sentence says why), 2 the command line is not understood.")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run every experiment in virtual time (a minute or two on two processors).
    All {
        /// Where report.html, report.json and the pictures go.
        #[arg(long, value_name = "DIR", default_value = "paper-repro-report")]
        out: PathBuf,
        /// A quarter of the time: for a look; some claims may fail for want of time.
        #[arg(long)]
        quick: bool,
        /// What the report says of its making, as in "$(date -I) $(git rev-parse --short HEAD)".
        /// Without it two runs give the same bytes.
        #[arg(long, value_name = "TEXT")]
        stamp: Option<String>,
    },
    /// List the experiments.
    List,
    /// Run some experiments.
    Run {
        /// Their names; `list` shows them.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        /// Where report.html, report.json and the pictures go; nowhere if not given.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// A quarter of the time.
        #[arg(long, conflicts_with = "real")]
        quick: bool,
        /// What the report says of its making; as for `all`.
        #[arg(long, value_name = "TEXT", requires = "out")]
        stamp: Option<String>,
        /// In real time: `paced` for the modelled drive paced over a temporary file, or a block
        /// device or file, which is only read, never written.
        #[arg(long, value_name = "paced|DEVICE")]
        real: Option<PathBuf>,
        /// With --real: how long each run takes.
        #[arg(long, value_name = "DURATION", requires = "real")]
        each: Option<String>,
        /// With --real DEVICE: name the device again, to allow reading it at full load.
        #[arg(long, value_name = "DEVICE", requires = "real")]
        i_consent_to_reading: Option<PathBuf>,
    },
}

/// Does what the command line says.
///
/// # Errors
/// With a sentence for the user.
pub fn run(cli: Cli) -> LabResult {
    match cli.command {
        Command::All { out, quick, stamp } => simulated(experiments::ALL, Some(&out), quick, stamp),
        Command::List => {
            print!("{}", listing());
            Ok(())
        }
        Command::Run {
            ids,
            out,
            quick,
            stamp,
            real,
            each,
            i_consent_to_reading,
        } => {
            let chosen = chosen(&ids)?;
            match real {
                None => simulated(&chosen, out.as_deref(), quick, stamp),
                Some(place) => {
                    let consent = i_consent_to_reading.as_deref();
                    let run = RealRun {
                        place: &place,
                        each: each.as_deref(),
                        consent,
                    };
                    in_real_time(&chosen, out.as_deref(), run, stamp)
                }
            }
        }
    }
}

/// The experiments of those names, each once, in the list's order.
fn chosen(ids: &[String]) -> LabResult<Vec<Experiment>> {
    for id in ids {
        if !experiments::ALL
            .iter()
            .any(|one| one.id.eq_ignore_ascii_case(id))
        {
            let there: Vec<&str> = experiments::ALL.iter().map(|one| one.id).collect();
            return Err(LabError::new(format!(
                "there is no experiment `{id}`; there are {}",
                there.join(", ")
            )));
        }
    }
    let is_chosen = |one: &&Experiment| ids.iter().any(|id| one.id.eq_ignore_ascii_case(id));
    Ok(experiments::ALL.iter().filter(is_chosen).copied().collect())
}

fn listing() -> String {
    let mut text = String::new();
    for experiment in experiments::ALL {
        let own = if experiment.origin == Origin::Own {
            " (our own)"
        } else {
            ""
        };
        let real = if matches!(experiment.real, Real::Runs { .. }) {
            "  [--real]"
        } else {
            ""
        };
        text.push_str(&format!(
            "{:<4} {}{own}{real}\n",
            experiment.id, experiment.title
        ));
        text.push_str(&format!("     {}\n", experiment.source));
    }
    text
}

fn simulated(
    experiments: &[Experiment],
    out: Option<&Path>,
    quick: bool,
    stamp: Option<String>,
) -> LabResult {
    let output = out.map(Output::prepare).transpose()?;
    let (length, clock) = if quick {
        (
            Length::Quick,
            "virtual, shortened to about a quarter (--quick)",
        )
    } else {
        (Length::Full, "virtual")
    };
    let entries = session::run_simulated(experiments, length)?;
    let clock = clock.to_owned();
    conclude(output.as_ref(), Conditions { clock, stamp }, &entries)
}

/// What --real and its companions say.
struct RealRun<'a> {
    place: &'a Path,
    each: Option<&'a str>,
    consent: Option<&'a Path>,
}

fn in_real_time(
    chosen: &[Experiment],
    out: Option<&Path>,
    run: RealRun<'_>,
    stamp: Option<String>,
) -> LabResult {
    let RealRun {
        place,
        each,
        consent,
    } = run;
    let [experiment] = chosen else {
        return Err(LabError::new(
            "--real runs one experiment at a time; name one",
        ));
    };
    let usual = match experiment.real {
        Real::Runs { each, .. } => each,
        Real::No(reason) => {
            return Err(LabError::new(format!(
                "{} is not run in real time: {reason}",
                experiment.id
            )));
        }
    };
    let each = match each {
        Some(text) => parse_duration(text).map_err(|error| LabError::new(error.to_string()))?,
        None => usual,
    };
    if each < Nanos::from_secs(4) {
        return Err(LabError::new(
            "a run shorter than 4s shows nothing, as 2s of it are warm-up; use --each 10s or more",
        ));
    }
    let output = out.map(Output::prepare).transpose()?;
    let disk = real_disk(place, consent, experiment)?;
    let entry = session::run_real(experiment, &disk, each)?;
    let clock = format!("real, on {}", disk.describe());
    conclude(output.as_ref(), Conditions { clock, stamp }, &[entry])
}

/// One line per experiment on standard output, and the files.
fn conclude(output: Option<&Output>, conditions: Conditions, entries: &[Entry]) -> LabResult {
    if let Some(output) = output {
        output.write(&conditions, entries)?;
    }
    for entry in entries {
        let verdict = entry.finding.verdict().name();
        println!(
            "{:<4} {verdict:<15} {}: {}",
            entry.experiment.id,
            entry.experiment.title,
            entry.finding.reason()
        );
    }
    if let Some(output) = output {
        println!("\nThe report is {}.", output.path("report.html").display());
    }
    Ok(())
}

/// The disk that the user named. A device has to be named again as consent.
fn real_disk(path: &Path, consent: Option<&Path>, experiment: &Experiment) -> LabResult<RealDisk> {
    let (runs, writes) = match experiment.real {
        Real::Runs { runs, writes, .. } => (runs, writes),
        Real::No(_) => (1, false),
    };
    if path.as_os_str() == "paced" {
        return Ok(RealDisk::paced(runs));
    }
    if writes {
        return Err(LabError::new(format!(
            "{} has clients that write, and {} is only ever read here; use --real paced",
            experiment.id,
            path.display()
        )));
    }
    require_consent(path, consent)?;
    RealDisk::read_only(path, runs)
}

fn require_consent(path: &Path, consent: Option<&Path>) -> LabResult {
    let name = path.display();
    match consent {
        Some(named) if named == path => Ok(()),
        Some(named) => Err(LabError::new(format!(
            "--real names {name} but --i-consent-to-reading names {}; name the same one in both",
            named.display()
        ))),
        None => Err(LabError::new(format!(
            "this reads {name} at full load for minutes, which slows down its other users; nothing \
             is written. If that is acceptable, add --i-consent-to-reading {name}"
        ))),
    }
}
