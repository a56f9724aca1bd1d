//! `disktime check`: whether the disks of a reservation file can keep what it promises; with
//! `--disks`, whether a server could start with them as they are.

use crate::assembly::{self, emulation};
use crate::diagnostics::print_diagnostic;
use crate::failure::{CommandResult, Failure};
use crate::serving::inspection::inspect;
use crate::serving::nbd;
use crate::serving::socket_paths::check_socket_paths;
use disktime_reservations::{Configuration, DocumentErrors};
use std::path::Path;
use std::process::ExitCode;

/// Runs the command. `disks`: with the disks, sockets and ports of this machine.
pub(crate) fn run(file: &Path, json: bool, disks: bool) -> CommandResult<ExitCode> {
    let configuration = match Configuration::load(file, &emulation::check) {
        Ok(configuration) => configuration,
        Err(errors) => return wrong(errors, json),
    };
    let report = assembly::admit_all(&configuration)?;
    let frontend = match nbd::prepare(&configuration) {
        Ok(frontend) => frontend,
        Err(errors) => return wrong(errors, json),
    };
    let paths = match check_socket_paths(&configuration, true) {
        Ok(notices) => notices,
        Err(errors) => return wrong(errors, json),
    };
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
        for warning in report.warnings() {
            print_diagnostic(warning);
        }
        for notice in frontend.notices().iter().chain(&paths) {
            print_diagnostic(format_args!("disktime: {notice}"));
        }
        let assumptions = assembly::assumptions(&configuration);
        for sentence in assembly::findings(&configuration)
            .iter()
            .chain(&assumptions)
        {
            eprintln!("disktime: {sentence}");
        }
        if let Some(errors) = report.errors() {
            return Err(errors.into());
        }
    }
    if !report.is_admitted() {
        return Ok(ExitCode::FAILURE);
    }
    if disks {
        // In JSON, standard output is the report's.
        let sentences = inspect(&configuration, &report).map_err(|failures| {
            let all: Vec<String> = failures.iter().map(Failure::to_string).collect();
            Failure::new(all.join("\n\n"))
        })?;
        for sentence in sentences {
            print_diagnostic(format_args!("disktime: {sentence}"));
        }
        print_diagnostic("disktime: the disks are in order; nothing was changed");
    }
    Ok(ExitCode::SUCCESS)
}

/// The file is wrong.
fn wrong(errors: DocumentErrors, json: bool) -> CommandResult<ExitCode> {
    if !json {
        return Err(errors.into());
    }
    println!("{:#}", errors.to_json());
    Ok(ExitCode::FAILURE)
}
