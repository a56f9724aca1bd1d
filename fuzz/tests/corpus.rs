//! The corpus is what `seeds` says (`DISKTIME_UPDATE=1` writes it) and whatever was added to it,
//! and all of it runs; so do inputs of the mutator.

use disktime_fuzz::mutate::Mutator;
use disktime_fuzz::{TARGETS, seeds};
use std::fs;

#[test]
fn the_corpus_holds_the_seeds() {
    for (target, name, bytes) in seeds::all() {
        let target = TARGETS.iter().find(|known| known.name == target);
        let path = target.expect("a target").corpus().join(name);
        if std::env::var_os("DISKTIME_UPDATE").is_some() {
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(&path, &bytes).expect("it can be written");
        }
        let stored = fs::read(&path).unwrap_or_default();
        assert!(
            stored == bytes,
            "{} differs: DISKTIME_UPDATE=1 cargo test -p disktime-fuzz",
            path.display()
        );
    }
}

#[test]
fn the_corpus_and_mutated_inputs_pass() {
    for target in TARGETS {
        let folder = fs::read_dir(target.corpus()).expect("the corpus is there");
        let mut inputs: Vec<Vec<u8>> = folder
            .map(|entry| fs::read(entry.expect("an entry").path()).expect("a file"))
            .collect();
        inputs.sort();
        assert!(inputs.len() >= 5);
        inputs.iter().for_each(|input| (target.run)(input));
        let mut mutator = Mutator::new(7);
        for _ in 0..3000 {
            (target.run)(&mutator.input(&inputs));
        }
    }
}
