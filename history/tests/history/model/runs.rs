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
            0..41 => self.write(),
            41 => self.clone_moment(),
            42 => self.clone_in_a_crash(),
            43..46 => self.drop_clone(),
            46..53 => self.zero(),
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
            97 => self.keep_view(),
            98 => self.grow(),
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

/// How often each thing happened.
#[derive(Debug, Default)]
struct Counts {
    crashes: u32,
    folds: u32,
    reverts: u32,
    clones: u32,
    growths: u32,
}

/// Runs the seeds; what happened in all of them.
fn run_seeds(seeds: u64, steps: u64, storm: bool) -> Counts {
    let one = number("DISKTIME_HISTORY_SEED", u64::MAX);
    let seeds = match one {
        u64::MAX => 0..number("DISKTIME_HISTORY_SEEDS", seeds),
        seed => seed..seed + 1,
    };
    let steps = number("DISKTIME_HISTORY_STEPS", steps);
    let mut counts = Counts::default();
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
            [
                run.crashes,
                run.folds,
                run.reverts,
                run.clones_made,
                run.growths,
            ]
        });
        let Ok([crashes, folds, reverts, clones, growths]) = outcome else {
            panic!("seed {seed} fails: DISKTIME_HISTORY_SEED={seed} runs it alone");
        };
        counts.crashes += crashes;
        counts.folds += folds;
        counts.reverts += reverts;
        counts.clones += clones;
        counts.growths += growths;
    }
    println!("{seeds:?} of {steps} steps: {counts:?}");
    counts
}

#[test]
fn every_moment_is_the_copy_that_the_model_kept() {
    let counts = run_seeds(24, 300, false);
    if number("DISKTIME_HISTORY_SEED", u64::MAX) == u64::MAX {
        let are_taken = counts.crashes > 50 && counts.folds > 50 && counts.reverts > 50;
        let are_taken = are_taken && counts.growths > 20;
        assert!(are_taken && counts.clones > 20, "the steps are taken");
    }
}

#[test]
fn what_was_flushed_survives_with_much_in_flight() {
    let counts = run_seeds(30, 300, true);
    assert!(counts.crashes > 0, "power is lost");
}
