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

/// The names of the disks, right or wrong otherwise, so that one mistake makes one finding.
pub(super) struct DiskNames<'n> {
    all: HashSet<&'n str>,
    /// Those that may be offered instead of an unknown one; few, so that a file that is wrong
    /// everywhere is still read quickly.
    first: Vec<&'n str>,
}

impl<'n> DiskNames<'n> {
    pub fn new(members: &[&'n Member]) -> DiskNames<'n> {
        let names = || members.iter().map(|member| member.key.value.as_str());
        DiskNames {
            all: names().collect(),
            first: names().take(32).collect(),
        }
    }
}

impl Reader<'_> {
    pub(super) fn vdisk(&mut self, member: &Member, disks: &DiskNames<'_>) -> Option<Vdisk> {
        let key = &member.key;
        let vdisk = Fields::open(&member.value, &fields::VDISK, key.span, self.findings)?;
        if key.value == "system" {
            let wrong = "the name `system` belongs to the server's own stream";
            self.report(key.span, wrong, "choose another name");
        }
        let disk = vdisk.name("disk", self.findings);
        if let Some(disk) = disk.filter(|disk| !disks.all.contains(disk.value)) {
            self.unknown_disk(disk, disks);
        }
        let size_bytes = vdisk.size("size", self.findings);
        let reserve = vdisk.share("reserve", self.findings);
        let period = vdisk.duration("period", self.findings);
        self.reserve_and_period(&vdisk);
        let limit = vdisk.share("limit", self.findings).map(|share| Limit {
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
        let weight = vdisk
            .integer("weight", self.findings)
            .map_or(100, |weight| weight.value);
        let reservation = reserve
            .zip(period)
            .map(|(reserve, period)| Reservation { reserve, period });
        let disk = disk?;
        Some(Vdisk {
            name: key.clone(),
            disk: Spanned {
                value: disk.value.to_owned(),
                span: disk.span,
            },
            size_bytes: size_bytes?,
            reservation,
            limit,
            weight,
        })
    }

    fn unknown_disk(&mut self, disk: Spanned<&str>, disks: &DiskNames<'_>) {
        let wrong = format!("there is no disk `{}`", shortened(disk.value));
        let meant = did_you_mean(disk.value, disks.first.iter().copied());
        let quoted = |name: &&str| format!("`{}`", shortened(name));
        let some: Vec<_> = disks.first.iter().take(8).map(quoted).collect();
        let there = match some.as_slice() {
            [] => "add it under `disks`".to_owned(),
            [one] => format!("the only disk is {one}"),
            some => format!("there are {}", some.join(", ")),
        };
        self.report(disk.span, wrong, format!("{meant}{there}"));
    }

    fn reserve_and_period(&mut self, vdisk: &Fields<'_>) {
        match (vdisk.member("reserve"), vdisk.member("period")) {
            (Some(reserve), None) => self.report(
                reserve.key.span,
                "`reserve` needs a `period`",
                "add \"period\": \"500ms\"; longer periods waste less of the disk, shorter ones answer sooner",
            ),
            (None, Some(period)) if !vdisk.has("limit") => self.report(
                period.key.span,
                "`period` means nothing without `reserve` or `limit`",
                "add \"reserve\": \"10%\", or leave `period` out for best effort",
            ),
            _ => {}
        }
    }
}
