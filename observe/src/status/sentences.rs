//! What is said of a disk in sentences: what is out of order, why deadlines were missed, and what a
//! server did until its end.

use super::{Account, DiskStatus, ServerStatus};
use crate::text::{cut, percent};

/// How many vdisks a sentence names.
const NAMED: usize = 4;
/// How many clones a sentence names.
const CLONES_NAMED: usize = 8;
/// Longer names are cut.
const LONGEST_NAME: usize = 40;
/// The only policy that keeps reservations.
const KEEPS_RESERVATIONS: &str = "fahrrad";

impl ServerStatus {
    /// What should be known of a disk beside its figures.
    pub(super) fn sentences_of(&self, name: &str) -> Vec<String> {
        let Some(disk) = self.disks.get(name) else {
            return Vec::new();
        };
        let mut sentences = Vec::new();
        if disk.pauses > 0 {
            sentences.push(format!(
                "pauses of the server: {}, {:.1} s together; no vdisk was charged, and periods \
                 that ended meanwhile count as missed",
                disk.pauses,
                disk.paused_ms / 1e3
            ));
        }
        sentences.extend(self.misses_of(name).map(|misses| {
            let reasons = reasons(disk);
            format!("deadlines missed: {misses}. {reasons}")
        }));
        if let Some(silent_ms) = disk.silent_ms {
            let seconds = silent_ms / 1e3;
            sentences.push(format!(
                "its thread does not answer, as a call into the kernel does not return or the disk \
                 has stopped; figures of this disk and its vdisks are {seconds:.0} s old"
            ));
        }
        let problems = disk.file_problem.iter().chain(&disk.space_problem);
        sentences.extend(disk.notices.iter().chain(problems).cloned());
        for (vdisk, found) in &self.vdisks {
            if found.stream.account.entitlement.disk == name && found.no_space > 0 {
                sentences.push(format!(
                    "requests of {vdisk} that found no space (ENOSPC): {}",
                    found.no_space
                ));
            }
        }
        sentences.extend(self.clones_on(name));
        sentences.extend(disk.slowness());
        sentences
    }

    /// Which vdisks of a disk are clones, and of what.
    fn clones_on(&self, disk: &str) -> Option<String> {
        let vdisks = self.vdisks.iter();
        let of_disk = vdisks.filter(|(_, vdisk)| vdisk.stream.account.entitlement.disk == disk);
        let clones = of_disk.filter_map(|(name, vdisk)| {
            let moment = vdisk.clone_of.as_ref()?;
            let name = cut(name, LONGEST_NAME);
            Some(format!(
                "{name} is a clone of {}",
                cut(moment, LONGEST_NAME)
            ))
        });
        let clones: Vec<String> = clones.collect();
        let named = clones.iter().take(CLONES_NAMED).cloned();
        let named = named.collect::<Vec<String>>().join(", ");
        match clones.len().saturating_sub(CLONES_NAMED) {
            _ if clones.is_empty() => None,
            0 => Some(named),
            more => Some(format!("{named}, and there are {more} more clones")),
        }
    }

    /// A line for each disk: how busy it was since the start, and which deadlines were kept.
    pub fn summary(&self) -> Vec<String> {
        let line = |(name, disk): (&String, &DiskStatus)| {
            let total = disk.windows.total;
            let met = self.reserved_on(name).map(|(_, account)| met(account));
            let met: u64 = met.sum();
            let mut line = format!(
                "{name}: busy {} of {:.1} s, {} requests; deadlines met: {met}, missed: ",
                percent(total.busy_share),
                total.elapsed_ns as f64 / 1e9,
                total.requests_dispatched
            );
            match self.misses_of(name) {
                None => line.push('0'),
                Some(misses) => line.push_str(&format!("{misses}. {}", reasons(disk))),
            }
            line
        };
        self.disks.iter().map(line).collect()
    }

    /// The groups and vdisks of a disk that have periods; a member's are its group's.
    fn reserved_on<'s>(&'s self, disk: &'s str) -> impl Iterator<Item = (&'s String, &'s Account)> {
        let groups = self.groups.iter();
        let groups = groups.map(|(name, group)| (name, &group.account));
        let vdisks = self.vdisks.iter();
        let vdisks = vdisks.filter(|(_, vdisk)| vdisk.group.is_none());
        let vdisks = vdisks.map(|(name, vdisk)| (name, &vdisk.stream.account));
        groups
            .chain(vdisks)
            .filter(move |(_, account)| account.entitlement.disk == disk)
    }

    /// How many deadlines each vdisk or group missed, the most first; `None` if none did.
    fn misses_of(&self, disk: &str) -> Option<String> {
        let mut missed: Vec<(&String, u64)> = self
            .reserved_on(disk)
            .map(|(name, account)| (name, account.windows.total.deadlines_missed))
            .filter(|(_, missed)| *missed > 0)
            .collect();
        missed.sort_by_key(|(name, missed)| (std::cmp::Reverse(*missed), *name));
        let named: Vec<String> = (missed.iter().take(NAMED))
            .map(|(name, missed)| format!("{} {missed}", cut(name, LONGEST_NAME)))
            .collect();
        match missed.len().saturating_sub(NAMED) {
            _ if missed.is_empty() => None,
            0 => Some(named.join(", ")),
            more => Some(format!("{} and {more} more", named.join(", "))),
        }
    }
}

fn met(account: &Account) -> u64 {
    account.windows.total.deadlines_met
}

/// What may have made a disk's streams miss deadlines, from what was counted.
fn reasons(disk: &DiskStatus) -> String {
    let mut reasons = Vec::new();
    if disk.policy != KEEPS_RESERVATIONS {
        reasons.push(format!("The policy {} keeps no reservations", disk.policy));
    }
    if disk.pauses > 0 {
        reasons.push("The server was paused".to_owned());
    }
    if disk.overruns > 0 {
        reasons.push(format!(
            "Requests that took longer than W ({:.1} ms): {}, the longest {:.1} ms",
            disk.worst_case_ms, disk.overruns, disk.longest_ms
        ));
    }
    if disk.pacing.overruns > 0 {
        reasons.push(format!(
            "The disk below took longer than the emulated one for {} of {} requests",
            disk.pacing.overruns, disk.pacing.requests
        ));
    }
    if disk.is_slower_than_priced() {
        reasons.push("The disk is slower than its prices".to_owned());
    }
    if reasons.is_empty() {
        return "No request took longer than W and the server was not paused: it may have waited \
                for a processor (see docs/status.md)"
            .to_owned();
    }
    reasons.join("; ")
}
