//! A server while it runs: wiring of disks, frontends and control socket, disk threads, stopping.

pub mod control_socket;
pub mod created_file;
pub mod descendants;
pub mod disk_thread;
pub mod nbd;
pub mod run_command;
pub mod served_vdisks;
pub mod server;
pub mod signals;
pub mod state_dir;
pub mod supervisor;
