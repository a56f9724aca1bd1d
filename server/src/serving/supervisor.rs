//! Socket activation and notification: what the program that started this one (systemd, or an NBD
//! client that starts its own server) hands over: listening sockets (LISTEN_FDS), and the address
//! that is notified when the server is ready and when it stops (NOTIFY_SOCKET).
//!
//! Invariants: the variables are removed from the environment, so that a program that is started
//! from here does not use them; descriptors for another process (LISTEN_PID) are left alone.

use crate::failure::CommandResult;
use disktime_sockets::take_passed_sockets;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

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
        let notify = std::env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty());
        // SAFETY: no other thread runs, as the caller promises.
        unsafe { std::env::remove_var("NOTIFY_SOCKET") };
        // SAFETY: this is the start of the program, as the caller promises.
        let sockets = unsafe { take_passed_sockets() }?;
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
