//! The states of streams: waking, going idle, the lists and the timers that go with them.

use super::{Ledger, StreamState};
use crate::stream_id::StreamId;
use disktime_units::Nanos;

impl Ledger {
    /// A request came for a stream: wakes it if it was idle.
    pub(super) fn wake(&mut self, id: StreamId, now: Nanos) {
        let worst_case = self.worst_case;
        match self.stream(id).state() {
            StreamState::Active | StreamState::Limited => return,
            StreamState::IdleHeld | StreamState::IdleFresh => self.leave(id),
        }
        let spare_clock = self.spare_clock;
        let stream = self.stream_mut(id);
        if stream.is_reserved() {
            stream.wake(now, worst_case);
        }
        stream.tag_at_least(spare_clock);
        stream.begin_limit_if_new(now);
        if stream.is_at_limit() && self.limits_apply() {
            self.enter(id, StreamState::Limited);
        } else {
            self.activate(id);
        }
    }

    /// The list of a state.
    fn list(&mut self, state: StreamState) -> Option<&mut Vec<StreamId>> {
        match state {
            StreamState::IdleFresh => None,
            StreamState::IdleHeld => Some(&mut self.held),
            StreamState::Active => Some(&mut self.active),
            StreamState::Limited => Some(&mut self.limited),
        }
    }

    /// Takes a stream out of the state that it is in.
    pub(super) fn leave(&mut self, id: StreamId) {
        let stream = self.stream(id);
        let (state, index) = (stream.state(), stream.list_index());
        if matches!(state, StreamState::IdleFresh | StreamState::Limited) {
            self.idle_share_ppm -= self.stream(id).share_ppm();
        }
        let Some(list) = self.list(state) else {
            return;
        };
        list.swap_remove(index as usize);
        if let Some(moved) = list.get(index as usize).copied() {
            self.stream_mut(moved).moves_in_list(index);
        }
    }

    /// Puts a stream that left its state into another.
    pub(super) fn enter(&mut self, id: StreamId, state: StreamState) {
        if matches!(state, StreamState::IdleFresh | StreamState::Limited) {
            self.idle_share_ppm += self.stream(id).share_ppm();
        }
        let index = self.list(state).map_or(0, |list| {
            list.push(id);
            list.len() - 1
        });
        self.stream_mut(id).enter(state, index as u32);
        self.note_change(id);
        self.set_timer(id);
    }

    pub(super) fn activate(&mut self, id: StreamId) {
        let worst_case = self.worst_case;
        let stream = self.stream_mut(id);
        stream.end_grace();
        if stream.is_reserved() {
            let deadline = stream.current_demand(worst_case).deadline;
            self.woken_since_scan = self.woken_since_scan.min(deadline);
            self.woken_since_allowance = self.woken_since_allowance.min(deadline);
        }
        self.enter(id, StreamState::Active);
    }

    /// An active stream without requests goes idle as of `now`.
    pub(super) fn go_idle(&mut self, id: StreamId, now: Nanos) {
        if self.overlaps() {
            self.charge_gap(id, now);
            self.stream_mut(id).solo_mut().close_gap();
        }
        self.end_grace(id);
        self.leave(id);
        let worst_case = self.worst_case;
        let stream = self.stream_mut(id);
        stream.drop_lag();
        let state = stream.idle_state(now, worst_case);
        self.enter(id, state);
    }

    /// Brings idle streams that hold a remainder or a debt to what they would wake with now: less
    /// and less. A debt that is repaid in the middle of a period makes a stream fresh before its
    /// timer says so; counted with the whole period's budget it could keep every stream from the
    /// disk. Whether any counts for less now.
    pub(crate) fn refine_held(&mut self, now: Nanos) -> bool {
        let worst_case = self.worst_case;
        let mut any = false;
        for index in (0..self.held.len()).rev() {
            let id = self.held[index];
            match self.stream_mut(id).refine(now, worst_case) {
                Some(true) => {
                    self.note_change(id);
                    any = true;
                }
                Some(false) => {}
                None => {
                    self.leave(id);
                    self.enter(id, StreamState::IdleFresh);
                    any = true;
                }
            }
        }
        any
    }

    /// The budget of a stream changed: its timer may have to be earlier.
    pub(super) fn budget_changed(&mut self, id: StreamId) {
        self.note_change(id);
        let deadline = self.stream(id).deadline();
        // A timer that is too early does no harm.
        if self.timers.key(id).is_none_or(|set| set > deadline) {
            self.set_timer(id);
        }
    }

    /// Sets a stream's timer to when its account changes by itself.
    pub(super) fn set_timer(&mut self, id: StreamId) {
        let stream = self.streams.get(id);
        let at = match stream.state() {
            StreamState::IdleFresh => Nanos::MAX,
            StreamState::IdleHeld => stream.held_until(self.worst_case),
            StreamState::Active => stream.active_until(self.worst_case),
            StreamState::Limited => stream.limit_release(),
        };
        if at == Nanos::MAX {
            self.timers.remove(id);
        } else {
            self.timers.set(id, at);
        }
    }

    /// Whether a stream competes and has a request and a budget of its own for it.
    pub(crate) fn can_use_reserved(&self, id: StreamId) -> bool {
        let stream = self.stream(id);
        stream.competes() && stream.has_budget()
    }
}
