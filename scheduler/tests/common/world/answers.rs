//! What the clients do: they issue requests, get answers, think, and wake up at the worst moment.

use super::{Event, Request, World};
use crate::common::Rng;
use crate::common::clients::{Behaviour, Client, ClientConfig};
use disktime_scheduler::{Arrival, RequestId, StreamConfig, StreamCounters, StreamId};
use disktime_units::Nanos;

/// After a longer pause, a stream starts afresh: grace time, rest of the period, debt.
fn long_pause(config: StreamConfig, worst_case: Nanos) -> Nanos {
    let Some(reservation) = config.reservation else {
        return Nanos::ZERO;
    };
    let debt = worst_case.0 * 2 * 1_000_000 / u64::from(reservation.share.0);
    Nanos::from_secs(1) + Nanos(2 * reservation.period.0 + debt)
}

impl World {
    pub(super) fn register(&mut self, id: StreamId, client: ClientConfig, start: Nanos, seed: u64) {
        assert_eq!(id.index(), self.clients.len());
        self.clients.push(Client::new(client, Rng::new(seed)));
        self.segments.push(Vec::new());
        self.used.push(Vec::new());
        self.backlogs.push(Vec::new());
        self.seen.push(StreamCounters::default());
        self.backlog_since.push(None);
        self.idle_since.push(None);
        let index = self.clients.len() - 1;
        match client.behaviour {
            Behaviour::Closed { depth, .. } => {
                for _ in 0..depth {
                    self.schedule(start, Event::Issue(index));
                }
            }
            Behaviour::Bursts { burst, .. } => {
                for _ in 0..burst {
                    self.schedule(start, Event::Issue(index));
                }
            }
            Behaviour::Waker { .. } => self.clients[index].armed = true,
            Behaviour::Clock { .. } => self.schedule(start, Event::Issue(index)),
        }
    }

    pub(super) fn answer(&mut self, request: Request) {
        let now = self.now;
        let index = request.client;
        let client = &mut self.clients[index];
        client.outstanding -= 1;
        client.completed += 1;
        client.bytes += request.len;
        client.longest_latency = client.longest_latency.max(now - request.issued_at);
        if self.stopping {
            return;
        }
        match client.config.behaviour {
            Behaviour::Closed { think, .. } => {
                let at = now + client.think(think);
                self.schedule(at, Event::Issue(index));
            }
            Behaviour::Bursts { burst, pause } if client.outstanding == 0 => {
                let at = now + client.rng.exponential(pause);
                for _ in 0..burst {
                    self.schedule(at, Event::Issue(index));
                }
            }
            Behaviour::Waker { pause, .. } if client.outstanding == 0 => {
                client.armed = true;
                // The pause is a bound on how soon it can be woken again, kept in idle_since.
                let _ = pause;
            }
            _ => {}
        }
    }

    pub(super) fn issue(&mut self, index: usize) {
        if self.stopping {
            return;
        }
        let now = self.now;
        if let Behaviour::Clock { every, most } = self.clients[index].config.behaviour {
            self.schedule(now + every, Event::Issue(index));
            if self.clients[index].outstanding >= most {
                return;
            }
        }
        let client = &mut self.clients[index];
        let offset = client.place();
        let config = client.config;
        client.outstanding += 1;
        let request = Request {
            client: index,
            issued_at: now,
            sequence: self.sequence,
            offset,
            len: config.len,
        };
        self.sequence += 1;
        let id = self.free_requests.pop().unwrap_or_else(|| {
            self.requests.push(None);
            self.requests.len() as u32 - 1
        });
        self.requests[id as usize] = Some(request);
        if self.backlog_since[index].is_none() {
            let config = self.scheduler.stream_config(self.stream(index));
            let pause = long_pause(config, self.worst_case);
            let fresh = self.idle_since[index].is_none_or(|idle| now - idle > pause);
            self.backlog_since[index] = Some((now, fresh));
        }
        let arrival = Arrival {
            id: RequestId(id),
            offset_bytes: Some(offset),
            len_bytes: config.len,
            price: config.price,
            write: false,
            merge_class: config.merge.then_some(0),
        };
        self.scheduler.arrive(now, self.stream(index), arrival);
    }

    /// A long request has just been started: the worst moment to come.
    pub(super) fn wake_wakers(&mut self, served: StreamId) {
        for index in 0..self.clients.len() {
            let client = &mut self.clients[index];
            let Behaviour::Waker { burst, pause } = client.config.behaviour else {
                continue;
            };
            let rested = match self.idle_since[index] {
                None => true,
                Some(idle) => self.now - idle >= client.rng.exponential(pause),
            };
            if client.armed && rested && index != served.index() {
                client.armed = false;
                for _ in 0..burst {
                    self.schedule(self.now + Nanos(1), Event::Issue(index));
                }
            }
        }
    }
}
