//! `disktime status`: how much disk time each vdisk of a running server received.

use crate::assembly::emulation;
use crate::failure::{CommandResult, Failure};
use crate::serving::control_socket;
use clap::Args;
use std::path::PathBuf;

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

/// Runs the command.
pub(crate) fn run(server: &ServerAddress, json: bool) -> CommandResult {
    let status = control_socket::ask_status(&server.control_socket()?)?;
    if json {
        println!("{:#}", serde_json::to_value(&status)?);
    } else {
        print!("{status}");
    }
    Ok(())
}
