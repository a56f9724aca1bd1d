//! `disktime calibrate`: measures a disk and writes its profile and a picture.
//!
//! - `consent`: what may be overwritten. `device_notes`: what the kernel says of the device, and
//!   what that means. `picture`: throughput and latency by depth.
//!
//! Invariants: nothing is written to a disk without consent to that path; no profile is written
//! unless all was measured.

mod consent;
mod device_notes;
mod picture;

use crate::failure::{CommandResult, Failure};
use clap::Args;
use disktime_calibration::{
    Device, OnDisk, Plan, PlanOptions, Prober, Profile, RealClock, Step, measure,
};
use disktime_disks::{DiskIdentity, DiskOptions, identify_disk, open_disk};
use disktime_units::{Nanos, format_size};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Requests in flight at most while a disk without seeks is measured.
const MEASURED_DEPTH: usize = 512;

/// How a disk is measured.
#[derive(Debug, Args)]
pub(crate) struct CalibrationOptions {
    /// Only read; writes, flushes and discards are then priced by guess.
    #[arg(long, conflicts_with = "yes_overwrite")]
    read_only: bool,
    /// Overwrite what the disk holds, without a question; PATH is that of the disk once more.
    #[arg(long, value_name = "PATH")]
    yes_overwrite: Option<PathBuf>,
    /// The file for the profile [default: NAME.profile.json in this directory].
    #[arg(long, value_name = "FILE")]
    profile_out: Option<PathBuf>,
    /// The file for the picture [default: beside the profile].
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// How long to measure. Caches and credit that last longer under full load are not seen.
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
    /// Whether the disk has seeks [default: what the kernel says, which is often wrong for virtual
    /// disks].
    #[arg(long, value_name = "true|false")]
    seeks: Option<bool>,
}

/// Runs the command.
pub(crate) fn run(path: &Path, options: &CalibrationOptions) -> CommandResult {
    let identity = identify_disk(path)?;
    check_limits(&identity, options)?;
    let (profile_file, svg_file) = outputs(&identity, options)?;
    println!("{}", device_notes::described(&identity));
    for note in device_notes::notes(&identity) {
        println!("- {note}");
    }
    if !options.read_only {
        consent::require(&identity, options.yes_overwrite.as_deref())?;
    }
    let profile = measured(&identity, options)?;
    let written = std::fs::write(&profile_file, profile.to_json());
    written.map_err(|error| unwritable(&profile_file, &error))?;
    let picture = std::fs::write(&svg_file, picture::draw(&profile));
    picture.map_err(|error| unwritable(&svg_file, &error))?;
    print_report(&profile);
    println!(
        "Written: {} (\"profile\" of the disk in the reservation file names it) and {}.",
        profile_file.display(),
        svg_file.display()
    );
    Ok(())
}

fn check_limits(identity: &DiskIdentity, options: &CalibrationOptions) -> CommandResult {
    let (size, least) = (identity.size_bytes, Plan::MIN_SIZE_BYTES);
    if size < least {
        return Err(Failure::new(format!(
            "{}: it holds {size} bytes, and measuring needs {} at least, so that reads do not come \
             from a cache; give a larger device or file",
            identity.path.display(),
            format_size(least)
        )));
    }
    if options.seconds < Plan::MIN_SECONDS {
        return Err(Failure::new(format!(
            "--seconds {} is too short to measure anything; give {} at least",
            options.seconds,
            Plan::MIN_SECONDS
        )));
    }
    Ok(())
}

/// The files for profile and picture; their directory is there, and neither is the disk itself.
fn outputs(
    identity: &DiskIdentity,
    options: &CalibrationOptions,
) -> CommandResult<(PathBuf, PathBuf)> {
    let name = identity
        .path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let default = || PathBuf::from(format!("{name}.profile.json"));
    let profile = options.profile_out.clone().unwrap_or_else(default);
    let beside = || profile.with_extension("svg");
    let svg = options.svg.clone().unwrap_or_else(beside);
    for file in [&profile, &svg] {
        if *file == identity.path {
            return Err(Failure::new(format!(
                "{} is the disk itself; name another file for what is written",
                file.display()
            )));
        }
        let directory = file
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        if let Some(missing) = directory.filter(|parent| !parent.is_dir()) {
            return Err(Failure::new(format!(
                "there is no directory {}; create it (`mkdir -p {}`) or name another",
                missing.display(),
                missing.display()
            )));
        }
    }
    Ok((profile, svg))
}

fn unwritable(file: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!(
        "{} cannot be written: {error}; name a file that can be written",
        file.display()
    ))
}

fn measured(identity: &DiskIdentity, options: &CalibrationOptions) -> CommandResult<Profile> {
    let seeks = options.seeks.or(identity.rotational).unwrap_or(false);
    let disk = open_disk(&DiskOptions {
        read_only: options.read_only,
        has_seeks: Some(seeks),
        max_in_flight: Some(if seeks { 1 } else { MEASURED_DEPTH }),
        // No figures are assumed for a disk that is measured.
        paced: true,
        ..DiskOptions::new(&identity.path)
    })?;
    for notice in disk.properties().notices.clone() {
        println!("- {notice}");
    }
    let mut prober = OnDisk::new(disk, RealClock::default(), !options.read_only);
    let plan = Plan::new(
        prober.facts(),
        PlanOptions {
            seconds: options.seconds,
            writes: !options.read_only,
        },
    );
    let progress = Progress::new(&plan);
    let measurements = measure(&plan, &mut prober, |step| progress.begin(step));
    progress.bar.finish_and_clear();
    let named = |error: &dyn std::fmt::Display| {
        Failure::new(format!("{}: {error}", identity.path.display()))
    };
    let measurements = measurements.map_err(|error| named(&error))?;
    let device = Device::of(identity, seeks);
    measurements.profile(device).map_err(|error| {
        named(&format_args!(
            "the measurement gave impossible numbers: {error}. Measure longer (--seconds), and on \
             a device, not on a file with holes"
        ))
    })
}

/// What is being measured and how long it still takes, on the terminal.
struct Progress {
    bar: ProgressBar,
    total: Nanos,
    done: std::cell::Cell<Nanos>,
}

impl Progress {
    fn new(plan: &Plan) -> Progress {
        let total: Nanos = plan.steps().iter().map(Step::time).sum();
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(total.0 / 1_000_000), target);
        let style = ProgressStyle::with_template("{elapsed:>5} [{bar:32}] {msg}");
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Progress {
            bar,
            total,
            done: std::cell::Cell::new(Nanos::ZERO),
        }
    }

    fn begin(&self, step: &Step) {
        let done = self.done.get();
        let left = self.total.saturating_sub(done).0.div_ceil(1_000_000_000);
        self.bar.set_position(done.0 / 1_000_000);
        let about = step.part().about();
        self.bar.set_message(format!("{left} s left: {about}"));
        self.done.set(done + step.time());
    }
}

fn print_report(profile: &Profile) {
    println!();
    let summary = profile.summary();
    let width = summary.iter().map(|(name, _)| name.chars().count()).max();
    let width = width.unwrap_or(0);
    for (name, value) in summary {
        println!("{name:width$}  {value}");
    }
    println!("\n{}", profile.advice());
    for remark in &profile.remarks {
        println!("- {remark}");
    }
    println!();
}
