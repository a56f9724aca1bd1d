//! Unit tests of `listen`.

use super::*;
use std::os::unix::net::UnixStream;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn bind(path: &Path) -> Result<UnixSocket, ListenError> {
    UnixSocket::bind(path, SocketAccess::default())
}

#[test]
fn the_socket_is_private_and_goes_away() {
    let folder = folder();
    let path = folder.path().join("nbd.sock");
    let socket = bind(&path).expect("a new socket");
    let mode = fs::metadata(&path).expect("its file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    UnixStream::connect(&path).expect("it listens");
    drop(socket);
    assert!(!path.exists());
}

#[test]
fn a_stale_socket_is_replaced_and_a_live_one_left_alone() {
    let folder = folder();
    let path = folder.path().join("nbd.sock");
    drop(UnixListener::bind(&path).expect("a socket whose file stays"));
    let socket = bind(&path).expect("the stale one is replaced");
    let error = bind(&path).expect_err("the live one is not");
    assert!(matches!(error, ListenError::SocketInUse(_)), "{error}");
    UnixStream::connect(&path).expect("the first still listens");
    drop(socket);
}

#[test]
fn a_server_with_a_full_backlog_is_left_alone_and_not_waited_for() {
    let folder = folder();
    let path = folder.path().join("nbd.sock");
    let stopped_server = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
    let address = SockAddr::unix(&path).expect("a short path");
    stopped_server.bind(&address).expect("a free place");
    stopped_server.listen(0).expect("it listens");
    let mut waiting = Vec::new();
    loop {
        let client = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
        client.set_nonblocking(true).expect("a flag");
        if client.connect(&address).is_err() {
            break;
        }
        waiting.push(client);
    }
    let error = bind(&path).expect_err("it is in use");
    assert!(matches!(error, ListenError::SocketInUse(_)), "{error}");
}

#[test]
fn an_ipv4_address_in_the_form_of_ipv6_is_that_address() {
    let mapped = "[::ffff:127.0.0.1]:0".parse().expect("an address");
    let socket = bind_tcp(mapped).expect("any port");
    let address = socket.local_addr().expect("its address");
    assert!(address.is_ipv4() && address.ip().is_loopback());
}

#[test]
fn a_socket_that_took_its_place_is_not_removed() {
    let folder = folder();
    let path = folder.path().join("nbd.sock");
    let socket = bind(&path).expect("a new socket");
    fs::remove_file(&path).expect("someone removes it");
    // A file kept open meanwhile, so that the inode number is not given out again.
    let other = UnixListener::bind(&path).expect("and makes another");
    drop(socket);
    assert!(path.exists());
    drop(other);
}

#[test]
fn what_cannot_be_bound_is_explained() {
    let folder = folder();
    let file = folder.path().join("precious");
    fs::write(&file, "data").expect("a file");
    let error = bind(&file).expect_err("it is not a socket");
    assert!(matches!(error, ListenError::NotASocket(_)), "{error}");
    assert_eq!(fs::read(&file).expect("still there"), b"data");
    let missing = folder.path().join("no/such/folder.sock");
    assert!(
        bind(&missing)
            .expect_err("no folder")
            .to_string()
            .contains("folder")
    );
    let long = folder.path().join("x".repeat(200));
    let error = bind(&long).expect_err("too long");
    assert!(matches!(error, ListenError::PathTooLong(_)), "{error}");
}

#[test]
fn a_port_in_use_is_named_with_the_remedy() {
    let first = bind_tcp(SocketAddr::from(([127, 0, 0, 1], 0))).expect("any port");
    let address = first.local_addr().expect("its address");
    let error = bind_tcp(address)
        .expect_err("the port is taken")
        .to_string();
    assert!(
        error.contains(&address.to_string()) && error.contains("another port"),
        "{error}"
    );
}
