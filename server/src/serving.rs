//! A server while it runs: wiring of disks, frontends and control socket, disk threads, stopping.

pub(crate) mod backing_watch;
pub(crate) mod changed_contexts;
pub(crate) mod control_socket;
pub(crate) mod created_file;
pub(crate) mod descendants;
pub(crate) mod disk_space;
pub(crate) mod disk_thread;
pub(crate) mod export_directory;
pub(crate) mod group_marks;
pub(crate) mod history_control;
pub(crate) mod inspection;
pub(crate) mod known_disks;
pub(crate) mod last_exit;
pub(crate) mod nbd;
pub(crate) mod past;
pub(crate) mod permission;
pub(crate) mod reverting;
pub(crate) mod run_command;
pub(crate) mod served_vdisks;
pub(crate) mod server;
pub(crate) mod signals;
pub(crate) mod socket_paths;
pub(crate) mod starting;
pub(crate) mod state_dir;
pub(crate) mod stop_step;
pub(crate) mod supervisor;
