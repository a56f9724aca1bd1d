//! `disktime serve`: a server from a reservation file, until a signal or its `--run` command ends it.

use crate::assembly::{self, emulation};
use crate::diagnostics::say;
use crate::failure::{Failure, Outcome};
use crate::serving::nbd;
use crate::serving::run_command;
use crate::serving::server::Server;
use crate::serving::signals::StopSignals;
use crate::serving::supervisor::Supervisor;
use std::path::Path;
use std::process::ExitCode;

/// What the command line asks for.
pub(crate) struct Options<'a> {
    /// The reservation file.
    pub(crate) file: &'a Path,
    /// A policy for all disks, whatever the file says.
    pub(crate) policy: Option<&'a str>,
    /// A command that the server serves, and with which it ends.
    pub(crate) run: Option<&'a str>,
}

/// Runs the command.
pub(crate) fn run(options: &Options<'_>, mut supervisor: Supervisor) -> Outcome<ExitCode> {
    let configuration = emulation::load_under(options.file, options.policy)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut signals = StopSignals::listen()?;
        let report = assembly::judge_admitted(&configuration)?;
        let door = nbd::prepare(&configuration)?;
        for warning in report.warnings() {
            say(warning);
        }
        for notice in &door.notices {
            say(format_args!("disktime: {notice}"));
        }
        let sockets = std::mem::take(&mut supervisor.sockets);
        // Standard output belongs to whoever started the server for itself.
        let quiet = !sockets.is_empty() || options.run.is_some();
        let server = Server::start(&configuration, &report, door, sockets).await?;
        let begun = server
            .announce(&configuration, quiet)
            .and_then(|()| server.start_command(options.run, &configuration));
        let command = match begun {
            Ok(command) => command,
            Err(failure) => {
                server.stop().await?;
                return Err(failure);
            }
        };
        supervisor.ready(&format!("Serving {} vdisks", server.vdisk_count()));
        let end = async {
            match command {
                Some(command) => run_command::wait(command, &mut signals).await,
                None => {
                    signals.next().await;
                    Ok(ExitCode::SUCCESS)
                }
            }
        };
        let ended = tokio::select! {
            ended = end => ended,
            // Whoever supervises the server starts it again; half a server would go unnoticed.
            () = server.until_a_disk_ends() => Err(Failure::new(
                "the server ends, as a disk's thread has ended by itself",
            )),
        };
        supervisor.stopping();
        server.stop().await?;
        ended
    })
}
