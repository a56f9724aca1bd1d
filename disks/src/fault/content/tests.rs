//! Unit tests of `content`.

use super::*;

fn filled(value: u8) -> Sector {
    Some(Box::new([value; SECTOR_BYTES]))
}

fn first_byte(content: &Content, sector: u64) -> u8 {
    let mut bytes = [0xEE; SECTOR_BYTES];
    content.read(sector, &mut bytes);
    bytes[0]
}

fn survivors(content: &Content) -> Vec<u8> {
    let mut found: Vec<u8> = (0..200)
        .map(|seed| {
            let mut crashed = content.clone();
            crashed.crash(&mut SplitMix64::new(seed));
            first_byte(&crashed, 3)
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[test]
fn a_crash_leaves_any_version_since_the_last_flush_and_no_older_one() {
    let mut content = Content::default();
    content.write_pending(3, 1, filled(1));
    content.write_pending(3, 2, filled(2));
    assert_eq!(survivors(&content), [0, 1, 2]);
    content.flush(2);
    assert_eq!(survivors(&content), [2]);
    content.write_pending(3, 3, filled(3));
    content.write_pending(3, 4, None);
    assert_eq!(first_byte(&content, 3), 0);
    assert_eq!(survivors(&content), [0, 2, 3]);
}

#[test]
fn a_flush_covers_what_came_before_it_only() {
    let mut content = Content::default();
    content.write_pending(3, 1, filled(1));
    content.write_pending(3, 5, filled(5));
    content.flush(4);
    assert_eq!(survivors(&content), [1, 5]);
}

#[test]
fn an_older_version_cannot_come_back_over_a_durable_one() {
    let mut content = Content::default();
    content.write_pending(3, 1, filled(1));
    content.write_durable(3, filled(9));
    assert_eq!(survivors(&content), [9]);
    content.write_durable(3, None);
    assert_eq!(survivors(&content), [0]);
}
