//! Lists are shared, bounded, and forgotten with their users.

use super::*;

const DISK: VdiskId = VdiskId(7);

fn list(until: u64, ranges: usize) -> ChangedBlocks {
    ChangedBlocks {
        since: 1,
        until,
        ranges: vec![(0, 4096); ranges],
    }
}

#[test]
fn names_of_contexts_are_read_back() {
    assert_eq!(context_of("full"), "qemu:dirty-bitmap:since-full");
    assert_eq!(moment_in(&context_of("full")), Some("full"));
    assert_eq!(moment_in("qemu:dirty-bitmap:full"), None);
    assert_eq!(moment_in("base:allocation"), None);
}

#[test]
fn clients_of_the_same_moments_share_a_list() {
    let lists = ChangedLists::default();
    assert!(lists.find(DISK, 1, 5).is_none());
    let first = lists.add(DISK, list(5, 3)).expect("there is room");
    let second = lists.add(DISK, list(5, 3)).expect("there is room");
    assert!(Arc::ptr_eq(&first, &second));
    let found = lists.find(DISK, 1, 5).expect("it is in use");
    assert!(Arc::ptr_eq(&first, &found));
    assert!(lists.find(VdiskId(8), 1, 5).is_none());
    drop((first, second, found));
    assert!(lists.find(DISK, 1, 5).is_none(), "no client uses it");
}

#[test]
fn lists_in_use_are_bounded_and_one_is_always_taken() {
    let lists = ChangedLists::default();
    let most = LISTS_BYTES_MAX / 16;
    let long = lists
        .add(DISK, list(5, most + 1))
        .expect("it is the only one");
    let error = lists.add(DISK, list(6, 1)).expect_err("they are too long");
    assert!(error.contains("64 MiB at most"), "{error}");
    lists
        .add(VdiskId(8), list(6, 1))
        .expect("another disk has its own");
    drop(long);
    let half = lists.add(DISK, list(6, most / 2)).expect("there is room");
    let other = lists.add(DISK, list(7, most / 2)).expect("there is room");
    assert_eq!(half.len() + other.len(), most);
}

/// A list that takes long is there when its client tries again.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_came_too_late_is_kept_for_the_next_try() {
    let lists = ChangedLists::default();
    let (done, asked) = oneshot::channel();
    let wanted = vec![WantedList::Asked(asked)];
    let late = lists.wait_for(DISK, wanted, Duration::ZERO);
    assert!(late.is_err_and(|why| why.contains("try again")));
    done.send(Ok(list(5, 3))).expect("it is still waited for");
    let until = tokio::time::Instant::now() + Duration::from_secs(20);
    let found = loop {
        match lists.find(DISK, 1, 5) {
            Some(list) => break list,
            None if tokio::time::Instant::now() > until => panic!("the list is not kept"),
            None => tokio::task::yield_now().await,
        }
    };
    let wanted = vec![WantedList::Used(found)];
    let found = lists.wait_for(DISK, wanted, Duration::from_secs(20));
    assert_eq!(found.expect("it is there")[0].len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_in_the_order_in_which_they_are_wanted() {
    let lists = ChangedLists::default();
    let (senders, wanted): (Vec<_>, Vec<_>) = (0..3)
        .map(|_| {
            let (sender, asked) = oneshot::channel();
            (sender, WantedList::Asked(asked))
        })
        .unzip();
    for (at, sender) in senders.into_iter().enumerate().rev() {
        sender.send(Ok(list(5 + at as u64, 5 + at))).expect("asked");
    }
    let found = lists.wait_for(DISK, wanted, Duration::from_secs(20));
    let found = found.expect("they are there");
    let lengths: Vec<usize> = found.iter().map(|list| list.len()).collect();
    assert_eq!(lengths, [5, 6, 7]);
    let (sender, asked) = oneshot::channel();
    sender
        .send(Err("the moment is gone".to_owned()))
        .expect("asked");
    let failed = lists.wait_for(
        DISK,
        vec![WantedList::Asked(asked)],
        Duration::from_secs(20),
    );
    assert_eq!(failed.expect_err("one failed"), "the moment is gone");
}
