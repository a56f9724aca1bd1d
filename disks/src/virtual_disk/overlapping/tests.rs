//! Overlapping requests in virtual time: the model's times, one time for each call.

use super::*;
use crate::DiskErrorKind;
use disktime_drive_models::Operation;
use disktime_random::SplitMix64;

type AnyModel = Box<dyn OverlapModel + Send>;

fn disk(name: &str, store: Store) -> VirtualOverlapDisk<AnyModel> {
    let drive = OverlapDrive::find(name).expect("a preset");
    VirtualOverlapDisk::of_drive(&drive, 1 << 30, 1, store)
}

fn read(tag: u64, offset_bytes: u64) -> DiskRequest {
    DiskRequest {
        tag,
        operation: Operation::Read,
        offset_bytes,
        len_bytes: 4096,
        fua: false,
        buffers: Vec::new(),
    }
}

/// Keeps `depth` random reads in flight for 100 ms, as a loop that wakes `late` after each time
/// that the disk names; the completions' times.
fn keep_in_flight(name: &str, depth: u64, late: Nanos) -> Vec<Nanos> {
    let mut disk = disk(name, Store::None);
    let mut random = SplitMix64::new(3);
    let mut place = || random.below(1 << 18) * 4096;
    for tag in 0..depth {
        disk.submit(Nanos::ZERO, read(tag, place()));
    }
    let mut times = Vec::new();
    let mut completions = Vec::new();
    let mut now = Nanos::ZERO;
    while now < Nanos::from_millis(100) {
        let next = disk.next_completion().expect("requests are in flight");
        now = now.max(next + late);
        loop {
            disk.collect(now, &mut completions);
            if completions.is_empty() {
                break;
            }
            let at = completions[0].completed_at;
            for completion in completions.drain(..) {
                assert_eq!(completion.completed_at, at, "one time for each call");
                disk.submit(at, read(completion.tag, place()));
                times.push(at);
            }
        }
    }
    assert!(times.is_sorted());
    times
}

#[test]
fn many_reads_overlap_and_waking_late_does_not_change_the_times() {
    let exact = keep_in_flight("nvme-970pro", 128, Nanos::ZERO);
    // 350,000 a second; one at a time there would be 14,000.
    assert!(exact.len() > 33_000, "{}", exact.len());
    let late = keep_in_flight("nvme-970pro", 128, Nanos::from_micros(300));
    let both = exact.len().min(late.len());
    assert_eq!(exact[..both], late[..both]);
}

#[test]
fn a_refused_request_ends_at_its_time_and_does_not_hold_up_others() {
    let mut disk = disk("sata-870", Store::Sparse);
    disk.submit(Nanos(5), read(1, 0));
    disk.submit(Nanos(9), read(2, 1 << 30));
    let mut completions = Vec::new();
    disk.collect(Nanos(9), &mut completions);
    assert_eq!(completions.len(), 1);
    assert_eq!(
        (completions[0].tag, completions[0].completed_at),
        (2, Nanos(9))
    );
    let error = completions[0].result.clone().expect_err("beyond the end");
    assert_eq!(error.kind, DiskErrorKind::Io);
    completions.clear();
    let at = disk.next_completion().expect("the other one is in flight");
    disk.collect(at, &mut completions);
    assert_eq!((completions[0].tag, completions[0].completed_at), (1, at));
}

#[test]
fn a_durable_write_takes_as_long_as_its_program() {
    let mut write = DiskRequest {
        operation: Operation::Write,
        ..read(1, 0)
    };
    let mut latency = |fua| {
        let mut disk = disk("nvme-970pro", Store::None);
        write.fua = fua;
        let request = DiskRequest {
            buffers: Vec::new(),
            ..write
        };
        disk.submit(Nanos::ZERO, request);
        let mut done = Vec::new();
        while done.is_empty() {
            disk.collect(disk.next_completion().expect("in flight"), &mut done);
        }
        done[0].completed_at
    };
    assert!(latency(false) < Nanos::from_micros(20));
    assert!(latency(true) > Nanos::from_micros(237));
}

/// What is done before a run takes no time; what comes then does.
#[test]
fn a_preparation_takes_no_time() {
    let preparation = Preparation::begin();
    let mut disk = disk("sata-870", Store::None).prepared_in(&preparation);
    let ended = |disk: &mut VirtualOverlapDisk<_>| {
        disk.submit(Nanos::ZERO, read(1, 4096));
        let at = disk.next_completion().expect("it is in flight");
        let mut done = Vec::new();
        disk.collect(at, &mut done);
        assert_eq!(done.len(), 1);
        at
    };
    assert_eq!(ended(&mut disk), Nanos::ZERO);
    preparation.end();
    assert!(ended(&mut disk) > Nanos::ZERO, "the model times it");
}
