//! The command line and its help.

use crate::commands::{
    CalibrationOptions, CloneOptions, HistoryServer, ServerAddress, SimulationOptions,
};
use crate::diagnostics::Verbosity;
use crate::failure::CommandResult;
use clap::{Args, Parser, Subcommand};
use disktime_workloads::Workload;
use std::path::PathBuf;

/// Virtual disks with reserved disk time, served over NBD and FUSE.
#[derive(Debug, Parser)]
#[command(name = "disktime", version, about, long_about = None, arg_required_else_help = true)]
#[command(after_help = "Examples:\n  \
    disktime check examples/quickstart.json\n  \
    disktime serve examples/quickstart.json\n  \
    disktime status examples/quickstart.json\n  \
    disktime simulate examples/quickstart.json examples/workloads/three-clients.json\n  \
    disktime simulate examples/quickstart.json --client oltp,vdisk=db,depth=4 --client media-player,vdisk=web\n\n\
    Environment:\n  \
    DISKTIME_LOG  what is logged without -q and -v: error, warn (as without it), info, debug or trace\n  \
    NO_COLOR      if it is not empty, nothing is coloured; without a terminal nothing ever is\n\n\
    Exit status: 0 done, 1 failed (standard error says why), 2 wrong use of the command line.")]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    verbosity: Verbosity,
}

impl Cli {
    /// What to do, and how much of it is logged.
    pub(crate) fn into_parts(self) -> (Command, Verbosity) {
        (self.command, self.verbosity)
    }
}

const SERVE_HELP: &str = "\
Variables for the command of --run:
  uri         the NBD URI of the only vdisk; with several vdisks, a URI that names none
  uri_NAME    the NBD URI of the vdisk NAME (in NAME, `_` replaces what is no letter or digit)
  vdisks      the names of the vdisks, separated by spaces
  unixsocket  the unix socket's path
  port        the TCP port
  mount       the directory of the FUSE frontend

Sockets that systemd or a client hands over (LISTEN_FDS) replace those of the file. NOTIFY_SOCKET is
notified when the server is ready and when it stops.

Examples:
  disktime serve examples/quickstart.json
  disktime serve examples/quickstart.json --run 'nbdinfo --list \"$uri\"'
  disktime serve examples/quickstart.json --run 'qemu-img convert disk.qcow2 -n -O raw \"$uri_db\"'
  nbdinfo --list -- [ disktime serve examples/quickstart.json ]";

const CALIBRATE_HELP: &str = "\
Without --read-only everything on the disk is overwritten: measure it before it holds data. The
program says what it is about to overwrite and goes on when the path is typed, or given to
--yes-overwrite. It refuses a disk that is mounted, swapped to, part of LVM or RAID, or labelled.

docs/calibrate.md says what each number means.

Examples:
  disktime calibrate /dev/nvme0n1 --read-only
  disktime calibrate /dev/nvme0n1 --yes-overwrite /dev/nvme0n1 --seconds 300
  truncate -s 8G test.disk && disktime calibrate test.disk --yes-overwrite test.disk";

const LOAD_HELP: &str = "\
A client that writes fills the places of its write requests with random bytes: a file system or a
database there is destroyed. A workload with such a client (a trace counts as one) is refused, and
nothing is written, if its virtual disk holds data or is used by others; --overwrite goes on. A client
with `read=100%` changes nothing. What a run has written is data for the next one.

Examples:
  disktime load examples/quickstart.json --client random,vdisk=db,read=100%
  disktime load examples/quickstart.json --client log-writer,vdisk=web --overwrite";

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the virtual disks of a reservation file until SIGTERM, SIGINT or SIGHUP.
    #[command(after_help = SERVE_HELP)]
    Serve {
        /// The reservation file (JSON; `disktime schema` prints its schema).
        file: PathBuf,
        #[command(flatten)]
        policy: PolicyOverride,
        /// Run this command by `sh -c` when the server is ready; the server ends with it and with
        /// its exit status. Its environment has $uri, $unixsocket and other variables, see below.
        #[arg(long, value_name = "CMD")]
        run: Option<String>,
        /// Serve this disk although it is another one, or blank, than the state directory remembers
        /// under its name. What was on the remembered disk is not served any more. May be given
        /// several times.
        #[arg(long, value_name = "NAME")]
        accept_new_disk: Vec<String>,
    },
    /// Check a reservation file, and whether its disks have the time and space that it reserves.
    Check {
        /// The reservation file.
        file: PathBuf,
        /// Read the disks' labels as well, and examine sockets, ports and directories: whether a
        /// server could start, and what it would create. Nothing is changed.
        #[arg(long)]
        disks: bool,
        /// Print JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Show how much disk time each virtual disk of a running server received, and why deadlines
    /// were missed.
    Status {
        #[command(flatten)]
        server: ServerAddress,
        /// Show it again every INTERVAL (without one: every second) until it is interrupted; with
        /// --json a line each time.
        #[arg(
            long,
            value_name = "INTERVAL",
            num_args = 0..=1,
            require_equals = true,
            default_missing_value = "1s"
        )]
        watch: Option<String>,
        /// Print JSON instead of tables.
        #[arg(long)]
        json: bool,
    },
    /// Run a workload against a reservation file in virtual time: what each virtual disk would get.
    Simulate {
        /// The reservation file.
        file: PathBuf,
        #[command(flatten)]
        workload: WorkloadSource,
        #[command(flatten)]
        options: SimulationOptions,
    },
    /// Run a workload against the running server over NBD, with a live table. Clients that write
    /// overwrite what their virtual disk holds.
    #[command(after_help = LOAD_HELP)]
    Load {
        /// The server's reservation file.
        file: PathBuf,
        #[command(flatten)]
        workload: WorkloadSource,
        /// The control socket, if it is not where the file says.
        #[arg(long, value_name = "PATH")]
        control: Option<PathBuf>,
        /// Overwrite what the virtual disks hold that the workload writes to.
        #[arg(long)]
        overwrite: bool,
        /// Print JSON instead of tables.
        #[arg(long)]
        json: bool,
    },
    /// Show the difference in a minute: the same clients under fifo, then under fahrrad.
    Demo {
        /// The directory for disk-time.svg and report.json.
        #[arg(long, value_name = "DIR", default_value = "disktime-demo")]
        out: PathBuf,
        /// The duration of each of the two runs.
        #[arg(long, value_name = "DURATION", default_value = "27s")]
        half: String,
    },
    /// Show what a modelled disk does: seek curve, zones, mean random read; of an SSD or a cloud
    /// volume what requests take alone and among others. Without a name: all presets.
    Model {
        /// A preset's name, or FILE#NAME for the drive NAME in a JSON file of drives.
        #[arg(value_name = "PRESET|FILE#NAME")]
        drive: Option<String>,
        /// Replay a measured trace (`R|W Hit|Miss lbn sectors service_us think_us` lines, gzip) and
        /// compare: both means and the demerit.
        #[arg(long, value_name = "FILE", requires = "drive")]
        trace: Option<PathBuf>,
        /// Print JSON instead of text.
        #[arg(long, requires = "drive")]
        json: bool,
    },
    /// Measure a disk: prices of its requests, latencies, the depth that it needs; writes a profile
    /// and a picture.
    #[command(after_help = CALIBRATE_HELP)]
    Calibrate {
        /// The block device or file.
        path: PathBuf,
        #[command(flatten)]
        options: CalibrationOptions,
    },
    /// Write an empty label to the disks of a reservation file that have none.
    Format {
        /// The reservation file.
        file: PathBuf,
        /// Only this disk; required with --force.
        #[arg(long, value_name = "NAME")]
        disk: Option<String>,
        /// Overwrite what the disk holds: partition tables, file systems, virtual disks. What will
        /// be lost is listed, and asked about at a terminal.
        #[arg(long, requires = "disk")]
        force: bool,
        /// Do not ask, and go on without a terminal.
        #[arg(long)]
        yes: bool,
    },
    /// Remember the disks of a reservation file as they are now, in place of what its state
    /// directory remembers: which disk has which name, and which disk holds each virtual disk.
    Adopt {
        /// The reservation file.
        file: PathBuf,
        /// Only this disk and the virtual disks on it.
        #[arg(long, value_name = "NAME")]
        disk: Option<String>,
    },
    /// Free the space of a virtual disk that is no longer in the reservation file, or that the file
    /// has on another disk; its data is lost. Asks at a terminal.
    Remove {
        /// The reservation file.
        file: PathBuf,
        /// The virtual disk's name.
        vdisk: String,
        /// The disk it is on, if several have one of that name.
        #[arg(long, value_name = "NAME")]
        disk: Option<String>,
        /// Do not ask, and go on without a terminal.
        #[arg(long)]
        yes: bool,
    },
    /// Give a virtual disk another name; its data stays. Change the name in the reservation file
    /// first. Without a server.
    Rename {
        /// The reservation file, which has the new name.
        file: PathBuf,
        /// The name that it has on its disk.
        old: String,
        /// The name that it is to have.
        new: String,
    },
    /// List the virtual disks and clones that the disks of a reservation file hold, with those that
    /// the next start would make. Without a server, or beside one.
    List {
        /// The reservation file.
        file: PathBuf,
        /// Print JSON instead of tables.
        #[arg(long)]
        json: bool,
    },
    /// Show what is known of a virtual disk: its disk, uuid, size and reservation. Without a
    /// server, or beside one.
    Info {
        /// The reservation file.
        file: PathBuf,
        /// The virtual disk's name.
        vdisk: String,
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Show how the history of a virtual disk stands: its window, marks, branches and space.
    History {
        /// The virtual disk, which has a `history` in the server's file.
        vdisk: String,
        #[command(flatten)]
        server: HistoryServer,
    },
    /// Show the branches of a virtual disk with a history as a tree: what reverts left behind.
    Branches {
        /// The virtual disk.
        vdisk: String,
        #[command(flatten)]
        server: HistoryServer,
    },
    /// Give the present content of a virtual disk with a history a name; of several, that of one
    /// moment of all of them.
    Mark {
        /// The virtual disk; several, separated by commas, get one cut through all of them.
        #[arg(value_name = "VDISK[,VDISK…]")]
        vdisk: String,
        /// The name: letters, digits, `.`, `_` and `-`, of which the first is a letter or `_`.
        #[arg(allow_hyphen_values = true)]
        name: String,
        #[command(flatten)]
        server: HistoryServer,
    },
    /// Make the content of a moment the present content of a virtual disk. Refused while clients
    /// use it, unless they are disconnected. What is there now is kept: `undo-revert` brings it
    /// back.
    Revert {
        /// The virtual disk.
        vdisk: String,
        /// The moment: the name of a mark, how long ago (-5m), a time (2026-11-30T06:00:00Z), or
        /// seq:N.
        #[arg(long, value_name = "MOMENT", allow_hyphen_values = true)]
        to: String,
        /// Disconnect its clients first: NBD connections are closed when what they have sent is
        /// answered (clients that can reconnect come back to the reverted content), open files
        /// get EIO.
        #[arg(long)]
        disconnect: bool,
        #[command(flatten)]
        server: HistoryServer,
    },
    /// Bring back what a virtual disk held before its last revert. Refused while clients use it,
    /// unless they are disconnected.
    UndoRevert {
        /// The virtual disk.
        vdisk: String,
        /// Disconnect its clients first, as `revert` does.
        #[arg(long)]
        disconnect: bool,
        #[command(flatten)]
        server: HistoryServer,
    },
    /// List what of a virtual disk with a history was written between two moments: offsets and
    /// lengths in bytes.
    Changed {
        /// The virtual disk.
        vdisk: String,
        /// The earlier moment, as for `revert`.
        #[arg(long, value_name = "MOMENT", allow_hyphen_values = true)]
        since: String,
        /// The later moment; without it, now.
        #[arg(long, value_name = "MOMENT", allow_hyphen_values = true)]
        until: Option<String>,
        #[command(flatten)]
        server: HistoryServer,
    },
    /// Read all that the history of a virtual disk holds and compare each checksum, in the
    /// background: it takes the fold's share and spare time. Exit status 1 if something is
    /// damaged.
    Verify {
        /// The virtual disk.
        vdisk: String,
        #[command(flatten)]
        server: HistoryServer,
    },
    /// Make a virtual disk that begins with a moment of another one, which has a history: it is
    /// served at once, over restarts too, until it is dropped. What is written to it concerns it
    /// alone. Several names make several of them, or none if one of them cannot be made.
    Clone {
        /// The virtual disk and the moment, as in db@before-upgrade or db@-5m.
        #[arg(value_name = "VDISK@MOMENT")]
        what: String,
        /// The name of the clone; one for each, where several are to be made.
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
        #[command(flatten)]
        options: CloneOptions,
        #[command(flatten)]
        server: HistoryServer,
    },
    /// Give up a mark (VDISK@MARK), with --branch what a revert left behind, or a clone with all
    /// that was written to it. What only that kept cannot be restored any more, and its space can
    /// be used again. Several are dropped one after the other, up to the first that is refused.
    Drop {
        /// The virtual disk and the mark, as in db@before-upgrade; with --branch the virtual disk;
        /// or the clone.
        #[arg(required = true)]
        what: Vec<String>,
        /// The branch, by its number in `disktime history`.
        #[arg(long, value_name = "ID")]
        branch: Option<u64>,
        /// Of a clone: disconnect its clients first, as `revert` does; else their use is why it is
        /// refused.
        #[arg(long, conflicts_with = "branch")]
        disconnect: bool,
        #[command(flatten)]
        server: HistoryServer,
    },
    /// Copy a file or a directory out of a virtual disk as it was at a moment. Nothing that exists
    /// is overwritten.
    Restore {
        /// The file, as in db@before-upgrade:/etc/passwd: the virtual disk, the moment, and the
        /// path in its ext2, ext3 or ext4. With partitions, the path begins with the number of one.
        what: String,
        /// The name that it gets; a directory that exists gets it under its own name.
        target: PathBuf,
        #[command(flatten)]
        server: HistoryServer,
    },
    /// List the paths that differ between two moments: added (+), removed (-), changed (M), of
    /// other mode, owner, time or extended attributes (A), of another kind (T), unreadable (?).
    Diff {
        /// The earlier moment, as in db@before-upgrade, or a path at it: db@before-upgrade:/etc.
        from: String,
        /// The later moment.
        to: String,
        /// Compare the content also of files whose times say that they did not change.
        #[arg(long)]
        content: bool,
        #[command(flatten)]
        server: HistoryServer,
    },
    /// Give up durable data that the history of a virtual disk has lost, so that it can be written
    /// again.
    AcceptLoss {
        /// The virtual disk.
        vdisk: String,
        /// Accept it: without this, what is lost is told.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        server: HistoryServer,
    },
    /// List the kinds of generators, the keys of clients, and the formats of traces.
    Workloads,
    /// Print the JSON schema of the reservation file.
    Schema,
}

/// The workload: a file, or clients on the command line.
#[derive(Debug, Args)]
pub(crate) struct WorkloadSource {
    /// The workload file.
    #[arg(required_unless_present = "client", conflicts_with = "client")]
    workload: Option<PathBuf>,
    /// A client instead of a file, as in `oltp,vdisk=db,depth=4` or `trace=vm.csv.gz,vdisk=db`; may
    /// be given several times. `disktime workloads` lists the kinds and keys.
    #[arg(long, value_name = "KIND,KEY=VALUE,…")]
    client: Vec<String>,
    /// How long the workload runs, instead of what its file says; 60s for clients of the command
    /// line.
    #[arg(long, value_name = "DURATION")]
    duration: Option<String>,
    /// The seed of the workload, instead of what its file says; 1 for clients of the command line.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
}

impl WorkloadSource {
    /// Reads the workload.
    pub(crate) fn read(&self) -> CommandResult<Workload> {
        let duration = self.duration.as_deref();
        Ok(match &self.workload {
            Some(file) => Workload::read_for(file, duration, self.seed)?,
            None => Workload::from_command_line(
                &self.client,
                duration.unwrap_or("60s"),
                self.seed.unwrap_or(1),
            )?,
        })
    }
}

/// A policy that replaces that of the file.
#[derive(Debug, Args)]
pub(crate) struct PolicyOverride {
    /// Schedule all disks with this policy instead of the file's: fahrrad, fahrrad-dss,
    /// zygaria-util, zygaria-iops, mclock, sfq-d, edf, c-look, fifo. Only fahrrad keeps
    /// reservations; the others are there to compare with.
    #[arg(long = "policy", value_name = "NAME")]
    name: Option<String>,
}

impl PolicyOverride {
    /// Its name, if one was given.
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}
