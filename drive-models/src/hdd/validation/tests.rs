//! The model against service times measured on real drives, if they are at hand.

use super::super::*;
use crate::hdd::drives::load_drive;
use crate::hdd::fit::fit_overheads;
use std::path::PathBuf;

/// Trace, drive, and the demerit in % of the mean that the model must keep.
const DRIVES: [(&str, &str, f64); 4] = [
    ("cheetah9LP", "seagate_cheetah_9lp", 5.0),
    ("barracuda", "seagate_barracuda_4lp_st32171w", 5.0),
    ("ibm18es", "ibm_dnes_309170w", 5.0),
    ("atlas_III", "quantum_atlas_iii", 3.8),
];

fn data(test: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data"));
    if folder.join("hdd-parameters.json").exists() {
        return Some(folder);
    }
    println!("SKIPPED {test}: ../shared/data is not there");
    None
}

fn measured(data: &std::path::Path, trace: &str, name: &str) -> (Drive, Vec<MeasuredRequest>) {
    let drive = load_drive(&data.join("hdd-parameters.json"), name).expect("the drive is there");
    let trace = data.join(format!("hdd-validation/{trace}.trace.gz"));
    (
        drive,
        read_measured_trace(&trace).expect("the trace is there"),
    )
}

#[test]
fn service_times_are_those_measured_on_real_drives() {
    let Some(data) = data("service_times_are_those_measured_on_real_drives") else {
        return;
    };
    for (trace, name, most) in DRIVES {
        let (drive, requests) = measured(&data, trace, name);
        assert_eq!(drive.provenance, Provenance::ValidatedOnHardware);
        let report = ModelReport::new(&drive, None, Some(&requests)).expect("it fits");
        println!("{}", report.render());
        let report = report.trace.expect("a trace was given");
        assert!(report.fitted_to_first_half && report.write_cache, "{name}");
        assert!(report.requests >= 9_900 && report.judged_requests * 2 == report.requests);
        let swapped = report.swapped_demerit_percent.expect("both halves judge");
        for (percent, part) in [
            (report.demerit_percent, "second half"),
            (report.whole_trace_demerit_percent, "whole trace"),
            (swapped, "first half"),
        ] {
            assert!(percent <= most, "{name}, {part}: {percent} %");
        }
        // No kind may be right only on the average with another.
        let [reads, writes] = &report.kinds[..] else {
            panic!("{name}: reads and writes")
        };
        assert!(reads.demerit_percent <= most, "{name}: {reads:?}");
        assert!(writes.demerit_percent <= 8.0, "{name}: {writes:?}");
        // Nor anywhere in the distribution: nowhere further apart than a seventh of the mean.
        for point in &report.distribution {
            let apart = (point.measured_ms - point.modelled_ms).abs();
            assert!(apart <= report.measured_mean_ms / 7.0, "{name}: {point:?}");
        }
        let cached = report.cached_reads;
        assert!(
            cached.both * 100 >= cached.measured.max(cached.modelled) * 85,
            "{name}: the cache serves other reads than the drive's: {cached:?}"
        );
    }
}

#[test]
fn the_overheads_in_the_table_are_what_the_fit_finds() {
    let Some(data) = data("the_overheads_in_the_table_are_what_the_fit_finds") else {
        return;
    };
    for (trace, name, _) in DRIVES {
        let (drive, requests) = measured(&data, trace, name);
        let half = requests.len() / 2;
        let found = fit_overheads(&drive.published, &requests[..half]).expect("it fits");
        println!("{name}: {:?}", found.overhead_ms);
        let served = HddParameters {
            // These belong to the host and the moment of the measurement, not to the drive.
            write_cache: found.write_cache,
            bus_mb_per_s: found.bus_mb_per_s,
            overhead_ms: found.overhead_ms,
            ..drive.parameters.clone()
        };
        assert_eq!(
            served, found,
            "{name}: the cache in the table is the one found"
        );
        let pairs = |parameters: &HddParameters| parameters.overhead_ms.expect("given").pairs();
        for (found, table) in pairs(&found).into_iter().zip(pairs(&drive.parameters)) {
            let apart = (found.1[0] - table.1[0])
                .abs()
                .max((found.1[1] - table.1[1]).abs());
            assert!(
                apart <= 0.05,
                "{name}: found {found:?}, in the table {table:?}"
            );
        }
    }
}

#[test]
fn every_drive_of_the_file_is_modelled_or_refused_by_name() {
    let Some(data) = data("every_drive_of_the_file_is_modelled_or_refused_by_name") else {
        return;
    };
    let file = data.join("hdd-parameters.json");
    let text = std::fs::read_to_string(&file).expect("the file is there");
    let drives: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&text).expect("the file is JSON");
    for (name, value) in drives {
        let found = find_drive(&format!("{}#{name}", file.display()));
        if value["zones"].is_string() {
            let error = found
                .expect_err("zones in words cannot be modelled")
                .to_string();
            assert!(
                error.contains(&name) && error.contains("`zones`"),
                "{error}"
            );
            continue;
        }
        let report = ModelReport::new(&found.expect("it is a drive"), None, None).expect("valid");
        assert!(report.render().contains(&name) && report.random_read_4k.mean_ms > 1.0);
    }
    let error = load_drive(&file, "no_such_drive")
        .expect_err("no such drive")
        .to_string();
    assert!(
        error.contains("quantum_atlas_iii"),
        "the error lists what there is: {error}"
    );
}

#[test]
fn a_broken_trace_is_refused_with_file_and_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("broken.trace");
    for (line, why) in [
        ("R Hit 5 8 100.0", "5 fields"),
        ("X Hit 5 8 100.0 0.0", "neither R nor W"),
        ("R Hit -5 8 100.0 0.0", "lbn"),
        ("R Hit 5 many 100.0 0.0", "length"),
        ("R Hit 5 8 nan 0.0", "service time"),
        ("R Hit 5 8 100.0 -1", "think time"),
        ("R Hit 99999999999999999999 8 1 1", "lbn"),
    ] {
        std::fs::write(&path, format!("2\nR Miss 1 8 1000.0 20.5\n{line}\n")).expect("written");
        let error = read_measured_trace(&path)
            .expect_err("it is broken")
            .to_string();
        assert!(
            error.contains("broken.trace, line 3") && error.contains(why),
            "{error}"
        );
    }
    std::fs::write(&path, "").expect("written");
    assert!(
        read_measured_trace(&path)
            .expect_err("empty")
            .to_string()
            .contains("no request")
    );
    let zipped = folder.path().join("broken.trace.gz");
    std::fs::write(&zipped, "this is not gzip").expect("written");
    assert!(
        read_measured_trace(&zipped)
            .expect_err("broken")
            .to_string()
            .contains("line 1")
    );
    assert!(read_measured_trace(folder.path().join("none").as_path()).is_err());
}
