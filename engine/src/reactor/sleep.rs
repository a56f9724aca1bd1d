//! The reactor's sleep: until a descriptor is ready, mail comes, or the service's next turn is due.
//!
//! A paced disk has to be served on time, and the kernel's timers are late by up to 150 µs: the
//! sleep ends that much early, and the rest is polled. Other disks are waited for by their
//! descriptor, and the times that the scheduler names may be late.
//!
//! Invariant: a sender of mail sees that the reactor is about to sleep, or the reactor sees the
//! mail.

use super::Reactor;
use super::poller::{TOKEN_DISK, TOKEN_MAILBOX};
use super::ports::is_port;
use crate::Service;
use disktime_units::Nanos;
use std::io;

/// On a paced disk the sleep ends this long before the next turn is due; the rest is polled.
const EARLY: Nanos = Nanos::from_micros(150);

/// With requests in flight it sleeps no longer than this, so that a longer gap is a pause.
const HEARTBEAT: Nanos = Nanos::from_millis(100);
/// A gap between two turns with requests in flight that is longer than this is a pause: the
/// process was stopped, or its machine did not run.
const PAUSE: Nanos = Nanos::from_millis(400);

impl<S: Service> Reactor<S> {
    /// Tells the service of a pause since it was asked last, if there was one: before each turn and
    /// after each sleep, so that it is noticed wherever the process was stopped, and before the
    /// completions that waited for it are counted.
    pub(super) fn note_pause(&mut self, now: Nanos) {
        let gap = now.saturating_sub(std::mem::replace(&mut self.ran_at, now));
        if gap > PAUSE && !self.service.is_idle() {
            tracing::warn!("the server did not run for {gap}; no vdisk is charged for that time");
            self.service.paused(gap);
        }
    }

    /// Sleeps until something is ready or the service's next turn is due; not at all after a busy
    /// turn.
    pub(super) fn sleep(&mut self, busy: bool) -> io::Result<()> {
        // Scheduled in every turn, even if it does not sleep.
        let poll = self.next_poll();
        let timeout = if busy || !self.scheduled.is_empty() {
            Some(Nanos::ZERO)
        } else {
            self.signal.announce_sleep();
            if self.take_mail() {
                Some(Nanos::ZERO)
            } else {
                self.timeout(poll)
            }
        };
        let (connections, scheduled) = (&mut self.connections, &mut self.scheduled);
        let (signal, ports) = (&self.signal, &mut self.ports);
        self.poller.wait(timeout, |ready| match ready.token {
            TOKEN_MAILBOX => signal.clear(),
            TOKEN_DISK => {}
            origin if is_port(origin) => ports.note_readable(origin),
            origin => {
                let index = (origin & 0xFFFF_FFFF) as usize;
                if let Some(connection) = connections.get_mut(index).and_then(Option::as_mut)
                    && connection.origin() == origin
                {
                    connection.note(ready);
                    if connection.schedule() {
                        scheduled.push_back(index);
                    }
                }
            }
        })?;
        self.signal.announce_awake();
        self.poll_due();
        Ok(())
    }

    /// Schedules the connections whose poll is due.
    fn poll_due(&mut self) {
        if self.polled.is_empty() {
            return;
        }
        let now = self.now();
        let polled = std::mem::take(&mut self.polled);
        for index in &polled {
            if self.connections[*index]
                .as_mut()
                .is_some_and(|connection| connection.poll(now))
            {
                self.schedule(*index);
            }
        }
        self.polled = polled;
    }

    /// The time until the next poll of a connection is due, if any is polled.
    fn next_poll(&mut self) -> Option<Nanos> {
        if self.polled.is_empty() {
            return None;
        }
        let now = self.now();
        let mut next: Option<Nanos> = None;
        let connections = &mut self.connections;
        self.polled.retain(|index| {
            let connection = connections[*index].as_mut();
            let poll = connection.and_then(|connection| connection.next_poll(now));
            next = [next, poll].into_iter().flatten().min();
            poll.is_some()
        });
        next.map(|next| next.saturating_sub(now))
    }

    /// How long to sleep at most.
    fn timeout(&self, poll: Option<Nanos>) -> Option<Nanos> {
        let drain = self.is_draining().then_some(Nanos::from_millis(100));
        let early = if self.service.is_punctual() {
            EARLY
        } else {
            Nanos::ZERO
        };
        let wake = self.service.next_wake().map(|wake| {
            let left = wake.saturating_sub(self.now());
            left.saturating_sub(early)
        });
        let heartbeat = (!self.service.is_idle()).then_some(HEARTBEAT);
        let all = [poll, drain, wake, heartbeat];
        all.into_iter().flatten().min()
    }
}
