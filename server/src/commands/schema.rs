//! `disktime schema`: the JSON schema of the reservation file.

/// Runs the command.
pub fn run() {
    println!("{:#}", disktime_reservations::schema());
}
