//! What a reservation file says, typed, with the place of everything that may still be found
//! wrong later (a device too small, a port in use), so that such an error can point into the file.
//! Everything here is already checked as far as the file alone can tell.
//! What is not known here: JSON, and whether anything named here exists.

use crate::history::History;
use disktime_documents::{Document, DocumentErrors, Finding, Span, Spanned};
use disktime_units::{ByBackgroundWork, Nanos, Network, Share, TrimHandling};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Checks the `emulate` of a disk, so that this room need not know any disk model.
pub trait EmulateChecker {
    /// Whether there is such a model. The value is a text (a preset's name, or `FILE#NAME` with
    /// FILE already resolved) or an object (the model's parameters).
    ///
    /// # Errors
    /// A sentence that says what is wrong and which models exist.
    fn check(&self, value: &serde_json::Value) -> Result<(), String>;
}

impl<F: Fn(&serde_json::Value) -> Result<(), String>> EmulateChecker for F {
    fn check(&self, value: &serde_json::Value) -> Result<(), String> {
        self(value)
    }
}

/// A reservation file that is right as far as the file alone can tell.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// Where the server keeps everything; already relative to the file's directory.
    pub state_dir: Spanned<PathBuf>,
    /// The disks, in file order; at least one.
    pub disks: Vec<Disk>,
    /// The virtual disks, in file order.
    pub vdisks: Vec<Vdisk>,
    /// Entries of the file that say what clones get, which are made by a command; empty until they
    /// are set apart from `vdisks`, by the names of the clones that there are.
    pub clones: Vec<Vdisk>,
    /// The groups, in file order.
    pub groups: Vec<Group>,
    /// The NBD frontend, if it is wanted.
    pub nbd: Option<Nbd>,
    /// The FUSE frontend, if it is wanted.
    pub fuse: Option<Fuse>,
    /// The control socket.
    pub control: Control,
    pub(crate) document: Document,
}

/// How a disk is scheduled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Slack-stealing earliest deadline first over disk time; the default.
    #[default]
    Fahrrad,
    /// Budgets and deadlines with the papers' committed set.
    FahrradDss,
    /// Token buckets in disk time.
    ZygariaUtil,
    /// Token buckets in I/Os.
    ZygariaIops,
    /// Tags for reservation, limit and weight, in I/Os.
    Mclock,
    /// Start-time fair queueing.
    SfqD,
    /// Earliest deadline first over the budgets, without a feasibility test.
    Edf,
    /// Ascending positions over all streams, wrapping around.
    CLook,
    /// First in, first out.
    Fifo,
}

impl Policy {
    /// All names, as a file may say them; the default first.
    pub const NAMES: &'static [&'static str] = &[
        "fahrrad",
        "fahrrad-dss",
        "zygaria-util",
        "zygaria-iops",
        "mclock",
        "sfq-d",
        "edf",
        "c-look",
        "fifo",
    ];

    /// All policies, in the order of their names.
    pub const ALL: &'static [Policy] = &[
        Policy::Fahrrad,
        Policy::FahrradDss,
        Policy::ZygariaUtil,
        Policy::ZygariaIops,
        Policy::Mclock,
        Policy::SfqD,
        Policy::Edf,
        Policy::CLook,
        Policy::Fifo,
    ];

    /// The policy of that name in a file.
    pub fn from_name(name: &str) -> Option<Policy> {
        let position = Policy::NAMES.iter().position(|other| *other == name)?;
        Policy::ALL.get(position).copied()
    }

    /// Its name in a file.
    pub fn name(self) -> &'static str {
        Policy::NAMES[self as usize]
    }

    /// Whether vdisks can share a reservation under it.
    pub fn has_groups(self) -> bool {
        self == Policy::Fahrrad
    }

    /// What it does to a reservation instead of keeping it.
    pub(crate) fn shortcoming(self) -> Option<&'static str> {
        match self {
            Policy::Fahrrad => None,
            Policy::FahrradDss | Policy::Edf => Some("may be late with it by several requests"),
            Policy::ZygariaUtil => Some("keeps it in the long run, not in each period"),
            Policy::ZygariaIops | Policy::Mclock => Some("counts I/Os, not disk time"),
            Policy::SfqD => Some("takes it for a weight, and counts requests, not disk time"),
            Policy::CLook | Policy::Fifo => Some("keeps none"),
        }
    }
}

/// What pays for the seeks between streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Switching {
    /// An account that admission sets aside.
    Account,
    /// The stream that is served next.
    Served,
}

/// In which order one stream's requests go to a disk with seeks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RequestOrder {
    /// Ascending from the stream's own last position, wrapping around.
    #[default]
    Sweep,
    /// The least estimated positioning time first.
    LeastPositioning,
}

/// A disk of the file.
#[derive(Debug, Clone)]
pub struct Disk {
    /// Its name; letters, digits, `.`, `_` and `-`.
    pub name: Spanned<String>,
    /// What holds its data.
    pub medium: Spanned<Medium>,
    /// The size, if the file says one; always with `emulate`, and when there is no path.
    pub size_bytes: Option<Spanned<u64>>,
    /// The model to pace it by: a text (preset, or `FILE#NAME` with FILE resolved) or an object.
    pub emulate: Option<Spanned<serde_json::Value>>,
    /// The profile that `disktime calibrate` wrote, if the file names one; resolved.
    pub profile: Option<Spanned<PathBuf>>,
    /// The scheduling policy.
    pub policy: Policy,
    /// What pays for switches, where the file says it.
    pub switching: Option<Spanned<Switching>>,
    /// The order of each stream's requests.
    pub order: RequestOrder,
    /// The reservations of background work, where the file says them.
    pub background: ByBackgroundWork<Option<Reservation>>,
    /// Whether it has seeks, where the file says it (never with `emulate`).
    pub seeks: Option<Spanned<bool>>,
    /// W, where the file says it (never with `emulate`).
    pub worst_case: Option<Spanned<Nanos>>,
    /// s, where the file says it (never with `emulate`).
    pub switch_cost: Option<Spanned<Nanos>>,
    /// The most requests in flight, where the file says it.
    pub max_in_flight: Option<Spanned<u32>>,
    /// What becomes of trims of its vdisks, where they do not say it.
    pub trim: TrimHandling,
}

/// What holds a disk's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Medium {
    /// A device or a file, whose path is resolved.
    Path(PathBuf),
    /// Memory, as long as the server runs.
    Memory,
    /// Nothing: reads return zeroes, writes are discarded.
    Null,
}

impl Disk {
    /// The device or file that holds its data.
    pub fn path(&self) -> Option<&Path> {
        match &self.medium.value {
            Medium::Path(path) => Some(path),
            Medium::Memory | Medium::Null => None,
        }
    }
}

/// A share of the disk's time in every period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reservation {
    /// The share.
    pub reserve: Spanned<Share>,
    /// The period.
    pub period: Spanned<Nanos>,
}

impl Reservation {
    /// The disk time that it brings in each period.
    pub fn budget(&self) -> Nanos {
        self.reserve.value.of(self.period.value)
    }
}

/// The most of the disk's time, reserved and spare, in any period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The share.
    pub share: Spanned<Share>,
    /// The period: the reservation's, or 1 s.
    pub period: Nanos,
}

/// A virtual disk of the file.
#[derive(Debug, Clone)]
pub struct Vdisk {
    /// Its name; letters, digits, `.`, `_` and `-`.
    pub name: Spanned<String>,
    /// The name of its disk, which is in the file.
    pub disk: Spanned<String>,
    /// The size.
    pub size_bytes: Spanned<u64>,
    /// Its reservation; best effort without.
    pub reservation: Option<Reservation>,
    /// Its limit; at least the reservation.
    pub limit: Option<Limit>,
    /// Its weight when spare time is divided, or its group's time.
    pub weight: u32,
    /// The name of its group, which is in the file; then it has no reservation and no limit.
    pub group: Option<Spanned<String>>,
    /// Whether clients may only read it.
    pub read_only: bool,
    /// What becomes of its trims, where the file says it of the vdisk.
    pub trim: Option<TrimHandling>,
    /// Its history, if it has one.
    pub history: Option<History>,
    /// Whether the file says that it has none any more: one that is there is given up.
    pub history_off: bool,
    /// Where the log of such a one lies, if that is known to be another disk; the file does not say
    /// it, so it is unset until it is told.
    pub ended_log_disk: Option<String>,
    /// The addresses that may use it by TCP, where the file says it.
    pub allow: Option<Vec<Network>>,
    /// The most NBD connections that use it at once, where the file says it.
    pub connections: Option<Spanned<u32>>,
}

/// A reservation that several vdisks of one disk share.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its name, which no vdisk has.
    pub name: Spanned<String>,
    /// The disk of all its members; `None` without members.
    pub disk: Option<String>,
    /// Its reservation; best effort without.
    pub reservation: Option<Reservation>,
    /// Its limit; at least the reservation.
    pub limit: Option<Limit>,
    /// Its weight when spare time is divided.
    pub weight: u32,
}

/// The NBD frontend.
#[derive(Debug, Clone)]
pub struct Nbd {
    /// The unix socket, resolved.
    pub socket: Spanned<PathBuf>,
    /// The permission bits of the unix socket.
    pub socket_mode: u32,
    /// The user that owns the unix socket, by name or number.
    pub socket_owner: Option<Spanned<String>>,
    /// The group that owns the unix socket, by name or number.
    pub socket_group: Option<Spanned<String>>,
    /// TCP addresses.
    pub listen: Vec<Spanned<SocketAddr>>,
    /// The addresses that may connect by TCP, where the file says it.
    pub allow: Option<Vec<Network>>,
    /// How connections are encrypted, if they are.
    pub tls: Option<Tls>,
    /// The most connections at once.
    pub connections: u32,
    /// The longest time that a handshake may take.
    pub handshake_time: Nanos,
    /// How many options a handshake may have.
    pub handshake_options: u32,
}

/// How connections are encrypted.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The directory of the certificates and the key, resolved.
    pub dir: Spanned<PathBuf>,
    /// Whether clients must encrypt.
    pub require: bool,
    /// Whether clients must present a certificate.
    pub client_certificates: bool,
}

/// The FUSE frontend.
#[derive(Debug, Clone)]
pub struct Fuse {
    /// The directory in which each vdisk is a file, resolved.
    pub mount: Spanned<PathBuf>,
    /// The directory of the files of the past, resolved.
    pub history: Option<Spanned<PathBuf>>,
}

/// The control socket.
#[derive(Debug, Clone)]
pub struct Control {
    /// The unix socket, resolved.
    pub socket: Spanned<PathBuf>,
}

impl Configuration {
    /// The file that it was read from.
    pub fn file(&self) -> &Path {
        self.document.path()
    }

    /// The disk of that name.
    pub fn disk(&self, name: &str) -> Option<&Disk> {
        self.disks.iter().find(|disk| disk.name.value == name)
    }

    /// The vdisk of that name.
    pub fn vdisk(&self, name: &str) -> Option<&Vdisk> {
        self.vdisks.iter().find(|vdisk| vdisk.name.value == name)
    }

    /// The vdisks on the disk of that name, in file order.
    pub fn vdisks_on<'a>(&'a self, disk: &'a str) -> impl Iterator<Item = &'a Vdisk> {
        self.vdisks
            .iter()
            .filter(move |vdisk| vdisk.disk.value == disk)
    }

    /// What becomes of the trims of a vdisk.
    pub fn trims_of(&self, vdisk: &Vdisk) -> TrimHandling {
        let mut disks = self.disks.iter();
        let disk = disks.find(|disk| disk.name.value == vdisk.disk.value);
        let of_disk = disk.map_or_else(TrimHandling::default, |disk| disk.trim);
        vdisk.trim.unwrap_or(of_disk)
    }

    /// The group of that name.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name.value == name)
    }

    /// The groups with members on the disk of that name, in file order.
    pub fn groups_on<'a>(&'a self, disk: &'a str) -> impl Iterator<Item = &'a Group> {
        self.groups
            .iter()
            .filter(move |group| group.disk.as_deref() == Some(disk))
    }

    /// An error that was found later, shown at its place in the file. `help` says what to do.
    pub fn error_at(
        &self,
        span: Span,
        message: impl AsRef<str>,
        help: impl AsRef<str>,
    ) -> DocumentErrors {
        let finding = Finding::error(span, message).help(help);
        DocumentErrors::new(self.document.clone(), vec![finding])
    }

    pub(crate) fn document(&self) -> &Document {
        &self.document
    }
}

#[cfg(test)]
mod tests;
