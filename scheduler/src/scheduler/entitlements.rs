//! Streams, groups, and what they are entitled to.

use super::Scheduler;
use crate::config::{PolicyKind, StreamConfig};
use crate::ledger::Stream;
use crate::policies;
use crate::stream_id::StreamId;
use disktime_units::Nanos;

impl Scheduler {
    /// Adds a stream. Admission has checked that the promise still holds. While others are being
    /// served, its reservation begins when it breaks none of theirs ([`Scheduler::reconfigure`]).
    pub fn add_stream(&mut self, now: Nanos, config: StreamConfig) -> StreamId {
        let now = self.observe(now);
        let plain = StreamConfig {
            reservation: None,
            ..config
        };
        let stream = self.new_stream(plain);
        let id = self.ledger.add(stream);
        self.ledger.reconfigure(id, config, now);
        id
    }

    fn new_stream(&self, entitlement: StreamConfig) -> Stream {
        let config = self.ledger.config();
        let order = policies::queue_order(config.policy, config.has_seeks);
        let stream = Stream::new(entitlement, order);
        if config.has_gate() {
            stream.with_gate()
        } else {
            stream
        }
    }

    /// Changes what a stream (or a group) is entitled to, which admission has checked. No request
    /// is lost. Less, and other weights and limits, hold at once. More begins when it breaks no
    /// promise, at the latest when the streams that are behind now have had what they are owed. A
    /// new period begins then.
    ///
    /// # Panics
    /// If the stream has been removed.
    pub fn reconfigure(&mut self, now: Nanos, stream: StreamId, config: StreamConfig) {
        self.ledger.check(stream);
        let now = self.observe(now);
        self.ledger.reconfigure(stream, config, now);
    }

    /// Whether a change of the stream's reservation is still to take effect.
    ///
    /// # Panics
    /// If the stream has been removed.
    pub fn is_pending(&self, stream: StreamId) -> bool {
        self.ledger.check(stream);
        self.ledger.stream(stream).is_pending()
    }

    /// Removes a stream, a member of a group, or a group. It takes no new requests from now on;
    /// what it has queued and in flight is served as if it stayed, and then it is gone
    /// ([`Scheduler::contains`]) and its slot can be used again. Without requests it is gone at
    /// once. A group takes no new members, and is gone when its last member is.
    ///
    /// What it is entitled to counts until it is gone; a limit holds until then too.
    ///
    /// # Panics
    /// If the stream has been removed.
    pub fn remove_stream(&mut self, now: Nanos, stream: StreamId) {
        self.ledger.check(stream);
        self.observe(now);
        self.ledger.begin_removal(stream);
        self.finish_removal(stream);
    }

    /// Frees the slot of a stream that is being removed and has nothing left to do, and with the
    /// last member of a group that of the group.
    pub(super) fn finish_removal(&mut self, stream: StreamId) {
        if !self.ledger.is_drained(stream) {
            return;
        }
        let group = self.ledger.stream(stream).group();
        self.policy.removed(stream);
        self.ledger.remove(stream);
        if let Some(group) = group {
            self.finish_removal(group);
        }
    }

    /// Adds a group: an account that members share. It has no requests of its own.
    ///
    /// # Panics
    /// If the policy is not `fahrrad`; the others do not support groups.
    pub fn add_group(&mut self, now: Nanos, config: StreamConfig) -> StreamId {
        let policy = self.ledger.config().policy;
        assert!(
            policy == PolicyKind::Fahrrad,
            "the policy {} does not support groups; fahrrad does",
            policy.name()
        );
        let group = self.add_stream(now, config);
        self.ledger.make_group(group);
        group
    }

    /// Adds a stream to a group: the group's account pays for it, and `weight` divides what the
    /// group has among its members.
    ///
    /// # Panics
    /// If `group` was not added as a group, has been removed, or is being removed.
    pub fn add_member(&mut self, now: Nanos, group: StreamId, weight: u32) -> StreamId {
        self.ledger.check(group);
        assert!(
            !self.ledger.stream(group).is_leaving(),
            "the group {group:?} is being removed and takes no new members"
        );
        self.observe(now);
        let config = StreamConfig {
            weight,
            ..StreamConfig::BEST_EFFORT
        };
        let stream = self.new_stream(config);
        self.ledger.add_member(group, stream)
    }
}
