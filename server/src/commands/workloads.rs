//! `disktime workloads`: the kinds of generators, the keys of clients, and the formats of traces.

/// Runs the command.
pub(crate) fn run() {
    print!("{}", disktime_workloads::help());
}
