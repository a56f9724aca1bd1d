//! All of a log moves into the image, so that the log can be given up.

use crate::driver::Driver;
use crate::support::{batches, done, new, reopened, revert, write};
use disktime_history::{CloneEntry, Failure, UNIT_BYTES, View, WhenFull};
use disktime_random::SplitMix64;

fn mark(driver: &mut Driver, random: &mut SplitMix64, name: &str) -> u64 {
    let request = driver.request();
    driver.log.mark(request, name, None).expect("taken");
    done(driver, random, request)
}

/// A log with marks, a branch that a revert left, trims and zeroes.
fn used() -> (Driver, SplitMix64) {
    let (mut driver, mut random) = new(WhenFull::Refuse);
    write(&mut driver, &mut random, 3, 1);
    let first = mark(&mut driver, &mut random, "first");
    write(&mut driver, &mut random, 4, 2);
    revert(&mut driver, &mut random, first);
    write(&mut driver, &mut random, 5, 3);
    let request = driver.request();
    driver.log.zero(request, 3, 1, true, true).expect("taken");
    done(&mut driver, &mut random, request);
    mark(&mut driver, &mut random, "last");
    (driver, random)
}

fn image_is_all(driver: &Driver) {
    let content = driver.read(View::Now);
    for (block, expected) in [(3, 0), (4, 0), (5, 3)] {
        let at = block * UNIT_BYTES;
        let image = &driver.image.bytes[at..at + UNIT_BYTES];
        assert_eq!(image, [expected; UNIT_BYTES], "block {block}");
        assert_eq!(content[block].as_deref(), Some(image));
    }
}

#[test]
fn everything_moves_into_the_image_whatever_holds_the_floor() {
    let (mut driver, mut random) = used();
    assert!(!driver.log.is_all_folded());
    driver.log.fold_all().expect("taken");
    assert_eq!(driver.log.fold_all(), Err(Failure::FloorIsHeld));
    driver.run(&mut random);
    assert!(driver.log.is_all_folded());
    image_is_all(&driver);
    let status = driver.log.status();
    // The mark of the newest moment still names it.
    let marks: Vec<&str> = status.marks.iter().map(|mark| &*mark.name).collect();
    assert_eq!((marks, status.branches.len()), (vec!["last"], 1));
    // What is written then lies in the log again.
    write(&mut driver, &mut random, 5, 9);
    assert!(!driver.log.is_all_folded());
}

/// Power is lost after any number of steps: the log opens, with its newest content, and ends it.
#[test]
fn a_crash_on_the_way_is_ended_by_the_next_opening() {
    let mut outcomes = [0, 0];
    for steps in 0.. {
        let (mut driver, mut random) = used();
        driver.log.fold_all().expect("taken");
        let goes_on = (0..steps).all(|_| driver.step(&mut random));
        let mut random = SplitMix64::new(steps);
        let (geometry, settings) = (driver.geometry(), driver.settings());
        let (disk, image) = driver.crash(&mut random);
        let opened = Driver::open(disk, image, geometry, settings);
        let (mut driver, report) = opened.expect("it opens");
        assert_eq!(report.lost_from, None);
        driver.run(&mut random);
        let status = driver.log.status();
        let mut named = status.marks.iter();
        assert!(named.all(|mark| mark.moment >= status.oldest_restorable));
        let marks = status.marks.len();
        assert!(
            marks == 1 || marks == 2,
            "all, or that of the newest moment"
        );
        outcomes[usize::from(marks == 1)] += 1;
        driver.log.fold_all().expect("taken");
        driver.run(&mut random);
        assert!(driver.log.is_all_folded());
        image_is_all(&driver);
        driver.log.close();
        driver.run(&mut random);
        let (again, _) = reopened(&driver).expect("it opens");
        image_is_all(&again);
        if !goes_on {
            break;
        }
    }
    assert!(outcomes.iter().all(|count| *count > 0), "{outcomes:?}");
}

#[test]
fn what_others_need_is_not_given_up() {
    let (mut driver, mut random) = used();
    let moment = driver.log.status().newest;
    let request = driver.request();
    let view = {
        driver.log.open_view(request, moment).expect("taken");
        driver.opened(request, &mut random).expect("it opens")
    };
    assert_eq!(driver.log.fold_all(), Err(Failure::FloorIsHeld));
    driver.log.close_view(view);
    let request = driver.request();
    let clone = CloneEntry {
        vdisk: [1; 16],
        moment,
        name: "copy".to_owned(),
        settings: String::new(),
    };
    driver.log.record_clone(request, clone).expect("taken");
    assert_eq!(driver.log.fold_all(), Err(Failure::BranchIsCloned));
    done(&mut driver, &mut random, request);
    assert_eq!(driver.log.fold_all(), Err(Failure::BranchIsCloned));
    assert_eq!(driver.log.status().marks.len(), 2, "nothing is changed");
}

/// A block that the log cannot give is not in the image either: only the log knows that.
#[test]
fn a_log_that_has_lost_a_block_stays() {
    let (mut driver, mut random) = new(WhenFull::Refuse);
    write(&mut driver, &mut random, 3, 1);
    let payload = batches(&driver, 1)[0] + UNIT_BYTES;
    driver.disk.bytes[payload] ^= 1;
    driver.log.fold_all().expect("taken");
    driver.run(&mut random);
    assert!(driver.log.image_lacks_blocks() && !driver.log.is_all_folded());
    assert_eq!(driver.log.fold_all(), Err(Failure::ImageLacks));
    assert_eq!(driver.read(View::Now)[3], None);
    // Written again it is there, once that is folded.
    write(&mut driver, &mut random, 3, 2);
    let newest = driver.log.status().newest;
    driver.log.fold(newest).expect("taken");
    driver.run(&mut random);
    driver.log.fold_all().expect("taken");
    driver.run(&mut random);
    assert!(driver.log.is_all_folded());
    assert_eq!(driver.image.bytes[3 * UNIT_BYTES], 2);
}
