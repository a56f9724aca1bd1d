//! A session inside TLS: the same [`Session`] outside, encrypted bytes at the socket's side.
//!
//! How the two meet: the wire's bytes go into the channel's buffer and are decrypted only into room
//! that the inner session offers (a write's data into the request's own buffer); replies are
//! encrypted as long as the channel has room and count as sent for the inner session then. So the
//! inner session's bounds hold for the plain bytes and the channel's for the encrypted ones.
//!
//! Invariants: the good-bye (close_notify) goes out after the last reply: when the client has said
//! its own, or when the server closes the connection (`finish`). Until then requests are taken; while
//! the server drains they are told so by the inner session, as without TLS. After an error the alert
//! is what is left to send.

use super::{Channel, Plain, describe};
use disktime_engine::{BufferPool, Reply, Request, Session, SessionStatus};
use std::io::IoSlice;

/// Pieces of replies that are encrypted in one step.
const SLICES: usize = 64;

/// A session around `S` that speaks TLS with the peer.
pub(crate) struct TlsSession<S> {
    inner: S,
    channel: Channel,
    /// Requests handed out and not yet answered.
    under_way: usize,
    /// All that the wire brought was decrypted and taken.
    starved: bool,
    /// The wire brings nothing any more.
    ended: bool,
    /// The good-bye is said.
    closed: bool,
    failure: Option<String>,
}

impl<S: Session> TlsSession<S> {
    /// `inner` behind a channel whose handshake is done.
    pub(crate) fn new(inner: S, channel: Channel) -> TlsSession<S> {
        TlsSession {
            inner,
            channel,
            under_way: 0,
            starved: false,
            ended: false,
            closed: false,
            failure: None,
        }
    }

    fn is_over(&self) -> bool {
        self.closed || self.failure.is_some()
    }

    fn fail(&mut self, error: &rustls::Error) {
        self.failure = Some(describe(error));
    }

    /// Decrypts into the inner session, once; whether it got something.
    fn feed(&mut self, pool: &mut BufferPool) -> bool {
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
            Ok(Plain::Bytes(count)) => {
                self.inner.filled(count);
                true
            }
            Ok(Plain::Wait) => {
                self.starved = true;
                false
            }
            Ok(Plain::End) => {
                self.ended = true;
                self.inner.end_of_input();
                true
            }
            Err(error) => {
                self.fail(&error);
                false
            }
        }
    }

    /// Encrypts what the inner session wants to send, as far as there is room.
    fn pump(&mut self, pool: &mut BufferPool) {
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

    /// Says good-bye when all is said.
    fn settle(&mut self) {
        if self.is_over() || self.under_way > 0 {
            return;
        }
        let ends = self.inner.status() == SessionStatus::Finishing;
        if ends && self.inner.outgoing(&mut [IoSlice::new(&[])]) == 0 {
            self.channel.finish();
            self.closed = true;
        }
    }
}

impl<S: Session> Session for TlsSession<S> {
    fn space(&mut self, _pool: &mut BufferPool) -> &mut [u8] {
        let wanted = self.starved
            && !self.ended
            && !self.is_over()
            && self.inner.status() == SessionStatus::Open;
        if wanted {
            self.channel.space()
        } else {
            &mut []
        }
    }

    fn filled(&mut self, count: usize) {
        self.starved = false;
        self.channel.filled(count);
    }

    fn next_request(&mut self, pool: &mut BufferPool) -> Option<Request> {
        loop {
            if let Some(request) = self.inner.next_request(pool) {
                self.under_way += 1;
                return Some(request);
            }
            // What the session answers by itself makes room for what comes next.
            self.pump(pool);
            if !self.feed(pool) {
                break;
            }
        }
        self.settle();
        None
    }

    fn reply(&mut self, reply: Reply, pool: &mut BufferPool) {
        self.under_way = self.under_way.saturating_sub(1);
        self.inner.reply(reply, pool);
        self.pump(pool);
        self.settle();
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
        self.pump(pool);
        self.settle();
    }

    fn end_of_input(&mut self) {
        // Asked for bytes only when all before were taken, so nothing is left behind.
        self.ended = true;
        self.inner.end_of_input();
        self.settle();
    }

    fn drain(&mut self) {
        self.inner.drain();
    }

    fn finish(&mut self) {
        self.inner.finish();
        self.settle();
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
