//! The commands, a file each, and the dispatch from the parsed command line to them.

mod adopt;
mod calibrate;
mod check;
mod consent;
mod demo;
mod files;
mod format;
mod history;
mod list;
mod load;
mod model;
mod palette;
mod remove;
mod rename;
mod schema;
mod serve;
mod simulate;
mod status;
mod verify;
mod workloads;

use crate::assembly::AnyDisk;
use crate::cli::Command;
use crate::diagnostics::Verbosity;
use crate::failure::{CommandResult, Failure};
use crate::serving::known_disks::KnownDisks;
use crate::serving::state_dir::StateLock;
use crate::serving::supervisor::Supervisor;
use disktime_reservations::Configuration;
use disktime_volumes::LabelledDisk;
use serve::ServeOptions;
use std::path::Path;
use std::process::ExitCode;

pub(crate) use calibrate::CalibrationOptions;
pub(crate) use history::{CloneOptions, HistoryServer};
pub(crate) use simulate::SimulationOptions;
pub(crate) use status::ServerAddress;

/// Runs a command.
///
/// # Errors
/// What failed and what to do, as a sentence.
pub(crate) fn run(
    command: Command,
    verbosity: &Verbosity,
    supervisor: Supervisor,
) -> CommandResult<ExitCode> {
    match command {
        Command::Serve {
            file,
            policy,
            run,
            accept_new_disk,
        } => {
            let options = ServeOptions {
                policy: policy.name(),
                command: run.as_deref(),
                accepted: &accept_new_disk,
                with_summary: !verbosity.is_quiet(),
            };
            return serve::run(&file, options, supervisor);
        }
        Command::Adopt { file, disk } => adopt::run(&file, disk.as_deref())?,
        Command::Calibrate { path, options } => calibrate::run(&path, &options)?,
        Command::Check { file, json, disks } => return check::run(&file, json, disks),
        Command::Status {
            server,
            watch,
            json,
        } => status::run(&server, watch.as_deref(), json)?,
        Command::Simulate {
            file,
            workload,
            options,
        } => simulate::run(&file, &workload.read()?, &options)?,
        Command::Load {
            file,
            workload,
            control,
            overwrite,
            json,
        } => {
            let control = control.as_deref();
            load::run(&file, &workload.read()?, control, overwrite, json)?;
        }
        Command::Demo { out, half } => demo::run(&out, &half)?,
        Command::Model { drive, trace, json } => {
            model::run(drive.as_deref(), trace.as_deref(), json)?
        }
        Command::Format {
            file,
            disk,
            force,
            yes,
        } => format::run(&file, disk.as_deref(), force, yes)?,
        Command::Remove {
            file,
            vdisk,
            disk,
            yes,
        } => remove::run(&file, &vdisk, disk.as_deref(), yes)?,
        Command::Rename { file, old, new } => rename::run(&file, &old, &new)?,
        Command::List { file, json } => return list::run(&file, json),
        Command::Info { file, vdisk, json } => list::info(&file, &vdisk, json)?,
        Command::History { vdisk, server } => history::show(&server, &vdisk)?,
        Command::Branches { vdisk, server } => history::branches(&server, &vdisk)?,
        Command::AcceptLoss { vdisk, yes, server } => history::accept_loss(&server, &vdisk, yes)?,
        Command::Mark {
            vdisk,
            name,
            server,
        } => history::mark(&server, &vdisk, &name)?,
        Command::Revert {
            vdisk,
            to,
            disconnect,
            server,
        } => history::revert(&server, &vdisk, &to, disconnect)?,
        Command::UndoRevert {
            vdisk,
            disconnect,
            server,
        } => history::undo_revert(&server, &vdisk, disconnect)?,
        Command::Changed {
            vdisk,
            since,
            until,
            server,
        } => history::changed(&server, &vdisk, &since, until.as_deref())?,
        Command::Verify { vdisk, server } => return verify::run(&server, &vdisk),
        Command::Clone {
            what,
            names,
            options,
            server,
        } => history::clone(&server, &what, &names, &options)?,
        Command::Drop {
            what,
            branch,
            disconnect,
            server,
        } => history::give_up(&server, &what, branch, disconnect)?,
        Command::Restore {
            what,
            target,
            server,
        } => files::restore(&server, &what, &target)?,
        Command::Diff {
            from,
            to,
            content,
            server,
        } => files::diff(&server, &from, &to, content)?,
        Command::Workloads => workloads::run(),
        Command::Schema => schema::run(),
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether a command only prints.
pub(crate) fn prints_only(command: &Command) -> bool {
    !matches!(
        command,
        Command::Serve { .. }
            | Command::Calibrate { .. }
            | Command::Load { .. }
            | Command::Demo { .. }
            | Command::Adopt { .. }
            | Command::Format { .. }
            | Command::Remove { .. }
            | Command::Rename { .. }
            | Command::Mark { .. }
            | Command::Revert { .. }
            | Command::UndoRevert { .. }
            | Command::Clone { .. }
            | Command::Drop { .. }
            | Command::Restore { .. }
            | Command::AcceptLoss { .. }
    )
}

/// Prints what was done to a disk's label beyond the command: an upgrade, a healed copy.
fn print_messages(name: &str, labelled: &mut LabelledDisk<AnyDisk>) {
    for message in labelled.take_messages() {
        println!("{name}: {message}");
    }
}

/// Writes what the state directory remembers of the disks, after `done` was done to one of them.
///
/// # Errors
/// It cannot be written; the sentence says that the disk was changed, and what to do.
fn remember(known: &KnownDisks, lock: &mut StateLock, file: &Path, done: &str) -> CommandResult {
    known.save(lock).map_err(|failure| {
        Failure::new(format!(
            "{done}. That is on the disk, but {failure}. Mend that, then let `disktime adopt {}` \
             remember the disks as they are",
            file.display()
        ))
    })
}

fn known_disk(configuration: &Configuration, disk: Option<&str>) -> CommandResult {
    match disk {
        Some(name) if configuration.disk(name).is_none() => {
            let names: Vec<&str> = configuration
                .disks
                .iter()
                .map(|disk| disk.name.value.as_str())
                .collect();
            Err(Failure::new(format!(
                "there is no disk `{name}`; there are {}",
                names.join(", ")
            )))
        }
        _ => Ok(()),
    }
}
