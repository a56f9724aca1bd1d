//! A session inside TLS: a [`Session`] around another one, with encrypted bytes at the socket's
//! side.
//!
//! Received bytes go into the channel's buffer and are decrypted only into space that the inner
//! session offers (the data of a write into the request's own buffer). Replies are encrypted as
//! long as the channel has space, and count as sent for the inner session then. So the inner
//! session's limits hold for the plain bytes and the channel's for the encrypted ones.
//!
//! Invariants: close_notify is sent after the last reply, when the client has sent its own or when
//! the server closes the connection (`finish`). While the server drains, nothing more is read, as
//! without TLS. After a TLS error only the alert is left to send.
//!
//! What is not known here: NBD, sockets, certificates.

use disktime_engine::{BufferPool, Reply, Request, Session, SessionStatus, VdiskId};
use disktime_sockets::{ChannelError, Decrypted, TlsChannel};
use std::io::IoSlice;

/// Most slices of replies that one step encrypts.
const SLICES: usize = 64;

/// A session around `S` that speaks TLS with the peer.
pub(crate) struct EncryptedSession<S> {
    inner: S,
    channel: TlsChannel,
    /// Requests in flight: taken from the inner session and not yet answered.
    in_flight: usize,
    /// All received bytes are decrypted and taken.
    needs_input: bool,
    /// The peer sends nothing any more, or the server stops and reads nothing more.
    input_ended: bool,
    /// close_notify is queued.
    closed: bool,
    failure: Option<String>,
}

impl<S: Session> EncryptedSession<S> {
    /// `inner` behind a channel whose handshake is done.
    pub(crate) fn new(inner: S, channel: TlsChannel) -> EncryptedSession<S> {
        EncryptedSession {
            inner,
            channel,
            in_flight: 0,
            needs_input: false,
            input_ended: false,
            closed: false,
            failure: None,
        }
    }

    fn is_over(&self) -> bool {
        self.closed || self.failure.is_some()
    }

    fn fail(&mut self, error: &ChannelError) {
        self.failure = Some(error.to_string());
    }

    /// Decrypts into the inner session, once; returns whether it received something.
    fn decrypt_step(&mut self, pool: &mut BufferPool) -> bool {
        if self.is_over() || !self.channel.has_room() {
            return false;
        }
        if self.inner.status() != SessionStatus::Open {
            return false;
        }
        let space = self.inner.space(pool);
        if space.is_empty() {
            return false;
        }
        match self.channel.read(space) {
            Ok(Decrypted::Bytes(count)) => {
                self.inner.filled(count);
                true
            }
            Ok(Decrypted::NeedInput) => {
                self.needs_input = true;
                false
            }
            Ok(Decrypted::End) => {
                self.input_ended = true;
                self.inner.end_of_input();
                true
            }
            Err(error) => {
                self.fail(&error);
                false
            }
        }
    }

    /// Encrypts what the inner session wants to send, as far as there is space.
    fn encrypt_outgoing(&mut self, pool: &mut BufferPool) {
        while !self.is_over() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let used = self.inner.outgoing(&mut slices);
            if used == 0 {
                return;
            }
            match self.channel.write(&slices[..used]) {
                Ok(0) => return,
                Ok(count) => self.inner.sent(count, pool),
                Err(error) => self.fail(&error),
            }
        }
    }

    /// Queues close_notify once the inner session is finished and everything is sent.
    fn close_if_finished(&mut self) {
        if self.is_over() || self.in_flight > 0 {
            return;
        }
        let ends = self.inner.status() == SessionStatus::Finishing;
        if ends && self.inner.outgoing(&mut [IoSlice::new(&[])]) == 0 {
            self.channel.finish();
            self.closed = true;
        }
    }
}

impl<S: Session> Session for EncryptedSession<S> {
    fn vdisk(&self) -> VdiskId {
        self.inner.vdisk()
    }

    fn space(&mut self, _pool: &mut BufferPool) -> &mut [u8] {
        let wanted = self.needs_input
            && !self.input_ended
            && !self.is_over()
            && self.inner.status() == SessionStatus::Open;
        if wanted {
            self.channel.space()
        } else {
            &mut []
        }
    }

    fn filled(&mut self, count: usize) {
        self.needs_input = false;
        self.channel.filled(count);
    }

    fn next_request(&mut self, pool: &mut BufferPool) -> Option<Request> {
        loop {
            if let Some(request) = self.inner.next_request(pool) {
                self.in_flight += 1;
                return Some(request);
            }
            // Replies that the inner session makes by itself are encrypted; it has space then.
            self.encrypt_outgoing(pool);
            if !self.decrypt_step(pool) {
                break;
            }
        }
        self.close_if_finished();
        None
    }

    fn reply(&mut self, reply: Reply, pool: &mut BufferPool) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.inner.reply(reply, pool);
        self.encrypt_outgoing(pool);
        self.close_if_finished();
    }

    fn outgoing<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let waiting = self.channel.outgoing();
        match slices.first_mut() {
            Some(first) if !waiting.is_empty() => {
                *first = IoSlice::new(waiting);
                1
            }
            _ => 0,
        }
    }

    fn sent(&mut self, count: usize, pool: &mut BufferPool) {
        self.channel.sent(count);
        self.encrypt_outgoing(pool);
        self.close_if_finished();
    }

    fn end_of_input(&mut self) {
        // Bytes are only asked for when all earlier ones are taken, so no byte is lost.
        self.input_ended = true;
        self.inner.end_of_input();
        self.close_if_finished();
    }

    fn drain(&mut self) {
        self.input_ended = true;
        self.inner.drain();
    }

    fn finish(&mut self) {
        self.inner.finish();
        self.close_if_finished();
    }

    fn is_ended_by_peer(&self) -> bool {
        self.inner.is_ended_by_peer()
    }

    fn status(&self) -> SessionStatus {
        match &self.failure {
            Some(reason) => SessionStatus::Broken(reason.clone()),
            None if self.closed => SessionStatus::Finishing,
            None => self.inner.status(),
        }
    }

    fn abandon(&mut self, pool: &mut BufferPool) {
        self.inner.abandon(pool);
    }
}
