//! `disktime serve`: serves the vdisks of a reservation file until a stop signal arrives, the
//! command of `--run` ends, or a disk fails.

use crate::assembly::{self, emulation};
use crate::commands::known_disk;
use crate::diagnostics::print_diagnostic;
use crate::failure::{CommandResult, Failure};
use crate::serving::nbd;
use crate::serving::run_command;
use crate::serving::server::Server;
use crate::serving::signals::StopSignals;
use crate::serving::socket_paths::check_socket_paths;
use crate::serving::supervisor::Supervisor;
use disktime_reservations::Configuration;
use std::path::Path;
use std::process::ExitCode;

/// Serves the vdisks of `file`: under `policy` on all disks if one is named, instead of the file's;
/// until `command` ends if there is one, else until a stop signal arrives. `accepted` are the disks
/// that may be others than remembered.
pub(crate) fn run(
    file: &Path,
    policy: Option<&str>,
    command: Option<&str>,
    accepted: &[String],
    mut supervisor: Supervisor,
) -> CommandResult<ExitCode> {
    let configuration = emulation::load_under(file, policy)?;
    for name in accepted {
        known_disk(&configuration, Some(name))?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let result = runtime.block_on(async {
        let mut signals = StopSignals::listen(last_signal(command))?;
        if !probe_disks(&configuration, &mut signals).await? {
            return Ok(ExitCode::SUCCESS);
        }
        let report = assembly::require_admitted(&configuration)?;
        let frontend = nbd::prepare(&configuration)?;
        for warning in report.warnings() {
            print_diagnostic(warning);
        }
        for notice in frontend.notices() {
            print_diagnostic(format_args!("disktime: {notice}"));
        }
        let sockets = supervisor.take_sockets();
        for notice in check_socket_paths(&configuration, sockets.is_empty())? {
            print_diagnostic(format_args!("disktime: {notice}"));
        }
        // Standard output belongs to the client that started the server, or to the command.
        let quiet = !sockets.is_empty() || command.is_some();
        let server = Server::start(&configuration, &report, frontend, sockets, accepted).await?;
        let begun = server
            .announce(&configuration, quiet)
            .and_then(|()| server.start_command(command, &configuration));
        let child = match begun {
            Ok(child) => child,
            Err(failure) => {
                server.stop().await?;
                return Err(failure);
            }
        };
        supervisor.ready(&format!("Serving {} vdisks", server.vdisk_count()));
        let end = async {
            match child {
                Some(child) => run_command::wait(child, &mut signals).await,
                None => {
                    signals.next().await;
                    Ok(ExitCode::SUCCESS)
                }
            }
        };
        let ended = tokio::select! {
            ended = end => ended,
            // The supervisor starts the server again; a server with a part of its disks would go
            // unnoticed.
            () = server.until_a_disk_ends() => Err(Failure::new(
                "the server stops because the thread of a disk has ended by itself",
            )),
        };
        supervisor.stopping();
        server.stop().await?;
        ended
    });
    // What a stop has given up (a disk or an unmount that hangs) is not waited for here either.
    runtime.shutdown_background();
    result
}

/// Probes the disks of which nothing is known, and prints what is known of those without a
/// profile. Returns false if a stop signal arrives meanwhile.
async fn probe_disks(
    configuration: &Configuration,
    signals: &mut StopSignals,
) -> CommandResult<bool> {
    let shared = configuration.clone();
    let probe = move || assembly::probe_unknown_disks(&shared);
    let notices = tokio::select! {
        notices = tokio::task::spawn_blocking(probe) => {
            notices.map_err(|_| Failure::new("probing the disks failed"))??
        }
        () = signals.next() => return Ok(false),
    };
    for notice in notices.iter().chain(&assembly::findings(configuration)) {
        print_diagnostic(format_args!("disktime: {notice}"));
    }
    Ok(true)
}

/// The stop signal that ends the process at once. The first one stops the server, or the command;
/// the second one kills a command.
fn last_signal(command: Option<&str>) -> u32 {
    match command {
        None => 2,
        Some(_) => 3,
    }
}
