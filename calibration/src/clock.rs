//! The two clocks of a measurement: real time, and the time of a model.
//!
//! Invariant: a clock never goes back.

use disktime_disks::reset_wake;
use disktime_units::Nanos;
use std::os::fd::RawFd;
use std::time::Instant;

/// What tells the time and lets it pass.
pub trait Clock {
    /// The time.
    fn now(&self) -> Nanos;

    /// Lets time pass until `until`, or until `wake` is set.
    fn wait(&mut self, wake: Option<RawFd>, until: Nanos);
}

/// Time that passes when it is waited for.
#[derive(Debug, Default)]
pub struct VirtualClock(Nanos);

impl Clock for VirtualClock {
    fn now(&self) -> Nanos {
        self.0
    }

    fn wait(&mut self, _wake: Option<RawFd>, until: Nanos) {
        self.0 = self.0.max(until);
    }
}

/// The monotonic clock.
#[derive(Debug)]
pub struct RealClock(Instant);

impl Default for RealClock {
    fn default() -> RealClock {
        RealClock(Instant::now())
    }
}

impl Clock for RealClock {
    fn now(&self) -> Nanos {
        Nanos::from(self.0.elapsed())
    }

    fn wait(&mut self, wake: Option<RawFd>, until: Nanos) {
        let left = until.saturating_sub(self.now());
        let timeout = libc::timespec {
            tv_sec: (left.0 / 1_000_000_000) as libc::time_t,
            tv_nsec: (left.0 % 1_000_000_000) as libc::c_long,
        };
        let mut polled = libc::pollfd {
            fd: wake.unwrap_or(-1),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one pollfd and one timespec that live through the call; no signal mask. A
        // negative descriptor is ignored by the kernel. An error ends the wait early, which the
        // caller expects anyway.
        let ready =
            unsafe { libc::ppoll(&raw mut polled, 1, &raw const timeout, std::ptr::null()) };
        if let (1, Some(fd)) = (ready, wake) {
            reset_wake(fd);
        }
    }
}
