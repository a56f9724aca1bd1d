//! The command line: what there is to say, and the help that explains it.

use crate::failure::Outcome;
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
    Exit status: 0 done, 1 failed (the sentence says why), 2 the command line is not understood.")]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const SERVE_HELP: &str = "\
Variables for the command of --run:
  uri         the NBD URI of the only vdisk; of several, the server's, which names none
  uri_NAME    the NBD URI of the vdisk NAME (`_` for what is no letter or digit)
  vdisks      the names, with spaces
  unixsocket  the unix socket's path
  port        the TCP port
  mount       the directory of the FUSE door

Sockets that systemd or a client hands over (LISTEN_FDS) are used instead of those of the file, and
NOTIFY_SOCKET is told when the server is ready and when it stops.

Examples:
  disktime serve examples/quickstart.json
  disktime serve examples/quickstart.json --run 'nbdinfo --list \"$uri\"'
  disktime serve examples/quickstart.json --run 'qemu-img convert disk.qcow2 -n -O raw \"$uri_db\"'
  nbdinfo --list -- [ disktime serve examples/quickstart.json ]";

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
        /// Run this command by the shell when the server is ready, and end with it and its exit
        /// status. It finds the server in its environment: $uri, $unixsocket and others, see below.
        #[arg(long, value_name = "CMD")]
        run: Option<String>,
    },
    /// Read a reservation file and say whether its disks can keep what it promises.
    Check {
        /// The reservation file.
        file: PathBuf,
        /// Print JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Show who got how much disk time from a running server.
    Status {
        #[command(flatten)]
        server: ServerAddress,
        /// Print JSON instead of tables.
        #[arg(long)]
        json: bool,
    },
    /// Say what these reservations would give: a workload against them in virtual time, exactly.
    Simulate {
        /// The reservation file.
        file: PathBuf,
        #[command(flatten)]
        workload: WorkloadSource,
        #[command(flatten)]
        policy: PolicyOverride,
        /// Run it under these policies too, and show them side by side.
        #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
        compare: Vec<String>,
        /// Run each virtual disk also with its disk for itself, and show how much of that is left.
        #[arg(long)]
        solo: bool,
        /// Draw a picture: disk time per virtual disk over time, with its deadlines.
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
        /// Print JSON instead of tables.
        #[arg(long)]
        json: bool,
    },
    /// Run a workload against the running server over NBD, with a live table.
    Load {
        /// The server's reservation file.
        file: PathBuf,
        #[command(flatten)]
        workload: WorkloadSource,
        /// The control socket, if it is not where the file says.
        #[arg(long, value_name = "PATH")]
        control: Option<PathBuf>,
        /// Print JSON instead of tables.
        #[arg(long)]
        json: bool,
    },
    /// One minute that shows the difference: the same clients under fifo, then under fahrrad.
    Demo {
        /// Where disk-time.svg and report.json go.
        #[arg(long, value_name = "DIR", default_value = "disktime-demo")]
        out: PathBuf,
        /// How long each half takes.
        #[arg(long, value_name = "DURATION", default_value = "27s")]
        half: String,
    },
    /// Show what a modelled disk does: seek curve, zones, mean random read.
    Model {
        /// A preset's name, or FILE#NAME for the drive NAME in a JSON file of drives.
        #[arg(value_name = "PRESET|FILE#NAME")]
        drive: String,
        /// Replay a measured trace (`R|W Hit|Miss lbn sectors service_us think_us` lines, gzip) and
        /// compare: both means and the demerit.
        #[arg(long, value_name = "FILE")]
        trace: Option<PathBuf>,
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Write an empty label to the disks of a reservation file that have none.
    Format {
        /// The reservation file.
        file: PathBuf,
        /// Only this disk.
        #[arg(long, value_name = "NAME")]
        disk: Option<String>,
        /// Overwrite whatever the disk holds: partition tables, file systems, virtual disks.
        #[arg(long)]
        force: bool,
    },
    /// Free the space of a virtual disk that is no longer in the reservation file, with its data.
    Remove {
        /// The reservation file.
        file: PathBuf,
        /// The virtual disk's name.
        vdisk: String,
        /// The disk it is on, if several have one of that name.
        #[arg(long, value_name = "NAME")]
        disk: Option<String>,
    },
    /// List the kinds of generators, the keys of clients, and the formats of traces.
    Workloads,
    /// Print the JSON schema of the reservation file.
    Schema,
}

/// Which workload runs: a file, or clients on the command line.
#[derive(Debug, Args)]
pub(crate) struct WorkloadSource {
    /// The workload file.
    #[arg(required_unless_present = "client", conflicts_with = "client")]
    pub(crate) workload: Option<PathBuf>,
    /// A client instead of a file, as in `oltp,vdisk=db,depth=4` or `trace=vm.csv.gz,vdisk=db`; may be
    /// given several times. `disktime workloads` lists the kinds and keys.
    #[arg(long, value_name = "KIND,KEY=VALUE,…")]
    pub(crate) client: Vec<String>,
    /// How long the clients of the command line run.
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "60s",
        conflicts_with = "workload"
    )]
    pub(crate) duration: String,
    /// The seed of the clients of the command line.
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 1,
        conflicts_with = "workload"
    )]
    pub(crate) seed: u64,
}

impl WorkloadSource {
    /// Reads it.
    pub(crate) fn read(&self) -> Outcome<Workload> {
        Ok(match &self.workload {
            Some(file) => Workload::read(file)?,
            None => Workload::from_command_line(&self.client, &self.duration, self.seed)?,
        })
    }
}

/// Which policy is to decide.
#[derive(Debug, Args)]
pub(crate) struct PolicyOverride {
    /// Schedule all disks with this policy, whatever the file says: fahrrad, fahrrad-dss,
    /// zygaria-util, zygaria-iops, mclock, sfq-d, edf, c-look, fifo. Only fahrrad keeps
    /// reservations; the others are there to compare with.
    #[arg(long = "policy", value_name = "NAME")]
    pub(crate) name: Option<String>,
}

/// How a running server is found.
#[derive(Debug, Args)]
pub(crate) struct ServerAddress {
    /// The server's reservation file.
    #[arg(required_unless_present = "control")]
    pub(crate) file: Option<PathBuf>,
    /// The server's control socket.
    #[arg(long, value_name = "PATH")]
    pub(crate) control: Option<PathBuf>,
}
