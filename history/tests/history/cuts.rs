//! One cut through two logs, with a crash at any step of it: if both have its mark, neither has
//! what came later than what the other one lacks; if one has it, the mark says that the other is
//! missing.

use crate::driver::{Driver, geometry, settings};
use crate::support::revert;
use disktime_history::{Notice, RequestId, Seq, UNIT_BYTES, WhenFull};
use disktime_random::SplitMix64;

const CUT: [u8; 16] = [5; 16];

/// How far the one who makes the cut is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Before,
    Holding,
    Marking([RequestId; 2]),
    Released,
}

/// Two logs, and a client that writes a number to the first one, waits, writes it to the second
/// one, and goes on with the next number.
struct Two {
    drivers: [Driver; 2],
    number: u32,
    at: usize,
    request: RequestId,
    stage: Stage,
}

fn block(number: u32) -> Vec<u8> {
    number.to_le_bytes().repeat(UNIT_BYTES / 4)
}

fn is_done(driver: &Driver, request: RequestId) -> bool {
    let is_its =
        |notice: &Notice| matches!(notice, Notice::Done { request: of, .. } if *of == request);
    driver.notices.iter().any(is_its)
}

impl Two {
    fn new() -> Two {
        let new = || Driver::new(geometry(32, 8, 64), settings(2, WhenFull::Shorten));
        let mut two = Two {
            drivers: [new(), new()],
            number: 1,
            at: 0,
            request: RequestId(0),
            stage: Stage::Before,
        };
        two.write();
        two
    }

    fn write(&mut self) {
        let driver = &mut self.drivers[self.at];
        let written = driver.write(1, block(self.number), false);
        self.request = written.expect("taken");
    }

    /// One step of one of them, and what follows from it.
    fn step(&mut self, random: &mut SplitMix64) {
        let at = random.below(2) as usize;
        self.drivers[at].step(random);
        if is_done(&self.drivers[self.at], self.request) {
            (self.at, self.number) = (1 - self.at, self.number + self.at as u32);
            self.write();
        }
        self.stage = match self.stage {
            Stage::Before if random.below(9) == 0 => {
                self.drivers.iter_mut().for_each(|driver| driver.log.hold());
                Stage::Holding
            }
            Stage::Holding if self.drivers.iter().all(|driver| driver.log.is_held()) => {
                Stage::Marking(self.drivers.each_mut().map(|driver| {
                    let request = driver.request();
                    let marked = driver.log.mark(request, "cut", Some((CUT, 2)));
                    marked.expect("taken");
                    request
                }))
            }
            Stage::Marking(marks)
                if std::iter::zip(&self.drivers, marks).all(|(one, mark)| is_done(one, mark)) =>
            {
                let released = |driver: &mut Driver| driver.log.release();
                self.drivers.iter_mut().for_each(released);
                Stage::Released
            }
            stage => stage,
        };
    }

    /// A crash of both; the moments of the marks that are left.
    fn crash(mut self, random: &mut SplitMix64) -> (Two, [Option<Seq>; 2]) {
        self.drivers = self.drivers.map(|driver| {
            let (geometry, settings) = (driver.geometry(), driver.settings());
            let (disk, image) = driver.crash(random);
            let opened = Driver::open(disk, image, geometry, settings);
            opened.expect("it opens").0
        });
        let marks = self.drivers.each_ref().map(|driver| {
            let status = driver.log.status();
            let mark = status.marks.first()?;
            assert_eq!((&*mark.name, mark.cut), ("cut", Some((CUT, 2))));
            Some(mark.moment)
        });
        (self, marks)
    }

    fn number_at(&mut self, at: usize, moment: Seq, random: &mut SplitMix64) -> u32 {
        let driver = &mut self.drivers[at];
        revert(driver, random, moment);
        let content = driver.read_now()[1].clone().expect("it is whole");
        u32::from_le_bytes(content[..4].try_into().expect("4 bytes"))
    }
}

#[test]
fn a_cut_is_whole_or_known_to_be_incomplete_whatever_a_crash_leaves() {
    let (mut whole, mut incomplete) = (0, 0);
    for seed in 0..600 {
        let mut random = SplitMix64::new(seed);
        let mut two = Two::new();
        for _ in 0..random.below(160) {
            two.step(&mut random);
        }
        let is_promised = two.stage == Stage::Released;
        let (mut two, marks) = two.crash(&mut random);
        match marks {
            [Some(first), Some(second)] => {
                whole += 1;
                let first = two.number_at(0, first, &mut random);
                let second = two.number_at(1, second, &mut random);
                assert!(
                    first == second || first == second + 1,
                    "seed {seed}: {first} and {second}"
                );
            }
            [None, None] => assert!(!is_promised, "seed {seed}"),
            _ => {
                assert!(!is_promised, "seed {seed}");
                incomplete += 1;
            }
        }
    }
    assert!(whole > 20 && incomplete > 5, "{whole} and {incomplete}");
}
