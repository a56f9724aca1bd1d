//! Socket activation and notification: what the program that started this one (systemd, or an NBD
//! client that starts its own server) hands over: listening sockets (LISTEN_FDS), and the address
//! that is notified when the server is ready and when it stops (NOTIFY_SOCKET).
//!
//! Invariants: the variables are removed from the environment, so that a program that is started
//! from here does not use them; descriptors for another process (LISTEN_PID) are left alone.

use crate::failure::{CommandResult, Failure};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The number of the first descriptor that is handed over.
const FIRST: RawFd = 3;
/// Limit of descriptors: a larger count is an error.
const MOST: i32 = 64;

/// The sockets and the address to notify; neither for a program that was started by hand.
#[derive(Debug, Default)]
pub(crate) struct Supervisor {
    /// Listening sockets, by name.
    sockets: Vec<(String, OwnedFd)>,
    notify: Option<OsString>,
}

impl Supervisor {
    /// Takes what the environment names, and removes it from there.
    ///
    /// # Safety
    /// Called once, at the start of the program: no other thread runs, and descriptors after the
    /// standard ones have no other owner.
    ///
    /// # Errors
    /// When LISTEN_FDS is no number from 0 to the limit, or counts a descriptor that is not open.
    pub(crate) unsafe fn take() -> CommandResult<Supervisor> {
        // SAFETY: no other thread reads the environment, as the caller promises.
        let mut take = |name: &str| unsafe {
            let value = std::env::var_os(name);
            std::env::remove_var(name);
            value
        };
        let notify = take("NOTIFY_SOCKET").filter(|address| !address.is_empty());
        let [process, count, names] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"].map(&mut take);
        take("LISTEN_PIDFDID");
        let process = process.and_then(|text| text.to_str()?.parse::<u32>().ok());
        let (Some(count), Some(true)) = (count, process.map(|id| id == std::process::id())) else {
            let sockets = Vec::new();
            return Ok(Supervisor { sockets, notify });
        };
        let shown = count.to_string_lossy().into_owned();
        let count = shown
            .parse()
            .ok()
            .filter(|count| (0..=MOST).contains(count));
        let count = count.ok_or_else(|| {
            Failure::new(format!(
                "LISTEN_FDS is {shown:?}, and should be the number of sockets that were handed over, \
                 0 to {MOST}"
            ))
        })?;
        let names = names.unwrap_or_default();
        let names: Vec<_> = names.as_bytes().split(|byte| *byte == b':').collect();
        let socket = |index: i32| {
            let number = FIRST + index;
            let name = names.get(index as usize).copied().unwrap_or_default();
            let name = match String::from_utf8_lossy(name) {
                name if name.is_empty() => format!("descriptor {number}"),
                name => format!("descriptor {number}, {name}"),
            };
            // SAFETY: asks for a descriptor's flags; any number is valid.
            if unsafe { libc::fcntl(number, libc::F_GETFD) } == -1 {
                return Err(Failure::new(format!(
                    "LISTEN_FDS counts {count} sockets, but descriptor {number} is not open"
                )));
            }
            // SAFETY: it is open, and has no other owner, as the caller promises.
            Ok((name, unsafe { OwnedFd::from_raw_fd(number) }))
        };
        let sockets = (0..count).map(socket).collect::<CommandResult<Vec<_>>>()?;
        Ok(Supervisor { sockets, notify })
    }

    /// The listening sockets, by name; nothing at a second call.
    pub(crate) fn take_sockets(&mut self) -> Vec<(String, OwnedFd)> {
        std::mem::take(&mut self.sockets)
    }

    /// Notifies that the server is ready; `status` is a sentence for people.
    pub(crate) fn ready(&self, status: &str) {
        self.notify(&format!("READY=1\nSTATUS={status}\n"));
    }

    /// Notifies that the server is stopping.
    pub(crate) fn stopping(&self) {
        self.notify("STOPPING=1\nSTATUS=Making everything durable\n");
    }

    fn notify(&self, message: &str) {
        let Some(address) = &self.notify else {
            return;
        };
        if let Err(error) = send(address, message.as_bytes()) {
            let address = address.display();
            tracing::warn!("{address} (NOTIFY_SOCKET) cannot be notified: {error}");
        }
    }
}

/// Sends a datagram; an address that begins with `@` is an abstract one.
fn send(address: &OsStr, message: &[u8]) -> io::Result<()> {
    let address = match address.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(address)?,
    };
    UnixDatagram::unbound()?.send_to_addr(message, &address)?;
    Ok(())
}
