//! The server's side of one TLS connection, without I/O: encrypted bytes in, plain bytes out, and
//! back.
//!
//! How it is driven: fill [`TlsChannel::space`] with bytes from the socket and report them with
//! [`TlsChannel::filled`]; send [`TlsChannel::outgoing`] and report it with [`TlsChannel::sent`].
//! During the handshake call [`TlsChannel::advance_handshake`], afterwards
//! [`TlsChannel::read`] and [`TlsChannel::write`].
//!
//! Invariant: a channel holds a bounded number of bytes in each direction (the constants below and
//! one TLS record). While its plain bytes are not taken or its encrypted ones are not sent, it asks
//! for no more.

use super::error::ChannelError;
use rustls::{ServerConfig, ServerConnection};
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::sync::Arc;

/// What [`TlsChannel::read`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decrypted {
    /// This many plain bytes.
    Bytes(usize),
    /// No plain bytes yet: more encrypted bytes are needed.
    NeedInput,
    /// No plain bytes, and none will follow: the peer has sent close_notify.
    End,
}

/// The TLS state of one connection.
pub struct TlsChannel {
    connection: ServerConnection,
    input: Box<[u8]>,
    start: usize,
    end: usize,
    output: Vec<u8>,
    sent: usize,
    finished: bool,
}

impl TlsChannel {
    /// Most encrypted bytes that wait to be decrypted.
    pub const INPUT_BYTES: usize = 32 << 10;
    /// While this many encrypted bytes wait to be sent, nothing more is encrypted or decrypted.
    /// What one step encrypts (rustls bounds it to 64 KiB) comes on top.
    pub const OUTPUT_BYTES: usize = 64 << 10;

    pub(super) fn new(config: Arc<ServerConfig>) -> Result<TlsChannel, ChannelError> {
        Ok(TlsChannel {
            connection: ServerConnection::new(config)?,
            input: vec![0; Self::INPUT_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            output: Vec::new(),
            sent: 0,
            finished: false,
        })
    }

    /// Whether the handshake is not complete yet.
    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Space for encrypted bytes. Empty while the bytes before are not decrypted.
    pub fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        &mut self.input[self.end..]
    }

    /// The first `count` bytes of the last `space` were filled.
    pub fn filled(&mut self, count: usize) {
        self.end += count;
    }

    /// Decrypts into `into`, which is not empty. After an error the alert for the peer waits in
    /// `outgoing` and nothing else follows.
    ///
    /// # Errors
    /// When the peer sends something that is not valid TLS, or an alert.
    pub fn read(&mut self, into: &mut [u8]) -> Result<Decrypted, ChannelError> {
        debug_assert!(!into.is_empty(), "there is no room for a byte");
        loop {
            match self.connection.reader().read(into) {
                Ok(0) => return Ok(Decrypted::End),
                Ok(count) => return Ok(Decrypted::Bytes(count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(ChannelError::from_io(&error)),
            }
            if !self.take_input()? {
                return Ok(Decrypted::NeedInput);
            }
        }
    }

    /// Passes input to the TLS library; `false` if there is none.
    fn take_input(&mut self) -> Result<bool, ChannelError> {
        let mut here = &self.input[self.start..self.end];
        if here.is_empty() {
            return Ok(false);
        }
        let taken = self
            .connection
            .read_tls(&mut here)
            .map_err(|error| ChannelError::from_io(&error))?;
        self.start += taken;
        let outcome = self.connection.process_new_packets();
        self.collect_output();
        // After the peer's close_notify nothing more is taken.
        outcome?;
        Ok(taken > 0)
    }

    /// Continues the handshake as far as the received bytes allow.
    ///
    /// # Errors
    /// When the peer sends something that is not a valid handshake, or its certificate is rejected.
    pub fn advance_handshake(&mut self) -> Result<(), ChannelError> {
        while self.connection.is_handshaking() && self.take_input()? {}
        Ok(())
    }

    /// Whether more may be encrypted and decrypted.
    pub fn has_room(&self) -> bool {
        self.output.len() - self.sent < Self::OUTPUT_BYTES
    }

    /// Encrypts plain bytes and returns how many; 0 when there is no space.
    ///
    /// # Errors
    /// When the TLS library fails.
    pub fn write(&mut self, slices: &[IoSlice<'_>]) -> Result<usize, ChannelError> {
        if !self.has_room() || self.finished {
            return Ok(0);
        }
        let written = self
            .connection
            .writer()
            .write_vectored(slices)
            .map_err(|error| ChannelError::from_io(&error))?;
        self.collect_output();
        Ok(written)
    }

    /// Queues close_notify, once; nothing is encrypted afterwards.
    pub fn finish(&mut self) {
        if !std::mem::replace(&mut self.finished, true) {
            self.connection.send_close_notify();
            self.collect_output();
        }
    }

    /// The encrypted bytes that wait to be sent.
    pub fn outgoing(&self) -> &[u8] {
        &self.output[self.sent..]
    }

    /// The first `count` bytes of `outgoing` were sent.
    pub fn sent(&mut self, count: usize) {
        self.sent += count;
        if self.sent == self.output.len() {
            self.output.clear();
            self.sent = 0;
        }
    }

    fn collect_output(&mut self) {
        if self.sent > 0 && self.connection.wants_write() {
            self.output.drain(..self.sent);
            self.sent = 0;
        }
        while self.connection.wants_write() {
            let written = self.connection.write_tls(&mut self.output);
            debug_assert!(matches!(written, Ok(1..)), "a vector takes all bytes");
            if !matches!(written, Ok(1..)) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
