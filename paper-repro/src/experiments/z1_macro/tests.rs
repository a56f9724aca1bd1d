//! Unit tests of `z1_macro`.

use super::*;

#[test]
fn a_pool_never_overflows_and_takes_most_jobs_that_fit() {
    let taken = jobs("c jobs", SECONDS);
    let pool_rate = (JOBS * DISK_IOPS).floor() as u64;
    assert!(
        taken.len() > 10 && taken.len() < JOB_COUNT,
        "{}",
        taken.len()
    );
    for job in &taken {
        let there = taken
            .iter()
            .filter(|other| other.start <= job.start && other.stop > job.start);
        assert!(there.clone().count() <= JOBS_AT_ONCE);
        assert!(there.map(|other| other.rate).sum::<u64>() <= pool_rate);
        assert!((2..=pool_rate).contains(&job.rate));
    }
}

#[test]
fn the_disk_does_as_many_random_reads_as_the_papers() {
    let model = drive().and_then(|drive| drive.model()).expect("a drive");
    let iops = 1000.0 / model.mean_random_read(4096).mean_ms;
    assert!((iops - DISK_IOPS).abs() < 1.0, "{iops}");
}
