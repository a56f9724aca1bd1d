//! How many requests are under way, and whether new ones are still taken: what an orderly end needs.
//!
//! Invariant: after [`InFlight::drain`] returns, no request is with the backend and none will be.

use std::sync::Mutex;
use tokio::sync::Notify;

/// Counts requests under way.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    state: Mutex<State>,
    idle: Notify,
}

#[derive(Debug, Default)]
struct State {
    count: usize,
    draining: bool,
}

/// One request under way; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Entered<'a>(&'a InFlight);

impl InFlight {
    /// Begins a request; `None` when the server is going away.
    pub(crate) fn enter(&self) -> Option<Entered<'_>> {
        let mut state = self.state();
        if state.draining {
            return None;
        }
        state.count += 1;
        Some(Entered(self))
    }

    /// Takes no more requests.
    pub(crate) fn close(&self) {
        self.state().draining = true;
    }

    /// Takes no more requests and waits until those under way are answered.
    pub(crate) async fn drain(&self) {
        self.close();
        loop {
            // Registered before the look, so that an end between look and wait is not missed.
            let notified = self.idle.notified();
            if self.state().count == 0 {
                return;
            }
            notified.await;
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // Nothing can panic while the lock is held, so a poisoned state is still a true one.
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.count -= 1;
        if state.count == 0 && state.draining {
            self.0.idle.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn drain_waits_for_the_last_request_and_takes_no_new_one() {
        let in_flight = Arc::new(InFlight::default());
        let first = in_flight.enter().expect("open");
        let second = in_flight.enter().expect("open");
        let waiter = tokio::spawn({
            let in_flight = in_flight.clone();
            async move { in_flight.drain().await }
        });
        drop(first);
        while in_flight.enter().is_some() {
            tokio::task::yield_now().await;
        }
        assert!(!waiter.is_finished(), "one request is still under way");
        drop(second);
        waiter.await.expect("drained");
    }
}
