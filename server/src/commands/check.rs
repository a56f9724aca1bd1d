//! `disktime check`: whether the disks of a reservation file can keep what it promises; with
//! `--disks`, whether a server could start with them as they are.
//!
//! Invariant: with `--json` standard output is one object of the same keys, whatever is wrong
//! (docs/status.md); it ends with status 1 exactly if a finding or a problem is in it, or a
//! disk is not admitted.

use crate::assembly::{self, emulation};
use crate::diagnostics::{print_sentence, print_warning};
use crate::failure::{CommandResult, Failure};
use crate::serving::disk_space;
use crate::serving::inspection::inspect;
use crate::serving::nbd;
use crate::serving::socket_paths::check_socket_paths;
use disktime_reservations::{AdmissionReport, Configuration, DocumentErrors};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::process::ExitCode;

/// Runs the command. `disks`: with the disks, sockets and ports of this machine.
pub(crate) fn run(file: &Path, json: bool, disks: bool) -> CommandResult<ExitCode> {
    if !json {
        return print_tables(file, disks);
    }
    let found = examined(file, disks)?;
    println!("{:#}", found.value);
    Ok(match found.is_fine {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn print_tables(file: &Path, disks: bool) -> CommandResult<ExitCode> {
    let configuration = Configuration::load(file, &emulation::check)?;
    let report = assembly::admit_all(&configuration)?;
    let notices = notices_of(&configuration)?;
    print!("{report}");
    report.warnings().for_each(print_warning);
    notices.iter().for_each(print_sentence);
    let (findings, assumed) = (
        assembly::findings(&configuration),
        assembly::assumptions(&configuration),
    );
    findings.iter().chain(&assumed).for_each(print_sentence);
    if report.is_admitted() {
        let histories = assembly::sustained(&configuration, &report)?;
        let sentences = histories.iter().map(assembly::Sustained::sentence);
        sentences.for_each(print_sentence);
    }
    if let Some(errors) = report.errors() {
        return Err(errors.into());
    }
    if !report.is_admitted() {
        return Ok(ExitCode::FAILURE);
    }
    if disks {
        let sentences = inspect(&configuration, &report).map_err(|failures| {
            let all: Vec<String> = failures.iter().map(Failure::to_string).collect();
            Failure::new(all.join("\n\n"))
        })?;
        sentences.iter().for_each(print_sentence);
        print_sentence("the disks are in order; nothing was changed");
    }
    Ok(ExitCode::SUCCESS)
}

/// What is allowed but may not be wanted, and the space of the disks' files.
///
/// # Errors
/// A frontend that could not be opened, by the file alone.
fn notices_of(configuration: &Configuration) -> Result<Vec<String>, DocumentErrors> {
    let frontend = nbd::prepare(configuration)?;
    let mut notices = frontend.notices().to_vec();
    notices.extend(check_socket_paths(configuration, true)?);
    notices.extend(nbd::without_frontends(configuration));
    notices.extend(disk_space::before_start(configuration));
    Ok(notices)
}

/// What `--json` prints.
struct Examined {
    value: Value,
    is_fine: bool,
}

impl Examined {
    fn new(file: &Path) -> Examined {
        Examined {
            value: json!({
                "file": file.display().to_string(),
                "admitted": false,
                "disks": {},
                "threads": [],
                "histories": {},
                "findings": [],
                "notices": [],
                "start": null,
            }),
            is_fine: false,
        }
    }

    fn with_findings(mut self, findings: Value) -> Examined {
        self.value["findings"] = findings;
        self
    }

    /// With the tables, and whether all reservations are kept.
    fn admission(&mut self, report: &AdmissionReport<'_>) -> CommandResult {
        let admission = serde_json::to_value(report)?;
        for key in ["admitted", "disks", "threads"] {
            self.value[key] = admission[key].clone();
        }
        self.is_fine = report.is_admitted();
        Ok(())
    }

    /// With what a start would find.
    fn start(&mut self, found: Result<Vec<String>, Vec<Failure>>) {
        self.is_fine &= found.is_ok();
        self.value["start"] = match found {
            Ok(changes) => json!({ "possible": true, "changes": changes, "problems": [] }),
            Err(failures) => {
                let problems: Vec<String> = failures.iter().map(Failure::to_string).collect();
                json!({ "possible": false, "changes": [], "problems": problems })
            }
        };
    }
}

fn examined(file: &Path, disks: bool) -> CommandResult<Examined> {
    let mut found = Examined::new(file);
    let configuration = match Configuration::load(file, &emulation::check) {
        Ok(configuration) => configuration,
        Err(errors) => return Ok(found.with_findings(errors.to_json())),
    };
    let report = match assembly::admit_all(&configuration) {
        Ok(report) => report,
        Err(failure) => return Ok(found.with_findings(json!([finding(file, &failure)]))),
    };
    found.admission(&report)?;
    if report.is_admitted() {
        let histories = assembly::sustained(&configuration, &report)?;
        let histories = histories.iter().map(assembly::Sustained::to_json);
        found.value["histories"] = histories.collect::<Map<_, _>>().into();
    }
    match notices_of(&configuration) {
        Ok(notices) => found.value["notices"] = notices.into(),
        Err(errors) => {
            found.is_fine = false;
            return Ok(found.with_findings(errors.to_json()));
        }
    }
    if disks && report.is_admitted() {
        found.start(inspect(&configuration, &report));
    }
    Ok(found)
}

/// A failure without a line, in the shape of a finding.
fn finding(file: &Path, failure: &Failure) -> Value {
    json!({
        "severity": "error",
        "file": file.display().to_string(),
        "line": null,
        "column": null,
        "message": failure.to_string(),
        "help": null,
    })
}
