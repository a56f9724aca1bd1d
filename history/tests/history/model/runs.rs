//! Random steps of all kinds, for many seeds.

use super::Run;
use std::env;

impl Run {
    /// Many things in flight at once, then a loss of power.
    fn storm_step(&mut self) {
        match self.below(100) {
            0..35 => self.write(),
            35..38 => self.zero(),
            38..58 => self.flush(),
            58..96 => {
                for _ in 0..self.below(4) {
                    self.driver.step(&mut self.random);
                }
                self.take_answers();
            }
            _ => self.crash(),
        }
    }

    fn random_step(&mut self) {
        match self.below(100) {
            0..45 => self.write(),
            45..53 => self.zero(),
            53..60 => self.flush(),
            60..70 => {
                for _ in 0..self.below(10) {
                    self.driver.step(&mut self.random);
                }
                self.take_answers();
            }
            70..73 => self.mark(),
            73..76 => self.drop_mark(),
            76..80 => self.revert(),
            80..83 => self.undo(),
            83..86 => self.drop_branch(),
            86..90 => self.fold(),
            90..92 => self.restart(),
            92..96 => self.crash(),
            96 => {
                self.settle();
                self.driver.log.note_durable();
            }
            97..99 => self.keep_view(),
            _ => self.check_all(1),
        }
    }
}

fn number(name: &str, otherwise: u64) -> u64 {
    env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(otherwise)
}

/// Runs the seeds; the runs at their ends.
fn run_seeds(seeds: u64, steps: u64, storm: bool) -> (u32, u32, u32) {
    let one = number("DISKTIME_HISTORY_SEED", u64::MAX);
    let seeds = match one {
        u64::MAX => 0..number("DISKTIME_HISTORY_SEEDS", seeds),
        seed => seed..seed + 1,
    };
    let steps = number("DISKTIME_HISTORY_STEPS", steps);
    let (mut crashes, mut folds, mut reverts) = (0, 0, 0);
    for seed in seeds.clone() {
        let outcome = std::panic::catch_unwind(|| {
            let mut run = Run::new(seed);
            run.storm = storm;
            for _ in 0..steps {
                if storm {
                    run.storm_step();
                } else {
                    run.random_step();
                }
            }
            run.check_all(usize::MAX);
            (run.crashes, run.folds, run.reverts)
        });
        let Ok((more_crashes, more_folds, more_reverts)) = outcome else {
            panic!("seed {seed} fails: DISKTIME_HISTORY_SEED={seed} runs it alone");
        };
        crashes += more_crashes;
        folds += more_folds;
        reverts += more_reverts;
    }
    println!("{seeds:?} of {steps} steps: {crashes} crashes, {folds} folds, {reverts} reverts");
    (crashes, folds, reverts)
}

#[test]
fn every_moment_is_the_copy_that_the_model_kept() {
    let (crashes, folds, reverts) = run_seeds(24, 300, false);
    if number("DISKTIME_HISTORY_SEED", u64::MAX) == u64::MAX {
        assert!(
            crashes > 50 && folds > 50 && reverts > 50,
            "the steps are taken"
        );
    }
}

#[test]
fn what_was_flushed_survives_with_much_in_flight() {
    let (crashes, _, _) = run_seeds(30, 300, true);
    assert!(crashes > 0, "power is lost");
}
