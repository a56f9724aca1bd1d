//! `disktime status`: how much disk time each vdisk of a running server received.

use crate::assembly::emulation;
use crate::diagnostics::{is_coloured, print_sentence};
use crate::failure::{CommandResult, Failure};
use crate::serving::control_socket;
use clap::Args;
use disktime_observe::ServerStatus;
use disktime_units::{Nanos, parse_duration};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

/// Each reading costs the server a little.
const SHORTEST_INTERVAL: Nanos = Nanos::from_millis(100);

/// The running server: by its file or by its control socket.
#[derive(Debug, Args)]
pub(crate) struct ServerAddress {
    /// The server's reservation file.
    #[arg(required_unless_present = "control")]
    file: Option<PathBuf>,
    /// The server's control socket.
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
}

impl ServerAddress {
    /// Where its control socket is.
    fn control_socket(&self) -> CommandResult<PathBuf> {
        match (&self.control, &self.file) {
            (Some(socket), _) => Ok(socket.clone()),
            (None, Some(file)) => Ok(emulation::load(file)?.control.socket.value),
            (None, None) => Err(Failure::new("name the server's file, or --control PATH")),
        }
    }
}

/// Runs the command; `watch` is the time between two readings, if there is more than one.
pub(crate) fn run(server: &ServerAddress, watch: Option<&str>, json: bool) -> CommandResult {
    let socket = server.control_socket()?;
    let Some(interval) = watch else {
        print!("{}", shown(&control_socket::ask_status(&socket)?, json)?);
        return Ok(());
    };
    let interval = parse_duration(interval)?;
    if interval < SHORTEST_INTERVAL {
        return Err(Failure::new(format!(
            "--watch={interval} is too often; the shortest interval is {SHORTEST_INTERVAL}"
        )));
    }
    let mut out = std::io::stdout();
    let clears = out.is_terminal() && !json;
    // A server that never answered may be named wrongly; one that is started again comes back.
    let mut reading: CommandResult<ServerStatus> = Ok(control_socket::ask_status(&socket)?);
    let mut told = None;
    loop {
        match &reading {
            Ok(status) => {
                show_again(&mut out, status, json, clears)?;
                told = None;
            }
            Err(failure) => {
                let failure = failure.to_string();
                if told.as_ref() != Some(&failure) {
                    print_sentence(format_args!("{failure}; asking again every {interval}"));
                    told = Some(failure);
                }
            }
        }
        std::thread::sleep(Duration::from(interval));
        reading = control_socket::ask_status(&socket);
    }
}

/// Shows one of many readings; `clears`: in the place of the last one.
fn show_again(
    out: &mut impl Write,
    status: &ServerStatus,
    json: bool,
    clears: bool,
) -> CommandResult {
    if json {
        writeln!(out, "{}", serde_json::to_string(status)?)?;
    } else if clears {
        write!(out, "\x1b[H\x1b[2J{}", shown(status, json)?)?;
    } else {
        writeln!(out, "{}", shown(status, json)?)?;
    }
    out.flush()?;
    Ok(())
}

fn shown(status: &ServerStatus, json: bool) -> CommandResult<String> {
    Ok(match json {
        true => format!("{:#}\n", serde_json::to_value(status)?),
        false if is_coloured(&std::io::stdout()) => status.coloured(),
        false => status.to_string(),
    })
}
