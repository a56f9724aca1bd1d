//! Fuzzes with the stable compiler: `disktime-fuzz TARGET SECONDS [SEED]`. A failing input is
//! written to a file; `disktime-fuzz TARGET FILE` runs it again.

use disktime_fuzz::mutate::Mutator;
use disktime_fuzz::{TARGETS, Target};
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const USAGE: &str = "usage: disktime-fuzz TARGET SECONDS [SEED] | disktime-fuzz TARGET FILE\n\
                     targets: handshake, protocol, transmission, label, history, image";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let target = TARGETS
        .iter()
        .find(|target| arguments.first().is_some_and(|name| name == target.name));
    let (Some(target), Some(what)) = (target, arguments.get(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let outcome = match what.parse() {
        Ok(seconds) => {
            let seed = arguments.get(2).and_then(|seed| seed.parse().ok());
            fuzz(target, Duration::from_secs(seconds), seed.unwrap_or(1))
        }
        Err(_) => fs::read(what).map(|input| (target.run)(&input)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", target.name);
            ExitCode::FAILURE
        }
    }
}

fn fuzz(target: &Target, time: Duration, seed: u64) -> io::Result<()> {
    let mut seeds = Vec::new();
    for entry in fs::read_dir(target.corpus())? {
        seeds.push(fs::read(entry?.path())?);
    }
    seeds.sort();
    let mut mutator = Mutator::new(seed);
    let start = Instant::now();
    let mut tried = 0_u64;
    while start.elapsed() < time {
        let input = mutator.input(&seeds);
        if catch_unwind(AssertUnwindSafe(|| (target.run)(&input))).is_err() {
            let name = format!("failed-{}-{tried}", target.name);
            fs::write(&name, &input)?;
            let again = format!("`cargo run -p disktime-fuzz -- {} {name}`", target.name);
            return Err(io::Error::other(format!(
                "input {tried} of seed {seed} fails; it is in {name}: {again}"
            )));
        }
        tried += 1;
    }
    println!(
        "{}: {tried} inputs in {} s from {} seeds, none failed",
        target.name,
        time.as_secs(),
        seeds.len()
    );
    Ok(())
}
