//! `disktime check`: whether the disks of a reservation file can keep what it promises.

use crate::assembly::{self, emulation};
use crate::failure::CommandResult;
use crate::serving::nbd;
use std::path::Path;
use std::process::ExitCode;

/// Runs the command.
pub(crate) fn run(file: &Path, json: bool) -> CommandResult<ExitCode> {
    let configuration = match disktime_reservations::Configuration::load(file, &emulation::check) {
        Ok(configuration) => configuration,
        Err(errors) if json => {
            println!("{:#}", errors.to_json());
            return Ok(ExitCode::FAILURE);
        }
        Err(errors) => return Err(errors.into()),
    };
    let report = assembly::admit_all(&configuration)?;
    let frontend = match nbd::prepare(&configuration) {
        Ok(frontend) => frontend,
        Err(errors) if json => {
            println!("{:#}", errors.to_json());
            return Ok(ExitCode::FAILURE);
        }
        Err(errors) => return Err(errors.into()),
    };
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
        for warning in report.warnings() {
            eprintln!("{warning}");
        }
        for notice in frontend.notices() {
            eprintln!("disktime: {notice}");
        }
        for finding in assembly::findings(&configuration) {
            eprintln!("disktime: {finding}");
        }
        if let Some(errors) = report.errors() {
            return Err(errors.into());
        }
    }
    Ok(if report.is_admitted() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
