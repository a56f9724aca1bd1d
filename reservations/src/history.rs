//! The history of a vdisk, as the file asks for it, and the streams that it adds to its disks.
//!
//! What is not known here: logs.

use crate::configuration::{Reservation, Vdisk};
use disktime_documents::{Span, Spanned};
use disktime_units::{Nanos, Share};

/// What happens to writes when a log is full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// The oldest moments are given up early.
    #[default]
    Shorten,
    /// Writes are refused.
    Refuse,
}

impl WhenFull {
    /// All names, as a file may say them; the default first.
    pub const NAMES: &'static [&'static str] = &["shorten", "refuse"];

    pub(crate) fn from_name(name: &str) -> WhenFull {
        match name {
            "refuse" => WhenFull::Refuse,
            _ => WhenFull::Shorten,
        }
    }
}

/// A reservation of which a part may be left out.
#[derive(Debug, Clone, Copy, Default)]
pub struct PartialReservation {
    /// The share.
    pub reserve: Option<Spanned<Share>>,
    /// The period.
    pub period: Option<Spanned<Nanos>>,
}

/// The history of a vdisk.
#[derive(Debug, Clone)]
pub struct History {
    /// Where it stands in the file.
    pub place: Span,
    /// How long every write can be undone.
    pub window: Nanos,
    /// The space of the log.
    pub max_bytes: Spanned<u64>,
    /// The name of the disk of the log, which is in the file, if the file says it.
    pub disk: Option<Spanned<String>>,
    /// What the log gets.
    pub log: PartialReservation,
    /// What its folds get.
    pub fold: PartialReservation,
    /// The part of `max` that is folded at once; the rest is the window that is kept however fast
    /// clients write.
    pub batch: Share,
    /// What happens to writes when the log is full.
    pub when_full: WhenFull,
    /// The group that may read its past as files, by name or number.
    pub group: Option<Spanned<String>>,
}

/// The two streams of a history. A fold reads the log and writes the image, so it needs time on
/// both disks where these are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryStream {
    /// Writes the log, and reads it.
    Log,
    /// Moves the oldest writes into the vdisk's own space.
    Fold,
}

/// The part of `max` that is folded at once where the file does not say.
pub(crate) const DEFAULT_BATCH: Share = Share::from_percent(50);

impl HistoryStream {
    /// Both.
    pub const ALL: [HistoryStream; 2] = [HistoryStream::Log, HistoryStream::Fold];

    /// Its name beside the other streams of a disk; no vdisk has such a name.
    pub fn name_of(self, vdisk: &str) -> String {
        match self {
            HistoryStream::Log => format!("{vdisk}/log"),
            HistoryStream::Fold => format!("{vdisk}/fold"),
        }
    }

    /// The share where the file does not say.
    pub(crate) fn default_share(self) -> Share {
        match self {
            HistoryStream::Log => Share::from_percent(10),
            HistoryStream::Fold => Share::from_percent(5),
        }
    }

    /// The period where the file does not say; admission takes a longer one where a disk needs it.
    pub(crate) fn default_period(self, has_seeks: bool) -> Nanos {
        match (self, has_seeks) {
            (HistoryStream::Log, true) => Nanos::from_millis(500),
            (HistoryStream::Log, false) => Nanos::from_millis(250),
            (HistoryStream::Fold, _) => Nanos::from_secs(1),
        }
    }

    pub(crate) fn of(self, history: &History) -> PartialReservation {
        match self {
            HistoryStream::Log => history.log,
            HistoryStream::Fold => history.fold,
        }
    }
}

impl Vdisk {
    /// The name of the disk that its log lies on, if it has a history.
    pub fn log_disk(&self) -> Option<&str> {
        let history = self.history.as_ref()?;
        let disk = history.disk.as_ref().unwrap_or(&self.disk);
        Some(&disk.value)
    }

    /// The streams of its history that a disk serves.
    pub(crate) fn history_streams_on(&self, disk: &str) -> &'static [HistoryStream] {
        match self.log_disk() {
            Some(log) if log == disk => &HistoryStream::ALL,
            Some(_) if self.disk.value == disk => &[HistoryStream::Fold],
            _ => &[],
        }
    }

    /// What it takes of a disk, the space of its history included.
    pub(crate) fn bytes_on(&self, disk: &str) -> u64 {
        let image = match self.disk.value == disk {
            true => self.size_bytes.value,
            false => 0,
        };
        let history = self
            .history
            .as_ref()
            .filter(|_| self.log_disk() == Some(disk));
        let log = history.map_or(0, |history| history.max_bytes.value);
        image.saturating_add(log)
    }
}

impl PartialReservation {
    /// The whole of it, if the file says the whole.
    pub fn whole(self) -> Option<Reservation> {
        Some(Reservation {
            reserve: self.reserve?,
            period: self.period?,
        })
    }
}
