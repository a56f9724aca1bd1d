//! Virtual disks: times from the model, data by the store.

use super::*;
use disktime_drive_models::preset;
use disktime_random::SplitMix64;

fn desktop(store: Store) -> VirtualDisk<HddModel> {
    let (parameters, _) = preset("desktop-7200-2008").expect("the preset exists");
    VirtualDisk::hard_disk(&parameters, 1 << 30, "desktop", store).expect("the preset is valid")
}

fn request(operation: Operation, offset_bytes: u64, bytes: &[u8]) -> DiskRequest {
    let len_bytes = bytes.len() as u64;
    let buffers = vec![Buffer::copy_of(bytes)];
    DiskRequest {
        tag: 1,
        operation,
        offset_bytes,
        len_bytes,
        fua: false,
        buffers,
    }
}

fn run<M: ServiceModel>(disk: &mut VirtualDisk<M>, request: DiskRequest) -> Completion {
    disk.submit(Nanos::ZERO, request);
    let at = disk.next_completion().expect("one is in flight");
    let mut done = Vec::new();
    disk.collect(Nanos(at.0.saturating_sub(1)), &mut done);
    assert!(
        done.is_empty() || at == Nanos::ZERO,
        "nothing is done before its time"
    );
    disk.collect(at, &mut done);
    done.pop().expect("it is done at its time")
}

fn read<M: ServiceModel>(disk: &mut VirtualDisk<M>, offset: u64, len: usize) -> Vec<u8> {
    let done = run(disk, request(Operation::Read, offset, &vec![0xEE; len]));
    done.result.expect("the read is valid");
    done.buffers[0].to_vec()
}

#[test]
fn a_sparse_store_keeps_what_a_plain_array_keeps() {
    let mut disk = desktop(Store::Sparse);
    let mut expected = vec![0u8; 1 << 20];
    let mut random = SplitMix64::new(5);
    for round in 0..300u32 {
        let offset = random.below(2000) * 512;
        let len = (1 + random.below(400)).min(2048 - offset / 512) * 512;
        let range = offset as usize..(offset + len) as usize;
        match random.below(4) {
            0 => {
                let mut zeroes = request(Operation::WriteZeroes, offset, &[]);
                zeroes.len_bytes = len;
                run(&mut disk, zeroes).result.expect("valid");
                expected[range].fill(0);
            }
            1 => assert_eq!(read(&mut disk, offset, len as usize), expected[range]),
            _ => {
                let bytes = vec![round as u8 | 1; len as usize];
                run(&mut disk, request(Operation::Write, offset, &bytes))
                    .result
                    .expect("valid");
                expected[range].copy_from_slice(&bytes);
            }
        }
    }
    assert_eq!(read(&mut disk, 0, 1 << 20), expected);
    let mut all = request(Operation::WriteZeroes, 0, &[]);
    all.len_bytes = 1 << 30;
    run(&mut disk, all).result.expect("valid");
    assert!(read(&mut disk, 0, 1 << 20).iter().all(|byte| *byte == 0));
}

/// Zeroes that are written over data are read, and data over zeroes.
#[test]
fn pages_of_zeroes_take_no_memory_and_hide_no_data() {
    let mut disk = desktop(Store::Sparse);
    let mut put = |offset: u64, bytes: &[u8]| {
        let done = run(&mut disk, request(Operation::Write, offset, bytes));
        done.result.expect("valid");
    };
    put(4096, &[0; 8192]);
    put(8192, &[7; 4096]);
    put(8192 + 512, &[0; 512]);
    put(16384, &[9; 4096]);
    put(16384, &[0; 4096]);
    let bytes = read(&mut disk, 4096, 16384);
    let nonzero: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let expected = (4096..4096 + 512).chain(4096 + 1024..8192);
    assert_eq!(nonzero, expected.collect::<Vec<_>>());
}

/// What is done before a run takes no time, and is there in the run.
#[test]
fn a_preparation_takes_no_time_and_its_data_stays() {
    let preparation = Preparation::begin();
    let mut disk = desktop(Store::Sparse).prepared_in(&preparation);
    let written = run(&mut disk, request(Operation::Write, 4096, &[7; 4096]));
    assert_eq!(written.completed_at, Nanos::ZERO);
    preparation.end();
    let found = run(&mut disk, request(Operation::Read, 4096, &[0; 4096]));
    assert!(found.completed_at > Nanos::ZERO, "the model times it");
    assert_eq!(found.buffers[0].to_vec(), vec![7; 4096]);
}

#[test]
fn a_head_store_keeps_the_head_and_no_store_leaves_buffers_alone() {
    let mut disk = desktop(Store::Head(4096));
    assert!(disk.properties().capabilities.holds_data);
    run(&mut disk, request(Operation::Write, 2048, &[7; 4096]))
        .result
        .expect("valid");
    let found = read(&mut disk, 2048, 4096);
    assert!(
        found[..2048].iter().all(|byte| *byte == 7) && found[2048..].iter().all(|byte| *byte == 0)
    );
    let mut without = request(Operation::Read, 0, &[]);
    (without.len_bytes, without.buffers) = (4096, Vec::new());
    assert!(
        run(&mut disk, without).result.is_ok(),
        "a request without buffers is timed"
    );
    let mut disk = desktop(Store::None);
    assert!(!disk.properties().capabilities.holds_data);
    assert_eq!(read(&mut disk, 0, 512), vec![0xEE; 512]);
}

#[test]
fn times_are_the_models_and_late_submissions_wait_for_nothing() {
    let (parameters, _) = preset("desktop-7200-2008").expect("the preset exists");
    let mut model = HddModel::scaled_to(&parameters, 1 << 30).expect("valid");
    let mut disk = desktop(Store::None);
    let mut random = SplitMix64::new(9);
    let mut now = Nanos::ZERO;
    for _ in 0..1000 {
        let offset = random.below(1 << 18) << 12;
        disk.submit(now, request(Operation::Read, offset, &[0; 4096]));
        let finish = model.serve(now, Operation::Read, offset, 4096);
        assert_eq!(disk.next_completion(), Some(finish));
        let mut done = Vec::new();
        disk.collect(finish, &mut done);
        assert!(done.len() == 1 && disk.next_completion().is_none());
        assert!(finish - now <= disk.properties().worst_case);
        now = finish + Nanos(random.below(20_000_000));
    }
}

#[test]
fn requests_that_do_not_fit_fail_with_a_sentence() {
    let mut disk = desktop(Store::Sparse);
    for (offset, len, why) in [
        (1 << 30, 512, "beyond"),
        (100, 512, "aligned"),
        (u64::MAX - 511, 512, "beyond"),
    ] {
        let done = run(&mut disk, request(Operation::Write, offset, &vec![1; len]));
        let error = done.result.expect_err("it does not fit");
        assert!(
            error.context.contains(why) && done.buffers.len() == 1,
            "{error}"
        );
    }
    let mut short = request(Operation::Write, 0, &[1; 512]);
    short.len_bytes = 1024;
    assert!(
        run(&mut disk, short)
            .result
            .expect_err("too short")
            .context
            .contains("buffers")
    );
}

#[test]
fn a_linear_disk_serves_one_after_the_other_at_its_cost() {
    let micros = Nanos::from_micros;
    let cost = LinearCost {
        read_base: micros(10),
        read_per_mib: micros(1024),
        write_base: micros(20),
        write_per_mib: micros(2048),
        flush: micros(500),
    };
    let mut disk = VirtualDisk::linear(1 << 30, cost, 4, "device", Store::None);
    for tag in 0..4 {
        let read = DiskRequest {
            tag,
            ..request(Operation::Read, tag << 20, &[0; 4096])
        };
        disk.submit(micros(100), read);
    }
    let mut done = Vec::new();
    disk.collect(Nanos::MAX, &mut done);
    let times: Vec<Nanos> = done.iter().map(|done| done.completed_at).collect();
    assert_eq!(times, [micros(114), micros(128), micros(142), micros(156)]);
    assert!(!disk.properties().has_seeks && disk.properties().switch_cost == Nanos::ZERO);
    assert_eq!(
        disk.properties().worst_case,
        micros(2 * 500),
        "a flush is the longest request, and one may be behind another"
    );
}
