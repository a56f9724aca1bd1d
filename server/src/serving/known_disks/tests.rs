//! What is refused, noted and remembered of disks that were found.

use super::{FileCut, FoundDisk, KnownDisks, judge};
use std::collections::{BTreeMap, BTreeSet};

/// A disk at `/NAME`; a vdisk is its name and uuid.
fn disk(name: &str, uuid: Option<&str>, holds: &[(&str, &str)], wanted: &[&str]) -> FoundDisk {
    FoundDisk {
        name: name.to_owned(),
        path: Some(format!("/{name}").into()),
        uuid: uuid.map(str::to_owned),
        holds: holds
            .iter()
            .map(|(name, uuid)| ((*name).to_owned(), (*uuid).to_owned()))
            .collect::<BTreeMap<_, _>>(),
        wanted: wanted.iter().map(|name| (*name).to_owned()).collect(),
        logs: BTreeSet::new(),
        wanted_logs: Vec::new(),
    }
}

fn known(disks: &[FoundDisk]) -> KnownDisks {
    let mut known = KnownDisks::default();
    known.remember(disks);
    known
}

/// The refusals as `disk` or `disk/vdisk`.
fn refused(known: &KnownDisks, found: &[FoundDisk], accepted: &[&str]) -> Vec<String> {
    let accepted: Vec<String> = accepted.iter().map(|name| (*name).to_owned()).collect();
    let refusals = judge(known, found, &accepted, "FILE").err();
    let shown = refusals.unwrap_or_default().into_iter();
    shown
        .map(|refusal| match refusal.vdisk {
            Some(vdisk) => format!("{}/{vdisk}", refusal.disk),
            None => refusal.disk,
        })
        .collect()
}

fn notes(known: &KnownDisks, found: &[FoundDisk]) -> Vec<String> {
    judge(known, found, &[], "FILE").expect("nothing is refused")
}

const NONE: [&str; 0] = [];

#[test]
fn a_first_start_and_what_follows_it_are_in_order() {
    let blank = [disk("a", None, &[], &["db"])];
    assert_eq!(refused(&KnownDisks::default(), &blank, &[]), NONE);
    let served = [disk("a", Some("A"), &[("db", "1")], &["db"])];
    let before = known(&served);
    assert_eq!(notes(&before, &served), NONE);
    // One more vdisk, and one that the file names no more.
    let grown = [disk("a", Some("A"), &[("db", "1")], &["web"])];
    assert_eq!(refused(&before, &grown, &[]), NONE);
}

#[test]
fn without_a_memory_what_is_found_is_said() {
    let found = [disk("a", Some("A"), &[("db", "1")], &["db"])];
    let said = notes(&KnownDisks::default(), &found);
    assert_eq!(said.len(), 1);
    assert!(
        said[0].contains("`a`") && said[0].contains("`db`"),
        "{said:?}"
    );
}

#[test]
fn disks_that_changed_places_are_refused_both() {
    let a = |name| disk(name, Some("A"), &[("db", "1")], &["db"]);
    let b = |name| disk(name, Some("B"), &[("web", "2")], &["web"]);
    let before = known(&[a("a"), b("b")]);
    let swapped = [
        disk("a", Some("B"), &[("web", "2")], &["db"]),
        disk("b", Some("A"), &[("db", "1")], &["web"]),
    ];
    assert_eq!(refused(&before, &swapped, &[]), ["a", "b"]);
    assert_eq!(refused(&before, &swapped, &["a"]), ["b"]);
    // Accepted, the vdisks still lie elsewhere than the file says.
    assert_eq!(refused(&before, &swapped, &["a", "b"]), ["a/db", "b/web"]);
}

#[test]
fn a_blank_disk_in_place_of_one_is_refused_until_it_is_accepted() {
    let before = known(&[disk("a", Some("A"), &[("db", "1")], &["db"])]);
    let blank = [disk("a", None, &[], &["db"])];
    assert_eq!(refused(&before, &blank, &[]), ["a"]);
    assert_eq!(refused(&before, &blank, &["a"]), NONE);
    // Under another name in the file, too.
    let mut renamed = disk("b", None, &[], &["other"]);
    renamed.path = Some("/a".into());
    assert_eq!(refused(&before, &[renamed.clone()], &[]), ["b"]);
    assert_eq!(refused(&before, &[renamed], &["b"]), NONE);
}

#[test]
fn a_disk_that_is_renamed_in_the_file_stays_known() {
    let before = known(&[disk("a", Some("A"), &[("db", "1")], &["db"])]);
    let renamed = [disk("b", Some("A"), &[("db", "1")], &["db"])];
    let said = notes(&before, &renamed);
    assert!(
        said[0].contains("`b`") && said[0].contains("`a`"),
        "{said:?}"
    );
    let mut after = before;
    after.remember(&renamed);
    assert_eq!(notes(&after, &renamed), NONE);
    // The old name is free, also for another disk.
    let both = [renamed[0].clone(), disk("a", None, &[], &[])];
    assert_eq!(refused(&after, &both, &[]), NONE);
}

#[test]
fn copies_of_one_disk_are_refused_both() {
    let found = [
        disk("a", Some("A"), &[("db", "1")], &["db"]),
        disk("b", Some("A"), &[("db", "1")], &[]),
    ];
    assert_eq!(
        refused(&KnownDisks::default(), &found, &["a", "b"]),
        ["a", "b"]
    );
}

#[test]
fn a_vdisk_that_another_disk_holds_is_not_created() {
    let found = [
        disk("a", Some("A"), &[("db", "1")], &[]),
        disk("b", Some("B"), &[], &["db"]),
    ];
    assert_eq!(refused(&KnownDisks::default(), &found, &[]), ["b/db"]);
    // Nor on a disk that lives as long as the server.
    let mut memory = disk("m", None, &[], &["db"]);
    memory.path = None;
    assert_eq!(
        refused(&known(&found[..1]), &[found[0].clone(), memory], &[]),
        ["m/db"]
    );
}

#[test]
fn a_vdisk_is_served_from_its_home() {
    let held_by_both = |wanted_a: &[&str], wanted_b: &[&str]| {
        [
            disk("a", Some("A"), &[("db", "1")], wanted_a),
            disk("b", Some("B"), &[("db", "2")], wanted_b),
        ]
    };
    let before = known(&held_by_both(&["db"], &[]));
    assert_eq!(refused(&before, &held_by_both(&["db"], &[]), &[]), NONE);
    assert_eq!(refused(&before, &held_by_both(&[], &["db"]), &[]), ["b/db"]);
    // Its home is gone from the file, or does not hold it any more.
    let elsewhere = [disk("b", Some("B"), &[], &["db"])];
    assert_eq!(refused(&before, &elsewhere, &[]), ["b/db"]);
    let lost = [disk("a", Some("A"), &[], &["db"])];
    assert_eq!(refused(&before, &lost, &[]), ["a/db"]);
    let made_again = [disk("a", Some("A"), &[("db", "3")], &["db"])];
    assert_eq!(refused(&before, &made_again, &[]), ["a/db"]);
    // Its home was given up for another disk, so it may be made elsewhere.
    let replaced = [
        disk("a", None, &[], &[]),
        disk("b", Some("B"), &[], &["db"]),
    ];
    assert_eq!(refused(&before, &replaced, &["a"]), NONE);
}

#[test]
fn a_vdisk_that_is_not_served_for_a_while_keeps_its_home() {
    let mut known = known(&[disk("a", Some("A"), &[("db", "1")], &["db"])]);
    known.remember(&[
        disk("a", Some("A"), &[("db", "1")], &[]),
        disk("b", Some("B"), &[], &[]),
    ]);
    let elsewhere = [disk("b", Some("B"), &[], &["db"])];
    assert_eq!(refused(&known, &elsewhere, &[]), ["b/db"]);
    assert!(known.forget_vdisk_on("a", "db"));
    assert_eq!(refused(&known, &elsewhere, &[]), NONE);
}

#[test]
fn a_formatted_disk_holds_nothing_that_is_missed() {
    let mut known = known(&[disk("a", Some("A"), &[("db", "1")], &["db"])]);
    known.remember_formatted(&disk("a", Some("N"), &[], &["db"]));
    assert_eq!(
        refused(&known, &[disk("a", Some("N"), &[], &["db"])], &[]),
        NONE
    );
}

#[test]
fn a_disk_whose_file_was_cut_is_refused_under_any_name_until_that_is_accepted() {
    let served = [disk("a", Some("A"), &[("db", "1")], &["db"])];
    let mut known = known(&served);
    let cut = FileCut {
        from_bytes: 64 << 20,
        to_bytes: 32 << 20,
    };
    assert!(known.note_cut("a", cut));
    assert!(!known.note_cut("a", cut), "that is no news");
    let refusals = judge(&known, &served, &[], "FILE").expect_err("it was cut");
    assert!(
        refusals[0].message.contains("from 64MiB to 32MiB"),
        "{refusals:?}"
    );
    assert!(
        refusals[0].help.contains("adopt FILE --disk a"),
        "{refusals:?}"
    );
    let renamed = [disk("b", Some("A"), &[("db", "1")], &["db"])];
    assert_eq!(refused(&known, &renamed, &[]), ["b"]);
    known.remember(&renamed);
    assert_eq!(
        refused(&known, &renamed, &[]),
        ["b"],
        "a start remembers it"
    );
    known.forget_cuts(&renamed);
    assert_eq!(refused(&known, &renamed, &[]), NONE);
}

/// The disk `image` with the vdisk `db`, and one with the log of it, or not.
fn with_log(log: &str, holds_it: bool, wanted: &[&str]) -> [FoundDisk; 2] {
    let mut disks = [
        disk("image", Some("I"), &[("db", "1")], &["db"]),
        disk(log, Some(log), &[], &[]),
    ];
    disks[1].logs.extend(holds_it.then(|| "1".to_owned()));
    disks[1].wanted_logs = wanted.iter().map(|name| (*name).to_owned()).collect();
    disks
}

#[test]
fn a_log_is_expected_where_it_was() {
    let before = known(&with_log("s", true, &["db"]));
    assert_eq!(notes(&before, &with_log("s", true, &["db"])), NONE);
    assert_eq!(
        refused(&before, &with_log("s", false, &["db"]), &[]),
        ["s/db"]
    );
    assert_eq!(
        refused(&before, &with_log("t", false, &["db"]), &[]),
        ["t/db"]
    );
    // It lies on another disk of the file; that is seen without a memory, too.
    let mut moved = with_log("s", true, &[]).to_vec();
    moved.extend(with_log("t", false, &["db"]).into_iter().skip(1));
    assert_eq!(refused(&KnownDisks::default(), &moved, &[]), ["t/db"]);
    // One that was never there is made.
    assert_eq!(
        refused(&KnownDisks::default(), &with_log("s", false, &["db"]), &[]),
        NONE
    );
    // A blank disk in its place is said to have had it.
    let gone = [
        with_log("s", true, &[])[0].clone(),
        disk("s", None, &[], &[]),
    ];
    let refusals = judge(&before, &gone, &[], "FILE").expect_err("it is blank");
    assert!(
        refusals[0].message.contains("with the log of `db`"),
        "{refusals:?}"
    );
}

#[test]
fn a_log_goes_with_its_vdisk() {
    let mut renamed = known(&with_log("s", true, &["db"]));
    assert!(renamed.rename_vdisk_on("image", "db", "web"));
    assert!(
        renamed
            .described("s")
            .is_some_and(|said| said.contains("log of `web`"))
    );
    assert!(renamed.forget_vdisk_on("image", "web"));
    assert!(
        renamed
            .described("s")
            .is_some_and(|said| said.contains("without vdisks"))
    );
}
