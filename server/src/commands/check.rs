//! `disktime check`: whether the disks of a reservation file can keep what it promises.

use crate::assembly::{self, emulation};
use crate::failure::Outcome;
use crate::serving::nbd;
use std::path::Path;
use std::process::ExitCode;

/// Runs the command.
pub(crate) fn run(file: &Path, json: bool) -> Outcome<ExitCode> {
    let configuration = match disktime_reservations::Configuration::load(file, &emulation::check) {
        Ok(configuration) => configuration,
        Err(errors) if json => {
            println!("{:#}", errors.to_json());
            return Ok(ExitCode::FAILURE);
        }
        Err(errors) => return Err(errors.into()),
    };
    let report = assembly::judge(&configuration)?;
    let door = match nbd::prepare(&configuration) {
        Ok(door) => door,
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
        for notice in &door.notices {
            eprintln!("disktime: {notice}");
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
