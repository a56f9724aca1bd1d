//! From the objects of a document to a profile.
//!
//! Invariant: what is missing or wrong was reported before `None` is returned.

use crate::profile::{
    Class, DepthPoint, Device, LoneLatency, LonePair, Profile, SMALL_BYTES, Seeks,
    fast_read_percent,
};
use disktime_documents::Object;
use disktime_drive_models::{ClassCost, OverlapCost, SeekPoint};
use disktime_units::Nanos;

pub(super) fn read_root(root: &Object<'_>) -> Option<Profile> {
    let _ = root.integer::<u64>("version");
    let device = root
        .object("device")
        .and_then(|device| read_device(&device));
    let classes = root
        .object("classes")
        .and_then(|classes| read_classes(&classes));
    let depths = root.list("depths").map(|points| {
        let points = points.into_iter().flatten();
        points.filter_map(|point| read_depth(&point)).collect()
    });
    let seeks = match root.object("seeks") {
        Some(seeks) => Some(read_seeks(&seeks)?),
        None => None,
    };
    let bound = time(root, "occupancy_bound_ns");
    let settle = time(root, "settle_ns");
    let (mut cost, lone) = classes?;
    cost.occupancy_bound = bound?;
    cost.settle = settle?;
    let profile = Profile {
        device: device?,
        seconds: root.integer("seconds")?.value,
        measured_writes: root.truth("measured_writes")?.value,
        quantum_bytes: root.integer("quantum_bytes")?.value,
        cost,
        lone,
        worst_case: time(root, "worst_case_ns")?,
        knee_depth: root.integer("knee_depth")?.value,
        max_in_flight: root.integer("max_in_flight")?.value,
        depths: depths?,
        seeks,
        remarks: root
            .texts("remarks")
            .iter()
            .map(|text| text.value.to_owned())
            .collect(),
    };
    check_coefficients(root, &profile)?;
    Some(profile)
}

/// The coefficients are the prices in another form: an edit of one of them would change nothing, so
/// it is refused.
fn check_coefficients(root: &Object<'_>, profile: &Profile) -> Option<()> {
    let given = root.object("coefficients")?;
    let rates = profile.coefficients();
    let mut fits = true;
    for (name, rate) in [
        ("rbps", rates.rbps),
        ("rseqiops", rates.rseqiops),
        ("rrandiops", rates.rrandiops),
        ("wbps", rates.wbps),
        ("wseqiops", rates.wseqiops),
        ("wrandiops", rates.wrandiops),
    ] {
        let written = given.integer::<u64>(name)?;
        if written.value.abs_diff(rate) > rate / 100 + 1 {
            let message = format!(
                "`{name}` is {} and the prices of `classes` give {rate}",
                written.value
            );
            let help = "the prices count: measure again instead of editing";
            given.report(written.span, message, help);
            fits = false;
        }
    }
    fits.then_some(())
}

fn time(object: &Object<'_>, name: &str) -> Option<Nanos> {
    object.integer(name).map(|time| Nanos(time.value))
}

fn read_device(device: &Object<'_>) -> Option<Device> {
    let text = |name| device.text(name).map(|text| text.value.to_owned());
    Some(Device {
        path: text("path")?,
        size_bytes: device.integer("size_bytes")?.value,
        model: text("model"),
        serial: text("serial"),
        rotational: device.truth("rotational")?.value,
        scheduler: text("scheduler"),
        write_cache: device.truth("write_cache").map(|cache| cache.value),
    })
}

fn read_classes(classes: &Object<'_>) -> Option<(OverlapCost, [Option<LonePair>; 6])> {
    let mut costs = Vec::new();
    let mut lone = [None; 6];
    for (class, lone) in Class::ALL.into_iter().zip(&mut lone) {
        let object = classes.object(class.name())?;
        costs.push(ClassCost {
            occupancy_base: time(&object, "occupancy_base_ns")?,
            occupancy_per_mib: time(&object, "occupancy_per_mib_ns")?,
            lone_base: time(&object, "lone_base_ns")?,
            lone_per_mib: time(&object, "lone_per_mib_ns")?,
        });
        let latency = |name| {
            let one: Object<'_> = object.object(name)?;
            Some(LoneLatency {
                p10: time(&one, "p10_ns")?,
                mean: time(&one, "mean_ns")?,
                p99: time(&one, "p99_ns")?,
            })
        };
        *lone = latency("small")
            .zip(latency("quantum"))
            .map(|(small, quantum)| LonePair { small, quantum });
    }
    let cost = OverlapCost {
        random_read: costs[0],
        sequential_read: costs[1],
        random_write: costs[2],
        sequential_write: costs[3],
        discard: costs[4],
        flush: costs[5],
        occupancy_bound: Nanos(SMALL_BYTES),
        settle: Nanos::ZERO,
        fast_read_percent: fast_read_percent(&lone),
    };
    Some((cost, lone))
}

fn read_depth(point: &Object<'_>) -> Option<DepthPoint> {
    Some(DepthPoint {
        len_bytes: point.integer("len_bytes")?.value,
        depth: point.integer("depth")?.value,
        per_second: point.integer("per_second")?.value,
        mean: time(point, "mean_ns")?,
        p99: time(point, "p99_ns")?,
    })
}

fn read_seeks(seeks: &Object<'_>) -> Option<Seeks> {
    let points = seeks.list("curve")?.into_iter().flatten();
    let curve = points.map(|point| {
        Some(SeekPoint {
            distance_bytes: point.integer("distance_bytes")?.value,
            seek: time(&point, "seek_ns")?,
        })
    });
    Some(Seeks {
        rotation: time(seeks, "rotation_ns")?,
        curve: curve.collect::<Option<_>>()?,
    })
}
