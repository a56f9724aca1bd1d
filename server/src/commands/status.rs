//! `disktime status`: who got how much disk time from a running server.

use crate::assembly::emulation;
use crate::cli::ServerAddress;
use crate::failure::{Failure, Outcome};
use crate::serving::control_socket;
use crate::status;
use serde_json::json;

/// Runs the command.
pub fn run(server: &ServerAddress, json: bool) -> Outcome {
    let socket = match (&server.control, &server.file) {
        (Some(socket), _) => socket.clone(),
        (None, Some(file)) => emulation::load(file)?.control.socket.value,
        (None, None) => return Err(Failure::new("name the server's file, or --control PATH")),
    };
    let answer = control_socket::ask(&socket, &json!({ "command": "status" }))?;
    if json {
        println!("{answer:#}");
    } else {
        print!("{}", status::to_text(&answer));
    }
    Ok(())
}
