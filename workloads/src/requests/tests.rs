//! Generated requests have the expected sizes, positions and shares.

use super::*;
use crate::Pattern;
use crate::positions::Popularity;
use crate::statistics::{chi_square, moments};
use std::collections::BTreeMap;

fn drawn(requests: &Requests, range_bytes: u64, count: usize) -> Vec<RequestSpec> {
    let mut generator = RequestGenerator::new(requests, 1 << 20, range_bytes, 1, "client")
        .expect("it fits the range");
    (0..count).map(|_| generator.next()).collect()
}

fn web() -> Requests {
    Requests::Files(Files {
        directories: Popularity {
            theta_ppm: 1_000_000,
            scattered: false,
        },
        read: Share::WHOLE,
    })
}

/// 36 files rounded up to 4 KiB.
const DIRECTORY_BYTES: u64 = 5_083_136;

#[test]
fn a_web_server_reads_files_of_four_classes() {
    let requests = drawn(&web(), 10 * DIRECTORY_BYTES + 5, 100_000);
    let mut classes = [0u64; 4];
    let mut files: BTreeMap<(u64, u64), u64> = BTreeMap::new();
    for spec in &requests {
        let offset = spec.offset_bytes - (1 << 20);
        assert!(offset + spec.len_bytes <= 10 * DIRECTORY_BYTES);
        assert_eq!((offset % 4096, spec.len_bytes % 4096), (0, 0));
        // The classes follow one another in a directory; these are their ends.
        let ends = [9 * 4096, 98_304, 565_248, DIRECTORY_BYTES];
        let place = offset % DIRECTORY_BYTES;
        let class = ends.iter().position(|end| place < *end).expect("a class");
        classes[class] += 1;
        *files.entry((place, spec.len_bytes)).or_default() += 1;
    }
    // Chi-square with three degrees of freedom: 16.3 is the 0.1 % point.
    let chi = chi_square(&classes, &[35.0, 50.0, 14.0, 1.0]);
    assert!(chi < 16.3, "chi-square {chi}: {classes:?}");
    assert_eq!(files.len(), 36, "every file has one place and one size");
    let mut end = 0;
    for (place, len) in files.keys() {
        assert_eq!(*place, end, "files follow each other");
        end = place + len;
    }
    assert_eq!(end, DIRECTORY_BYTES);
    let mut directories = [0u64; 10];
    for spec in &requests {
        directories[((spec.offset_bytes - (1 << 20)) / DIRECTORY_BYTES) as usize] += 1;
    }
    // Zipf with θ = 1 over ten directories; nine degrees of freedom, 0.1 % point 27.9.
    let weights: Vec<f64> = (1..=10).map(|rank| 1.0 / f64::from(rank)).collect();
    let chi = chi_square(&directories, &weights);
    assert!(chi < 27.9, "chi-square {chi}: {directories:?}");
}

#[test]
fn a_web_server_needs_room_for_a_directory() {
    let error =
        RequestGenerator::new(&web(), 0, DIRECTORY_BYTES - 1, 1, "www").expect_err("too small");
    assert!(error.to_string().contains("`www`"), "{error}");
    assert!(RequestGenerator::new(&web(), 0, DIRECTORY_BYTES, 1, "www").is_ok());
}

fn blocks(pattern: Pattern, block_bytes: u64, read: u32) -> Requests {
    Requests::Blocks(Blocks {
        pattern,
        block_bytes,
        read: Share::from_percent(read),
        fua: true,
    })
}

#[test]
fn a_mix_draws_its_parts_by_weight_and_keeps_them_apart() {
    let mut log = MixPart::new(1, blocks(Pattern::Sequential, 512, 0));
    log.offset_bytes = 1 << 20;
    log.span_bytes = Some(1 << 16);
    let mut data = MixPart::new(4, blocks(Pattern::Random, 8192, 70));
    data.span_bytes = Some(1 << 20);
    let mut files = MixPart::new(5, web());
    files.offset_bytes = 1 << 21;
    let requests = drawn(&Requests::Mix(vec![log, data, files]), 1 << 30, 100_000);
    let (mut counts, mut next) = ([0u64; 3], 0);
    let mut runs = Vec::new();
    let mut since_log = 0.0;
    for spec in &requests {
        let offset = spec.offset_bytes - (1 << 20);
        let part = match spec.len_bytes {
            512 => {
                assert_eq!(
                    offset,
                    (1 << 20) + next % (1 << 16),
                    "the log is written in order"
                );
                assert!(spec.kind == RequestKind::Write && spec.fua);
                next += 512;
                runs.push(since_log);
                since_log = -1.0;
                0
            }
            8192 if offset < 1 << 20 => {
                assert_eq!(spec.fua, spec.kind == RequestKind::Write);
                1
            }
            _ => {
                assert!(offset >= 1 << 21);
                2
            }
        };
        since_log += 1.0;
        counts[part] += 1;
    }
    // Chi-square with two degrees of freedom: 13.8 is the 0.1 % point.
    let chi = chi_square(&counts, &[1.0, 4.0, 5.0]);
    assert!(chi < 13.8, "chi-square {chi}: {counts:?}");
    // Others between two log writes: geometric with mean 9; standard error √(0.9/0.01)/√n.
    let (mean, _) = moments(&runs);
    assert!((mean - 9.0).abs() < 4.0 * 9.49 / 100.0, "mean {mean}");
}

#[test]
fn a_part_beyond_the_range_is_refused() {
    let mut part = MixPart::new(1, blocks(Pattern::Random, 4096, 100));
    part.offset_bytes = 1 << 20;
    let mix = |part: &MixPart| Requests::Mix(vec![part.clone()]);
    assert!(RequestGenerator::new(&mix(&part), 0, 1 << 20, 1, "c").is_err());
    assert!(RequestGenerator::new(&mix(&part), 0, (1 << 20) + 4096, 1, "c").is_ok());
    part.span_bytes = Some(8192);
    let error =
        RequestGenerator::new(&mix(&part), 0, (1 << 20) + 4096, 1, "c").expect_err("beyond");
    assert!(error.to_string().contains("part 1 of the mix"), "{error}");
    assert!(RequestGenerator::new(&Requests::Mix(Vec::new()), 0, 1 << 20, 1, "c").is_err());
}
