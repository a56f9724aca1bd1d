//! `disktime simulate`: runs a workload against a reservation file in virtual time and shows what
//! each vdisk gets: figures as tables or JSON, other policies and each vdisk alone on its disk to
//! compare with, and a picture.
//!
//! Invariant: the same files give the same bytes.

mod figures;
pub(super) mod picture;
mod run;
pub(super) mod svg;
pub(super) mod timeline;

use crate::assembly::{self, emulation};
use crate::cli::PolicyOverride;
use crate::diagnostics::print_sentence;
use crate::failure::{CommandResult, Failure};
use clap::Args;
use disktime_reservations::{Configuration, Policy, Spanned, Switching};
use disktime_workloads::Workload;
use figures::{Alone, SimulationReport};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use timeline::Sampling;

/// What is shown, beside the figures.
#[derive(Debug, Args)]
pub(crate) struct SimulationOptions {
    #[command(flatten)]
    policy: PolicyOverride,
    /// Run the workload under these policies too, and show all side by side.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    compare: Vec<String>,
    /// Run each virtual disk alone on its disk too, and show how much of that rate is left
    /// here.
    #[arg(long)]
    solo: bool,
    /// Draw a picture: disk time per virtual disk over time, with its deadlines.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(file: &Path, workload: &Workload, options: &SimulationOptions) -> CommandResult {
    let configuration = emulation::load_under(file, options.policy.name())?;
    note_disks_without_model(&configuration);
    let others = others(file, &options.compare)?;
    let sampling = options
        .svg
        .as_ref()
        .map(|_| sampling(&configuration, workload));
    let first = run::run(&configuration, workload, sampling)?;
    let alone = options
        .solo
        .then(|| alone(&configuration, workload))
        .transpose()?;
    let report = SimulationReport::new(&first, alone.as_ref());
    if let Some((svg, sampling)) = options.svg.as_ref().zip(sampling) {
        let text = picture::draw(&first, &report, sampling.interval());
        write(svg, &text)?;
    }
    let mut compared = Vec::new();
    for (policy, configuration) in &others {
        let other = run::run(configuration, workload, None)?;
        compared.push((
            policy.as_str(),
            SimulationReport::new(&other, alone.as_ref()),
        ));
    }
    if options.json {
        print!("{}", json_text(&report, &compared)?);
        return Ok(());
    }
    print!("{report}");
    if !compared.is_empty() {
        let name = policy_name(&configuration);
        let mut all = vec![(name, &report)];
        all.extend(compared.iter().map(|(policy, report)| (*policy, report)));
        print!("\n{}", figures::compared(&all));
    }
    Ok(())
}

/// Says which disks no model stands for, as their figures are coarse.
fn note_disks_without_model(configuration: &Configuration) {
    let without = configuration.disks.iter();
    for disk in without.filter(|disk| disk.emulate.is_none()) {
        let name = &disk.name.value;
        let prices = match disk.profile {
            Some(_) => "of its profile",
            None => "that `serve` assumes for it",
        };
        print_sentence(format_args!(
            "note: no model stands for disk `{name}` (\"emulate\"): it is simulated by the prices \
             {prices}"
        ));
    }
}

/// The report; the others, if there are any, under `compared`.
fn json_text(
    report: &SimulationReport,
    compared: &[(&str, SimulationReport)],
) -> CommandResult<String> {
    let mut value = report.to_json()?;
    if let Some(object) = value.as_object_mut().filter(|_| !compared.is_empty()) {
        let others = compared
            .iter()
            .map(|(policy, report)| Ok(((*policy).to_owned(), report.to_json()?)));
        let others: Map<String, Value> = others.collect::<CommandResult<_>>()?;
        object.insert("compared".to_owned(), Value::Object(others));
    }
    Ok(format!("{value:#}\n"))
}

/// The configuration under each of the other policies; those that have no groups are left out,
/// and named, where the file has some.
fn others(file: &Path, names: &[String]) -> CommandResult<Vec<(String, Configuration)>> {
    let mut others: Vec<(String, Configuration)> = Vec::new();
    let mut seen = BTreeSet::new();
    for name in names {
        let configuration = emulation::load_under(file, Some(name))?;
        if !seen.insert(name) {
            return Err(Failure::new(format!(
                "`{name}` is named twice in --compare; once is enough"
            )));
        }
        let mut policies = configuration.disks.iter().map(|disk| disk.policy);
        let knows_groups = policies.all(Policy::has_groups);
        if !configuration.groups.is_empty() && !knows_groups {
            print_sentence(format_args!(
                "`{name}` has no groups, and {} has; it is left out of --compare",
                file.display()
            ));
            continue;
        }
        // Before the first run, so that a refusal is reported at once.
        assembly::require_admitted(&configuration)?;
        others.push((name.clone(), configuration));
    }
    Ok(others)
}

/// The policy of all disks, if they have the same.
fn policy_name(configuration: &Configuration) -> &'static str {
    let mut policies = configuration.disks.iter().map(|disk| disk.policy);
    match policies.next() {
        Some(first) if policies.all(|other| other == first) => first.name(),
        _ => "as in the file",
    }
}

/// What each vdisk that has clients gets with its disk for itself: without other clients, limits
/// and switching account.
fn alone(configuration: &Configuration, workload: &Workload) -> CommandResult<Alone> {
    let mut configuration = configuration.clone();
    for vdisk in &mut configuration.vdisks {
        (vdisk.reservation, vdisk.limit, vdisk.group) = (None, None, None);
    }
    configuration.groups.clear();
    for disk in &mut configuration.disks {
        disk.policy = Policy::Fahrrad;
        disk.switching = Some(Spanned {
            value: Switching::Served,
            span: disk.name.span,
        });
    }
    let mut all = Alone::new();
    for vdisk in &configuration.vdisks {
        let name = &vdisk.name.value;
        let mut its_own = workload.clone();
        its_own.clients.retain(|client| client.vdisk == *name);
        if its_own.clients.is_empty() {
            continue;
        }
        let run = run::run(&configuration, &its_own, None)?;
        all.extend(run.load().loads.clone());
    }
    Ok(all)
}

fn sampling(configuration: &Configuration, workload: &Workload) -> Sampling {
    let of_vdisks = configuration.vdisks.iter().map(|vdisk| &vdisk.reservation);
    let of_groups = configuration.groups.iter().map(|group| &group.reservation);
    let shortest = of_vdisks
        .chain(of_groups)
        .flatten()
        .map(|reservation| reservation.period.value)
        .min();
    let vdisks = configuration.vdisks.len() + configuration.groups.len();
    let streams = vdisks + configuration.disks.len();
    Sampling::new(workload.duration, shortest, streams)
}

fn write(file: &Path, text: &str) -> CommandResult {
    std::fs::write(file, text).map_err(|error| {
        Failure::new(format!(
            "the picture {} cannot be written: {error}; name a file in a directory that is there",
            file.display()
        ))
    })
}
