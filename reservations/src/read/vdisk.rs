//! One virtual disk of the file, and what its keys have to be together.

use super::Reader;
use crate::configuration::{Limit, Reservation, Spanned, Vdisk};
use crate::fields;
use crate::finding::shortened;
use crate::json::Member;
use crate::values::{Fields, did_you_mean};
use disktime_units::Nanos;
use std::collections::HashSet;

/// The period of a limit that stands alone.
const LIMIT_PERIOD: Nanos = Nanos::from_secs(1);

/// The names of the disks or groups, right or wrong otherwise, so that one mistake makes one finding.
pub(super) struct Names<'n> {
    all: HashSet<&'n str>,
    /// Those that may be offered instead of an unknown one; few, so that a file that is wrong
    /// everywhere is still read quickly.
    first: Vec<&'n str>,
}

impl<'n> Names<'n> {
    pub fn new(members: &[&'n Member]) -> Names<'n> {
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
        &mut self,
        member: &Member,
        disks: &Names<'_>,
        groups: &Names<'_>,
    ) -> Option<Vdisk> {
        let key = &member.key;
        let vdisk = Fields::open(&member.value, &fields::VDISK, key.span, self.findings)?;
        if key.value == "system" {
            let wrong = "the name `system` belongs to the server's own stream";
            self.report(key.span, wrong, "choose another name");
        }
        let disk = vdisk.name("disk", self.findings);
        if let Some(disk) = disk.filter(|disk| !disks.all.contains(disk.value)) {
            self.unknown("disk", disk, disks);
        }
        let size_bytes = vdisk.size("size", self.findings);
        let group = vdisk.name("group", self.findings);
        if let Some(group) = group {
            if !groups.all.contains(group.value) {
                self.unknown("group", group, groups);
            }
            self.nothing_of_its_own(&key.value, group.value, &vdisk);
        }
        let entitlement = self.entitlement(&vdisk);
        let read_only = vdisk.truth("read_only", self.findings);
        let allow = vdisk.networks("allow", self.findings);
        let connections = vdisk.integer("connections", self.findings);
        let owned = |text: Spanned<&str>| Spanned {
            value: text.value.to_owned(),
            span: text.span,
        };
        Some(Vdisk {
            name: key.clone(),
            disk: disk.map(owned)?,
            size_bytes: size_bytes?,
            reservation: entitlement.reservation,
            limit: entitlement.limit,
            weight: entitlement.weight,
            group: group.map(owned),
            read_only: read_only.is_some_and(|truth| truth.value),
            allow,
            connections,
        })
    }

    /// `reserve`, `period`, `limit` and `weight`, and what they have to be together.
    pub(super) fn entitlement(&mut self, fields: &Fields<'_>) -> Entitlement {
        let reserve = fields.share("reserve", self.findings);
        let period = fields.duration("period", self.findings);
        self.reserve_and_period(fields);
        let limit = fields.share("limit", self.findings).map(|share| Limit {
            share,
            period: period.map_or(LIMIT_PERIOD, |period| period.value),
        });
        if let (Some(reserve), Some(limit)) = (reserve, limit)
            && limit.share.value < reserve.value
        {
            let (limited, reserved) = (limit.share.value, reserve.value);
            let wrong = format!("the limit of {limited} is below the reservation of {reserved}");
            let help = format!("accepted is a limit from {reserved} to 100 %, or none");
            self.report(limit.share.span, wrong, help);
        }
        Entitlement {
            reservation: reserve
                .zip(period)
                .map(|(reserve, period)| Reservation { reserve, period }),
            limit,
            weight: fields
                .integer("weight", self.findings)
                .map_or(100, |weight| weight.value),
        }
    }

    /// A member has what its group has.
    fn nothing_of_its_own(&mut self, name: &str, group: &str, vdisk: &Fields<'_>) {
        let (name, group) = (shortened(name), shortened(group));
        for own in ["reserve", "period", "limit"] {
            if let Some(member) = vdisk.member(own) {
                let wrong =
                    format!("`{name}` is in the group `{group}`, so it has no `{own}` of its own");
                let help = format!(
                    "leave out `{own}`, which is for the group to have, or `group`; `weight` divides the group's time among its members"
                );
                self.report(member.key.span, wrong, help);
            }
        }
    }

    fn unknown(&mut self, what: &str, name: Spanned<&str>, names: &Names<'_>) {
        let wrong = format!("there is no {what} `{}`", shortened(name.value));
        let meant = did_you_mean(name.value, names.first.iter().copied());
        let quoted = |name: &&str| format!("`{}`", shortened(name));
        let some: Vec<_> = names.first.iter().take(8).map(quoted).collect();
        let there = match some.as_slice() {
            [] => format!("add it under `{what}s`"),
            [one] => format!("the only {what} is {one}"),
            some => format!("there are {}", some.join(", ")),
        };
        self.report(name.span, wrong, format!("{meant}{there}"));
    }

    fn reserve_and_period(&mut self, vdisk: &Fields<'_>) {
        match (vdisk.member("reserve"), vdisk.member("period")) {
            (Some(reserve), None) if !vdisk.has("group") => self.report(
                reserve.key.span,
                "`reserve` needs a `period`",
                "add \"period\": \"500ms\"; longer periods waste less of the disk, shorter ones answer sooner",
            ),
            (None, Some(period)) if !vdisk.has("limit") && !vdisk.has("group") => self.report(
                period.key.span,
                "`period` means nothing without `reserve` or `limit`",
                "add \"reserve\": \"10%\", or leave `period` out for best effort",
            ),
            _ => {}
        }
    }
}
