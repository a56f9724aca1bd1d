//! Unit tests of `process`.

use super::*;

#[test]
fn a_process_s_time_grows_with_what_it_does() {
    let before = cpu_time(std::process::id()).expect("this process");
    let mut sum = 0_u64;
    while cpu_time(std::process::id()).expect("this process") < before + Duration::from_millis(5) {
        sum = (0..10_000).fold(sum, |sum, at| std::hint::black_box(sum ^ at));
    }
    std::hint::black_box(sum);
    assert!(cpu_time(5_000_000).is_err());
}

#[test]
fn who_was_pinned_to_one_processor_gets_all_of_them_back() {
    let count = || std::thread::available_parallelism().map_or(0, usize::from);
    let before = count();
    pin(0, Processors::One).expect("this process");
    assert_eq!(count(), 1);
    pin(0, Processors::All).expect("this process");
    assert_eq!(count(), before);
}
