//! A reactor that is told to stop.

use disktime_engine::{Reactor, Reply, Request, Service, StopTimes};
use disktime_units::Nanos;
use std::os::fd::RawFd;
use std::time::Instant;

/// Something that no client waits for, and that has no end by itself.
#[derive(Default)]
struct Background {
    is_over: bool,
}

impl Service for Background {
    fn submit(&mut self, _now: Nanos, request: Request) -> Result<(), Request> {
        Err(request)
    }
    fn turn(&mut self, _now: Nanos, _replies: &mut Vec<Reply>) {}
    fn next_wake(&self) -> Option<Nanos> {
        None
    }
    fn wake_fds(&self) -> Vec<RawFd> {
        Vec::new()
    }
    fn begin_stop(&mut self) {
        self.is_over = true;
    }
    fn is_idle(&self) -> bool {
        self.is_over
    }
}

#[test]
fn a_stop_ends_what_no_client_waits_for_at_its_beginning() {
    let (reactor, handle) = Reactor::new(Background::default(), Instant::now()).expect("a reactor");
    // Where it is not told, it ends when it gives up.
    let reactor = reactor.with_stop_times(StopTimes {
        drain: Nanos::from_secs(60),
        give_up: Nanos::from_secs(5),
    });
    handle.stop().expect("it takes mail");
    let service = reactor.run().expect("it can wait");
    assert!(service.is_over, "it was given up");
}
