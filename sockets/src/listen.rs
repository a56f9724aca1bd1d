//! Listening sockets: bound before anything else happens, so a wrong address is reported at start,
//! with the remedy; or passed by the process that started this one (socket activation).
//!
//! Invariants: a unix socket is never accessible to users that it is not meant for: its mode is set
//! before it has a name, its owner and final mode before it listens. A socket on which another
//! server answers is left alone. The file that is removed at the end is the one that was made here,
//! not one that replaced it.

use crate::unix_path::check_socket_path;
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Connections that the kernel queues before they are accepted.
const BACKLOG: i32 = 1024;

/// Why an address cannot be listened on.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Another server answers on the socket.
    #[error("another server answers on the socket {}: stop it, or choose another path", .0.display())]
    SocketInUse(PathBuf),
    /// The socket there is another user's.
    #[error(
        "the socket {} belongs to {}, and this user may not connect to it: a server of that user \
         may be listening. Stop it, or choose another path", .path.display(), .owner
    )]
    OtherUsers {
        /// The socket's path.
        path: PathBuf,
        /// Whose it is, for people.
        owner: String,
    },
    /// The path is a file of another kind.
    #[error("{} exists and is not a socket: move it away, or choose another path", .0.display())]
    NotASocket(PathBuf),
    /// The path is longer than the kernel allows.
    #[error(
        "the socket path {} has more than 107 bytes, which is the system's limit: choose a shorter one",
        .0.display()
    )]
    PathTooLong(PathBuf),
    /// The requested mode or owner cannot be set.
    #[error(
        "the owner and mode of the socket {} cannot be set: {source}: only root may change a file's \
         owner, and other users may only choose groups that they are in", path.display()
    )]
    Access {
        /// The socket's path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A passed descriptor is not a listening stream socket.
    #[error("the socket passed as `{name}` (socket activation) cannot be used: {cause}")]
    Adopted {
        /// Its descriptor and name.
        name: String,
        /// What is wrong with it.
        cause: String,
    },
    /// Anything else about a unix socket.
    #[error("the socket {} cannot be made: {source}: check that its folder exists and is writable", path.display())]
    Unix {
        /// The socket's path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Another process listens there.
    #[error(
        "the address {0} is in use: stop the program that listens there (`ss -ltnp 'sport = :{port}'` \
         names it), or choose another port", port = .0.port()
    )]
    PortInUse(SocketAddr),
    /// The port is below 1024 and the process lacks the privilege.
    #[error("listening on the address {0} needs a privilege: choose a port above 1023")]
    PortNotPermitted(SocketAddr),
    /// The address is not one of this machine's.
    #[error("the address {0} is not one of this machine: `ip address` lists them")]
    NotOurAddress(SocketAddr),
    /// Anything else about TCP.
    #[error("the address {address} cannot be listened on: {source}")]
    Tcp {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
}

/// Who may use a unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketAccess {
    /// Permission bits; clients need write permission to connect.
    pub mode: u32,
    /// Numeric id of its owner; `None` leaves it unchanged.
    pub owner: Option<u32>,
    /// Numeric id of its group; `None` leaves it unchanged.
    pub group: Option<u32>,
}

impl Default for SocketAccess {
    fn default() -> SocketAccess {
        SocketAccess {
            mode: 0o600,
            owner: None,
            group: None,
        }
    }
}

/// A listening unix socket; its file is removed on drop if it was made here.
#[derive(Debug)]
pub struct UnixSocket {
    listener: UnixListener,
    path: Option<PathBuf>,
    /// Device and inode of the file that was made.
    identity: Option<(u64, u64)>,
}

impl UnixSocket {
    /// Binds the path and listens. A socket that a killed server left is replaced.
    ///
    /// # Errors
    /// When another file or a server in use occupies the path, or the socket cannot be made.
    pub fn bind(path: &Path, access: SocketAccess) -> Result<UnixSocket, ListenError> {
        let failed = |source| ListenError::Unix {
            path: path.to_owned(),
            source,
        };
        check_socket_path(path)?;
        let address = SockAddr::unix(path).map_err(failed)?;
        remove_stale(path, &address)?;
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
            path: Some(path.to_owned()),
            identity: Some(identity),
        };
        set_access(path, access).map_err(|source| ListenError::Access {
            path: path.to_owned(),
            source,
        })?;
        let socket = socket2::SockRef::from(&made.listener);
        socket
            .listen(BACKLOG)
            .and_then(|()| socket.set_nonblocking(true))
            .map_err(failed)?;
        Ok(made)
    }

    /// The path, if the socket has one.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// A duplicate of the listening socket, nonblocking.
    ///
    /// # Errors
    /// When the process has too many open files.
    pub fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let (Some(path), Some(made)) = (&self.path, self.identity) else {
            return;
        };
        if !identity(path).is_ok_and(|found| found == made) {
            return;
        }
        if let Err(error) = fs::remove_file(path) {
            tracing::warn!("the socket {} cannot be removed: {error}", path.display());
        }
    }
}

/// The socket does not listen yet, so clients do not see the steps. The owner is set first, because
/// that can clear mode bits.
fn set_access(path: &Path, access: SocketAccess) -> io::Result<()> {
    if access.owner.is_some() || access.group.is_some() {
        std::os::unix::fs::lchown(path, access.owner, access.group)?;
    }
    if access.mode != SocketAccess::default().mode {
        fs::set_permissions(path, Permissions::from_mode(access.mode))?;
    }
    Ok(())
}

/// A listening socket that another process opened.
#[derive(Debug)]
pub enum ListeningSocket {
    /// A unix socket. Its file is not removed on drop.
    Unix(UnixSocket),
    /// A TCP socket.
    Tcp(TcpListener),
}

/// Takes ownership of a passed listening socket; `name` is for error messages.
///
/// # Errors
/// When it is not a listening stream socket.
pub fn adopt(name: String, socket: OwnedFd) -> Result<ListeningSocket, ListenError> {
    let socket = Socket::from(socket);
    let unusable = |cause: &str| ListenError::Adopted {
        name: name.clone(),
        cause: cause.to_owned(),
    };
    let failed = |error: io::Error| unusable(&error.to_string());
    if socket.r#type().map_err(failed)? != Type::STREAM || !socket.is_listener().map_err(failed)? {
        return Err(unusable("it is not a listening stream socket"));
    }
    socket.set_nonblocking(true).map_err(failed)?;
    socket.set_cloexec(true).map_err(failed)?;
    let domain = socket.domain().map_err(failed)?;
    if domain == Domain::IPV4 || domain == Domain::IPV6 {
        return Ok(ListeningSocket::Tcp(socket.into()));
    }
    if domain != Domain::UNIX {
        return Err(unusable("it is neither a unix socket nor TCP"));
    }
    let address = socket.local_addr().map_err(failed)?;
    Ok(ListeningSocket::Unix(UnixSocket {
        path: address.as_pathname().map(Path::to_owned),
        listener: UnixListener::from(OwnedFd::from(socket)),
        identity: None,
    }))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

/// Removes a socket file on which no server answers.
fn remove_stale(path: &Path, address: &SockAddr) -> Result<(), ListenError> {
    if has_stale(path, address)? {
        fs::remove_file(path).map_err(|source| ListenError::Unix {
            path: path.to_owned(),
            source,
        })?;
    }
    Ok(())
}

/// Whether the path has a socket file on which no server answers; otherwise it is free.
///
/// # Errors
/// When something else is there, or a server answers or may: one that is stopped accepts no
/// connections.
pub(crate) fn has_stale(path: &Path, address: &SockAddr) -> Result<bool, ListenError> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(source) => {
            return Err(ListenError::Unix {
                path: path.to_owned(),
                source,
            });
        }
    };
    if !found.file_type().is_socket() {
        return Err(ListenError::NotASocket(path.to_owned()));
    }
    match try_connect(address) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(ListenError::OtherUsers {
            path: path.to_owned(),
            owner: crate::unix_path::owner(&found),
        }),
        // Also with a full backlog: a server that is stopped and accepts no connections.
        _ => Err(ListenError::SocketInUse(path.to_owned())),
    }
}

/// Connects without waiting.
fn try_connect(address: &SockAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(address)
}

/// Binds a TCP address and listens, nonblocking.
///
/// # Errors
/// When the address is in use, not permitted, or not one of this machine's.
pub fn bind_tcp(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let (socket, address) = bound_tcp(address)?;
    socket
        .listen(BACKLOG)
        .and_then(|()| socket.set_nonblocking(true))
        .map_err(|error| tcp_error(address, error))?;
    Ok(socket.into())
}

/// Whether a TCP address could be listened on. It is bound for a moment; no client can connect.
///
/// # Errors
/// As [`bind_tcp`].
pub fn check_tcp_free(address: SocketAddr) -> Result<(), ListenError> {
    bound_tcp(address).map(drop)
}

fn bound_tcp(address: SocketAddr) -> Result<(Socket, SocketAddr), ListenError> {
    // `::ffff:10.0.0.1` is an IPv4 address, which an IPv6-only socket cannot be bound to.
    let address = match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        IpAddr::V6(_) => address,
    };
    let failed = |error| tcp_error(address, error);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).map_err(failed)?;
    socket.set_reuse_address(true).map_err(failed)?;
    if address.is_ipv6() {
        // Otherwise `[::]` would take the IPv4 port too, and binding `0.0.0.0` as well would fail.
        socket.set_only_v6(true).map_err(failed)?;
    }
    socket.bind(&address.into()).map_err(failed)?;
    Ok((socket, address))
}

fn tcp_error(address: SocketAddr, source: io::Error) -> ListenError {
    match source.kind() {
        ErrorKind::AddrInUse => ListenError::PortInUse(address),
        ErrorKind::PermissionDenied => ListenError::PortNotPermitted(address),
        ErrorKind::AddrNotAvailable => ListenError::NotOurAddress(address),
        _ => ListenError::Tcp { address, source },
    }
}

#[cfg(test)]
mod tests;
