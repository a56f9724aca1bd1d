//! Unit tests of `last_exit`.

use super::*;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

#[test]
fn a_connection_ends_and_its_number_takes_nothing_more() {
    let (mut ours, mut clients) = UnixStream::pair().expect("a pair");
    let file = tempfile::tempfile().expect("a file");
    assert!(is_connection(ours.as_raw_fd()) && !is_connection(file.as_raw_fd()));
    replace(
        ours.as_raw_fd(),
        &File::open("/dev/null").expect("it is there"),
    );
    assert_eq!(clients.read(&mut [0; 1]).expect("an end"), 0);
    assert!(!is_connection(ours.as_raw_fd()));
    ours.write_all(b"reply").expect_err("no client gets it");
}
