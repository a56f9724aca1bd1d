//! The plan on each preset, in virtual time: what it measures beside the preset's own figures.

use disktime_calibration::{
    Device, FirstProbe, OnDisk, Plan, PlanOptions, ProbeError, Prober, Profile, VirtualClock,
    measure,
};
use disktime_disks::{Disk, Store, VirtualDisk, VirtualOverlapDisk};
use disktime_drive_models::{Load, Operation, OverlapDrive, Slowdown, preset};
use disktime_units::Nanos;

const SIZE: u64 = 256 << 30;
/// W is at least so many per cent of what follows from a drive's figures: the rarest of what it can
/// be, a die with most of the garbage or one latency in 200,000, is not seen in a minute.
const UNSEEN_PERCENT: u64 = 90;

fn device() -> Device {
    Device {
        path: "/dev/model".to_owned(),
        size_bytes: SIZE,
        model: Some("a model".to_owned()),
        serial: None,
        rotational: false,
        scheduler: None,
        write_cache: Some(true),
    }
}

fn drive(name: &str) -> OverlapDrive {
    OverlapDrive::find(name).expect("a preset")
}

fn measured(drive: &OverlapDrive, seconds: u64, writes: bool) -> Profile {
    let disk = VirtualOverlapDisk::of_drive(drive, SIZE, 7, Store::None);
    let mut prober = OnDisk::new(disk, VirtualClock::default(), writes);
    let plan = Plan::new(prober.facts(), PlanOptions { seconds, writes });
    let measurements = measure(&plan, &mut prober, |_| {}).expect("the model answers");
    measurements.profile(device()).expect("possible numbers")
}

#[track_caller]
fn near(what: &str, figure: u64, expected: u64, percent: u64) {
    assert!(
        figure.abs_diff(expected) * 100 <= expected * percent,
        "{what}: {figure} is not within {percent} % of {expected}"
    );
}

/// The preset's own knee, by probes of its model.
fn knee(drive: &OverlapDrive) -> u32 {
    let depths: Vec<u32> = (0..10)
        .map(|power| 1 << power)
        .filter(|depth| *depth <= drive.queue_depth())
        .collect();
    let rates: Vec<u64> = depths
        .iter()
        .map(|depth| {
            drive
                .sustained(Load::random(Operation::Read, 4096, *depth))
                .per_second()
        })
        .collect();
    let peak = rates.iter().max().expect("depths");
    let enough = rates.iter().position(|rate| rate * 100 >= peak * 95);
    depths[enough.expect("the peak")]
}

/// Measures the preset, compares, and hands out the profile.
fn check(name: &str, seconds: u64) -> Profile {
    let drive = drive(name);
    let profile = measured(&drive, seconds, true);
    let own = Profile {
        cost: drive.cost,
        ..profile.clone()
    };
    let (found, given) = (profile.coefficients(), own.coefficients());
    near("rbps", found.rbps, given.rbps, 10);
    near("rseqiops", found.rseqiops, given.rseqiops, 10);
    near("rrandiops", found.rrandiops, given.rrandiops, 10);
    near("wbps", found.wbps, given.wbps, 10);
    near("wseqiops", found.wseqiops, given.wseqiops, 10);
    near("wrandiops", found.wrandiops, given.wrandiops, 10);
    near(
        "H",
        profile.occupancy_bound().0,
        drive.cost.occupancy_bound.0,
        20,
    );
    for (found, given) in [
        (profile.cost.random_read, drive.cost.random_read),
        (profile.cost.random_write, drive.cost.random_write),
        (profile.cost.flush, drive.cost.flush),
        (profile.cost.discard, drive.cost.discard),
    ] {
        near(
            "lone",
            found.quote(4096).lone.0,
            given.quote(4096).lone.0,
            15,
        );
    }
    near(
        "the fast tenth of reads",
        profile.cost.fast_read_percent.into(),
        drive.cost.fast_read_percent.into(),
        5,
    );
    let steps = profile.knee_depth.ilog2().abs_diff(knee(&drive).ilog2());
    assert!(steps <= 1, "the knee is {}", profile.knee_depth);
    let needed = Nanos(drive.worst_case.0 * UNSEEN_PERCENT / 100);
    assert!(
        profile.worst_case >= needed,
        "W is {}, and {} follows from the drive's figures",
        profile.worst_case,
        drive.worst_case
    );
    println!("{name}: {}\n{:#?}", profile.advice(), profile.summary());
    println!("{:#?}", profile.remarks);
    profile
}

/// Whether a remark says all of this.
fn says(profile: &Profile, words: &[&str]) -> bool {
    let has = |remark: &String| words.iter().all(|word| remark.contains(word));
    profile.remarks.iter().any(has)
}

#[test]
fn nvme_970pro() {
    let profile = check("nvme-970pro", 20);
    assert!(profile.remarks.is_empty(), "{:?}", profile.remarks);
    assert!(profile.max_in_flight >= 256);
}

#[test]
fn sata_870() {
    let profile = check("sata-870", 20);
    assert!(profile.remarks.is_empty(), "{:?}", profile.remarks);
    assert_eq!(profile.max_in_flight, 32);
}

/// Programs go on behind a single write, after its price has run off.
#[test]
fn cheap_qlc() {
    let profile = check("cheap-qlc", 20);
    assert!(says(
        &profile,
        &["Random writes", "fell from", "a write cache was used up"]
    ));
    let settle = profile.cost.settle.0;
    assert!((800_000..4_000_000).contains(&settle), "{settle}");
}

/// Garbage collection is not even: the drive says so, and reads take long to recover.
#[test]
fn cheap_qlc_gc() {
    let profile = check("cheap-qlc-gc", 60);
    assert!(says(&profile, &["differ by"]), "{:?}", profile.remarks);
    assert!(profile.cost.settle >= Nanos::from_millis(2));
}

#[test]
fn cloud_16k() {
    let profile = check("cloud-16k", 60);
    assert!(profile.remarks.is_empty(), "{:?}", profile.remarks);
    assert_eq!(profile.cost.settle.0, 0);
}

/// The sustained rates, not those of the credit; and the credit is told.
#[test]
fn cloud_16k_burst() {
    let profile = check("cloud-16k-burst", 60);
    assert!(says(
        &profile,
        &["Random reads of 4KiB", "fell from 15", "burst credit"]
    ));
    assert!(says(
        &profile,
        &["Random reads of 128KiB", "fell from", "burst credit"]
    ));
}

/// Without consent nothing is written, and what was not measured is priced dearly and said.
#[test]
fn read_only() {
    let drive = drive("sata-870");
    let profile = measured(&drive, 12, false);
    assert!(!profile.measured_writes);
    assert!(says(&profile, &["Writes", "not measured"]));
    for len_bytes in [4096, 128 << 10] {
        let guessed = profile.cost.random_write.quote(len_bytes).occupancy;
        assert!(guessed >= drive.cost.random_write.quote(len_bytes).occupancy);
    }
    near(
        "rrandiops",
        profile.coefficients().rrandiops,
        measured(&drive, 20, true).coefficients().rrandiops,
        5,
    );
}

/// A device that is three times slower from a time on: its rounds differ, and the end differs from
/// the beginning.
#[test]
fn a_device_that_slows_down_is_told() {
    let drive = drive("sata-870");
    let slowdown = Slowdown {
        from: Nanos::from_secs(10),
        until: Nanos::MAX,
        percent: 300,
    };
    let properties = VirtualOverlapDisk::of_drive(&drive, SIZE, 7, Store::None)
        .properties()
        .clone();
    let model = drive.slowed_model(7, slowdown);
    let disk = VirtualOverlapDisk::new(model, properties, Store::None);
    let mut prober = OnDisk::new(disk, VirtualClock::default(), true);
    let options = PlanOptions {
        seconds: 20,
        writes: true,
    };
    let plan = Plan::new(prober.facts(), options);
    let measurements = measure(&plan, &mut prober, |_| {}).expect("the model answers");
    let profile = measurements.profile(device()).expect("possible numbers");
    assert!(says(
        &profile,
        &["at the beginning", "at the end", "became slower"]
    ));
    assert!(says(&profile, &["between rounds"]), "{:?}", profile.remarks);
}

/// A probe that writes is refused without consent, whatever the plan says.
#[test]
fn a_prober_without_consent_refuses_to_write() {
    let drive = drive("sata-870");
    let disk = VirtualOverlapDisk::of_drive(&drive, SIZE, 7, Store::None);
    let mut prober = OnDisk::new(disk, VirtualClock::default(), false);
    let options = PlanOptions {
        seconds: 10,
        writes: true,
    };
    let plan = Plan::new(prober.facts(), options);
    let refused = measure(&plan, &mut prober, |_| {}).expect_err("it wants to write");
    assert_eq!(refused, ProbeError::NoConsent);
}

/// A hard disk: turn, seeks and the prices of one request at a time.
#[test]
fn a_modelled_hard_disk() {
    let (parameters, _) = preset("desktop-7200-2008").expect("a preset");
    let disk = VirtualDisk::hard_disk(&parameters, 500_000_000_000, "disk", Store::None);
    let disk = disk.expect("it fits");
    let own = disk.properties().clone();
    let mut prober = OnDisk::new(disk, VirtualClock::default(), true);
    let options = PlanOptions {
        seconds: 600,
        writes: true,
    };
    let plan = Plan::new(prober.facts(), options);
    let measurements = measure(&plan, &mut prober, |_| {}).expect("the model answers");
    let profile = measurements.profile(device()).expect("possible numbers");
    println!("{}\n{:?}", profile.advice(), profile.seeks);
    println!("{:?}", own.seek_curve.last());
    let seeks = profile.seeks.as_ref().expect("it has seeks");
    near("a turn", seeks.rotation.0, 60_000_000_000 / 7200, 10);
    near("s", profile.switch_cost().0, own.switch_cost.0, 15);
    near("R", profile.worst_seek().0, own.worst_seek.0, 15);
    assert_eq!(profile.max_in_flight, 1);
}

/// A second of reads tells a rotating disk from others, even where it reads within 256 MiB only.
#[test]
fn the_first_probe_tells_what_rotates() {
    for name in ["nvme-970pro", "sata-870", "cheap-qlc-gc", "cloud-16k"] {
        let disk = VirtualOverlapDisk::of_drive(&drive(name), SIZE, 7, Store::None);
        let mut prober = OnDisk::new(disk, VirtualClock::default(), false);
        let look = FirstProbe::take(&mut prober).expect("the model answers");
        assert!(!look.may_rotate(), "{name}: {look:?}");
    }
    for name in ["desktop-7200-2008", "enterprise-15k"] {
        let (parameters, _) = preset(name).expect("a preset");
        for size_bytes in [256 << 20, 100 << 30] {
            let disk = VirtualDisk::hard_disk(&parameters, size_bytes, name, Store::None);
            let disk = disk.expect("it fits");
            let mut prober = OnDisk::new(disk, VirtualClock::default(), false);
            let look = FirstProbe::take(&mut prober).expect("the model answers");
            assert!(look.may_rotate(), "{name}: {look:?}");
        }
    }
}
