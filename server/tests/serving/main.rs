//! The program as people run it: started, used by the clients that they use, fed with what is
//! wrong, killed, and started again. Every test has a directory, a server and sockets of its own,
//! so all run side by side.
//!
//! Needs root (loop devices, mounts) and some Debian packages; a test that lacks one fails with the
//! sentence that says which. Nothing here depends on how fast the machine is: what is waited for
//! has a limit only so that a hang becomes a failure.

mod figures;
mod nbd;
mod server;
mod test_directory;

mod access;
mod bad_input;
mod boundaries;
mod changed_blocks;
mod check_disks;
mod clients;
mod clones;
mod commands;
mod copies;
mod database;
mod diagnostics;
mod disks_in_memory;
mod encrypted;
mod failing_disks;
mod files;
mod first_probe;
mod foreign_disks;
mod groups;
mod hanging_disks;
mod history;
mod history_rates;
mod history_sizes;
mod holes;
mod kernel;
mod kill;
mod known_disks;
mod lifecycle;
mod many_clones;
mod misbehaving_clients;
mod moments;
mod nbdinfo;
mod overlap;
mod past;
mod planner;
mod qemu_img;
mod read_only_disks;
mod readme;
mod reconnect;
mod recorded_clones;
mod refusals;
mod reverts;
mod simulate;
mod status;
mod stopping;
mod supervised;
mod systemd;
mod times;
mod two_disks;
mod vdisks;
mod verify;
mod workloads;

use disktime_testing::programs;
