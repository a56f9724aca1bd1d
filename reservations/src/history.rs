//! The history of a vdisk, as the file asks for it, and the streams that it adds to its disk.
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
    /// What the log gets.
    pub log: PartialReservation,
    /// What its folds get.
    pub fold: PartialReservation,
    /// What happens to writes when the log is full.
    pub when_full: WhenFull,
    /// The group that may read its past as files, by name or number.
    pub group: Option<Spanned<String>>,
}

/// The two streams that a history adds to its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryStream {
    /// Writes the log, and reads it.
    Log,
    /// Moves the oldest writes into the vdisk's own space.
    Fold,
}

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
    /// What it takes of its disk, the space of its history included.
    pub fn bytes_on_disk(&self) -> u64 {
        let history = self.history.as_ref();
        let log = history.map_or(0, |history| history.max_bytes.value);
        self.size_bytes.value.saturating_add(log)
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
