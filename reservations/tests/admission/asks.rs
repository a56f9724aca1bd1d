//! Reservations to be admitted: a file of them, and the same after following a piece of advice.

use disktime_documents::Severity;
use disktime_reservations::{Admission, Configuration, DiskFacts, Remedy, admit};
use disktime_units::{Nanos, Share};
use std::path::Path;

/// A reservation in parts per million and microseconds.
pub(crate) type Ask = (u32, u64);

/// A file with one disk, which has these keys beside its path, and a vdisk for each of `asks`.
pub(crate) fn file(disk_keys: &str, asks: &[Ask]) -> Configuration {
    let vdisk = |(index, (ppm, us)): (usize, &Ask)| {
        let percent = format!("{}.{:04}%", ppm / 10_000, ppm % 10_000);
        format!(
            "\"v{index}\": {{ \"disk\": \"d\", \"size\": \"1GiB\", \
                \"reserve\": \"{percent}\", \"period\": \"{us}us\" }}"
        )
    };
    let vdisks: Vec<_> = asks.iter().enumerate().map(vdisk).collect();
    parse(&format!(
        "{{ \"state_dir\": \"s\", \"disks\": {{ \"d\": {{ \"path\": \"p\" {disk_keys} }} }},\n\
            \"vdisks\": {{ {} }} }}",
        vdisks.join(",\n")
    ))
}

pub(crate) fn parse(text: &str) -> Configuration {
    let checker = |_: &serde_json::Value| Ok(());
    Configuration::parse(text, Path::new("dir/test.json"), &checker)
        .unwrap_or_else(|errors| panic!("{errors}"))
}

pub(crate) fn verdict(configuration: &Configuration, facts: &DiskFacts) -> Admission {
    admit(configuration, &configuration.disks[0], facts)
}

pub(crate) fn severities(admission: &Admission) -> Vec<Severity> {
    let findings = admission.findings.iter();
    findings.map(|finding| finding.severity()).collect()
}

/// The asks after following a piece of advice.
fn follow(asks: &[Ask], remedy: &Remedy) -> Vec<Ask> {
    let changed = |(index, (ppm, us)): (usize, &Ask)| {
        let name = format!("v{index}");
        match remedy {
            Remedy::LongerPeriod { period, vdisks } if vdisks.contains(&name) => {
                assert!(*us < period.0 / 1_000, "its period is shorter");
                (*ppm, period.0 / 1_000)
            }
            Remedy::SmallerShare { vdisk, reserve } if *vdisk == name => (reserve.0, *us),
            Remedy::LongerPeriod { .. } | Remedy::SmallerShare { .. } => (*ppm, *us),
            Remedy::SmallerShares { reserves, period } => {
                let own = reserves.iter().find(|(other, _)| *other == name);
                let (_, reserve) = own.expect("every vdisk is named");
                let least_us = period.map_or(0, |period| period.0 / 1_000);
                (reserve.0, (*us).max(least_us))
            }
        }
    };
    asks.iter().enumerate().map(changed).collect()
}

/// Each piece of advice of `admission`, which is the verdict over `asks`, fits if it is followed,
/// and a millisecond less or a millionth more of what it says would not.
pub(crate) fn assert_remedies_are_right(asks: &[Ask], facts: &DiskFacts, admission: &Admission) {
    let after = |remedy: &Remedy| verdict(&file("", &follow(asks, remedy)), facts);
    for remedy in &admission.remedies {
        let followed = after(remedy);
        assert!(followed.is_admitted(), "{remedy} does not fit: {followed}");
        if let Some(tighter) = tighter(asks, remedy) {
            let fits = after(&tighter).is_admitted();
            assert!(!fits, "{tighter} would fit as well as {remedy}");
        }
    }
}

/// The advice that asks for a little less; `None` for one that changes every share.
fn tighter(asks: &[Ask], remedy: &Remedy) -> Option<Remedy> {
    match remedy.clone() {
        Remedy::LongerPeriod { period, vdisks } => {
            let period = Nanos(period.0 - 1_000_000);
            let is_shorter = |name: &String| {
                let index: usize = name[1..].parse().expect("v and a number");
                asks[index].1 < period.0 / 1_000
            };
            let vdisks = vdisks.into_iter().filter(is_shorter).collect();
            Some(Remedy::LongerPeriod { period, vdisks })
        }
        Remedy::SmallerShare { vdisk, reserve } => Some(Remedy::SmallerShare {
            vdisk,
            reserve: Share(reserve.0 + 1),
        }),
        Remedy::SmallerShares { .. } => None,
    }
}
