//! Groups: several streams that share one account.
//!
//! A group has a reservation, a limit and a weight like a stream; its members have queues, and a
//! weight among each other. To the rest of the scheduler the group is one stream: what its members
//! use is charged to it, its deadline is theirs. Time that one of them does not use never leaves
//! the account, so the other members have it before it is spare time.
//!
//! Among the members disk time is divided by start-time tags, as spare time is among streams: the
//! one that was served last may go on while its tag is within a window of the smallest, so that
//! visits stay long; where requests overlap there is no window. A member that comes back after a
//! pause starts where the others are.
//!
//! Groups are nested once: a member is no group. Only `fahrrad` supports them. Time and requests
//! are counted at the members, deadlines and unspent time at the group, so that sums over the
//! streams count everything once.

use super::{Ledger, Stream, spare_tag};
use crate::stream_id::StreamId;
use disktime_units::Nanos;

/// How much disk time a member may be ahead of the one most behind.
const MEMBER_WINDOW: Nanos = Nanos::from_millis(50);

/// What a group keeps of its members.
#[derive(Debug, Default)]
pub(super) struct StreamGroup {
    members: Vec<StreamId>,
    /// The virtual time of service within the group.
    clock: u128,
    /// The member that was served last.
    last: Option<StreamId>,
}

impl Ledger {
    /// Makes a stream without requests of its own a group.
    pub(crate) fn make_group(&mut self, id: StreamId) {
        self.groups.insert(id, StreamGroup::default());
    }

    /// Adds a stream that shares a group's account.
    ///
    /// # Panics
    /// If `group` is not a group.
    pub(crate) fn add_member(&mut self, group: StreamId, stream: Stream) -> StreamId {
        let member = self.add(stream.member_of(group));
        let group = self.group_mut(group);
        group.members.push(member);
        let clock = group.clock;
        self.stream_mut(member).start_tag(clock);
        member
    }

    /// A member is removed; the account stays as it is.
    pub(super) fn remove_member(&mut self, group: StreamId, member: StreamId) {
        let group = self.group_mut(group);
        group.members.retain(|other| *other != member);
        group.last = group.last.filter(|last| *last != member);
    }

    pub(super) fn has_members(&self, id: StreamId) -> bool {
        let group = self.group(id);
        group.is_some_and(|group| !group.members.is_empty())
    }

    fn group_mut(&mut self, id: StreamId) -> &mut StreamGroup {
        let group = self.groups.get_mut(&id);
        group.expect("members are added to a group")
    }

    fn group(&self, id: StreamId) -> Option<&StreamGroup> {
        if self.groups.is_empty() {
            return None;
        }
        self.groups.get(&id)
    }

    /// Whether it is a group.
    pub(crate) fn is_group(&self, id: StreamId) -> bool {
        self.group(id).is_some()
    }

    /// The stream whose account pays for a stream: itself, or its group.
    #[inline]
    pub(crate) fn payer(&self, id: StreamId) -> StreamId {
        self.stream(id).group().unwrap_or(id)
    }

    /// The stream whose request goes if `payer` is served: itself, or the member whose turn it is.
    #[inline]
    pub(crate) fn next_of(&self, payer: StreamId) -> StreamId {
        if self.groups.is_empty() {
            return payer;
        }
        self.next_member(payer)
    }

    fn next_member(&self, payer: StreamId) -> StreamId {
        let Some(group) = self.group(payer) else {
            return payer;
        };
        if let Some(last) = group.last
            && self.stream(last).has_ready()
            && self.is_turn_of(payer, last)
        {
            return last;
        }
        let waiting = group
            .members
            .iter()
            .filter(|id| self.stream(**id).has_ready());
        let first = waiting.min_by_key(|id| (self.stream(**id).tag(), **id));
        first.copied().unwrap_or(payer)
    }

    /// The smallest tag of a group's members with requests.
    fn smallest_tag(&self, group: &StreamGroup) -> Option<u128> {
        let waiting = group.members.iter().map(|id| self.stream(*id));
        waiting
            .filter(|stream| stream.has_ready())
            .map(Stream::tag)
            .min()
    }

    /// Whether a member is not too far ahead of the others in its group.
    fn is_turn_of(&self, payer: StreamId, member: StreamId) -> bool {
        let stream = self.stream(member);
        let smallest = self.group(payer).and_then(|group| self.smallest_tag(group));
        let window = if self.overlaps() {
            // No visit saves a seek there, and a member of depth 1 waits for the whole window.
            0
        } else {
            spare_tag(MEMBER_WINDOW, stream.weight())
        };
        smallest.is_none_or(|smallest| stream.tag() <= smallest + window)
    }

    /// The stream of `payer` that might come back at once: itself, or the member that was served
    /// last, if it is still its turn.
    pub(crate) fn may_come_back(&self, payer: StreamId) -> Option<StreamId> {
        let Some(group) = self.group(payer) else {
            return Some(payer);
        };
        group
            .last
            .filter(|last| !self.stream(*last).is_busy() && self.is_turn_of(payer, *last))
    }

    /// A member has requests again: its group has one more to serve.
    pub(super) fn member_waits(&mut self, payer: StreamId, member: StreamId) {
        let is_back = !self.stream(member).is_busy();
        let clock = self.group_mut(payer).clock;
        if is_back {
            self.stream_mut(member).tag_at_least(clock);
        }
        self.stream_mut(payer).member_waits();
    }

    /// A member is served.
    pub(super) fn member_served(&mut self, payer: StreamId, member: StreamId) {
        let smallest = self.group(payer).and_then(|group| self.smallest_tag(group));
        let group = self.group_mut(payer);
        group.clock = group.clock.max(smallest.unwrap_or(0));
        group.last = Some(member);
    }
}
