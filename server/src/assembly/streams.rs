//! The streams of a disk as the file describes them: what its vdisks, groups and background work
//! reserve, their limits and weights.

use disktime_engine::{Limit, Reservation, StreamConfig};
use disktime_history::WhenFull;
use disktime_reservations::{
    Admission, Configuration, Group, HistoryStream, StreamAdmission, Vdisk,
    WhenFull as ConfiguredWhenFull,
};
use disktime_units::{ByBackgroundWork, TrimHandling};
use disktime_volumes::{GroupConfig, HistoryConfig, VdiskConfig, VdiskSpec};
use std::collections::HashMap;

/// What the streams of a disk's background work get.
pub(crate) fn background_streams(admission: &Admission) -> ByBackgroundWork<StreamConfig> {
    ByBackgroundWork::from_fn(|work| admitted_stream(admission.background(work)))
}

/// What a stream gets that is no vdisk's; best effort if admission knows nothing of it.
fn admitted_stream(admitted: Option<&StreamAdmission>) -> StreamConfig {
    let reservation = admitted.and_then(|admitted| {
        Some(Reservation {
            share: admitted.reserve,
            period: admitted.period?,
        })
    });
    StreamConfig {
        reservation,
        ..StreamConfig::BEST_EFFORT
    }
}

/// What the file says of the vdisks of a disk, in file order: names and sizes.
pub(crate) fn vdisk_specs(configuration: &Configuration, disk: &str) -> Vec<VdiskSpec> {
    let vdisks = configuration.vdisks_on(disk);
    let thread = thread_of(configuration, disk);
    let spec = |vdisk| spec(configuration, &thread, vdisk);
    vdisks.map(spec).collect()
}

/// The names of the disks that the thread of a disk serves, in their order there.
fn thread_of<'c>(configuration: &'c Configuration, disk: &str) -> Vec<&'c str> {
    let threads = configuration.threads().into_iter();
    let mut names = threads.map(|disks| {
        let disks = disks.into_iter();
        let names = disks.map(|at| &*configuration.disks[at].name.value);
        names.collect::<Vec<&str>>()
    });
    names
        .find(|names| names.contains(&disk))
        .unwrap_or_default()
}

fn spec(configuration: &Configuration, thread: &[&str], vdisk: &Vdisk) -> VdiskSpec {
    let history = vdisk.history.as_ref();
    let ended = vdisk.ended_log_disk.as_deref();
    let log_disk = vdisk.log_disk().or(ended);
    let log_disk = log_disk.filter(|log| *log != vdisk.disk.value);
    VdiskSpec {
        name: vdisk.name.value.clone(),
        size_bytes: vdisk.size_bytes.value,
        maps_holes: configuration.trims_of(vdisk) == TrimHandling::Hold,
        history_bytes: history.map(|history| history.max_bytes.value),
        history_off: vdisk.history_off,
        log_disk: log_disk.and_then(|log| thread.iter().position(|name| *name == log)),
    }
}

/// How the history of a vdisk is kept, if it has one.
fn history_config(vdisk: &Vdisk, admissions: &[Admission]) -> Option<HistoryConfig> {
    let history = vdisk.history.as_ref()?;
    let stream = |disk: &str, stream| {
        let admission = admissions.iter().find(|one| one.disk == disk);
        let admitted = admission.and_then(|one| one.history(&vdisk.name.value, stream));
        admitted_stream(admitted)
    };
    let (image, log) = (vdisk.disk.value.as_str(), vdisk.log_disk()?);
    Some(HistoryConfig {
        window_ns: history.window.0,
        when_full: match history.when_full {
            ConfiguredWhenFull::Shorten => WhenFull::Shorten,
            ConfiguredWhenFull::Refuse => WhenFull::Refuse,
        },
        batch: history.batch,
        log: stream(log, HistoryStream::Log),
        fold: stream(image, HistoryStream::Fold),
        fold_reads: stream(log, HistoryStream::Fold),
    })
}

/// The vdisks of a disk, in file order. `admissions` are those of all disks.
pub(crate) fn vdisk_configs(
    configuration: &Configuration,
    disk: &str,
    admissions: &[Admission],
) -> Vec<VdiskConfig> {
    let thread = thread_of(configuration, disk);
    let groups: HashMap<&str, GroupConfig> = configuration
        .groups_on(disk)
        .map(|group| (group.name.value.as_str(), group_config(group)))
        .collect();
    let config = |vdisk: &Vdisk| VdiskConfig {
        spec: spec(configuration, &thread, vdisk),
        trims: configuration.trims_of(vdisk),
        history: history_config(vdisk, admissions),
        stream: stream_config(&vdisk.reservation, &vdisk.limit, vdisk.weight),
        group: vdisk
            .group
            .as_ref()
            .and_then(|group| groups.get(group.value.as_str()).cloned()),
    };
    configuration.vdisks_on(disk).map(config).collect()
}

fn group_config(group: &Group) -> GroupConfig {
    GroupConfig {
        name: group.name.value.clone(),
        stream: stream_config(&group.reservation, &group.limit, group.weight),
    }
}

pub(super) fn stream_config(
    reservation: &Option<disktime_reservations::Reservation>,
    limit: &Option<disktime_reservations::Limit>,
    weight: u32,
) -> StreamConfig {
    StreamConfig {
        reservation: reservation.as_ref().map(|reservation| Reservation {
            share: reservation.reserve.value,
            period: reservation.period.value,
        }),
        limit: limit.as_ref().map(|limit| Limit {
            share: limit.share.value,
            period: limit.period,
        }),
        weight,
    }
}

/// What a vdisk is entitled to, for people.
pub(crate) fn entitlement(vdisk: &Vdisk) -> String {
    let limit = vdisk.limit.as_ref().map_or_else(String::new, |limit| {
        format!(", at most {}", limit.share.value)
    });
    match (&vdisk.reservation, &vdisk.group) {
        (Some(reservation), _) => format!(
            "{} of {} in every {}{limit}",
            reservation.reserve.value, vdisk.disk.value, reservation.period.value
        ),
        (None, Some(group)) => format!(
            "of the group {} on {}, weight {}",
            group.value, vdisk.disk.value, vdisk.weight
        ),
        (None, None) => format!(
            "best effort on {}, weight {}{limit}",
            vdisk.disk.value, vdisk.weight
        ),
    }
}
