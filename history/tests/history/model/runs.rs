//! Random steps of all kinds, for many seeds.

use super::Run;
use std::env;

impl Run {
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

#[test]
fn every_moment_is_the_copy_that_the_model_kept() {
    let steps = number("DISKTIME_HISTORY_STEPS", 300);
    let one = number("DISKTIME_HISTORY_SEED", u64::MAX);
    let seeds = match one {
        u64::MAX => 0..number("DISKTIME_HISTORY_SEEDS", 24),
        seed => seed..seed + 1,
    };
    let (mut crashes, mut folds, mut reverts) = (0, 0, 0);
    for seed in seeds.clone() {
        let outcome = std::panic::catch_unwind(|| {
            let mut run = Run::new(seed);
            for _ in 0..steps {
                run.random_step();
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
    if one == u64::MAX {
        assert!(
            crashes > 50 && folds > 50 && reverts > 50,
            "the steps are taken"
        );
    }
}
