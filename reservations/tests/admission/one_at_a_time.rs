//! Disks that do one request at a time: the rule's arithmetic, and the mixes that have to fit.

use crate::asks::{Ask, assert_remedies_are_right, file, parse, verdict};
use disktime_documents::Severity;
use disktime_reservations::{AdmissionReport, DiskFacts, Policy, Remedy, Switching};
use disktime_units::{BackgroundWork, Nanos, Share};
use proptest::prelude::*;
use std::path::Path;

/// W and s of the disk on which the scheduler's rules were worked out.
const HDD: DiskFacts = DiskFacts {
    has_seeks: true,
    worst_case: Nanos::from_micros(27_200),
    switch_cost: Nanos::from_micros(12_700),
    size_bytes: None,
    overhead_bytes: 0,
    overlap: None,
};

const SSD: DiskFacts = DiskFacts {
    has_seeks: false,
    worst_case: Nanos::from_millis(10),
    switch_cost: Nanos::ZERO,
    size_bytes: None,
    overhead_bytes: 0,
    overlap: None,
};

#[test]
fn the_three_mixes_are_admitted_with_background_work() {
    for shares in [[45, 45], [60, 30], [10, 80]] {
        let asks: Vec<Ask> = shares
            .iter()
            .map(|share| (share * 10_000, 500_000))
            .collect();
        let admission = verdict(&file("", &asks), &HDD);
        assert!(admission.is_admitted(), "{admission}");
        assert_eq!(admission.reserved, Share(910_000));
        // 2 × 1.5 · 12.7 ms / 500 ms = 7.62 %, and 1.5 · 12.7 ms / 5 s = 0.381 %.
        assert_eq!(admission.switching_share, Share(76_200 + 3_810));
        assert_eq!(admission.left, Share(1_000_000 - 910_000 - 80_010));
    }
}

#[test]
fn the_sum_may_reach_the_whole_and_no_more() {
    // Without seeks nothing but the shares counts: 99 % and the 1 % of metadata.
    assert!(verdict(&file("", &[(990_000, 1_000_000)]), &SSD).is_admitted());
    let over = verdict(&file("", &[(990_001, 1_000_000)]), &SSD);
    assert!(!over.is_admitted());
    assert_eq!(over.total(), Share(1_000_001));
    let advice = Remedy::SmallerShare {
        vdisk: "v0".to_owned(),
        reserve: Share(990_000),
    };
    assert_eq!(over.remedies, [advice]);
}

#[test]
fn served_switching_costs_no_account_but_needs_no_seeks_to_be_said() {
    let asks = [(500_000, 100_000), (490_000, 100_000)];
    assert!(!verdict(&file("", &asks), &HDD).is_admitted());
    let served = verdict(&file(", \"switching\": \"served\"", &asks), &HDD);
    assert!(served.is_admitted(), "{served}");
    assert_eq!(
        (served.switching, served.left),
        (Switching::Served, Share::ZERO)
    );
    assert_eq!(verdict(&file("", &asks), &SSD).switching, Switching::Served);
    let pointless = verdict(&file(", \"switching\": \"account\"", &asks), &SSD);
    assert!(pointless.is_admitted() && pointless.switching == Switching::Served);
    assert_eq!(pointless.findings.len(), 1, "{:?}", pointless.findings);
}

#[test]
fn a_budget_below_the_worst_case_is_a_warning() {
    let small = verdict(&file("", &[(50_000, 500_000)]), &HDD);
    assert!(small.is_admitted());
    assert_eq!(small.findings.len(), 1);
    assert_eq!(small.findings[0].severity(), Severity::Warning);
    // 5 % of 544 ms is 27.2 ms.
    assert!(
        small.findings[0]
            .help_text()
            .unwrap_or_default()
            .contains("544ms")
    );
    assert!(
        verdict(&file("", &[(50_000, 544_000)]), &HDD)
            .findings
            .is_empty()
    );
}

#[test]
fn background_work_can_be_reserved_for_and_counts() {
    let own = ", \"background\": { \"metadata\": { \"reserve\": \"2%\", \"period\": \"2s\" } }";
    let admission = verdict(&file(own, &[(980_000, 1_000_000)]), &SSD);
    assert!(admission.is_admitted());
    let metadata = admission
        .background(BackgroundWork::Metadata)
        .expect("there is always one");
    assert_eq!(
        (metadata.reserve, metadata.budget),
        (Share(20_000), Nanos::from_millis(40))
    );
    assert!(!verdict(&file(own, &[(980_001, 1_000_000)]), &SSD).is_admitted());
}

#[test]
fn vdisks_and_label_have_to_fit_the_size() {
    let configuration = file("", &[(10_000, 5_000_000), (10_000, 5_000_000)]);
    let with = |size, overhead_bytes| DiskFacts {
        size_bytes: Some(size),
        overhead_bytes,
        ..HDD
    };
    assert!(verdict(&configuration, &with(2 << 30, 0)).is_admitted());
    assert!(verdict(&configuration, &with((2 << 30) + 8192, 8192)).is_admitted());
    let over = verdict(&configuration, &with((2 << 30) + 8191, 8192));
    assert!(!over.is_admitted());
    // The second does not fit any more, and that is where the error points.
    let span = over.findings[0].span().expect("it has a place");
    let errors = configuration.error_at(span, "too large", "");
    assert_eq!(errors.to_json()[0]["line"], 3);
    // What is suggested fits.
    let help = over.findings[0].help_text().unwrap_or_default();
    let size = help.rsplit('"').nth(1).expect("a size in quotes");
    let bytes = disktime_units::parse_size(size).expect("as the file would have it");
    assert_eq!(bytes, (1 << 30) - 4096);
}

#[test]
fn paths_defaults_and_limits_are_resolved() {
    let configuration = parse(
        r#"{ "state_dir": "state", "disks": { "d": { "path": "d.disk", "policy": "fifo" }, "e": { "path": "/dev/e", "size": "1GiB", "emulate": "drives.json#x" } },
            "vdisks": { "z": { "disk": "d", "size": "4KiB", "limit": "20%" }, "a": { "disk": "e", "size": "4KiB", "limit": "20%", "period": "100ms" } },
            "nbd": {} }"#,
    );
    let show = |path: &Path| path.display().to_string();
    assert_eq!(show(&configuration.state_dir.value), "dir/state");
    assert_eq!(
        show(configuration.disks[0].path().expect("a path")),
        "dir/state/d.disk"
    );
    assert_eq!(configuration.disks[0].policy, Policy::Fifo);
    assert_eq!(
        show(configuration.disks[1].path().expect("a path")),
        "/dev/e"
    );
    let model = configuration.disks[1]
        .emulate
        .as_ref()
        .map(|model| model.value.clone());
    assert_eq!(model, Some("dir/state/drives.json#x".into()));
    assert_eq!(
        show(&configuration.control.socket.value),
        "dir/state/control.sock"
    );
    let nbd = configuration.nbd.as_ref().expect("it is configured");
    assert_eq!(
        (show(&nbd.socket.value).as_str(), nbd.listen.len()),
        ("dir/state/nbd.sock", 0)
    );
    assert!(configuration.fuse.is_none());
    let names: Vec<_> = configuration
        .vdisks
        .iter()
        .map(|vdisk| vdisk.name.value.as_str())
        .collect();
    assert_eq!(names, ["z", "a"], "file order is kept");
    let periods: Vec<_> = configuration
        .vdisks
        .iter()
        .filter_map(|vdisk| Some(vdisk.limit?.period))
        .collect();
    assert_eq!(periods, [Nanos::from_secs(1), Nanos::from_millis(100)]);
    let later = configuration.error_at(configuration.disks[1].medium.span, "it is gone", "look");
    assert!(later.to_string().contains("dir/test.json:1:"), "{later}");
}

#[test]
fn the_report_for_machines_has_the_promised_keys() {
    let configuration = file("", &[(400_000, 500_000)]);
    let report = AdmissionReport::new(&configuration, vec![verdict(&configuration, &HDD)]);
    let json = serde_json::to_value(&report).expect("it is plain data");
    assert_eq!(json["admitted"], true);
    let vdisk = &json["disks"]["d"]["vdisks"]["v0"];
    assert_eq!(vdisk["reserved_share"], 0.4);
    assert_eq!(vdisk["period_ms"], 500.0);
    assert_eq!(vdisk["budget_ms"], 200.0);
    assert_eq!(vdisk["switching_share"], 0.0381);
    assert_eq!(
        json["disks"]["d"]["background"]["metadata"]["reserved_share"],
        0.01
    );
    assert_eq!(json["disks"]["d"]["left_share"], 0.54809);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn every_remedy_is_admitted_and_asks_no_more_than_it_must(
        asks in prop::collection::vec((1..=1_000_000u32, 10_000..=5_000_000u64), 1..8),
        shrink in 1..=8u32,
        cost_us in 0..=40_000u64,
        has_seeks: bool,
    ) {
        let asks: Vec<Ask> = asks.iter().map(|(ppm, us)| ((ppm / shrink).max(1), *us)).collect();
        let facts = DiskFacts { switch_cost: Nanos::from_micros(cost_us), has_seeks, ..HDD };
        let admission = verdict(&file("", &asks), &facts);
        prop_assert_eq!(admission.is_admitted(), admission.total() <= Share::WHOLE);
        prop_assert_eq!(admission.is_admitted(), admission.remedies.is_empty(), "{:?}", admission.remedies);
        for remedy in &admission.remedies {
            if let Remedy::LongerPeriod { period, vdisks } = remedy {
                let shorter = asks.iter().filter(|(_, us)| *us < period.0 / 1_000);
                prop_assert_eq!(shorter.count(), vdisks.len(), "{} names all of them", remedy);
            }
        }
        assert_remedies_are_right(&asks, &facts, &admission);
    }
}
