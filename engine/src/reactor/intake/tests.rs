//! Unit tests of `intake`: who has a turn while several connections have requests, with a service
//! on which each request takes longer than a connection's time.

use super::*;
use crate::session::SessionStatus;
use crate::{BufferPool, Reply, RequestKind, Session};
use std::collections::VecDeque;
use std::io::{IoSlice, Write};
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Keeps the order in which the vdisks' requests came, by their connections.
#[derive(Default)]
struct Slow(Vec<(VdiskId, u64)>);

impl Service for Slow {
    fn submit(&mut self, _now: Nanos, request: Request) -> Result<(), Request> {
        let end = Instant::now() + Duration::from_nanos(VDISK_TIME.0);
        while Instant::now() < end {}
        self.0.push((request.vdisk, request.handle));
        Ok(())
    }

    fn turn(&mut self, _now: Nanos, _replies: &mut Vec<Reply>) {}

    fn next_wake(&self) -> Option<Nanos> {
        None
    }

    fn wake_fds(&self) -> Vec<RawFd> {
        Vec::new()
    }

    fn is_idle(&self) -> bool {
        true
    }
}

/// Each byte is a request; its value is the handle.
struct Bytes {
    vdisk: VdiskId,
    space: [u8; 4096],
    received: VecDeque<u8>,
}

impl Session for Bytes {
    fn vdisk(&self) -> VdiskId {
        self.vdisk
    }

    fn space(&mut self, _pool: &mut BufferPool) -> &mut [u8] {
        &mut self.space
    }

    fn filled(&mut self, count: usize) {
        self.received.extend(&self.space[..count]);
    }

    fn next_request(&mut self, _pool: &mut BufferPool) -> Option<Request> {
        let handle = u64::from(self.received.pop_front()?);
        Some(Request {
            origin: 0,
            handle,
            vdisk: self.vdisk,
            kind: RequestKind::Flush,
            offset_bytes: 0,
            len_bytes: 0,
            fua: false,
            buffer: None,
        })
    }

    fn reply(&mut self, _reply: Reply, _pool: &mut BufferPool) {}

    fn outgoing<'a>(&'a self, _slices: &mut [IoSlice<'a>]) -> usize {
        0
    }

    fn sent(&mut self, _count: usize, _pool: &mut BufferPool) {}

    fn end_of_input(&mut self) {}

    fn drain(&mut self) {}

    fn finish(&mut self) {}

    fn status(&self) -> SessionStatus {
        SessionStatus::Open
    }
}

/// A reactor and the clients' ends of its connections.
fn connected(vdisks: &[u64]) -> (Reactor<Slow>, Vec<UnixStream>) {
    let (mut reactor, _) = Reactor::new(Slow::default(), Instant::now()).expect("descriptors");
    let mut clients = Vec::new();
    for (connection, vdisk) in (0..).zip(vdisks) {
        let (mut client, server) = UnixStream::pair().expect("descriptors");
        server.set_nonblocking(true).expect("a socket");
        client.write_all(&[connection; 100]).expect("it fits");
        let session = Bytes {
            vdisk: VdiskId(*vdisk),
            space: [0; 4096],
            received: VecDeque::new(),
        };
        reactor.connect(OwnedFd::from(server), Box::new(session));
        clients.push(client);
    }
    (reactor, clients)
}

/// The requests of so many rounds: vdisk and connection of each.
fn rounds(reactor: &mut Reactor<Slow>, count: usize) -> Vec<Vec<(u64, u64)>> {
    let mut rounds = Vec::new();
    for _ in 0..count {
        reactor.service.0.clear();
        assert!(reactor.receive(), "they have more");
        let requests = reactor.service.0.iter();
        rounds.push(requests.map(|(vdisk, handle)| (vdisk.0, *handle)).collect());
    }
    rounds
}

#[test]
fn a_connection_with_many_requests_leaves_each_other_one_its_turn() {
    let (mut reactor, _clients) = connected(&[1, 2, 3]);
    let round = vec![(1, 0), (2, 1), (3, 2)];
    assert_eq!(rounds(&mut reactor, 5), vec![round; 5]);
}

#[test]
fn the_connections_of_a_vdisk_share_its_turn() {
    let (mut reactor, _clients) = connected(&[1, 1, 1, 2]);
    let expected = [0, 1, 2, 0, 1].map(|served| vec![(1, served), (2, 3)]);
    assert_eq!(rounds(&mut reactor, 5), expected);
}

#[test]
fn a_connection_that_is_alone_is_read_to_the_end() {
    let (mut reactor, _clients) = connected(&[1]);
    assert_eq!(rounds(&mut reactor, 1), [vec![(1, 0); 100]]);
}
