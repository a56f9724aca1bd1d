//! The ports of a reactor: which have something to read, and which replies are theirs.
//!
//! Invariant: a port's descriptor is watched exactly while the port wants input, as a
//! level-triggered event that is not taken would keep the reactor awake.

use super::intake::offer;
use super::poller::Poller;
use crate::port::{Port, PortStatus};
use crate::{BufferPool, Reply, Request, Service, VdiskId};
use disktime_units::Nanos;
use std::io;

/// Origins of ports have this bit; the rest is the port's index.
const PORT: u64 = 1 << 62;

/// Whether an origin or an event's token is a port's.
pub(super) fn is_port(origin: u64) -> bool {
    origin & PORT != 0
}

struct OpenPort {
    port: Box<dyn Port>,
    readable: bool,
    watched: bool,
    /// Is in the reactor's list of waiters, as its vdisk's queue was full.
    waits: bool,
}

/// All ports of a reactor.
#[derive(Default)]
pub(super) struct Ports(Vec<Option<OpenPort>>);

impl Ports {
    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    pub(super) fn open(&mut self, mut port: Box<dyn Port>, poller: &Poller) -> io::Result<()> {
        let origin = PORT | self.0.len() as u64;
        poller.watch_level(port.descriptor(), origin)?;
        port.opened(origin);
        self.0.push(Some(OpenPort {
            port,
            readable: true,
            watched: true,
            waits: false,
        }));
        Ok(())
    }

    fn get_mut(&mut self, origin: u64) -> Option<&mut OpenPort> {
        let index = usize::try_from(origin & !PORT).ok()?;
        self.0.get_mut(index)?.as_mut()
    }

    pub(super) fn note_readable(&mut self, origin: u64) {
        if let Some(opened) = self.get_mut(origin) {
            opened.readable = true;
        }
    }

    /// Submits requests of the ports that are readable; returns whether any was submitted. `wait`
    /// is called with the origin of each port that holds requests from now on.
    pub(super) fn receive<S: Service>(
        &mut self,
        service: &mut S,
        full: &mut Vec<VdiskId>,
        pool: &mut BufferPool,
        now: Nanos,
        mut wait: impl FnMut(u64),
    ) -> bool {
        let mut any = false;
        for (index, opened) in self.0.iter_mut().enumerate() {
            let Some(opened) = opened.as_mut() else {
                continue;
            };
            if !opened.readable && !opened.port.is_ready() {
                continue;
            }
            // The descriptor is level-triggered: it is reported again before the next sleep.
            opened.readable = false;
            let origin = PORT | index as u64;
            let mut submit = |mut request: Request| {
                request.origin = origin;
                offer(service, full, now, request)
            };
            any |= opened.port.receive(pool, &mut submit);
            opened.port.send();
            if opened.port.holds_requests() && !opened.waits {
                opened.waits = true;
                wait(origin);
            }
        }
        any
    }

    /// Offers the requests that a port holds. Returns whether any was submitted, and whether the
    /// port goes on waiting.
    pub(super) fn submit_held<S: Service>(
        &mut self,
        origin: u64,
        service: &mut S,
        full: &mut Vec<VdiskId>,
        now: Nanos,
    ) -> (bool, bool) {
        let Some(opened) = self.get_mut(origin) else {
            return (false, false);
        };
        let submitted = opened.port.submit_held(&mut |mut request| {
            request.origin = origin;
            offer(service, full, now, request)
        });
        opened.waits = opened.port.holds_requests();
        (submitted, opened.waits)
    }

    pub(super) fn reply(&mut self, reply: Reply, pool: &mut BufferPool) {
        match self.get_mut(reply.origin) {
            Some(opened) => opened.port.reply(reply, pool),
            // The port was dropped in the meantime; only its buffer is reused.
            None => reply.buffer.into_iter().for_each(|buffer| pool.put(buffer)),
        }
    }

    /// Sends the replies that the ports have queued.
    pub(super) fn send(&mut self) {
        for opened in self.0.iter_mut().flatten() {
            opened.port.send();
        }
    }

    pub(super) fn drain(&mut self) {
        for opened in self.0.iter_mut().flatten() {
            opened.port.drain();
        }
    }

    /// Drops ports that have ended, and watches the others for input while they want it. Returns
    /// whether one wants its next turn at once.
    pub(super) fn turn(&mut self, poller: &Poller) -> io::Result<bool> {
        let mut busy = false;
        for (index, place) in self.0.iter_mut().enumerate() {
            let Some(opened) = place else { continue };
            let descriptor = opened.port.descriptor();
            match opened.port.turn() {
                PortStatus::Open => busy |= opened.port.is_ready(),
                PortStatus::Busy => busy = true,
                PortStatus::Closed => {
                    if opened.watched {
                        poller.forget(descriptor)?;
                    }
                    *place = None;
                    continue;
                }
            }
            let wanted = opened.port.wants_input();
            if wanted != opened.watched {
                opened.watched = wanted;
                match wanted {
                    true => poller.watch_level(descriptor, PORT | index as u64)?,
                    false => poller.forget(descriptor)?,
                }
            }
        }
        Ok(busy)
    }
}
