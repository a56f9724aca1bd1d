//! Unit tests of `unix_path`.

use super::*;
use std::os::unix::net::UnixListener;

/// A relative path of this many bytes.
fn path_of(bytes: usize) -> PathBuf {
    PathBuf::from("s".repeat(bytes))
}

#[test]
fn clients_get_a_path_that_works() {
    assert_eq!(
        client_path(Path::new("/run/nbd.sock")),
        Path::new("/run/nbd.sock")
    );
    let here = std::env::current_dir().expect("a directory");
    let left = MAX_SOCKET_PATH_BYTES - here.as_os_str().as_bytes().len() - 1;
    assert_eq!(client_path(&path_of(left)), here.join(path_of(left)));
    assert_eq!(only_works_here(&path_of(left)), None);
    assert_eq!(client_path(&path_of(left + 1)), path_of(left + 1));
    assert_eq!(
        only_works_here(&path_of(left + 1)),
        Some(MAX_SOCKET_PATH_BYTES + 1)
    );
}

#[test]
fn a_path_that_is_too_long_is_refused() {
    assert!(check_socket_path(&path_of(MAX_SOCKET_PATH_BYTES)).is_ok());
    let refused = check_socket_path(&path_of(MAX_SOCKET_PATH_BYTES + 1));
    assert!(matches!(refused, Err(ListenError::PathTooLong(_))));
}

#[test]
fn a_path_that_is_taken_is_not_free() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("socket");
    assert!(check_unix_free(&path).is_ok());
    let listener = UnixListener::bind(&path).expect("a socket");
    assert!(matches!(
        check_unix_free(&path),
        Err(ListenError::SocketInUse(_))
    ));
    drop(listener);
    assert!(check_unix_free(&path).is_ok(), "its server is gone");
    fs::remove_file(&path).expect("it is there");
    fs::write(&path, "text").expect("a file");
    assert!(matches!(
        check_unix_free(&path),
        Err(ListenError::NotASocket(_))
    ));
}
