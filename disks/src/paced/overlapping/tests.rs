//! Overlapping requests paced over a real disk: the model's times, and what a slow real disk or a
//! late process makes of them.

use super::*;
use crate::{FaultDisk, FaultOptions, ServiceTime, Store, VirtualOverlapDisk};
use disktime_drive_models::OverlapDrive;
use disktime_random::SplitMix64;

const SIZE_BYTES: u64 = 64 << 20;

type AnyModel = Box<dyn OverlapModel + Send>;

fn drive(name: &str) -> OverlapDrive {
    OverlapDrive::find(name).expect("a preset")
}

/// A preset over a real disk whose requests take that long.
fn paced(name: &str, real: Nanos) -> PacedOverlapDisk<AnyModel> {
    let mut options = FaultOptions::instant(SIZE_BYTES);
    options.service = ServiceTime::Constant(real);
    options.max_in_flight = 1024;
    let properties = DiskProperties::of_drive(drive(name).properties(SIZE_BYTES), name.into());
    let inner = Box::new(FaultDisk::new(options));
    PacedOverlapDisk::new(drive(name).model(1), properties, inner)
}

fn request(tag: u64, operation: Operation, offset_bytes: u64) -> DiskRequest {
    DiskRequest {
        tag,
        operation,
        offset_bytes,
        len_bytes: 4096,
        fua: false,
        buffers: vec![crate::Buffer::zeroed(4096)],
    }
}

/// Keeps 24 reads and writes in flight until so many have ended, waking up to 400 µs late when
/// `late` is set; tags and times of the completions.
fn run(disk: &mut dyn Disk, count: usize, late: bool) -> Vec<(u64, Nanos)> {
    let mut random = SplitMix64::new(9);
    let mut lateness = SplitMix64::new(2);
    let mut submit = |disk: &mut dyn Disk, at, tag| {
        let operation = if random.percent(30) {
            Operation::Write
        } else {
            Operation::Read
        };
        disk.submit(
            at,
            request(tag, operation, random.below(SIZE_BYTES / 4096) * 4096),
        );
    };
    for tag in 0..24 {
        submit(disk, Nanos::ZERO, tag);
    }
    let (mut done, mut completions, mut now) = (Vec::new(), Vec::new(), Nanos::ZERO);
    while done.len() < count {
        let next = disk.next_completion().expect("requests are in flight");
        now = now.max(next);
        if late {
            now += Nanos(lateness.below(400_000));
        }
        loop {
            disk.collect(now, &mut completions);
            if completions.is_empty() {
                break;
            }
            for completion in completions.drain(..) {
                completion.result.expect("the real disk does not fail");
                done.push((completion.tag, completion.completed_at));
                submit(disk, completion.completed_at, completion.tag);
            }
        }
    }
    done.truncate(count);
    done
}

#[test]
fn model_and_pacing_give_the_same_times_even_to_a_late_process() {
    for name in ["nvme-970pro", "sata-870", "cloud-16k"] {
        let mut expected = VirtualOverlapDisk::of_drive(&drive(name), SIZE_BYTES, 1, Store::None);
        let expected = run(&mut expected, 20_000, false);
        assert!(expected.is_sorted_by_key(|(_, at)| *at));
        for late in [false, true] {
            let mut disk = paced(name, Nanos::ZERO);
            assert_eq!(
                run(&mut disk, 20_000, late),
                expected,
                "{name}, late: {late}"
            );
            let pacing = disk.pacing().expect("a paced disk measures it");
            assert_eq!(pacing.overruns, 0, "{name}, late: {late}");
            assert!(pacing.served >= 20_000);
            // The histogram keeps two digits.
            assert!(pacing.lateness.max <= Nanos::from_micros(404));
            assert_eq!(pacing.lateness.max > Nanos::ZERO, late);
        }
    }
}

#[test]
fn a_slower_real_disk_is_an_overrun_and_holds_up_only_its_request() {
    let mut disk = paced("nvme-970pro", Nanos::from_millis(5));
    let mut completions = Vec::new();
    disk.submit(Nanos::ZERO, request(1, Operation::Read, 0));
    let model = disk.next_completion().expect("the model names a time");
    assert!(model < Nanos::from_micros(100));
    while disk.next_completion().is_some_and(|next| next <= model) {
        disk.collect(model, &mut completions);
        assert!(completions.is_empty(), "the data have not moved yet");
    }
    assert_eq!(disk.next_completion(), Some(Nanos::from_millis(5)));
    disk.collect(Nanos::from_millis(6), &mut completions);
    assert_eq!(completions[0].completed_at, Nanos::from_millis(6));
    let pacing = disk.pacing().expect("a paced disk measures it");
    assert_eq!((pacing.overruns, pacing.served), (1, 1));
    assert_eq!(disk.next_completion(), None);
}

/// The process hands a request over after its time by the model has come. The real disk is fast
/// enough, so that is lateness.
#[test]
fn a_request_handed_over_too_late_is_not_an_overrun() {
    let mut disk = paced("nvme-970pro", Nanos::from_micros(30));
    let mut completions = Vec::new();
    let woken = Nanos::from_millis(1);
    disk.collect(woken, &mut completions);
    // A completion at 100 µs would be followed by this.
    disk.submit(Nanos::from_micros(100), request(1, Operation::Read, 0));
    disk.collect(woken, &mut completions);
    let found = woken + Nanos::from_micros(40);
    disk.collect(found, &mut completions);
    assert_eq!(completions.len(), 1);
    let pacing = disk.pacing().expect("a paced disk measures it");
    assert_eq!((pacing.overruns, pacing.served), (0, 1));
    assert!(pacing.lateness.max > Nanos::from_micros(800));
}

#[test]
fn one_request_too_many_is_refused() {
    let mut disk = paced("sata-870", Nanos::ZERO);
    for tag in 0..33 {
        disk.submit(Nanos(tag), request(tag, Operation::Read, tag * 4096));
    }
    let mut completions = Vec::new();
    disk.collect(Nanos::from_micros(1), &mut completions);
    assert_eq!(completions.len(), 1);
    assert_eq!(
        (completions[0].tag, completions[0].completed_at),
        (32, Nanos(32))
    );
    assert!(completions[0].result.is_err());
}
