//! One virtual disk of the file, and what its keys have to be together.

use super::Reader;
use super::disk::TRIM;
use super::frontends::{account, networks};
use crate::configuration::{Limit, Reservation, Vdisk};
use crate::history::{DEFAULT_BATCH, History, PartialReservation, WhenFull};
use disktime_documents::{Member, Object, Spanned, did_you_mean, shortened};
use disktime_units::Nanos;
use std::collections::HashSet;

/// The period of a limit without a reservation.
const LIMIT_PERIOD: Nanos = Nanos::from_secs(1);

/// The names of the disks or groups, also of those with mistakes, so that one mistake makes one
/// finding.
pub(super) struct Names<'n> {
    all: HashSet<&'n str>,
    /// The ones to suggest instead of an unknown name; few, so that a file that is wrong everywhere
    /// is still read quickly.
    first: Vec<&'n str>,
}

impl<'n> Names<'n> {
    pub(super) fn new(members: &'n [Member]) -> Names<'n> {
        let names = || members.iter().map(|member| member.key.value.as_str());
        Names {
            all: names().collect(),
            first: names().take(32).collect(),
        }
    }
}

/// What a vdisk or a group is entitled to.
pub(super) struct Entitlement {
    pub reservation: Option<Reservation>,
    pub limit: Option<Limit>,
    pub weight: u32,
}

impl Reader<'_> {
    pub(super) fn vdisk(
        &self,
        name: &Spanned<String>,
        vdisk: &Object<'_>,
        disks: &Names<'_>,
        groups: &Names<'_>,
    ) -> Option<Vdisk> {
        let disk = self.known_name(vdisk, "disk", disks);
        let size_bytes = vdisk.size("size");
        let group = self.known_name(vdisk, "group", groups);
        if let Some(group) = &group {
            refuse_own_entitlement(&name.value, &group.value, vdisk);
        }
        let entitlement = self.entitlement(vdisk);
        let read_only = vdisk.truth("read_only");
        Some(Vdisk {
            name: name.clone(),
            allow: networks(vdisk, "allow"),
            connections: vdisk.integer("connections"),
            disk: disk?,
            size_bytes: size_bytes?,
            reservation: entitlement.reservation,
            limit: entitlement.limit,
            weight: entitlement.weight,
            group,
            read_only: read_only.is_some_and(Spanned::into_value),
            history: self.history(vdisk, disks),
            history_off: vdisk.word("history").is_some(),
            ended_log_disk: None,
            trim: vdisk.chosen("trim", &TRIM).map(Spanned::into_value),
        })
    }

    /// The history of a vdisk.
    fn history(&self, vdisk: &Object<'_>, disks: &Names<'_>) -> Option<History> {
        let history = vdisk.object("history")?;
        let place = vdisk.member("history")?.key.span;
        let (window, max_bytes) = (history.duration("window"), history.size("max"));
        let disk = self.known_name(&history, "disk", disks);
        let when_full = history.choice("when_full");
        let fold = history.object("fold");
        let group = history.parsed("allow_gid", account);
        let batch = fold.as_ref().and_then(|fold| fold.share("batch"));
        Some(History {
            place,
            window: window?.value,
            max_bytes: max_bytes?,
            disk,
            log: partial(&history),
            fold: fold.as_ref().map(partial).unwrap_or_default(),
            batch: batch.map_or(DEFAULT_BATCH, |batch| batch.value),
            when_full: when_full.map_or(WhenFull::Shorten, |name| WhenFull::from_name(name.value)),
            group,
        })
    }

    /// The name of a disk or group; one that does not exist is reported, and returned all the same.
    fn known_name(
        &self,
        vdisk: &Object<'_>,
        what: &str,
        names: &Names<'_>,
    ) -> Option<Spanned<String>> {
        let name = vdisk.text(what)?;
        if !names.all.contains(name.value) {
            report_unknown(vdisk, what, name, names);
        }
        Some(name.map(str::to_owned))
    }

    /// `reserve`, `period`, `limit` and `weight`, and what they have to be together.
    pub(super) fn entitlement(&self, object: &Object<'_>) -> Entitlement {
        let reserve = object.share("reserve");
        let period = object.duration("period");
        check_reserve_and_period(object);
        let limit = object.share("limit").map(|share| Limit {
            share,
            period: period.map_or(LIMIT_PERIOD, |period| period.value),
        });
        if let (Some(reserve), Some(limit)) = (reserve, limit)
            && limit.share.value < reserve.value
        {
            let (limited, reserved) = (limit.share.value, reserve.value);
            let message = format!("the limit of {limited} is below the reservation of {reserved}");
            let help = format!("expected: a limit from {reserved} to 100 %, or no `limit`");
            object.report(limit.share.span, message, help);
        }
        Entitlement {
            reservation: reserve
                .zip(period)
                .map(|(reserve, period)| Reservation { reserve, period }),
            limit,
            weight: object.integer("weight").map_or(100, Spanned::into_value),
        }
    }
}

fn partial(object: &Object<'_>) -> PartialReservation {
    PartialReservation {
        reserve: object.share("reserve"),
        period: object.duration("period"),
    }
}

/// A member of a group has the reservation and the limit of the group.
fn refuse_own_entitlement(name: &str, group: &str, vdisk: &Object<'_>) {
    let (name, group) = (shortened(name), shortened(group));
    for own in ["reserve", "period", "limit"] {
        if let Some(member) = vdisk.member(own) {
            let message =
                format!("`{name}` is in the group `{group}` and cannot have its own `{own}`");
            let help = format!(
                "move `{own}` to the group, or remove `group`; `weight` divides the group's time \
                    among its members"
            );
            vdisk.report(member.key.span, message, help);
        }
    }
}

fn report_unknown(vdisk: &Object<'_>, what: &str, name: Spanned<&str>, names: &Names<'_>) {
    let message = format!("there is no {what} `{}`", shortened(name.value));
    let meant = did_you_mean(name.value, names.first.iter().copied());
    let quoted = |name: &&str| format!("`{}`", shortened(name));
    let some: Vec<_> = names.first.iter().take(8).map(quoted).collect();
    let known = match some.as_slice() {
        [] => format!("add it under `{what}s`"),
        [one] => format!("the only {what} is {one}"),
        some => format!("the {what}s are {}", some.join(", ")),
    };
    vdisk.report(name.span, message, format!("{meant}{known}"));
}

fn check_reserve_and_period(object: &Object<'_>) {
    match (object.member("reserve"), object.member("period")) {
        (Some(reserve), None) if !object.has("group") => object.report(
            reserve.key.span,
            "`reserve` needs a `period`",
            "add \"period\": \"500ms\"; longer periods lose less time to seeks, shorter periods \
                give lower latencies",
        ),
        (None, Some(period)) if !object.has("limit") && !object.has("group") => object.report(
            period.key.span,
            "`period` has no effect without `reserve` or `limit`",
            "add \"reserve\": \"10%\", or remove `period` for best effort",
        ),
        _ => {}
    }
}
