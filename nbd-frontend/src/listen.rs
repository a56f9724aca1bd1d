//! Listening sockets: bound before anything else happens, so that what is wrong with an address
//! is said at start, with the remedy.
//!
//! Invariants: a unix socket is never open to other users, not even for a moment (its mode is set
//! before it has a name); a socket that another server answers on is left alone; what is removed
//! at the end is the socket that was made here, not one that took its place.

use socket2::{Domain, SockAddr, Socket, Type};
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use thiserror::Error;

const BACKLOG: i32 = 1024;

/// Why an address cannot be listened on.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Another server is there.
    #[error("another server answers on the socket {}: stop it, or choose another path", .0.display())]
    SocketInUse(PathBuf),
    /// Something else is there.
    #[error("{} exists and is not a socket: move it away, or choose another path", .0.display())]
    NotASocket(PathBuf),
    /// Too long for the kernel.
    #[error(
        "the socket path {} has more than 107 bytes, which is the system's limit: choose a shorter one",
        .0.display()
    )]
    PathTooLong(PathBuf),
    /// Anything else about a unix socket.
    #[error("the socket {} cannot be made: {source}: see that its folder exists and is writable", path.display())]
    Unix {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process listens there.
    #[error(
        "the address {0} is in use: stop the program that listens there (`ss -ltnp 'sport = :{port}'` \
         names it), or choose another port", port = .0.port()
    )]
    PortInUse(SocketAddr),
    /// A port below 1024.
    #[error("the address {0} needs a privilege: choose a port above 1023, such as 10809")]
    PortNotPermitted(SocketAddr),
    /// Not one of this machine's addresses.
    #[error("the address {0} is not one of this machine: `ip address` lists them")]
    NotOurAddress(SocketAddr),
    /// Anything else about TCP.
    #[error("the address {address} cannot be listened on: {source}")]
    Tcp {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// A listening unix socket; its file goes away with it.
#[derive(Debug)]
pub(crate) struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the file that was made.
    identity: (u64, u64),
}

impl UnixSocket {
    pub(crate) fn bind(path: &Path) -> Result<UnixSocket, ListenError> {
        let failed = |source| ListenError::Unix {
            path: path.to_owned(),
            source,
        };
        let address =
            SockAddr::unix(path).map_err(|_| ListenError::PathTooLong(path.to_owned()))?;
        remove_stale(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(failed)?;
        // The mode of the socket before it is bound becomes the mode of its file.
        let file = File::from(OwnedFd::from(socket));
        file.set_permissions(Permissions::from_mode(0o600))
            .map_err(failed)?;
        let socket = Socket::from(OwnedFd::from(file));
        socket
            .bind(&address)
            .map_err(|source| match source.kind() {
                ErrorKind::AddrInUse => ListenError::SocketInUse(path.to_owned()),
                _ => failed(source),
            })?;
        let identity = identity(path).map_err(failed)?;
        let listener = UnixListener::from(OwnedFd::from(socket));
        let made = UnixSocket {
            listener,
            path: path.to_owned(),
            identity,
        };
        let socket = socket2::SockRef::from(&made.listener);
        socket
            .listen(BACKLOG)
            .and_then(|()| socket.set_nonblocking(true))
            .map_err(failed)?;
        Ok(made)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let ours = identity(&self.path).is_ok_and(|found| found == self.identity);
        if !ours {
            return;
        }
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(
                "the socket {} cannot be removed: {error}",
                self.path.display()
            );
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

/// Removes a socket that a killed server left behind.
fn remove_stale(path: &Path) -> Result<(), ListenError> {
    let failed = |source| ListenError::Unix {
        path: path.to_owned(),
        source,
    };
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if !found.file_type().is_socket() {
        return Err(ListenError::NotASocket(path.to_owned()));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(failed(error)),
        _ => Err(ListenError::SocketInUse(path.to_owned())),
    }
}

pub(crate) fn bind_tcp(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let failed = |source: io::Error| match source.kind() {
        ErrorKind::AddrInUse => ListenError::PortInUse(address),
        ErrorKind::PermissionDenied => ListenError::PortNotPermitted(address),
        ErrorKind::AddrNotAvailable => ListenError::NotOurAddress(address),
        _ => ListenError::Tcp { address, source },
    };
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).map_err(failed)?;
    socket.set_reuse_address(true).map_err(failed)?;
    if address.is_ipv6() {
        // Otherwise `[::]` would take the IPv4 port too, and `0.0.0.0` beside it would fail.
        socket.set_only_v6(true).map_err(failed)?;
    }
    socket.bind(&address.into()).map_err(failed)?;
    socket.listen(BACKLOG).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a temporary folder")
    }

    #[test]
    fn the_socket_is_private_and_goes_away() {
        let folder = folder();
        let path = folder.path().join("nbd.sock");
        let socket = UnixSocket::bind(&path).expect("a new socket");
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
        drop(UnixListener::bind(&path).expect("a socket that nobody removes"));
        let socket = UnixSocket::bind(&path).expect("the stale one is replaced");
        let error = UnixSocket::bind(&path).expect_err("the live one is not");
        assert!(matches!(error, ListenError::SocketInUse(_)), "{error}");
        UnixStream::connect(&path).expect("the first still listens");
        drop(socket);
    }

    #[test]
    fn a_socket_that_took_its_place_is_not_removed() {
        let folder = folder();
        let path = folder.path().join("nbd.sock");
        let socket = UnixSocket::bind(&path).expect("a new socket");
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
        let error = UnixSocket::bind(&file).expect_err("it is not a socket");
        assert!(matches!(error, ListenError::NotASocket(_)), "{error}");
        assert_eq!(fs::read(&file).expect("still there"), b"data");
        let missing = folder.path().join("no/such/folder.sock");
        assert!(
            UnixSocket::bind(&missing)
                .expect_err("no folder")
                .to_string()
                .contains("folder")
        );
        let long = folder.path().join("x".repeat(200));
        let error = UnixSocket::bind(&long).expect_err("too long");
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
}
