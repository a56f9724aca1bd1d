//! What each mark, branch, clone and open moment keeps of a log's space: as much is to be folded
//! more when it is given up.

use crate::driver::{Driver, geometry, settings};
use crate::support::{done, revert, write};
use disktime_history::{CloneEntry, HeldSpace, Holder, UsedSpace, WhenFull};
use disktime_random::SplitMix64;

/// Everything is older than the window.
const LATER: u64 = u64::MAX;
const CLONE: [u8; 16] = [5; 16];

fn space(driver: &Driver) -> UsedSpace {
    driver.log.used_space(LATER)
}

fn mark(driver: &mut Driver, random: &mut SplitMix64, name: &str) {
    let request = driver.request();
    let taken = driver.log.mark(request, name, None);
    taken.expect("taken");
    done(driver, random, request);
}

fn fill(driver: &mut Driver, random: &mut SplitMix64, writes: u8) {
    for byte in 0..writes {
        write(driver, random, u64::from(byte) % 64, byte + 1);
    }
}

/// Two marks, a branch and a clone behind one another, with some segments between them.
fn lived() -> (Driver, SplitMix64) {
    let mut random = SplitMix64::new(7);
    let mut driver = Driver::new(geometry(32, 64, 64), settings(2, WhenFull::Refuse));
    fill(&mut driver, &mut random, 40);
    mark(&mut driver, &mut random, "a");
    fill(&mut driver, &mut random, 60);
    mark(&mut driver, &mut random, "b");
    fill(&mut driver, &mut random, 50);
    let forked = driver.log.status().newest;
    fill(&mut driver, &mut random, 20);
    revert(&mut driver, &mut random, forked);
    fill(&mut driver, &mut random, 70);
    let entry = CloneEntry {
        vdisk: CLONE,
        moment: driver.log.status().newest,
        name: "c".to_owned(),
        settings: String::new(),
    };
    let request = driver.request();
    driver.log.record_clone(request, entry).expect("taken");
    done(&mut driver, &mut random, request);
    fill(&mut driver, &mut random, 60);
    (driver, random)
}

fn give_up(driver: &mut Driver, random: &mut SplitMix64, holder: &Holder) {
    let request = driver.request();
    let taken = match holder {
        Holder::Mark(name) => driver.log.drop_mark(request, name),
        Holder::Clone(_) => driver.log.drop_clone(request, CLONE),
        Holder::Branch(id) => driver.log.drop_branch(request, *id),
        Holder::Moment(_) => unreachable!("none is open"),
    };
    taken.expect("taken");
    done(driver, random, request);
}

#[test]
fn giving_up_a_holder_frees_what_it_is_said_to_free() {
    let (driver, _) = lived();
    let before = space(&driver);
    let names: Vec<Holder> = before
        .holders
        .iter()
        .map(|held| held.holder.clone())
        .collect();
    assert_eq!(names.len(), 4, "{names:?}");
    assert_eq!(names[1], Holder::Mark("b".to_owned()));
    let sum = |space: &UsedSpace| space.window_units + space.held_units + space.foldable_units;
    assert_eq!(sum(&before), driver.log.status().used_units);
    for (at, held) in before.holders.iter().enumerate() {
        // It alone.
        let (mut driver, mut random) = lived();
        give_up(&mut driver, &mut random, &held.holder);
        let freed = space(&driver).foldable_units - before.foldable_units;
        assert_eq!(freed, held.alone_units, "{held:?}");
        // All up to it.
        let (mut driver, mut random) = lived();
        for older in &before.holders[..=at] {
            give_up(&mut driver, &mut random, &older.holder);
        }
        let freed = space(&driver).foldable_units - before.foldable_units;
        assert_eq!(freed, held.with_older_units, "{held:?}");
        assert!(held.held_units > 0 && held.held_units <= before.held_units);
    }
    let HeldSpace { alone_units, .. } = before.holders[0];
    assert!(alone_units > 0);
    assert_eq!(before.held_together_units, before.held_units - alone_units);
    assert!(before.foldable_units > 0 && before.held_together_units > 0);
}

#[test]
fn what_the_window_keeps_is_held_by_none() {
    let (driver, _) = lived();
    let space = driver.log.used_space(0);
    assert_eq!(space.window_units, driver.log.status().used_units);
    assert_eq!((space.held_units, space.foldable_units), (0, 0));
    let keeps = |held: &HeldSpace| held.held_units + held.alone_units + held.with_older_units;
    assert!(space.holders.iter().all(|held| keeps(held) == 0));
}

/// The moment that a clone begins with is open as long as the clone is served, and closed with it.
#[test]
fn a_clone_that_is_served_does_not_count_twice() {
    let (mut driver, mut random) = lived();
    let clone = space(&driver).holders[3].clone();
    assert_eq!(clone.holder, Holder::Clone("c".to_owned()));
    let request = driver.request();
    driver.log.open_view(request, clone.moment).expect("kept");
    driver.run(&mut random);
    assert!(
        driver
            .log
            .holders()
            .contains(&(clone.moment, Holder::Moment(clone.moment)))
    );
    for name in ["a", "b"] {
        give_up(&mut driver, &mut random, &Holder::Mark(name.to_owned()));
    }
    let Holder::Branch(id) = space(&driver).holders[0].holder else {
        panic!("the branch is left: {:?}", space(&driver));
    };
    give_up(&mut driver, &mut random, &Holder::Branch(id));
    let left = space(&driver).holders;
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].alone_units > 0);
    assert_eq!(left[0].alone_units, left[0].held_units);
    // Another moment that is open is a holder of its own.
    let request = driver.request();
    let newest = driver.log.status().newest;
    driver.log.open_view(request, newest).expect("kept");
    driver.run(&mut random);
    assert_eq!(space(&driver).holders.len(), 2);
}
