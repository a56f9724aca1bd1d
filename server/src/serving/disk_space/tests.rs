//! Unit tests of `disk_space`.

use super::*;

const GIB: u64 = 1 << 30;

fn disk(name: &str, file_system: u64, gib: [u64; 3]) -> (String, FileSpace) {
    let [promised_bytes, stored_bytes, free_bytes] = gib.map(|gib| gib * GIB);
    let space = DiskSpace {
        promised_bytes,
        stored_bytes,
        free_bytes,
    };
    (name.to_owned(), FileSpace { space, file_system })
}

#[test]
fn files_that_share_a_file_system_share_what_is_free() {
    let spaces = DiskSpaces::default();
    let apart = vec![disk("a", 1, [60, 0, 100]), disk("b", 2, [60, 0, 100])];
    assert_eq!(spaces.lock().take(apart), Vec::<String>::new());
    let together = vec![disk("a", 1, [60, 10, 70]), disk("b", 1, [60, 0, 70])];
    let said = spaces.lock().take(together);
    assert_eq!(said.len(), 1);
    let expected = "the file system of disks `a`, `b` cannot hold them when they are full: 120GiB \
                    promised, 10GiB stored, 70GiB free, 40GiB missing.";
    assert!(said[0].starts_with(expected), "{}", said[0]);
    for name in ["a", "b"] {
        let mut status = DiskStatus::default();
        spaces.report(name, &mut status);
        assert_eq!(status.space_problem.as_ref(), Some(&said[0]));
        assert_eq!(status.space.map(|space| space.free_bytes), Some(70 * GIB));
    }
}

#[test]
fn a_shortage_is_told_once_and_so_is_its_end() {
    let spaces = DiskSpaces::default();
    let look = |stored, free| spaces.lock().take(vec![disk("a", 1, [160, stored, free])]);
    assert!(look(0, 160).is_empty(), "it just fits");
    let said = look(0, 159);
    assert!(said[0].contains("disk `a` cannot hold it") && said[0].contains("1GiB missing"));
    assert!(look(0, 158).is_empty());
    assert!(look(0, 161).is_empty(), "it might be short again at once");
    let said = look(0, 171);
    assert!(said[0].contains("has space for all that is promised again"));
    assert!(look(160, 0).is_empty(), "all of it is stored");
}

#[test]
fn a_file_that_is_not_there_yet_is_judged_by_its_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("deeper/new.disk");
    let found = FileSpace::before_start(&path, 5 * GIB).expect("a file system");
    assert_eq!(
        (found.space.promised_bytes, found.space.stored_bytes),
        (5 * GIB, 0)
    );
    assert!(found.free_bytes() > 0 && !path.exists());
    assert!(FileSpace::before_start(Path::new("/dev/null"), 0).is_none());
}

/// Each thread notes one disk on a file system of its own; all of them are known afterwards.
#[test]
fn disks_that_are_examined_at_the_same_time_are_all_noted() {
    const DISKS: u64 = 8;
    let spaces = DiskSpaces::default();
    let begin = std::sync::Barrier::new(DISKS as usize);
    std::thread::scope(|scope| {
        for at in 0..DISKS {
            let (spaces, begin) = (spaces.clone(), &begin);
            scope.spawn(move || {
                let name = format!("d{at}");
                begin.wait();
                for stored in 0..=200 {
                    let (name, space) = disk(&name, at, [200, stored, 200]);
                    assert_eq!(spaces.update(name.clone(), space), Vec::<String>::new());
                    let mut status = DiskStatus::default();
                    spaces.report(&name, &mut status);
                    let noted = status.space.map(|space| space.stored_bytes);
                    assert_eq!(noted, Some(stored * GIB), "{name}");
                }
            });
        }
    });
    assert_eq!(spaces.lock().disks.len(), DISKS as usize);
}
