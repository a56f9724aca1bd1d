//! `disktime serve`: serves the vdisks of a reservation file until a stop signal arrives, the
//! command of `--run` ends, or a disk fails.

use crate::assembly::{self, emulation};
use crate::commands::known_disk;
use crate::diagnostics::{become_server, print_sentence, print_warning};
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
use std::time::Duration;

/// How long the disks may take to answer for the summary.
const SUMMARY_TIME: Duration = Duration::from_secs(2);

/// What the command line says beside the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServeOptions<'a> {
    /// The policy of all disks, instead of the file's.
    pub(crate) policy: Option<&'a str>,
    /// The command of `--run`, which ends the server when it ends.
    pub(crate) command: Option<&'a str>,
    /// The disks that may be others than remembered.
    pub(crate) accepted: &'a [String],
    /// Whether the end is summed up.
    pub(crate) with_summary: bool,
}

/// Serves the vdisks of `file` until a stop signal arrives, or the command ends.
pub(crate) fn run(
    file: &Path,
    options: ServeOptions<'_>,
    mut supervisor: Supervisor,
) -> CommandResult<ExitCode> {
    let ServeOptions {
        command, accepted, ..
    } = options;
    let configuration = emulation::load_under(file, options.policy)?;
    for name in accepted {
        known_disk(&configuration, Some(name))?;
    }
    become_server();
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
            print_warning(warning);
        }
        for notice in frontend.notices() {
            print_sentence(notice);
        }
        let sockets = supervisor.take_sockets();
        if sockets.is_empty() {
            nbd::without_frontends(&configuration)
                .iter()
                .for_each(print_warning);
        }
        for notice in check_socket_paths(&configuration, sockets.is_empty())? {
            print_sentence(notice);
        }
        // Standard output belongs to the client that started the server, or to the command.
        let quiet = !sockets.is_empty() || command.is_some();
        let server = Server::start(&configuration, &report, frontend, sockets, accepted).await?;
        server.tell_space();
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
        if options.with_summary {
            print_summary(&server).await;
        }
        server.stop().await?;
        ended
    });
    // What a stop has given up (a disk or an unmount that hangs) is not waited for here either.
    runtime.shutdown_background();
    result
}

/// Prints what was served until now, a line per disk; nothing if a disk hangs.
async fn print_summary(server: &Server) {
    if let Ok(status) = tokio::time::timeout(SUMMARY_TIME, server.status()).await {
        status.summary().iter().for_each(print_sentence);
    }
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
        print_sentence(notice);
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
