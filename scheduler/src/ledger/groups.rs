//! Groups: several streams that share one account.
//!
//! A group has a reservation, a limit and a weight like a stream; its members have queues and a weight
//! among each other. To the rest of the scheduler the group is one stream: what its members use is
//! charged to it, its deadline is theirs, and time that one of them does not use is there for the others before it is
//! anybody's spare time, because it never leaves the account.
//!
//! Among the members disk time is divided by start-time tags, as spare time is among streams: the one
//! that was served last may go on while its tag is within a window of the smallest, so that visits stay long.
//! A member that comes back after a pause starts where the others are.
//!
//! Groups are nested once: a member is no group. Only `fahrrad` knows them.

use super::{Account, Ledger, spare_tag};
use crate::stream::Stream;
use crate::stream_id::StreamId;
use disktime_units::Nanos;

/// How much disk time a member may be ahead of the one most behind.
const MEMBER_WINDOW: Nanos = Nanos::from_millis(50);

/// What a group knows of its members.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(super) members: Vec<StreamId>,
    /// The virtual time of service within the group.
    clock: u128,
    /// Who was served last.
    last: Option<StreamId>,
}

impl Ledger {
    /// Makes a stream without requests of its own a group.
    pub(crate) fn make_group(&mut self, id: StreamId) {
        self.groups.insert(id, Group::default());
    }

    /// Adds a stream that shares a group's account.
    ///
    /// # Panics
    /// If `group` is not a group.
    pub(crate) fn add_member(&mut self, group: StreamId, stream: Stream) -> StreamId {
        let member = self.add(Stream {
            group: Some(group),
            ..stream
        });
        let group = self.group_mut(group);
        group.members.push(member);
        let clock = group.clock;
        self.stream_mut(member).tag = clock;
        member
    }

    /// A member is removed; the account stays as it is.
    pub(super) fn leave_group(&mut self, group: StreamId, member: StreamId) {
        let group = self.group_mut(group);
        group.members.retain(|other| *other != member);
        group.last = group.last.filter(|last| *last != member);
    }

    fn group_mut(&mut self, id: StreamId) -> &mut Group {
        let group = self.groups.get_mut(&id);
        group.expect("members are added to a group")
    }

    /// Whose account a stream's service is charged to: its own or its group's.
    pub(crate) fn payer(&self, id: StreamId) -> StreamId {
        self.stream(id).group.unwrap_or(id)
    }

    /// Whose request goes if `payer` is served: itself, or the member whose turn it is.
    pub(crate) fn next_of(&self, payer: StreamId) -> StreamId {
        let Some(group) = self.group(payer) else {
            return payer;
        };
        if let Some(last) = group.last
            && self.stream(last).has_queue()
            && self.is_turn_of(payer, last)
        {
            return last;
        }
        let waiting = group
            .members
            .iter()
            .filter(|id| self.stream(**id).has_queue());
        let first = waiting.min_by_key(|id| (self.stream(**id).tag, **id));
        first.copied().unwrap_or(payer)
    }

    pub(super) fn group(&self, id: StreamId) -> Option<&Group> {
        if self.groups.is_empty() {
            return None;
        }
        self.groups.get(&id)
    }

    /// The smallest tag of a group's members with requests.
    fn smallest_tag(&self, group: &Group) -> Option<u128> {
        let waiting = group.members.iter().map(|id| self.stream(*id));
        waiting
            .filter(|stream| stream.has_queue())
            .map(|stream| stream.tag)
            .min()
    }

    /// Whether a member is not too far ahead of the others in its group.
    fn is_turn_of(&self, payer: StreamId, member: StreamId) -> bool {
        let stream = self.stream(member);
        let smallest = self.group(payer).and_then(|group| self.smallest_tag(group));
        let window = spare_tag(MEMBER_WINDOW, stream.config.weight);
        smallest.is_none_or(|smallest| stream.tag <= smallest + window)
    }

    /// Who of `payer` might come back at once: itself, or the member that was served last, if it is
    /// still its turn.
    pub(crate) fn may_come_back(&self, payer: StreamId) -> Option<StreamId> {
        let Some(group) = self.group(payer) else {
            return Some(payer);
        };
        group
            .last
            .filter(|last| !self.stream(*last).is_busy() && self.is_turn_of(payer, *last))
    }

    /// Whether it is a group.
    pub(crate) fn is_group(&self, id: StreamId) -> bool {
        self.group(id).is_some()
    }

    /// A member has requests again: its group has one more to serve.
    pub(crate) fn member_waits(&mut self, payer: StreamId, member: StreamId) {
        let is_back = !self.stream(member).is_busy();
        let group = self.group_mut(payer);
        let clock = group.clock;
        let stream = self.stream_mut(member);
        if is_back {
            stream.tag = stream.tag.max(clock);
        }
        self.stream_mut(payer).members_waiting += 1;
    }

    /// A member is served.
    pub(crate) fn member_served(&mut self, payer: StreamId, member: StreamId) {
        let smallest = self.group(payer).and_then(|group| self.smallest_tag(group));
        let group = self.group_mut(payer);
        group.clock = group.clock.max(smallest.unwrap_or(0));
        group.last = Some(member);
    }

    /// What was used is charged among the members as well.
    pub(super) fn charge_member(&mut self, id: StreamId, used: Nanos) {
        let stream = self.stream_mut(id);
        if stream.group.is_some() {
            stream.tag += spare_tag(used, stream.config.weight);
        }
    }

    /// Counts what a stream used.
    pub(super) fn count(&mut self, id: StreamId, account: Account, used: Nanos) {
        let counters = &mut self.stream_mut(id).counters;
        match account {
            Account::Own => counters.reserved += used,
            Account::Spare => counters.spare += used,
        }
    }
}
