//! Searches beside the whole footer.

use super::*;
use disktime_random::SplitMix64;

fn entry(key: u64, seq: Seq, last: u32) -> FooterEntry {
    FooterEntry {
        key,
        seq,
        unit: 40,
        last,
    }
}

#[test]
fn the_page_that_is_named_holds_the_newest_version() {
    let mut random = SplitMix64::new(3);
    let mut footer = Footer::default();
    for seq in 1..6000 {
        // Some blocks have versions on several pages.
        let key = match random.below(3) {
            0 => random.below(4),
            _ => random.below(100_000),
        };
        footer.entries[0].push(entry(key, seq, 0));
        if seq % 20 == 0 {
            footer.entries[1].push(entry(
                random.below(100_000),
                seq,
                random.below(9_000) as u32 + 1,
            ));
        }
    }
    footer.sort();
    let fences = Fences::of_footer(&footer);
    let [blocks, runs, _] = &footer.entries;
    let mut false_hits = 0;
    for _ in 0..20_000 {
        let lba = match random.below(3) {
            0 => random.below(4),
            _ => random.below(100_000),
        };
        let until = random.below(6100);
        let is_version = |entry: &&FooterEntry| entry.key == lba && entry.seq <= until;
        let newest = blocks.iter().rfind(is_version);
        let page = fences.page_of(lba, until);
        if let Some(newest) = newest {
            let page = page.expect("it is there") as usize;
            let entries = blocks.chunks(PAGE_ENTRIES).nth(page).expect("a page");
            assert!(entries.contains(newest));
        } else {
            let is_there = blocks.iter().any(|entry| entry.key == lba);
            false_hits += u32::from(page.is_some() && !is_there);
        }
        for (page, entries) in (0..).zip(runs.chunks(PAGE_ENTRIES)) {
            let holds = |run: &FooterEntry| (run.key..run.key + u64::from(run.last)).contains(&lba);
            let page = page + blocks.len().div_ceil(PAGE_ENTRIES) as u32;
            assert_eq!(fences.kind_of(page), PageKind::Runs);
            let is_named = fences.run_pages_of(lba).any(|named| named == page);
            assert!(is_named || !entries.iter().any(holds));
        }
    }
    assert!(false_hits < 100, "{false_hits} of some 13,000");
    assert!(fences.memory_bytes() < 6000 * 2);
}

/// Trims here and there in a segment full of data name no page for what lies between them.
#[test]
fn scattered_runs_name_no_page_for_other_blocks() {
    for (runs, most_named) in [(1000, 0), (20_000, 15_000)] {
        let mut random = SplitMix64::new(5);
        let mut footer = Footer::default();
        for seq in 1..16_000 {
            footer.entries[0].push(entry(random.below(1 << 22), seq, 0));
        }
        for seq in 0..runs {
            let (key, blocks) = (random.below(1 << 22), 1 + random.below(20) as u32);
            footer.entries[1].push(entry(key, 16_000 + seq, blocks));
        }
        footer.sort();
        let fences = Fences::of_footer(&footer);
        let runs = &footer.entries[1];
        let (mut named, mut looked_up) = (0, 0);
        while looked_up < 20_000 {
            let lba = random.below(1 << 22);
            let holds = |run: &FooterEntry| (run.key..run.key + u64::from(run.last)).contains(&lba);
            let at = runs.partition_point(|run| run.key <= lba);
            let is_in_run = runs[at.saturating_sub(30)..at].iter().any(holds);
            let is_named = fences.run_pages_of(lba).next().is_some();
            assert!(is_named || !is_in_run);
            named += u32::from(is_named && !is_in_run);
            looked_up += u32::from(!is_in_run);
        }
        assert!(named <= most_named, "{named}");
        assert!(fences.memory_bytes() < 16_000 * 4);
    }
}
