//! Disks that overlap requests: each rule at its edge.

use crate::asks::{Ask, assert_remedies_are_right, file, severities, verdict};
use disktime_documents::Severity;
use disktime_reservations::{Admission, AdmissionReport, DiskFacts, OverlapFacts, Remedy, admit};
use disktime_units::{BackgroundWork, Nanos, Share};
use proptest::prelude::*;

/// W 1 ms, L 2 ms: no reservation of less than 4 ms in a period.
const SSD: DiskFacts = DiskFacts {
    has_seeks: false,
    worst_case: Nanos::from_millis(1),
    switch_cost: Nanos::ZERO,
    size_bytes: None,
    overhead_bytes: 0,
    overlap: Some(OverlapFacts {
        occupancy_bound: Nanos::from_micros(700),
        longest_alone: Nanos::from_micros(300),
        settle: Nanos::from_micros(1000),
    }),
};

fn admit_on(facts: &DiskFacts, asks: &[Ask]) -> Admission {
    verdict(&file("", asks), facts)
}

#[test]
fn the_drain_is_the_sum_of_its_parts() {
    let overlap = SSD.overlap.expect("it overlaps");
    assert_eq!(overlap.longest_drain(), Nanos::from_millis(2));
    assert_eq!(SSD.least_budget(), Nanos::from_millis(4));
    // Where a request may take longer than that, W counts.
    let slow = DiskFacts {
        worst_case: Nanos::from_millis(3),
        ..SSD
    };
    assert_eq!(slow.least_budget(), Nanos::from_millis(6));
}

#[test]
fn no_more_than_97_percent_is_reserved() {
    // 1 % is for metadata.
    let most = admit_on(&SSD, &[(960_000, 10_000_000)]);
    assert_eq!((most.is_admitted(), most.reserved), (true, Share(970_000)));
    let over = admit_on(&SSD, &[(960_001, 10_000_000)]);
    assert!(!over.is_admitted());
    let advice = Remedy::SmallerShare {
        vdisk: "v0".to_owned(),
        reserve: Share(960_000),
    };
    assert_eq!(over.remedies, [advice]);
    // A disk that does one request at a time can be reserved wholly.
    let one_at_a_time = DiskFacts {
        overlap: None,
        ..SSD
    };
    assert!(admit_on(&one_at_a_time, &[(990_000, 10_000_000)]).is_admitted());
}

#[test]
fn drains_beyond_the_whole_are_a_warning() {
    // 2 ms of 50 ms are 4 %, and 2 ms of the 2 s of metadata 0.1 %: 94.9 + 1 + 4.1 %.
    let promised = admit_on(&SSD, &[(949_000, 50_000)]);
    assert_eq!(promised.drain_share, Share(41_000));
    assert_eq!(severities(&promised), []);
    let beyond = admit_on(&SSD, &[(949_001, 50_000)]);
    assert!(beyond.is_admitted());
    assert_eq!(severities(&beyond), [Severity::Warning]);
    // The period that it names is promised, a millisecond less is not.
    let help = beyond.findings[0].help_text().unwrap_or_default();
    assert!(help.contains("51ms"), "{help}");
    assert_eq!(severities(&admit_on(&SSD, &[(949_001, 51_000)])), []);
}

#[test]
fn what_a_period_brings_has_to_be_twice_the_drain() {
    assert!(admit_on(&SSD, &[(50_000, 80_000)]).is_admitted());
    let short = admit_on(&SSD, &[(50_000, 79_999), (100_000, 100_000)]);
    assert!(!short.is_admitted());
    let advice = Remedy::LongerPeriod {
        period: Nanos::from_millis(80),
        vdisks: vec!["v0".to_owned()],
    };
    assert_eq!(short.remedies, [advice]);
    let help = short.findings[0].help_text().unwrap_or_default();
    assert!(help.contains("at least 80ms"), "{help}");
}

#[test]
fn a_share_too_small_for_any_period_is_told_how_much_would_do() {
    let tiny = admit_on(&SSD, &[(1, 1_000_000)]);
    assert!(!tiny.is_admitted() && tiny.remedies.is_empty());
    let help = tiny.findings[0].help_text().unwrap_or_default();
    // 4 ms of ten minutes.
    assert_eq!(help, "reserve at least 0.0007 %, with a period of 600s");
    assert!(admit_on(&SSD, &[(7, 600_000_000)]).is_admitted());
}

#[test]
fn background_work_gets_a_period_that_is_enough() {
    let period = |facts: &DiskFacts| {
        let admission = admit_on(facts, &[]);
        assert!(admission.is_admitted(), "{admission}");
        let metadata = admission.background(BackgroundWork::Metadata);
        metadata.and_then(|metadata| metadata.period)
    };
    assert_eq!(period(&SSD), Some(Nanos::from_secs(2)));
    let slow = DiskFacts {
        worst_case: Nanos::from_millis(35),
        ..SSD
    };
    assert_eq!(period(&slow), Some(Nanos::from_secs(7)));
}

#[test]
fn background_work_that_the_file_reserves_too_little_for_is_refused() {
    let own = ", \"background\": { \"metadata\": { \"reserve\": \"1%\", \"period\": \"399ms\" } }";
    let configuration = file(own, &[(100_000, 100_000)]);
    let admission = admit(&configuration, &configuration.disks[0], &SSD);
    assert!(!admission.is_admitted());
    let advice = Remedy::LongerPeriod {
        period: Nanos::from_millis(400),
        vdisks: vec!["metadata".to_owned()],
    };
    assert_eq!(admission.remedies, [advice]);
}

#[test]
fn the_report_for_machines_has_the_facts() {
    let configuration = file("", &[(400_000, 100_000)]);
    let admitted = |facts| admit(&configuration, &configuration.disks[0], facts);
    let json = |facts| {
        let report = AdmissionReport::new(&configuration, vec![admitted(facts)]);
        serde_json::to_value(&report).expect("it is plain data")["disks"]["d"].take()
    };
    let disk = json(&SSD);
    let overlap = &disk["overlap"];
    assert_eq!(overlap["occupancy_bound_ms"], 0.7);
    assert_eq!(overlap["longest_alone_ms"], 0.3);
    assert_eq!(overlap["settle_ms"], 1.0);
    assert_eq!(overlap["longest_drain_ms"], 2.0);
    assert_eq!(overlap["least_budget_ms"], 4.0);
    assert_eq!(overlap["drain_share"], 0.021);
    assert_eq!(disk["vdisks"]["v0"]["drain_share"], 0.02);
    let one_at_a_time = DiskFacts {
        overlap: None,
        ..SSD
    };
    assert!(json(&one_at_a_time)["overlap"].is_null());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn every_remedy_is_admitted(
        asks in prop::collection::vec((1..=1_000_000u32, 10_000..=1_000_000u64), 1..8),
        shrink in 1..=8u32,
        worst_us in 1..=20_000u64,
        drain_us in 1..=20_000u64,
    ) {
        let asks: Vec<Ask> = asks.iter().map(|(ppm, us)| ((ppm / shrink).max(1), *us)).collect();
        let overlap = OverlapFacts {
            occupancy_bound: Nanos::from_micros(drain_us),
            longest_alone: Nanos::ZERO,
            settle: Nanos::ZERO,
        };
        let facts = DiskFacts {
            worst_case: Nanos::from_micros(worst_us),
            overlap: Some(overlap),
            ..SSD
        };
        let admission = admit_on(&facts, &asks);
        let least = u128::from(2 * worst_us.max(drain_us)) * 1_000_000;
        let is_enough = |(ppm, us): &Ask| u128::from(*ppm) * u128::from(*us) >= least;
        let reserved: u64 = 10_000 + asks.iter().map(|(ppm, _)| u64::from(*ppm)).sum::<u64>();
        let fits = reserved <= 970_000 && asks.iter().all(is_enough);
        prop_assert_eq!(admission.is_admitted(), fits, "{}", admission);
        prop_assert!(!fits || admission.remedies.is_empty());
        assert_remedies_are_right(&asks, &facts, &admission);
    }
}
