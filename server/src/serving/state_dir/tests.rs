//! Unit tests of `state_dir`.

use super::*;

#[test]
fn the_holder_of_a_lock_is_found() {
    let locks = "1: OFDLCK ADVISORY  READ  -1 fe:00:77 100 100\n\
                 2: FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF\n\
                 3: FLOCK  ADVISORY  WRITE 4712 fe:00:77 0 EOF\n";
    assert!(is_locked(locks, "4711", 1234));
    assert!(!is_locked(locks, "4712", 1234) && !is_locked(locks, "4711", 77));
    assert!(!is_locked(locks, "-1", 77) && !is_locked("", "", 0));
    let own = File::open("/proc/self/exe").expect("it is there");
    assert!(!remembers("4711\n") && remembers("4711\nremembers disks\n"));
    own.lock_shared().expect("a lock");
    let inode = own.metadata().expect("it is open").ino();
    let process = std::process::id().to_string();
    let locks = std::fs::read_to_string("/proc/locks").expect("the kernel's list");
    assert!(
        is_locked(&locks, &process, inode),
        "{process} {inode}:\n{locks}"
    );
}
