//! TLS under the protocol, without I/O: bytes of the wire in, plain bytes out, and back.
//!
//! The parts: [`Credentials`] are the files of a directory, read anew when they changed;
//! [`Channel`] is one connection's TLS, which the listener drives during the handshake;
//! [`TlsSession`] is a session around the plain one, so that whoever serves it (the reactor) need
//! not know that its bytes are encrypted; `client` is the other side, for this crate's own client.
//!
//! Invariants: a channel holds a bounded number of bytes in each direction (the constants below
//! and one TLS record); while its plain bytes are not taken or its encrypted ones not sent, no more
//! are asked for. Nothing is resumed and nothing is early: every connection is a full handshake with
//! the certificates of now, so that a revoked one stays out.
//!
//! What is not known here: NBD's messages, sockets, who may use what.

pub(crate) mod client;
mod credentials;
mod revocations;
mod session;

pub use credentials::{Credentials, TlsError, TlsSettings};
pub(crate) use session::TlsSession;

use rustls::{ServerConfig, ServerConnection};
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::sync::Arc;

/// Bytes of the wire that are taken at once.
const INPUT_BYTES: usize = 32 << 10;
/// Encrypted bytes that wait to be sent, above which nothing more is encrypted or read. What is
/// encrypted in one step (rustls bounds it to 64 KiB) comes on top.
const OUTPUT_BYTES: usize = 64 << 10;

/// What a look for plain bytes brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plain {
    /// That many.
    Bytes(usize),
    /// None; bytes of the wire are needed.
    Wait,
    /// None, and none will come: the peer said good-bye.
    End,
}

/// The TLS of one connection.
pub(crate) struct Channel {
    connection: ServerConnection,
    input: Box<[u8]>,
    start: usize,
    end: usize,
    output: Vec<u8>,
    sent: usize,
    finished: bool,
}

impl Channel {
    pub(crate) fn new(config: Arc<ServerConfig>) -> Result<Channel, rustls::Error> {
        Ok(Channel {
            connection: ServerConnection::new(config)?,
            input: vec![0; INPUT_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            output: Vec::new(),
            sent: 0,
            finished: false,
        })
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Where bytes of the wire go. Empty while those before are not taken.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        &mut self.input[self.end..]
    }

    /// The first `count` bytes of the last `space` were filled.
    pub(crate) fn filled(&mut self, count: usize) {
        self.end += count;
    }

    /// Decrypts into `into`, which is not empty. After an error the alert for the peer waits in
    /// `outgoing` and nothing else will come.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> Result<Plain, rustls::Error> {
        debug_assert!(!into.is_empty(), "there is no room for a byte");
        loop {
            match self.connection.reader().read(into) {
                Ok(0) => return Ok(Plain::End),
                Ok(count) => return Ok(Plain::Bytes(count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(rustls::Error::General(error.to_string())),
            }
            if !self.take_input()? {
                return Ok(Plain::Wait);
            }
        }
    }

    /// Gives the TLS library what it takes of the input; `false` if there is none.
    fn take_input(&mut self) -> Result<bool, rustls::Error> {
        let mut here = &self.input[self.start..self.end];
        if here.is_empty() {
            return Ok(false);
        }
        let taken = self
            .connection
            .read_tls(&mut here)
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        self.start += taken;
        let outcome = self.connection.process_new_packets();
        self.gather();
        // After the peer's good-bye nothing more is taken.
        outcome.map(|_| taken > 0)
    }

    /// Goes on with the handshake as far as the bytes that are there allow.
    pub(crate) fn shake_hands(&mut self) -> Result<(), rustls::Error> {
        while self.connection.is_handshaking() && self.take_input()? {}
        Ok(())
    }

    /// Whether more may be encrypted and read.
    pub(crate) fn has_room(&self) -> bool {
        self.output.len() - self.sent < OUTPUT_BYTES
    }

    /// Encrypts plain bytes; how many of them, which is 0 when there is no room.
    pub(crate) fn write(&mut self, slices: &[IoSlice<'_>]) -> Result<usize, rustls::Error> {
        if !self.has_room() || self.finished {
            return Ok(0);
        }
        let written = self
            .connection
            .writer()
            .write_vectored(slices)
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        self.gather();
        Ok(written)
    }

    /// Says good-bye, once.
    pub(crate) fn finish(&mut self) {
        if !std::mem::replace(&mut self.finished, true) {
            self.connection.send_close_notify();
            self.gather();
        }
    }

    /// What waits to be sent.
    pub(crate) fn outgoing(&self) -> &[u8] {
        &self.output[self.sent..]
    }

    /// The first `count` bytes of `outgoing` were sent.
    pub(crate) fn sent(&mut self, count: usize) {
        self.sent += count;
        if self.sent == self.output.len() {
            self.output.clear();
            self.sent = 0;
        }
    }

    fn gather(&mut self) {
        if self.sent > 0 && self.connection.wants_write() {
            self.output.drain(..self.sent);
            self.sent = 0;
        }
        while self.connection.wants_write() {
            let gathered = self.connection.write_tls(&mut self.output);
            debug_assert!(matches!(gathered, Ok(1..)), "a vector takes all bytes");
            if !matches!(gathered, Ok(1..)) {
                return;
            }
        }
    }
}

/// A sentence for the log: what the library says, and what is most often the cause.
pub(crate) fn describe(error: &rustls::Error) -> String {
    use rustls::{AlertDescription, Error};
    let hint = match error {
        Error::NoCertificatesPresented => {
            ": the client showed no certificate, and `client_certificates` asks for one"
        }
        Error::InvalidMessage(_) => ": what the client sends is not TLS",
        Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired,
        ) => ": the client does not accept server-cert.pem",
        _ => "",
    };
    format!("TLS failed ({error}){hint}")
}

#[cfg(test)]
mod tests;
