//! What clients do: they issue requests, get answers, think, and wake up at the worst moment.

use super::{Event, Request, Turns, World};
use crate::oracle::clients::{Behaviour, Think};
use disktime_scheduler::{Arrival, RequestId, RequestKind};
use disktime_units::Nanos;

impl World {
    /// Lets a client start when it is to.
    pub(super) fn begin(&mut self, index: usize) {
        let client = &mut self.members[index].client;
        let starts = client.presence.starts;
        match client.config.behaviour {
            Behaviour::Waker { .. } => client.armed = true,
            Behaviour::ArmedWaker { .. } => self.schedule(starts, index, Event::Arm(index)),
            behaviour => self.issue_at(starts, index, behaviour.burst()),
        }
    }

    fn issue_at(&mut self, at: Nanos, index: usize, count: usize) {
        self.schedule(at, index, Event::Issue(index, count));
    }

    pub(super) fn answer(&mut self, index: usize, id: RequestId) {
        let now = self.now;
        let Some(request) = self.requests[id.0 as usize].take() else {
            self.violate(format!("request {id:?} is answered twice"));
            return;
        };
        self.free_requests.push(id);
        let member = &mut self.members[index];
        let client = &mut member.client;
        client.outstanding -= 1;
        client.completed += 1;
        client.bytes += request.len;
        let behaviour = client.config.behaviour;
        if behaviour.asks_at_once() && now < client.presence.leaves && !self.stopping {
            match self.turns {
                Turns::AsScheduled => self.issue_at(now, index, 1),
                Turns::ByStream(_) => self.issue(index),
            }
            return;
        }
        let is_last = client.outstanding == 0;
        if is_last {
            member.books.rests(now);
        }
        let client = &member.client;
        let (pause, event) = match behaviour {
            Behaviour::Closed { think, .. } if !matches!(think, Think::None) => {
                (client.think(think), Event::Issue(index, 1))
            }
            Behaviour::Bursts { burst, pause } if is_last => {
                (client.rng.exponential(pause), Event::Issue(index, burst))
            }
            Behaviour::ArmedWaker { pause, .. } if is_last => {
                (client.rng.exponential(pause), Event::Arm(index))
            }
            Behaviour::Waker { .. } if is_last => {
                self.members[index].client.armed = !self.stopping;
                return;
            }
            _ => return,
        };
        if !self.stopping {
            self.schedule(now + pause, index, event);
        }
    }

    pub(super) fn issue(&mut self, index: usize) {
        if self.stopping {
            return;
        }
        let now = self.now;
        let client = &mut self.members[index].client;
        if let Behaviour::Clock { every, most } = client.config.behaviour {
            let is_full = client.outstanding >= most;
            self.issue_at(now + every, index, 1);
            if is_full {
                return;
            }
        }
        let stream = self.stream(index);
        let member = &mut self.members[index];
        if !member.books.is_backlogged() {
            let settled = !self.changes_shares || !self.scheduler.is_pending(stream);
            member.books.begins(now, settled);
        }
        let client = &mut member.client;
        let offset = client.next_offset();
        client.outstanding += 1;
        let config = client.config;
        let request = Request {
            stream: index,
            sequence: self.sequence,
            offset,
            len: config.len,
        };
        self.sequence += 1;
        let id = self.remember(request);
        let arrival = Arrival {
            id,
            offset_bytes: Some(offset),
            len_bytes: config.len,
            price: config.price,
            lone: config.price,
            kind: RequestKind::Read,
            merge_class: config.merge.then_some(0),
        };
        self.scheduler.arrive(now, stream, arrival);
        // The disk stood idle before it came.
        self.explain_sleep();
        self.members[index].client.queued += 1;
        self.queued += 1;
    }

    fn remember(&mut self, request: Request) -> RequestId {
        if let Some(id) = self.free_requests.pop() {
            self.requests[id.0 as usize] = Some(request);
            return id;
        }
        self.requests.push(Some(request));
        RequestId(self.requests.len() as u32 - 1)
    }

    /// Whether a request that is not long wakes the wakers as well.
    pub(super) fn wakes_at_random(&self) -> bool {
        match &self.turns {
            Turns::AsScheduled => false,
            Turns::ByStream(rng) => rng.percent(1),
        }
    }

    /// A long request has just been started: the worst moment to come.
    pub(super) fn wake_wakers(&mut self, served: usize) {
        let now = self.now;
        for position in 0..self.wakers.len() {
            let index = self.wakers[position];
            let member = &mut self.members[index];
            let behaviour = member.client.config.behaviour;
            let rested = match (behaviour, member.books.idle_since()) {
                (Behaviour::Waker { pause, .. }, Some(idle)) => {
                    now - idle >= member.client.rng.exponential(pause)
                }
                _ => true,
            };
            if member.client.armed && rested && index != served {
                member.client.armed = false;
                self.issue_at(now + Nanos(1), index, behaviour.burst());
            }
        }
    }
}
