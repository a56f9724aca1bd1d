//! What clones of vdisks get of their disks: as it was asked for when they were made, which is kept
//! with them, if admission agrees.
//!
//! Invariant: what is admitted beside the vdisks of the file and the clones that are there breaks
//! no reservation of these.
//!
//! Not known here: how clones are made, and where their data lies.

use super::streams::stream_config;
use disktime_engine::{Reservation, StreamConfig};
use disktime_reservations::{
    Admission, Configuration, Disk, DiskFacts, Reservation as Reserved, Severity, Spanned, Vdisk,
    admit,
};
use disktime_units::{Nanos, Share};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What was asked for a clone; kept with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CloneSettings {
    /// Its share in parts per million, and its period; `None` for best effort.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reservation: Option<(u32, u64)>,
    /// The space of all that is written to it.
    pub(crate) max_bytes: u64,
}

impl CloneSettings {
    pub(crate) fn new(reservation: Option<(Share, Nanos)>, max_bytes: u64) -> CloneSettings {
        CloneSettings {
            reservation: reservation.map(|(share, period)| (share.0, period.0)),
            max_bytes,
        }
    }

    /// Those that were kept with a clone; best effort if a later program wrote them otherwise.
    pub(crate) fn parse(text: &str) -> CloneSettings {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// The text that is kept with the clone.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(crate) fn reservation(&self) -> Option<(Share, Nanos)> {
        let reservation = self.reservation;
        reservation.map(|(share, period)| (Share(share), Nanos(period)))
    }

    pub(crate) fn without_reservation(self) -> CloneSettings {
        CloneSettings {
            reservation: None,
            ..self
        }
    }

    /// What an entry of the file says in place of what was asked for.
    pub(crate) fn overridden(self, entry: &Vdisk) -> CloneSettings {
        let reservation = entry
            .reservation
            .map(|own| (own.reserve.value, own.period.value));
        CloneSettings::new(reservation, self.max_bytes)
    }

    /// What its stream gets; limit and weight are those of its entry in the file, if it has one.
    pub(crate) fn stream_with(&self, entry: Option<&Vdisk>) -> StreamConfig {
        match entry {
            None => self.stream(),
            Some(entry) => StreamConfig {
                reservation: self.stream().reservation,
                ..stream_config(&None, &entry.limit, entry.weight)
            },
        }
    }

    /// What its stream gets.
    pub(crate) fn stream(&self) -> StreamConfig {
        StreamConfig {
            reservation: self
                .reservation()
                .map(|(share, period)| Reservation { share, period }),
            ..StreamConfig::BEST_EFFORT
        }
    }

    /// What it is entitled to on its disks, for people.
    pub(crate) fn entitlement(&self, disks: &[&str]) -> String {
        match self.reservation() {
            Some((share, period)) => {
                format!("{share} of {} in every {period}", disks.join(" and of "))
            }
            None => format!(
                "best effort on {}, weight {}",
                disks.join(" and "),
                StreamConfig::BEST_EFFORT.weight
            ),
        }
    }
}

/// Admits clones beside the vdisks of the file.
#[derive(Debug, Clone)]
pub(crate) struct CloneAdmission {
    configuration: Arc<Configuration>,
    /// By the names of the disks.
    facts: BTreeMap<String, DiskFacts>,
}

impl CloneAdmission {
    /// With what was known of the disks when the vdisks of the file were admitted.
    pub(crate) fn new(
        configuration: &Arc<Configuration>,
        admissions: &[Admission],
    ) -> CloneAdmission {
        let facts = admissions.iter();
        CloneAdmission {
            configuration: Arc::clone(configuration),
            facts: facts.map(|one| (one.disk.clone(), one.facts)).collect(),
        }
    }

    /// Whether a disk can keep what clones reserve beside all else on it. `clones`: all of it, by
    /// name.
    ///
    /// # Errors
    /// What is missing, and what would fit.
    pub(crate) fn admit<'c>(
        &self,
        disk: &str,
        clones: impl Iterator<Item = (&'c str, &'c CloneSettings)>,
    ) -> Result<(), String> {
        let of_file = self.configuration.disk(disk);
        let Some((of_file, facts)) = of_file.zip(self.facts.get(disk)) else {
            return Ok(());
        };
        let mut with_clones = Configuration::clone(&self.configuration);
        let as_vdisks = clones.map(|(name, settings)| as_vdisk(of_file, name, settings));
        with_clones.vdisks.extend(as_vdisks);
        let admission = admit(&with_clones, of_file, facts);
        let mut findings = admission.findings.iter();
        match findings.find(|finding| finding.severity() == Severity::Error) {
            None => Ok(()),
            Some(finding) => Err(match finding.help_text() {
                Some(help) => format!("{}; {help}", finding.message()),
                None => finding.message().to_owned(),
            }),
        }
    }
}

/// A clone as admission sees it: what it takes of its disk's space is the label's to decide.
fn as_vdisk(disk: &Disk, name: &str, settings: &CloneSettings) -> Vdisk {
    let place = disk.name.span;
    fn at<T>(span: disktime_reservations::Span, value: T) -> Spanned<T> {
        Spanned { value, span }
    }
    Vdisk {
        name: at(place, name.to_owned()),
        disk: disk.name.clone(),
        size_bytes: at(place, 0),
        reservation: settings.reservation().map(|(share, period)| Reserved {
            reserve: at(place, share),
            period: at(place, period),
        }),
        limit: None,
        weight: StreamConfig::BEST_EFFORT.weight,
        group: None,
        read_only: false,
        trim: None,
        history: None,
        history_off: false,
        ended_log_disk: None,
        allow: None,
        connections: None,
    }
}
