//! Requests on their way to the service: from mail, from ports, from connections, and those that
//! wait because their vdisk's queue was full.
//!
//! Invariants: requests for one vdisk that wait are submitted in order of arrival, before any later
//! one for that vdisk; a request that the service refused stays with its holder, so each connection
//! holds at most one. While several connections have requests, none takes more than its part of the
//! processor's time in a round, however many requests it has sent and whatever each of them costs,
//! and neither do all connections of a vdisk together.

use super::connection::Connection;
use super::mailbox::ReplyCallback;
use super::{MAILED, Reactor};
use crate::{Request, Service, VdiskId};
use disktime_units::Nanos;
use std::collections::HashMap;

/// Processor time that a connection may use in a round while others have requests, up to one
/// request more. A dozen reads; what waits behind ten such connections waits 0.2 ms.
const CONNECTION_TIME: Nanos = Nanos::from_micros(20);
/// The same for all connections of a vdisk.
const VDISK_TIME: Nanos = Nanos::from_micros(40);

/// What the round has used of the processor.
#[derive(Default)]
pub(super) struct RoundTime {
    /// By vdisk; empty while one connection alone has requests.
    spent: HashMap<VdiskId, Nanos>,
    /// Connections whose vdisk has used its time: first in the next round.
    deferred: Vec<usize>,
}

impl RoundTime {
    fn is_over(&self, vdisk: Option<VdiskId>) -> bool {
        vdisk
            .and_then(|vdisk| self.spent.get(&vdisk))
            .is_some_and(|spent| *spent >= VDISK_TIME)
    }

    fn spend(&mut self, vdisk: Option<VdiskId>, time: Nanos) {
        if let Some(vdisk) = vdisk {
            *self.spent.entry(vdisk).or_insert(Nanos::ZERO) += time;
        }
    }
}

/// The holder of a request that waits for space in its vdisk's queue.
pub(super) enum Waiter {
    /// A request that another thread sent.
    Mail(Request),
    /// The connection of that origin holds it.
    Connection(u64),
    /// The port of that origin holds some.
    Port(u64),
}

impl<S: Service> Reactor<S> {
    /// Takes a request of another thread in; it is submitted in the next round.
    pub(super) fn submit_mailed(&mut self, mut request: Request, callback: ReplyCallback) {
        let index = self.free_callbacks.pop().unwrap_or_else(|| {
            self.callbacks.push(None);
            self.callbacks.len() - 1
        });
        self.callbacks[index] = Some(callback);
        request.origin = MAILED | index as u64;
        self.waiters.push_back(Waiter::Mail(request));
    }

    /// Submits requests of all sources; returns whether any was submitted or more can be read.
    pub(super) fn receive(&mut self) -> bool {
        let now = self.now();
        self.full.clear();
        let mut any = self.submit_waiting(now);
        let waiters = &mut self.waiters;
        any |= self.ports.receive(
            &mut self.service,
            &mut self.full,
            &mut self.pool,
            now,
            |origin| waiters.push_back(Waiter::Port(origin)),
        );
        any | self.receive_from_all(now)
    }

    /// Reads from the scheduled connections; returns whether any submitted requests or has more.
    fn receive_from_all(&mut self, now: Nanos) -> bool {
        let count = self.scheduled.len();
        if count == 1 && self.ports.is_empty() {
            let index = self.scheduled.pop_front();
            return index.is_some_and(|index| self.receive_from(index, now, None));
        }
        let mut any = false;
        let mut began = now;
        self.round_time.spent.clear();
        for _ in 0..count {
            let Some(index) = self.scheduled.pop_front() else {
                break;
            };
            if self.round_time.is_over(self.vdisk_of(index)) {
                self.round_time.deferred.push(index);
                any = true;
                continue;
            }
            any |= self.receive_from(index, began, Some(began + CONNECTION_TIME));
            let ended = self.now();
            let time = ended.saturating_sub(began);
            self.round_time.spend(self.vdisk_of(index), time);
            began = ended;
        }
        while let Some(index) = self.round_time.deferred.pop() {
            self.scheduled.push_front(index);
        }
        any
    }

    /// The vdisk that a connection asks for, if it is still there.
    fn vdisk_of(&self, index: usize) -> Option<VdiskId> {
        self.connections[index].as_ref().map(Connection::vdisk)
    }

    /// Reads from a connection, until then if that is given; returns whether it submitted requests
    /// or more can be read.
    fn receive_from(&mut self, index: usize, now: Nanos, until: Option<Nanos>) -> bool {
        let (service, full, epoch) = (&mut self.service, &mut self.full, self.epoch);
        let Some(connection) = &mut self.connections[index] else {
            return false;
        };
        connection.unschedule();
        let waited = connection.holds_request();
        let submit = |request| offer(service, full, now, request);
        let is_over = || until.is_some_and(|until| Nanos::from(epoch.elapsed()) >= until);
        let progress = connection.receive(now, &mut self.pool, submit, is_over);
        if progress.polling_began && !self.polled.contains(&index) {
            self.polled.push(index);
        }
        if connection.holds_request() && !waited {
            self.waiters
                .push_back(Waiter::Connection(connection.origin()));
        }
        // Replies that the session made itself are sent here; no later event would resume the
        // requests that waited in the session for that room.
        let sent = connection.send(&mut self.pool);
        connection.watch(&self.poller);
        self.touched.push(index);
        if progress.more || sent {
            self.schedule(index);
        }
        progress.requests > 0 || progress.more
    }

    /// Offers the waiting requests again, in order; returns whether any was submitted.
    fn submit_waiting(&mut self, now: Nanos) -> bool {
        let mut any = false;
        for _ in 0..self.waiters.len() {
            let Some(waiter) = self.waiters.pop_front() else {
                break;
            };
            any |= match waiter {
                Waiter::Mail(request) => {
                    match offer(&mut self.service, &mut self.full, now, request) {
                        Ok(()) => true,
                        Err(request) => {
                            self.waiters.push_back(Waiter::Mail(request));
                            false
                        }
                    }
                }
                Waiter::Connection(origin) => self.submit_held(now, origin),
                Waiter::Port(origin) => {
                    let (service, full) = (&mut self.service, &mut self.full);
                    let (submitted, waits) = self.ports.submit_held(origin, service, full, now);
                    if waits {
                        self.waiters.push_back(Waiter::Port(origin));
                    }
                    submitted
                }
            };
        }
        any
    }

    /// Offers the request that a connection holds; returns whether it was submitted.
    fn submit_held(&mut self, now: Nanos, origin: u64) -> bool {
        let index = (origin & 0xFFFF_FFFF) as usize;
        let (service, full) = (&mut self.service, &mut self.full);
        // A connection that was closed took its request with it.
        let Some(connection) = self.connections[index]
            .as_mut()
            .filter(|connection| connection.origin() == origin)
        else {
            return false;
        };
        let submitted = connection.submit_held(|request| offer(service, full, now, request));
        if submitted {
            self.schedule(index);
        } else {
            self.waiters.push_back(Waiter::Connection(origin));
        }
        submitted
    }
}

/// Offers a request to the service, unless one for the same vdisk was refused in this turn.
pub(super) fn offer<S: Service>(
    service: &mut S,
    full: &mut Vec<VdiskId>,
    now: Nanos,
    request: Request,
) -> Result<(), Request> {
    if full.contains(&request.vdisk) {
        return Err(request);
    }
    service
        .submit(now, request)
        .inspect_err(|request| full.push(request.vdisk))
}

#[cfg(test)]
mod tests;
