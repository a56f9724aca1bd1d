//! Findings of admission: why a disk is refused and what would fit, and warnings about
//! reservations that are admitted but weaker than their author may expect. Decides nothing.

use super::{Admission, share};
use crate::configuration::{Configuration, Disk, Group, Medium, Switching, Vdisk};
use crate::demand::{Capacity, Demand, WHOLE_PPM};
use crate::remedy;
use disktime_documents::Finding;
use disktime_units::{Share, TrimHandling, format_size, format_sizes};

/// The largest vdisk that a log can tell the blocks of (docs/history-format.md, "Limits").
const HISTORY_VDISK_BYTES_MAX: u64 = 64 << 40;

/// The error points at the first vdisk that does not fit.
pub(super) fn too_much_time(
    admission: &Admission,
    disk: &Disk,
    demands: &[Demand],
    capacity: &Capacity,
) -> Finding {
    let span = remedy::offender(demands, capacity).and_then(|demand| demand.span);
    let vdisks: u64 = demands
        .iter()
        .filter(|demand| !demand.is_background)
        .map(|demand| u64::from(demand.reserve.0))
        .fold(0, u64::saturating_add);
    let works = demands.iter().filter(|demand| demand.is_background);
    let background: Vec<_> = works
        .map(|demand| format!(", {} for {}", demand.reserve, demand.name))
        .collect();
    let whom = match admission.streams.iter().any(|stream| stream.is_group) {
        true => "vdisks and groups",
        false => "vdisks",
    };
    let mut parts = format!("{} for {whom}{}", share(vdisks), background.concat());
    if admission.switching_share > Share::ZERO {
        parts.push_str(&format!(", {} for switching", admission.switching_share));
    }
    if admission.facts.overlap.is_some() {
        let most = admission.facts.most();
        parts.push_str(&format!(
            "; a disk that overlaps requests keeps at most {most}"
        ));
    }
    let message = format!(
        "the reservations on `{}` sum to {} of its time: {parts}",
        admission.disk,
        admission.total()
    );
    let help = match admission.remedies.as_slice() {
        [] => "so many reservations fit with no period and no share: reserve for fewer vdisks, or \
            use more disks"
            .to_owned(),
        remedies => {
            let all: Vec<_> = remedies.iter().map(ToString::to_string).collect();
            format!("what would fit: {}", all.join("; or "))
        }
    };
    Finding::error(span.unwrap_or(disk.name.span), message).help(help)
}

/// The error points at the first vdisk that does not fit on the disk.
pub(super) fn space(admission: &mut Admission, configuration: &Configuration, disk: &Disk) {
    let Some(size) = admission
        .size_bytes
        .filter(|size| *size < admission.used_bytes)
    else {
        return;
    };
    let overhead = admission.facts.overhead_bytes;
    let mut used = overhead;
    let over = configuration.vdisks.iter().find(|vdisk| {
        used = used.saturating_add(vdisk.bytes_on(&disk.name.value));
        used > size
    });
    // Of a vdisk of another disk only the log lies here.
    let log_alone = over
        .filter(|over| over.disk.value != disk.name.value)
        .and_then(|over| over.history.as_ref());
    let others = admission
        .used_bytes
        .saturating_sub(over.map_or(0, |over| over.size_bytes.value));
    let rest = size.saturating_sub(others) / 4096 * 4096;
    let help = match over {
        Some(over) if log_alone.is_some() => format!(
            "make `max` of the history of `{}` smaller, or put its log on another disk",
            over.name.value
        ),
        Some(over) if rest > 0 => {
            format!(
                "`{1}` can have at most {0}: \"{2}KiB\"",
                format_size(rest),
                over.name.value,
                rest / 1024
            )
        }
        _ => "make the vdisks smaller, or move some to another disk".to_owned(),
    };
    let [needed, has] = format_sizes([admission.used_bytes, size]);
    let message = format!(
        "the vdisks on `{}` need {needed} ({} of it for the label), but the disk has {has}",
        admission.disk,
        format_size(overhead),
    );
    let span = match (over, log_alone) {
        (_, Some(history)) => history.max_bytes.span,
        (over, None) => over.map_or(disk.name.span, |over| over.size_bytes.span),
    };
    admission
        .findings
        .push(Finding::error(span, message).help(help));
}

pub(super) fn warnings(admission: &mut Admission, disk: &Disk, demands: &[Demand]) {
    let (worst, has_seeks) = (admission.facts.worst_case, admission.facts.has_seeks);
    for demand in demands {
        let span = demand.span.unwrap_or(disk.name.span);
        let budget = demand.reserve.of(demand.period);
        if budget < worst && admission.facts.overlap.is_none() {
            let enough = (u128::from(worst.0) * u128::from(WHOLE_PPM))
                .div_ceil(u128::from(demand.reserve.0.max(1)) * 1_000_000);
            let message = format!(
                "`{}` gets {budget} in each period of {}, less than the {worst} that one request \
                    may take",
                demand.name, demand.period
            );
            let help = format!(
                "its share is kept over several periods, not in each one; use a period of at \
                    least {enough}ms"
            );
            admission
                .findings
                .push(Finding::warning(span, message).help(help));
        }
        if let (Some(shortcoming), false) = (disk.policy.shortcoming(), demand.is_background) {
            let message = format!(
                "`{}` has a reservation, but the policy `{}` {shortcoming}",
                demand.name,
                disk.policy.name()
            );
            let help = "use the policy \"fahrrad\", which keeps reservations";
            admission
                .findings
                .push(Finding::warning(span, message).help(help));
        }
    }
    match disk.max_in_flight {
        Some(most) if has_seeks && most.value > 1 => {
            let message = format!(
                "`{}` has seeks, and `max_in_flight` is {}",
                admission.disk, most.value
            );
            let help = "a disk with seeks keeps reservations with one request in flight; remove \
                `max_in_flight`";
            admission
                .findings
                .push(Finding::error(most.span, message).help(help));
        }
        _ => {}
    }
    match disk.switching {
        Some(chosen) if chosen.value == Switching::Account && !has_seeks => {
            let message = format!(
                "`{}` has no seeks, so `switching` has no effect",
                admission.disk
            );
            let help = "remove `switching`";
            admission
                .findings
                .push(Finding::warning(chosen.span, message).help(help));
        }
        _ => {}
    }
}

/// Groups under a policy that has none, and groups without members.
pub(super) fn groups(
    admission: &mut Admission,
    configuration: &Configuration,
    disk: &Disk,
    groups: &[&Group],
) {
    if !disk.policy.has_groups() {
        for group in groups {
            let message = format!(
                "`{}` on `{}` is a group, but the policy `{}` has no groups",
                group.name.value,
                admission.disk,
                disk.policy.name()
            );
            let help = "use the policy \"fahrrad\", or give each vdisk its own reservation \
                instead of `group`";
            let finding = Finding::error(group.name.span, message).help(help);
            admission.findings.push(finding);
        }
    }
    // An empty group is on no disk; it is reported once, with the first disk.
    let first = configuration.disks.first().map(|first| &first.name.value);
    if first != Some(&disk.name.value) {
        return;
    }
    let empty = configuration
        .groups
        .iter()
        .filter(|group| group.disk.is_none());
    for group in empty {
        let name = &group.name.value;
        let message = format!("no vdisk is in the group `{name}`, so it has no effect");
        let help = format!("add \"group\": \"{name}\" to its vdisks, or remove the group");
        let finding = Finding::warning(group.name.span, message).help(help);
        admission.findings.push(finding);
    }
}

/// Histories that cannot be kept as the file has them.
pub(super) fn histories(
    admission: &mut Admission,
    configuration: &Configuration,
    disk: &Disk,
    vdisks: &[&Vdisk],
) {
    for vdisk in vdisks {
        let Some(history) = &vdisk.history else {
            continue;
        };
        let name = &vdisk.name.value;
        let of_log = vdisk.log_disk().and_then(|log| configuration.disk(log));
        let media = [Some(disk), of_log].map(|disk| disk.map(|disk| &disk.medium.value));
        if media.contains(&Some(&Medium::Null)) {
            let whose = match disk.medium.value == Medium::Null {
                true => "its disk",
                false => "the disk of its log",
            };
            let message = format!("`{name}` has a history, and {whose} keeps no data");
            let help = "put it on a disk with `path` or `memory`, or remove `history`";
            let finding = Finding::error(history.place, message).help(help);
            admission.findings.push(finding);
        } else if media
            .iter()
            .filter(|one| **one == Some(&Medium::Memory))
            .count()
            == 1
        {
            let message = format!(
                "`{name}` and its log would not be kept for the same time: one of their disks is \
                 memory, and the other is not"
            );
            let help = "put both on disks with `path`, or both on disks with `memory`";
            let finding = Finding::error(history.place, message).help(help);
            admission.findings.push(finding);
        }
        if vdisk.size_bytes.value > HISTORY_VDISK_BYTES_MAX {
            let most = format_size(HISTORY_VDISK_BYTES_MAX);
            let message = format!("`{name}` has a history and more than {most}, the most for that");
            let help = format!("\"size\": \"{most}\", or remove `history`");
            let finding = Finding::error(vdisk.size_bytes.span, message).help(help);
            admission.findings.push(finding);
        }
        if configuration.trims_of(vdisk) == TrimHandling::Hold {
            let message = format!("trims of `{name}` go to its history, so they cannot be held");
            let help = format!("add \"trim\": \"pass\" to `{name}`, or remove `history`");
            let finding = Finding::error(history.place, message).help(help);
            admission.findings.push(finding);
        }
    }
}
