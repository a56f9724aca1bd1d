//! `disktime schema`: the JSON schema of the reservation file.

/// Runs the command.
pub(crate) fn run() {
    println!("{:#}", disktime_reservations::schema());
}
