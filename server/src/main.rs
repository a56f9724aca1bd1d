//! `disktime`: virtual disks with reserved disk time, served over NBD and FUSE.
//!
//! This file only finds out what was asked and turns failures into exit codes.

mod assembly;
mod chart;
mod cli;
mod control;
mod demo;
mod descendants;
mod disk_thread;
mod doors;
mod emulation;
mod failure;
mod groups;
mod load;
mod model;
mod nbd_door;
mod offline;
mod palette;
mod run_command;
mod say;
mod serve;
mod signals;
mod simulate;
mod state_dir;
mod status;
mod supervisor;
mod table;
mod untouched;

use clap::Parser;
use cli::{Cli, Command, ServerAddress};
use failure::{Failure, Outcome};
use say::say;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use supervisor::Supervisor;

fn main() -> ExitCode {
    let cli = Cli::parse();
    say::show_log();
    if prints_only(&cli.command) {
        end_quietly_on_closed_pipe();
    }
    // SAFETY: no thread was started yet, and nothing was opened.
    let supervisor = unsafe { Supervisor::take() };
    match supervisor.and_then(|supervisor| run(cli.command, supervisor)) {
        Ok(code) => code,
        Err(failure) => {
            say(format_args!("disktime: {failure}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether a command does nothing but print.
fn prints_only(command: &Command) -> bool {
    !matches!(
        command,
        Command::Serve { .. }
            | Command::Load { .. }
            | Command::Demo { .. }
            | Command::Format { .. }
            | Command::Remove { .. }
    )
}

/// `disktime check FILE | head -1` ends like other programs, instead of failing to print.
fn end_quietly_on_closed_pipe() {
    // SAFETY: sets this process's disposition of one signal to the default, before any thread.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

fn run(command: Command, supervisor: Supervisor) -> Outcome<ExitCode> {
    match command {
        Command::Serve { file, policy, run } => {
            let options = serve::Options {
                file: &file,
                policy: policy.name.as_deref(),
                run: run.as_deref(),
            };
            return serve::run(&options, supervisor);
        }
        Command::Check { file, json } => return check(&file, json),
        Command::Status { server, json } => status(&server, json)?,
        Command::Simulate {
            file,
            workload,
            policy,
            compare,
            solo,
            svg,
            json,
        } => {
            let options = simulate::Options {
                policy: policy.name,
                compare,
                solo,
                svg,
                json,
            };
            simulate::run(&file, &workload.read()?, &options)?;
        }
        Command::Load {
            file,
            workload,
            control,
            json,
        } => {
            load::run(&file, &workload.read()?, control.as_deref(), json)?;
        }
        Command::Demo { out, half } => demo::run(&out, &half)?,
        Command::Model { drive, trace, json } => model::run(&drive, trace.as_deref(), json)?,
        Command::Format { file, disk, force } => offline::format(&file, disk.as_deref(), force)?,
        Command::Remove { file, vdisk, disk } => offline::remove(&file, &vdisk, disk.as_deref())?,
        Command::Workloads => print!("{}", disktime_workloads::help()),
        Command::Schema => println!("{:#}", disktime_reservations::schema()),
    }
    Ok(ExitCode::SUCCESS)
}

fn check(file: &Path, json: bool) -> Outcome<ExitCode> {
    let configuration = match disktime_reservations::Configuration::load(file, &emulation::check) {
        Ok(configuration) => configuration,
        Err(errors) if json => {
            println!("{:#}", errors.to_json());
            return Ok(ExitCode::FAILURE);
        }
        Err(errors) => return Err(errors.into()),
    };
    let report = assembly::judge(&configuration)?;
    let door = match nbd_door::prepare(&configuration) {
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

fn status(server: &ServerAddress, json: bool) -> Outcome {
    let socket = match (&server.control, &server.file) {
        (Some(socket), _) => socket.clone(),
        (None, Some(file)) => emulation::load(file)?.control.socket.value,
        (None, None) => return Err(Failure::new("name the server's file, or --control PATH")),
    };
    let answer = control::ask(&socket, &json!({ "command": "status" }))?;
    if json {
        println!("{answer:#}");
    } else {
        print!("{}", status::to_text(&answer));
    }
    Ok(())
}
