//! `disktime status`: how much disk time each vdisk of a running server received.

use crate::assembly::emulation;
use crate::cli::ServerAddress;
use crate::failure::{CommandResult, Failure};
use crate::serving::control_socket;

/// Runs the command.
pub(crate) fn run(server: &ServerAddress, json: bool) -> CommandResult {
    let socket = match (&server.control, &server.file) {
        (Some(socket), _) => socket.clone(),
        (None, Some(file)) => emulation::load(file)?.control.socket.value,
        (None, None) => return Err(Failure::new("name the server's file, or --control PATH")),
    };
    let status = control_socket::ask_status(&socket)?;
    if json {
        println!("{:#}", serde_json::to_value(&status)?);
    } else {
        print!("{status}");
    }
    Ok(())
}
