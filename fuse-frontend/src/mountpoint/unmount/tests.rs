//! Unit tests of `unmount`: what attempts report, and what the table of mounts says.

use super::*;
use std::cell::Cell;

/// Unmounts by attempts that report these results; `true` beside one: the directory is unmounted
/// after it. The result, and which attempts were made.
fn outcome(
    mounted_at_first: bool,
    attempts: &[(Result<(), &str>, bool)],
) -> (Result<Unmounted, String>, Vec<UnmountMode>) {
    let (mounted, mut modes) = (Cell::new(mounted_at_first), Vec::new());
    let result = unmount_by(
        Path::new("/srv/vdisks"),
        || Ok(mounted.get()),
        |mode| {
            let (result, unmounts) = attempts[modes.len()];
            modes.push(mode);
            mounted.set(mounted.get() && !unmounts);
            result.map_err(str::to_owned)
        },
    );
    (result.map_err(|error| error.to_string()), modes)
}

use UnmountMode::{Detach, Whole};

#[test]
fn what_is_not_mounted_is_left_alone() {
    assert_eq!(outcome(false, &[]), (Ok(Unmounted::Now), vec![]));
}

#[test]
fn without_open_files_one_attempt_is_enough() {
    let attempts = [(Ok(()), true)];
    assert_eq!(outcome(true, &attempts), (Ok(Unmounted::Now), vec![Whole]));
}

/// fusermount3 was killed after its system call, or another program was quicker.
#[test]
fn an_attempt_that_fails_on_what_is_unmounted_is_a_success() {
    let attempts = [(Err("ended with signal: 15"), true)];
    assert_eq!(outcome(true, &attempts), (Ok(Unmounted::Now), vec![Whole]));
}

#[test]
fn a_directory_with_open_files_is_detached() {
    for second in [Ok(()), Err("Invalid argument")] {
        let attempts = [(Err("busy"), false), (second, true)];
        let expected = (Ok(Unmounted::WhenFilesAreClosed), vec![Whole, Detach]);
        assert_eq!(outcome(true, &attempts), expected);
    }
}

#[test]
fn what_stays_mounted_is_an_error_with_the_reason() {
    let attempts = [(Err("busy"), false), (Err("not permitted"), false)];
    let (result, _) = outcome(true, &attempts);
    let sentence = result.expect_err("it is still mounted");
    assert!(sentence.contains("not permitted"), "{sentence}");
}
