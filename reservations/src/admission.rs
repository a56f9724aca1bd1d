//! Whether the reservations of one disk fit into its time, and its vdisks into its space.
//!
//! The rule: Σ reserve + Σ switching ≤ 100 %, over all streams with a reservation, background work
//! stream included; the switching of a stream is 1.5·s/p where an account pays for switches. Disks
//! that overlap requests have rules of their own, `overlap`.
//! Integers only: parts per million, each stream's switching rounded up, so what is admitted
//! fits. What is not known here: where the facts about a disk come from.

mod findings;
mod overlap;

pub use overlap::OverlapFacts;

use crate::configuration::{
    Configuration, Disk, Group, Limit, Policy, Reservation, Switching, Vdisk,
};
use crate::demand::{Capacity, Demand, WHOLE_PPM, sums_ppm, switching_ppm};
use crate::history::HistoryStream;
use crate::remedy::{self, Remedy};
use disktime_documents::{Finding, Severity, Spanned};
use disktime_units::{BackgroundWork, Nanos, Share, TrimHandling};
use std::collections::HashMap;

/// What admission needs to know about a disk; from its model, its profile, or assumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskFacts {
    /// Whether the head has to move between streams.
    pub has_seeks: bool,
    /// W: the longest time that one request takes.
    pub worst_case: Nanos,
    /// s: a mean seek and half a turn.
    pub switch_cost: Nanos,
    /// The size of the device or file; the file's `size` counts where it is `None`.
    pub size_bytes: Option<u64>,
    /// What the label and other metadata take of that size.
    pub overhead_bytes: u64,
    /// What is known of a disk that overlaps requests; `None`: one request at a time.
    pub overlap: Option<OverlapFacts>,
}

impl DiskFacts {
    /// The least that a reservation has to bring in a period; zero where that is not bounded.
    pub fn least_budget(&self) -> Nanos {
        self.overlap
            .map_or(Nanos::ZERO, |overlap| overlap.least_budget(self.worst_case))
    }

    /// The most that reservations and switching may sum to.
    pub fn most(&self) -> Share {
        match self.overlap {
            Some(_) => overlap::MOST,
            None => Share::WHOLE,
        }
    }
}

/// One stream as admission sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamAdmission {
    /// The name of the vdisk, the group or the background work.
    pub name: String,
    /// Whether it pays for background work.
    pub is_background: bool,
    /// Whether it is a group, whose account its members share.
    pub is_group: bool,
    /// The group that it is in; then it has no reservation and no limit of its own.
    pub group: Option<String>,
    /// What becomes of its trims, if it is a vdisk.
    pub trims: Option<TrimHandling>,
    /// The reserved share; nothing for best effort.
    pub reserve: Share,
    /// The period of the reservation.
    pub period: Option<Nanos>,
    /// The disk time that the reservation brings in each period.
    pub budget: Nanos,
    /// What its period costs in switching.
    pub switching: Share,
    /// L/p: what waiting for the disk to run empty may cost in its period, where requests overlap.
    pub drain: Share,
    /// The limit and its period.
    pub limit: Option<(Share, Nanos)>,
    /// The weight when spare time is divided.
    pub weight: u32,
}

/// The result of admission for one disk.
#[derive(Debug, Clone)]
pub struct Admission {
    /// The disk's name.
    pub disk: String,
    /// Its policy.
    pub policy: Policy,
    /// What pays for switches: as the file says, otherwise the account on disks with seeks.
    pub switching: Switching,
    /// The facts that were decided on.
    pub facts: DiskFacts,
    /// The vdisks in file order, those of a group together under it, then background work.
    pub streams: Vec<StreamAdmission>,
    /// Σ reserve, background work included.
    pub reserved: Share,
    /// Σ switching.
    pub switching_share: Share,
    /// Σ L/p, where requests overlap.
    pub drain_share: Share,
    /// The rest, for best effort. Zero when the reservations do not fit.
    pub left: Share,
    /// Bytes that the vdisks and the label take.
    pub used_bytes: u64,
    /// The size of the disk, where that is known.
    pub size_bytes: Option<u64>,
    /// Errors and warnings, in file order.
    pub findings: Vec<Finding>,
    /// What would fit, when the reservations do not.
    pub remedies: Vec<Remedy>,
}

impl Admission {
    /// Whether the disk can be served with these reservations.
    pub fn is_admitted(&self) -> bool {
        self.findings
            .iter()
            .all(|finding| finding.severity() != Severity::Error)
    }

    /// The stream of a kind of background work.
    pub fn background(&self, work: BackgroundWork) -> Option<&StreamAdmission> {
        let mut streams = self.streams.iter();
        streams.find(|stream| stream.is_background && stream.name == work.name())
    }

    /// A stream of the history of a vdisk.
    pub fn history(&self, vdisk: &str, stream: HistoryStream) -> Option<&StreamAdmission> {
        let name = stream.name_of(vdisk);
        let mut streams = self.streams.iter();
        streams.find(|stream| stream.is_background && stream.name == name)
    }

    /// Reserved and switching together; above 100 % when refused for time.
    pub fn total(&self) -> Share {
        Share(self.reserved.0.saturating_add(self.switching_share.0))
    }
}

fn share(ppm: u64) -> Share {
    Share(u32::try_from(ppm).unwrap_or(u32::MAX))
}

/// Decides whether the vdisks of `disk` fit. Pure: the same file and facts give the same result.
pub fn admit(configuration: &Configuration, disk: &Disk, facts: &DiskFacts) -> Admission {
    let vdisks: Vec<&Vdisk> = configuration.vdisks_on(&disk.name.value).collect();
    let by_default = if facts.has_seeks {
        Switching::Account
    } else {
        Switching::Served
    };
    // Without seeks there is nothing to account for.
    let switching = match disk.switching {
        Some(chosen) if facts.has_seeks => chosen.value,
        _ => by_default,
    };
    let capacity = Capacity {
        most_ppm: u64::from(facts.most().0),
        switch_cost: match switching {
            Switching::Account => facts.switch_cost,
            Switching::Served => Nanos::ZERO,
        },
        least_budget: facts.least_budget(),
    };
    let cost = capacity.switch_cost;
    let groups: Vec<&Group> = configuration.groups_on(&disk.name.value).collect();
    let of_groups = groups.iter().map(|group| (&group.name, group.reservation));
    let of_vdisks = vdisks.iter().map(|vdisk| (&vdisk.name, vdisk.reservation));
    let mut demands: Vec<Demand> = of_groups
        .chain(of_vdisks)
        .filter_map(|(name, reservation)| Some(demand(name, reservation?)))
        .collect();
    demands.sort_by_key(|demand| demand.span);
    demands.extend(history_demands(configuration, disk, facts, &capacity));
    demands.extend(background_demands(disk, facts, &capacity));

    let (reserved, switched) = sums_ppm(&demands, cost);
    let used = reserved.saturating_add(switched);
    let mut admission = Admission {
        disk: disk.name.value.clone(),
        policy: disk.policy,
        switching,
        facts: *facts,
        streams: streams(&vdisks, &groups, &demands, cost, disk.trim),
        reserved: share(reserved),
        switching_share: share(switched),
        drain_share: Share::ZERO,
        left: share(WHOLE_PPM.saturating_sub(used)),
        used_bytes: (configuration.vdisks.iter()).fold(facts.overhead_bytes, |sum, vdisk| {
            sum.saturating_add(vdisk.bytes_on(&disk.name.value))
        }),
        size_bytes: facts.size_bytes.or(disk.size_bytes.map(|size| size.value)),
        findings: Vec::new(),
        remedies: Vec::new(),
    };
    if used > capacity.most_ppm {
        admission.remedies = remedy::remedies(&demands, &capacity);
        admission.findings.push(findings::too_much_time(
            &admission, disk, &demands, &capacity,
        ));
    }
    if let Some(facts) = facts.overlap {
        overlap::judge(&mut admission, disk, &demands, &capacity, &facts);
    }
    findings::space(&mut admission, configuration, disk);
    findings::warnings(&mut admission, disk, &demands);
    findings::groups(&mut admission, configuration, disk, &groups);
    findings::histories(&mut admission, configuration, disk, &vdisks);
    admission.findings.sort_by_key(|finding| finding.span());
    admission
}

fn demand(name: &Spanned<String>, reservation: Reservation) -> Demand {
    Demand {
        name: name.value.clone(),
        reserve: reservation.reserve.value,
        period: reservation.period.value,
        span: Some(reservation.reserve.span),
        is_background: false,
    }
}

/// What the histories of vdisks reserve on a disk. They count as background work: no vdisk's
/// request is paid by them, and a remedy that raises periods leaves them.
fn history_demands(
    configuration: &Configuration,
    disk: &Disk,
    facts: &DiskFacts,
    capacity: &Capacity,
) -> Vec<Demand> {
    let mut demands = Vec::new();
    for vdisk in &configuration.vdisks {
        let Some(history) = &vdisk.history else {
            continue;
        };
        for stream in vdisk.history_streams_on(&disk.name.value) {
            let own = stream.of(history);
            let share = own.reserve.map_or(stream.default_share(), |own| own.value);
            let by_default = || {
                let enough_ms = capacity.least_period_ms(share).min(remedy::MOST_PERIOD_MS);
                let enough = Nanos::from_millis(enough_ms);
                stream.default_period(facts.has_seeks).max(enough)
            };
            demands.push(Demand {
                name: stream.name_of(&vdisk.name.value),
                reserve: share,
                period: own.period.map_or_else(by_default, |own| own.value),
                span: Some(own.reserve.map_or(history.place, |own| own.span)),
                is_background: true,
            });
        }
    }
    demands
}

fn background_demands<'d>(
    disk: &'d Disk,
    facts: &'d DiskFacts,
    capacity: &'d Capacity,
) -> impl Iterator<Item = Demand> + use<'d> {
    let works = disk.background.iter();
    let reserved = works.filter(|(work, own)| own.is_some() || work.default_share() > Share::ZERO);
    reserved.map(|(work, own)| Demand {
        name: work.name().to_owned(),
        reserve: own.map_or(work.default_share(), |own| own.reserve.value),
        period: own.map_or_else(
            || default_period(work, facts, capacity),
            |own| own.period.value,
        ),
        span: own.map(|own| own.reserve.span),
        is_background: true,
    })
}

/// The period of background work where the file does not say: longer than usual on a disk where it
/// would bring too little.
fn default_period(work: BackgroundWork, facts: &DiskFacts, capacity: &Capacity) -> Nanos {
    let enough_ms = capacity.least_period_ms(work.default_share());
    let enough = Nanos::from_millis(enough_ms.min(remedy::MOST_PERIOD_MS));
    work.default_period(facts.has_seeks).max(enough)
}

fn streams(
    vdisks: &[&Vdisk],
    groups: &[&Group],
    demands: &[Demand],
    cost: Nanos,
    trims: TrimHandling,
) -> Vec<StreamAdmission> {
    let mut members: HashMap<&str, Vec<&Vdisk>> = HashMap::new();
    for vdisk in vdisks {
        if let Some(group) = &vdisk.group {
            members.entry(&group.value).or_default().push(vdisk);
        }
    }
    let groups: HashMap<&str, &Group> = groups
        .iter()
        .map(|group| (&*group.name.value, *group))
        .collect();
    let mut streams = Vec::new();
    for vdisk in vdisks {
        let Some(group) = &vdisk.group else {
            streams.push(of_vdisk(vdisk, cost, trims));
            continue;
        };
        // All members of a group follow the group, at its first member's position.
        let together = members.remove(group.value.as_str()).unwrap_or_default();
        if let (Some(group), false) = (groups.get(group.value.as_str()), together.is_empty()) {
            let (reservation, limit) = (group.reservation, group.limit);
            streams.push(StreamAdmission {
                is_group: true,
                ..entitled(&group.name.value, reservation, limit, group.weight, cost)
            });
        }
        streams.extend(
            together
                .into_iter()
                .map(|vdisk| of_vdisk(vdisk, cost, trims)),
        );
    }
    let of_background = |demand: &Demand| StreamAdmission {
        is_background: true,
        reserve: demand.reserve,
        period: Some(demand.period),
        budget: demand.reserve.of(demand.period),
        switching: share(demand.switching_ppm(cost)),
        ..entitled(&demand.name, None, None, 100, cost)
    };
    let background = demands.iter().filter(|demand| demand.is_background);
    streams.extend(background.map(of_background));
    streams
}

fn of_vdisk(vdisk: &Vdisk, cost: Nanos, trims: TrimHandling) -> StreamAdmission {
    let (reservation, limit) = (vdisk.reservation, vdisk.limit);
    StreamAdmission {
        group: vdisk.group.as_ref().map(|group| group.value.clone()),
        trims: Some(vdisk.trim.unwrap_or(trims)),
        ..entitled(&vdisk.name.value, reservation, limit, vdisk.weight, cost)
    }
}

/// A stream that is neither a group nor a member of one.
fn entitled(
    name: &str,
    reservation: Option<Reservation>,
    limit: Option<Limit>,
    weight: u32,
    cost: Nanos,
) -> StreamAdmission {
    StreamAdmission {
        name: name.to_owned(),
        is_background: false,
        is_group: false,
        group: None,
        trims: None,
        reserve: reservation.map_or(Share::ZERO, |own| own.reserve.value),
        period: reservation.map(|own| own.period.value),
        budget: reservation.map_or(Nanos::ZERO, |own| own.budget()),
        switching: share(reservation.map_or(0, |own| switching_ppm(cost, own.period.value))),
        drain: Share::ZERO,
        limit: limit.map(|limit| (limit.share.value, limit.period)),
        weight,
    }
}
