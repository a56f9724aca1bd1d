//! A log is verified while it is used: by one at a time, and as long as its client waits.

mod common;

use common::histories::{Heard, listener, open_at, wait, with_history};
use common::{BLANK, MIB, Machine, TestDisk, new_disk};
use disktime_engine::Service;
use disktime_history::{Verified, WhenFull};
use disktime_units::Nanos;
use disktime_volumes::VerifyProgress;
use std::sync::Arc;

const SIZE: u64 = 4 * MIB;

fn machine(window_ns: u64) -> Machine<TestDisk> {
    let disk = TestDisk::around(new_disk(96 * MIB, 4096, 1), 128 << 10);
    let vdisks = [with_history(SIZE, window_ns, WhenFull::Shorten)];
    let mut machine = open_at(disk, &vdisks, BLANK, Nanos::ZERO).expect("open").0;
    for round in 0..24 {
        let data = vec![round as u8; MIB as usize];
        let at = round % 4 * MIB;
        machine.write(0, at, &data).expect("written");
    }
    machine
}

fn verify(machine: &mut Machine<TestDisk>) -> (Arc<VerifyProgress>, Heard<Verified>) {
    let progress = Arc::default();
    let (heard, done) = listener();
    let vdisk = machine.handle(0);
    machine.set.verify(vdisk, &progress, done);
    (progress, heard)
}

fn is_whole(machine: &mut Machine<TestDisk>, heard: &Heard<Verified>) {
    let verified = wait(machine, heard).expect("it is read");
    assert_eq!(verified.damages, []);
    assert!(verified.units > 5_000, "{verified:?}");
}

#[test]
fn one_at_a_time_and_who_goes_away_leaves_nothing() {
    let mut machine = machine(1 << 50);
    let (progress, first) = verify(&mut machine);
    for _ in 0..20 {
        machine.step();
    }
    let (done, all) = progress.bytes();
    assert!(done > 0 && done < all, "{done} of {all}");
    let (_kept, second) = verify(&mut machine);
    let error = wait(&mut machine, &second).expect_err("one runs");
    assert!(error.contains("is being verified already"), "{error}");

    // Its read is in flight when its asker goes.
    drop(progress);
    let (_kept, third) = verify(&mut machine);
    is_whole(&mut machine, &third);
    let unheard = first.lock().expect("no panic").is_none();
    assert!(unheard, "the first one is not answered");
    assert!(machine.set.is_idle());
}

#[test]
fn clients_are_served_meanwhile_and_a_stop_ends_it() {
    let mut machine = machine(1 << 50);
    let (progress, heard) = verify(&mut machine);
    for round in 0..8 {
        let data = vec![round; 8192];
        machine.write(0, 4096, &data).expect("written");
        assert_eq!(machine.read(0, 4096, 8192).expect("read"), data);
    }
    is_whole(&mut machine, &heard);
    drop(progress);
    let (_kept, heard) = verify(&mut machine);
    machine.set.begin_stop();
    let error = wait(&mut machine, &heard).expect_err("it stops");
    assert!(error.contains("the server stops"), "{error}");
    machine.settle();
}
