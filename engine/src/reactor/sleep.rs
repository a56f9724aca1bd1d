//! The reactor's sleep: until a descriptor is ready, mail comes, or the service's next turn is due.
//!
//! Invariant: whoever sends mail sees that the reactor is about to sleep, or the reactor sees the mail.

use super::Reactor;
use super::poller::{TOKEN_DISK, TOKEN_MAILBOX};
use super::ports::is_port;
use crate::Service;
use disktime_units::Nanos;
use std::io;
use std::sync::atomic::Ordering;

/// The sleep ends this long before the next turn is due; the rest is polled.
const EARLY: Nanos = Nanos::from_micros(150);

impl<S: Service> Reactor<S> {
    /// Sleeps until something is ready or the service's next turn is due; not at all after a busy
    /// turn.
    pub(super) fn sleep(&mut self, busy: bool) -> io::Result<()> {
        // Put on the clock however busy the others are.
        let look = self.next_look();
        let timeout = if busy || !self.scheduled.is_empty() {
            Some(Nanos::ZERO)
        } else {
            self.shared.sleeping.store(true, Ordering::SeqCst);
            if self.take_mail() {
                Some(Nanos::ZERO)
            } else {
                self.timeout(look)
            }
        };
        let (connections, scheduled) = (&mut self.connections, &mut self.scheduled);
        let (wake_up, ports) = (&self.shared.wake_up, &mut self.ports);
        self.poller.wait(timeout, |ready| match ready.token {
            TOKEN_MAILBOX => wake_up.clear(),
            TOKEN_DISK => {}
            origin if is_port(origin) => ports.note_readable(origin),
            origin => {
                let index = (origin & 0xFFFF_FFFF) as usize;
                if let Some(connection) = connections.get_mut(index).and_then(Option::as_mut)
                    && connection.origin == origin
                {
                    connection.note(ready);
                    if !connection.scheduled {
                        connection.scheduled = true;
                        scheduled.push_back(index);
                    }
                }
            }
        })?;
        self.shared.sleeping.store(false, Ordering::SeqCst);
        self.look();
        Ok(())
    }

    /// Schedules the connections that it is time to look at.
    fn look(&mut self) {
        if self.gathering.is_empty() {
            return;
        }
        let now = self.now();
        let gathering = std::mem::take(&mut self.gathering);
        for index in &gathering {
            if self.connections[*index]
                .as_mut()
                .is_some_and(|one| one.look(now))
            {
                self.schedule(*index);
            }
        }
        self.gathering = gathering;
    }

    /// When the next of the connections that are looked at by the clock wants to be, from now.
    fn next_look(&mut self) -> Option<Nanos> {
        if self.gathering.is_empty() {
            return None;
        }
        let now = self.now();
        let mut next: Option<Nanos> = None;
        let connections = &mut self.connections;
        self.gathering.retain(|index| {
            let connection = connections[*index].as_mut();
            let look = connection.and_then(|connection| connection.next_look(now));
            next = [next, look].into_iter().flatten().min();
            look.is_some()
        });
        next.map(|next| next.saturating_sub(now))
    }

    fn timeout(&self, look: Option<Nanos>) -> Option<Nanos> {
        let drain = self.stopping.then_some(Nanos::from_millis(100));
        let early = if self.service.is_punctual() {
            EARLY
        } else {
            Nanos::ZERO
        };
        let wake = self.service.next_wake().map(|wake| {
            let left = wake.saturating_sub(self.now());
            left.saturating_sub(early)
        });
        [look, drain, wake].into_iter().flatten().min()
    }
}
