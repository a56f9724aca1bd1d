//! Unit tests of `block_device`.

use super::*;

#[test]
fn the_scheduler_in_charge_is_the_one_in_brackets() {
    assert_eq!(
        chosen_scheduler("none [mq-deadline] kyber bfq"),
        "mq-deadline"
    );
    assert_eq!(chosen_scheduler("[none] kyber"), "none");
    assert_eq!(chosen_scheduler("none"), "none");
}

#[test]
fn a_reordering_kernel_scheduler_is_worth_a_notice() {
    let mut queue = Queue {
        name: "sdb".into(),
        ..Queue::default()
    };
    assert_eq!(queue.notice(Path::new("/dev/sdb")), None);
    queue.scheduler = Some("none".into());
    assert_eq!(queue.notice(Path::new("/dev/sdb")), None);
    queue.scheduler = Some("bfq".into());
    let notice = queue.notice(Path::new("/dev/sdb")).expect("bfq reorders");
    assert!(
        notice.contains("echo none > /sys/block/sdb/queue/scheduler"),
        "{notice}"
    );
}
