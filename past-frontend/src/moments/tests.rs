//! Moments are opened, closed and bounded.

use super::*;
use crate::Mark;
use std::sync::atomic::{AtomicU64, Ordering};

/// A past in which each moment holds a megabyte.
#[derive(Default)]
struct Fake {
    opened: AtomicU64,
    newest: AtomicU64,
}

impl Past for Fake {
    fn marks(&self, _: &str) -> Vec<Mark> {
        Vec::new()
    }

    fn resolve(&self, _: &str, moment: &str) -> Result<FoundMoment, String> {
        let seq = match moment.strip_prefix("seq:") {
            Some(seq) => seq.parse().map_err(|_| "no number".to_owned())?,
            None => self.newest.load(Ordering::SeqCst),
        };
        let size_bytes = 1 << 10;
        Ok(FoundMoment { seq, size_bytes })
    }

    fn open(&self, _: &str, _: u64) -> Result<Arc<dyn Image>, String> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        Ok(Arc::new(vec![0u8; 1 << 10]))
    }
}

fn seq(moments: &Moments, seq: u64) -> u32 {
    moments.find("db", &format!("seq:{seq}")).expect("found")
}

#[test]
fn a_moment_is_opened_when_it_is_read_and_closed_when_it_is_idle() {
    let fake = Arc::new(Fake::default());
    let moments = Moments::new(fake.clone());
    let number = seq(&moments, 5);
    assert_eq!((moments.open_count(), seq(&moments, 5)), (0, number));
    drop(moments.open(number).expect("opened"));
    drop(moments.open(number).expect("opened"));
    assert_eq!(fake.opened.load(Ordering::SeqCst), 1);
    moments.close_idle(Instant::now());
    assert_eq!(moments.open_count(), 1, "it was just used");
    let later = Instant::now() + IDLE_TIME;
    moments.begin_use(number).expect("open");
    moments.close_idle(later);
    assert_eq!(moments.open_count(), 1, "a file of it is open");
    moments.end_use(number);
    moments.close_idle(Instant::now() + IDLE_TIME);
    assert_eq!(moments.open_count(), 0);
    drop(moments.open(number).expect("opened again"));
    assert_eq!(fake.opened.load(Ordering::SeqCst), 2);
}

#[test]
fn one_more_closes_the_idle_one_that_was_unused_longest() {
    let moments = Moments::new(Arc::new(Fake::default()));
    let numbers: Vec<u32> = (0..MOST_OPEN as u64).map(|at| seq(&moments, at)).collect();
    let held: Vec<_> = numbers.iter().map(|one| moments.open(*one)).collect();
    let held: Vec<_> = held.into_iter().map(|one| one.expect("opened")).collect();
    let one_more = seq(&moments, 1000);
    assert_eq!(moments.open(one_more).err(), Some(MomentError::TooMany));
    drop(held);
    moments.begin_use(numbers[0]).expect("open");
    drop(moments.open(one_more).expect("there is room now"));
    assert_eq!(moments.open_count(), MOST_OPEN);
    let table = lock(&moments.table);
    assert!(table.rows[&numbers[0]].opened.is_some(), "it is in use");
    assert!(table.rows[&numbers[1]].opened.is_none());
}

#[test]
fn a_time_before_now_means_one_moment_while_it_is_used() {
    let fake = Arc::new(Fake::default());
    let moments = Moments::new(fake.clone());
    let first = moments.find("db", "-5m").expect("found");
    fake.newest.store(9, Ordering::SeqCst);
    assert_eq!(moments.find("db", "-5m"), Ok(first));
    assert_ne!(moments.find("db", "2026-11-30T06:00:00Z"), Ok(first));
    let long_ago = Instant::now().checked_sub(2 * PIN_TIME);
    lock(&moments.table)
        .rows
        .get_mut(&first)
        .expect("there")
        .used = long_ago.expect("a time");
    assert_ne!(moments.find("db", "-5m"), Ok(first));
}

#[test]
fn rows_are_bounded() {
    let moments = Moments::new(Arc::new(Fake::default()));
    let first = seq(&moments, 0);
    drop(moments.open(first).expect("opened"));
    for at in 1..=MOST_ROWS as u64 {
        seq(&moments, at);
    }
    assert!(lock(&moments.table).rows.len() <= MOST_ROWS);
    assert_eq!(seq(&moments, 0), first, "it is open");
}
