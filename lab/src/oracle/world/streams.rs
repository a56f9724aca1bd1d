//! How streams come: at once or while others are served, with groups; and how what they are
//! entitled to changes.

use super::{Event, Member, World};
use crate::oracle::books::Books;
use crate::oracle::clients::{Behaviour, Client, ClientConfig, Presence};
use crate::oracle::rng::SharedRng;
use disktime_scheduler::{StreamConfig, StreamId};
use disktime_units::Nanos;

impl World {
    /// Adds a stream with one client, which starts at `start`.
    pub fn add(&mut self, stream: StreamConfig, client: ClientConfig, start: Nanos, seed: u64) {
        let id = self.scheduler.add_stream(self.now, stream);
        self.register(id, stream, client, start, seed);
    }

    /// Adds a group, which has no client.
    pub fn add_group(&mut self, group: StreamConfig) -> StreamId {
        let id = self.scheduler.add_group(self.now, group);
        self.register(id, group, ClientConfig::none(), Nanos::ZERO, 0);
        id
    }

    /// Adds a member of a group with one client.
    pub fn add_member(&mut self, group: StreamId, weight: u32, client: ClientConfig, seed: u64) {
        let id = self.scheduler.add_member(self.now, group, weight);
        let config = self.scheduler.stream_config(id);
        self.register(id, config, client, Nanos::ZERO, seed);
    }

    fn register(
        &mut self,
        id: StreamId,
        config: StreamConfig,
        client: ClientConfig,
        start: Nanos,
        seed: u64,
    ) {
        assert_eq!(
            id.index(),
            self.members.len(),
            "streams join in their order"
        );
        let presence = Presence {
            joins: self.now,
            starts: start,
            leaves: Nanos::MAX,
        };
        self.enrol(config, client, presence, SharedRng::new(seed));
        let index = id.index();
        self.members[index].id = Some(id);
        self.joined += 1;
        self.begin(index);
    }

    /// Adds a stream that joins while others are served; streams join in the order in which they
    /// are added here.
    pub fn add_later(
        &mut self,
        config: StreamConfig,
        client: ClientConfig,
        presence: Presence,
        rng: SharedRng,
    ) {
        let index = self.members.len();
        self.changes_shares |= presence.joins > Nanos::ZERO;
        self.enrol(config, client, presence, rng);
        self.schedule(presence.joins, index, Event::Join(index));
        self.begin(index);
    }

    fn enrol(
        &mut self,
        config: StreamConfig,
        client: ClientConfig,
        presence: Presence,
        rng: SharedRng,
    ) {
        if matches!(
            client.behaviour,
            Behaviour::Waker { .. } | Behaviour::ArmedWaker { .. }
        ) {
            self.wakers.push(self.members.len());
        }
        self.has_limits |= config.limit.is_some();
        self.members.push(Member {
            config,
            client: Client::new(client, presence, rng),
            books: Books::new(&config, self.worst_case, self.keeps_trace),
            id: None,
        });
    }

    /// Half of what stream `from` has reserved then goes to `to`, if both have joined. `number`
    /// tells changes apart that are made at the same time.
    pub fn move_share_at(&mut self, at: Nanos, number: usize, from: usize, to: usize) {
        self.changes_shares = true;
        self.schedule(at, number, Event::Move(from, to));
    }

    /// Changes what a stream is entitled to.
    pub fn reconfigure(&mut self, stream: usize, config: StreamConfig) {
        self.entitle(stream, config);
        self.decide();
    }

    fn entitle(&mut self, index: usize, config: StreamConfig) {
        self.changes_shares = true;
        let id = self.stream(index);
        let now = self.now;
        let member = &mut self.members[index];
        member.config = config;
        member.books.entitled(config.reservation, now);
        self.scheduler.reconfigure(now, id, config);
        self.explain_sleep();
    }

    pub(super) fn move_share(&mut self, from: usize, to: usize) {
        if from.max(to) >= self.joined {
            return;
        }
        let share = |member: &Member| member.config.reservation.map_or(0, |own| own.share.0);
        let moved = share(&self.members[from]) / 2;
        for (index, less, more) in [(from, moved, 0), (to, 0, moved)] {
            let mut config = self.members[index].config;
            if let Some(own) = &mut config.reservation {
                own.share.0 = own.share.0 - less + more;
            }
            self.entitle(index, config);
        }
    }

    pub(super) fn join(&mut self, index: usize) {
        let id = self
            .scheduler
            .add_stream(self.now, self.members[index].config);
        assert_eq!(id.index(), index, "streams join in their order");
        self.members[index].id = Some(id);
        self.joined += 1;
        self.explain_sleep();
    }
}
