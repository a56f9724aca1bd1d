//! Listening sockets: bound before anything else happens, so that what is wrong with an address
//! is said at start, with the remedy.
//!
//! Invariants: a unix socket is never open to others than it shall be, not even for a moment (it
//! has a mode before it has a name, and its owner and final mode before it listens); a socket that another server answers on is left alone; what is removed
//! at the end is the socket that was made here, not one that took its place.

use socket2::{Domain, SockAddr, Socket, Type};
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
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
    /// Its mode or owner cannot be what is asked for.
    #[error(
        "the socket {} cannot be given its owner and mode: {source}: only root may give files away, \
         and others only to groups that they are in", path.display()
    )]
    Access {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What was handed over is something else.
    #[error("the socket that was handed over as `{name}` cannot be used: {cause}")]
    Adopted {
        /// Its name.
        name: String,
        /// What is wrong.
        cause: String,
    },
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

/// Who may use a unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketAccess {
    /// Permission bits; to write is to use it.
    pub mode: u32,
    /// Number of the user it belongs to; unchanged without.
    pub owner: Option<u32>,
    /// Number of the group it belongs to; unchanged without.
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

/// A listening unix socket; if its file was made here, it goes away with it.
#[derive(Debug)]
pub struct UnixSocket {
    listener: UnixListener,
    path: Option<PathBuf>,
    /// Device and inode of the file that was made.
    identity: Option<(u64, u64)>,
}

impl UnixSocket {
    /// Binds it and listens. What a killed server left there is replaced.
    ///
    /// # Errors
    /// When something else is there, or it cannot be made.
    pub fn bind(path: &Path, access: SocketAccess) -> Result<UnixSocket, ListenError> {
        let failed = |source| ListenError::Unix {
            path: path.to_owned(),
            source,
        };
        let address =
            SockAddr::unix(path).map_err(|_| ListenError::PathTooLong(path.to_owned()))?;
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
        give_access(path, access).map_err(|source| ListenError::Access {
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

    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The socket itself, nonblocking.
    ///
    /// # Errors
    /// When there are too many open files.
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

/// Nobody can connect yet, so the order does not matter to clients; the owner comes first, because
/// giving a file away can take bits of its mode.
fn give_access(path: &Path, access: SocketAccess) -> io::Result<()> {
    if access.owner.is_some() || access.group.is_some() {
        std::os::unix::fs::lchown(path, access.owner, access.group)?;
    }
    if access.mode != SocketAccess::default().mode {
        fs::set_permissions(path, Permissions::from_mode(access.mode))?;
    }
    Ok(())
}

/// A socket that somebody else opened.
#[derive(Debug)]
pub(crate) enum Listening {
    Unix(UnixSocket),
    Tcp(TcpListener),
}

/// Takes over a listening socket.
pub(crate) fn adopt(name: String, socket: OwnedFd) -> Result<Listening, ListenError> {
    let socket = Socket::from(socket);
    let wrong = |cause: &str| ListenError::Adopted {
        name: name.clone(),
        cause: cause.to_owned(),
    };
    let failed = |error: io::Error| wrong(&error.to_string());
    if socket.r#type().map_err(failed)? != Type::STREAM || !socket.is_listener().map_err(failed)? {
        return Err(wrong("it is not a listening stream socket"));
    }
    socket.set_nonblocking(true).map_err(failed)?;
    socket.set_cloexec(true).map_err(failed)?;
    let domain = socket.domain().map_err(failed)?;
    if domain == Domain::IPV4 || domain == Domain::IPV6 {
        return Ok(Listening::Tcp(socket.into()));
    }
    if domain != Domain::UNIX {
        return Err(wrong("it is neither a unix socket nor TCP"));
    }
    let address = socket.local_addr().map_err(failed)?;
    Ok(Listening::Unix(UnixSocket {
        path: address.as_pathname().map(Path::to_owned),
        listener: UnixListener::from(OwnedFd::from(socket)),
        identity: None,
    }))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

/// Removes a socket that a killed server left behind.
fn remove_stale(path: &Path, address: &SockAddr) -> Result<(), ListenError> {
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
    match knock(address) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(failed(error)),
        // Also when it has not the time: a server that stands still, with all its places taken.
        _ => Err(ListenError::SocketInUse(path.to_owned())),
    }
}

/// Connects, if that is possible at once.
fn knock(address: &SockAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(address)
}

pub(crate) fn bind_tcp(address: SocketAddr) -> Result<TcpListener, ListenError> {
    // `::ffff:10.0.0.1` is an IPv4 address, which a socket for IPv6 alone cannot have.
    let address = match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        IpAddr::V6(_) => address,
    };
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
mod tests;
