//! Power failures of a vdisk with a history at random points under load: what was flushed is there
//! afterwards, whole, whatever was in flight in the log, in a fold or in the opening before.

mod common;

use common::histories::{open_at, with_history};
use common::stamps::{BLOCKS, StampClient};
use common::{BLANK, MIB, Machine, TestDisk, crash, new_disk};
use disktime_disks::FaultDisk;
use disktime_history::WhenFull;
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use disktime_volumes::Format;
use disktime_workloads::StampLoad;

const DEPTH: usize = 24;
const SEEDS: u64 = 2;
const ROUNDS: u64 = 15;

/// Opens the disk; the window is short, so that a tick folds all segments that are sealed.
fn open(disk: FaultDisk, format: Format, now: Nanos) -> Machine<TestDisk> {
    let vdisks = [with_history((BLOCKS * 4096) as u64, 1, WhenFull::Shorten)];
    let disk = TestDisk::around(disk, 64 << 10);
    open_at(disk, &vdisks, format, now).expect("it opens").0
}

#[test]
fn what_was_flushed_survives_power_failures_in_log_and_fold() {
    let mut folds = 0;
    for seed in 0..SEEDS {
        let mut random = SplitMix64::new(seed);
        let mut client = StampClient::new(0, DEPTH, StampLoad::new(seed, 30));
        let mut next = 0;
        let mut disk = new_disk(72 * MIB, 4096, seed);
        let mut now = Nanos::ZERO;
        for round in 0..ROUNDS {
            let handle = disk.handle();
            let format = if round == 0 { BLANK } else { Format::Refuse };
            let mut machine = open(disk, format, now);
            let found = client.recover(&mut machine, &format!("seed {seed} round {round}"));
            found.expect("readable");
            for _ in 0..random.below(4000) {
                client.submit_some(&mut machine, &mut next);
                machine.step();
                for reply in std::mem::take(&mut machine.replies) {
                    reply.result.expect("nothing fails");
                    client.answered(reply.handle);
                }
            }
            let vdisk = machine.handle(0);
            folds += u64::from(
                machine
                    .set
                    .history(vdisk)
                    .expect("its history")
                    .status
                    .floor
                    > 0,
            );
            // A second passes, so that the next server's first tick is not before this one's.
            now = machine.now + Nanos::from_millis(random.below(1500));
            machine.set.abandon();
            disk = crash(&handle, random.next_u64());
        }
        let mut machine = open(disk, Format::Refuse, now);
        let found = client.recover(&mut machine, &format!("seed {seed} at the end"));
        found.expect("readable");
    }
    assert!(
        folds > 0,
        "nothing was folded, so nothing is shown of folds"
    );
}
