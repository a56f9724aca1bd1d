//! A disk in virtual time whose streams come and go, and what a model says of them from outside the
//! scheduler: whose each request is, what each stream was charged, which streams there are.

use disktime_scheduler::{
    Arrival, Decision, FlightId, OverlapConfig, PolicyKind, RequestId, RequestKind, RequestOrder,
    Reservation, Scheduler, SchedulerConfig, SeekCurve, StreamConfig, StreamId, SwitchingAccount,
};
use disktime_units::{Nanos, Share};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashSet};

const WORST_CASE: Nanos = Nanos::from_millis(10);
pub(crate) const DISK_BYTES: u64 = 1 << 36;
const WHOLE: u32 = 1_000_000;
const STREAMS_MAX: usize = 12;

pub(crate) fn config(policy: PolicyKind, has_seeks: bool, max_in_flight: usize) -> SchedulerConfig {
    let curve = if has_seeks {
        SeekCurve::new(vec![(0, Nanos::ZERO), (DISK_BYTES, Nanos::from_millis(6))])
    } else {
        SeekCurve::default()
    };
    SchedulerConfig {
        policy,
        worst_case: WORST_CASE,
        switch_cost: if has_seeks {
            Nanos::from_millis(4)
        } else {
            Nanos::ZERO
        },
        worst_seek: if has_seeks {
            Nanos::from_millis(6)
        } else {
            Nanos::ZERO
        },
        seek_curve: curve,
        has_seeks,
        switching: SwitchingAccount::Served,
        order: RequestOrder::Sweep,
        max_in_flight,
        merge_limit_bytes: 0,
        overlap: OverlapConfig::NONE,
    }
}

/// What happens next; numbers choose among what is there.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A stream with this part of what can still be reserved, in per cent.
    Add {
        percent: u32,
        period_ms: u64,
        depth: u32,
    },
    AddGroup {
        percent: u32,
        period_ms: u64,
    },
    AddMember {
        group: usize,
        depth: u32,
    },
    Remove {
        stream: usize,
    },
    Reconfigure {
        stream: usize,
        percent: u32,
        period_ms: u64,
    },
    /// Requests beyond those that follow their predecessors.
    Burst {
        stream: usize,
        count: u32,
    },
    Run {
        micros: u64,
    },
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let period = 30u64..800;
    prop_oneof![
        3 => (0u32..=100, period.clone(), 0u32..4)
            .prop_map(|(percent, period_ms, depth)| Step::Add { percent, period_ms, depth }),
        1 => (10u32..=100, period.clone())
            .prop_map(|(percent, period_ms)| Step::AddGroup { percent, period_ms }),
        2 => (any::<usize>(), 0u32..4)
            .prop_map(|(group, depth)| Step::AddMember { group, depth }),
        3 => any::<usize>().prop_map(|stream| Step::Remove { stream }),
        1 => (any::<usize>(), 0u32..=100, period)
            .prop_map(|(stream, percent, period_ms)| Step::Reconfigure { stream, percent, period_ms }),
        2 => (any::<usize>(), 1u32..6).prop_map(|(stream, count)| Step::Burst { stream, count }),
        6 => (1u64..400_000).prop_map(|micros| Step::Run { micros }),
    ]
}

/// What the model knows of a stream.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub outstanding: u32,
    /// Each of so many requests is followed by the next when it is answered.
    pub depth: u32,
    pub is_leaving: bool,
    pub is_group: bool,
    pub group: Option<StreamId>,
    /// What its requests were charged.
    pub charged: Nanos,
    pub served: u64,
}

struct Flight {
    done: Nanos,
    stream: StreamId,
    requests: Vec<RequestId>,
}

pub(crate) struct Model {
    pub scheduler: Scheduler,
    keeps_promise: bool,
    has_groups: bool,
    pub streams: BTreeMap<StreamId, Known>,
    given: HashSet<StreamId>,
    streams_max: usize,
    owners: BTreeMap<u32, StreamId>,
    next_request: u32,
    flights: BTreeMap<u32, Flight>,
    pub now: Nanos,
    wake: Option<Nanos>,
    random: u64,
    /// What all dispatches took of the busy time, and what they were charged.
    pub measured: Nanos,
    charged: Nanos,
}

impl Model {
    pub(crate) fn new(
        policy: PolicyKind,
        has_seeks: bool,
        max_in_flight: usize,
        seed: u64,
    ) -> Model {
        Model {
            scheduler: Scheduler::new(config(policy, has_seeks, max_in_flight), DISK_BYTES),
            keeps_promise: policy == PolicyKind::Fahrrad && max_in_flight == 1,
            has_groups: policy == PolicyKind::Fahrrad,
            streams: BTreeMap::new(),
            given: HashSet::new(),
            streams_max: 0,
            owners: BTreeMap::new(),
            next_request: 0,
            flights: BTreeMap::new(),
            now: Nanos::ZERO,
            wake: None,
            random: seed | 1,
            measured: Nanos::ZERO,
            charged: Nanos::ZERO,
        }
    }

    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    pub(crate) fn take(&mut self, step: Step) {
        match step {
            Step::Add {
                percent,
                period_ms,
                depth,
            } => {
                if self.streams.len() < STREAMS_MAX {
                    let config = self.entitlement(percent, period_ms, None);
                    let id = self.scheduler.add_stream(self.now, config);
                    self.joined(
                        id,
                        Known {
                            depth,
                            ..Known::default()
                        },
                    );
                }
            }
            Step::AddGroup { percent, period_ms } => {
                if self.streams.len() < STREAMS_MAX && self.has_groups {
                    let config = self.entitlement(percent, period_ms, None);
                    let id = self.scheduler.add_group(self.now, config);
                    self.joined(
                        id,
                        Known {
                            is_group: true,
                            ..Known::default()
                        },
                    );
                }
            }
            Step::AddMember { group, depth } => {
                let can_join = |own: &Known| own.is_group && !own.is_leaving;
                if let Some(group) = self.choose(group, can_join)
                    && self.streams.len() < STREAMS_MAX
                {
                    let id = self.scheduler.add_member(self.now, group, 1 + depth);
                    let group = Some(group);
                    self.joined(
                        id,
                        Known {
                            depth,
                            group,
                            ..Known::default()
                        },
                    );
                }
            }
            Step::Remove { stream } => {
                if let Some(id) = self.choose(stream, |own| !own.is_leaving) {
                    self.remove(id);
                }
            }
            Step::Reconfigure {
                stream,
                percent,
                period_ms,
            } => {
                if let Some(id) = self.choose(stream, |own| own.group.is_none() && !own.is_leaving)
                {
                    let config = self.entitlement(percent, period_ms, Some(id));
                    self.scheduler.reconfigure(self.now, id, config);
                }
            }
            Step::Burst { stream, count } => {
                if let Some(id) = self.choose(stream, |own| !own.is_group && !own.is_leaving) {
                    (0..count).for_each(|_| self.issue(id));
                }
            }
            Step::Run { micros } => self.run(self.now + Nanos::from_micros(micros)),
        }
        self.decide();
        self.check();
        self.check_gone();
    }

    pub(crate) fn choose(&self, number: usize, may: impl Fn(&Known) -> bool) -> Option<StreamId> {
        let able = self.streams.iter().filter(|(_, own)| may(own));
        let able: Vec<StreamId> = able.map(|(id, _)| *id).collect();
        (!able.is_empty()).then(|| able[number % able.len()])
    }

    /// So much of what the others leave; those that are leaving count until they are gone.
    fn entitlement(&self, percent: u32, period_ms: u64, of: Option<StreamId>) -> StreamConfig {
        let share = |config: StreamConfig| config.reservation.map_or(0, |own| own.share.0);
        let others = self.streams.keys().filter(|id| Some(**id) != of);
        let taken: u32 = others
            .map(|id| {
                let (now, asked) = (
                    self.scheduler.stream_config(*id),
                    self.scheduler.asked_config(*id),
                );
                share(now).max(share(asked))
            })
            .sum();
        let share = (WHOLE - taken) / 100 * percent;
        StreamConfig {
            reservation: (share > 0).then_some(Reservation {
                share: Share(share),
                period: Nanos::from_millis(period_ms),
            }),
            ..StreamConfig::BEST_EFFORT
        }
    }

    pub(crate) fn joined(&mut self, id: StreamId, known: Known) {
        assert!(self.given.insert(id), "{id:?} was given before");
        let slot_is_free = self.streams.keys().all(|other| other.index() != id.index());
        assert!(slot_is_free, "two streams have the slot of {id:?}");
        let depth = known.depth;
        self.streams.insert(id, known);
        self.streams_max = self.streams_max.max(self.streams.len());
        assert!(
            id.index() < self.streams_max,
            "{id:?} leaves a free slot unused"
        );
        assert_eq!(
            self.scheduler.stream_counters(id),
            Default::default(),
            "{id:?} begins anew"
        );
        (0..depth).for_each(|_| self.issue(id));
    }

    pub(crate) fn remove(&mut self, id: StreamId) {
        self.scheduler.remove_stream(self.now, id);
        let own = self.streams.get_mut(&id).expect("it was chosen");
        own.is_leaving = true;
        self.settle_departures();
    }

    /// What the model says has gone by now.
    fn settle_departures(&mut self) {
        loop {
            let has_members = |id: &StreamId| {
                let mut all = self.streams.values();
                all.any(|own| own.group == Some(*id))
            };
            let gone = self
                .streams
                .iter()
                .find(|(id, own)| own.is_leaving && own.outstanding == 0 && !has_members(id));
            let Some(id) = gone.map(|(id, _)| *id) else {
                return;
            };
            assert!(
                !self.scheduler.contains(id),
                "{id:?} is drained and still there"
            );
            self.streams.remove(&id);
        }
    }

    fn issue(&mut self, id: StreamId) {
        let block = self.random() % (DISK_BYTES / 4096);
        let request = RequestId(self.next_request);
        self.next_request += 1;
        self.owners.insert(request.0, id);
        self.streams.get_mut(&id).expect("it is there").outstanding += 1;
        let arrival = Arrival {
            id: request,
            offset_bytes: Some(block * 4096),
            len_bytes: 4096,
            price: Nanos::from_millis(1),
            lone: Nanos::from_millis(1),
            kind: RequestKind::Read,
            merge_class: None,
        };
        self.scheduler.arrive(self.now, id, arrival);
    }

    pub(crate) fn run(&mut self, until: Nanos) {
        loop {
            let done = self.flights.values().map(|flight| flight.done).min();
            let wake = self.wake.filter(|wake| *wake > self.now);
            let next = done.into_iter().chain(wake).min().unwrap_or(Nanos::MAX);
            if next > until {
                self.now = self.now.max(until);
                return;
            }
            self.now = next;
            self.complete_due();
            self.decide();
        }
    }

    fn complete_due(&mut self) {
        let due = |flight: &Flight| flight.done <= self.now;
        let ended = self.flights.iter().filter(|(_, flight)| due(flight));
        for number in ended.map(|(number, _)| *number).collect::<Vec<u32>>() {
            let flight = self.flights.remove(&number).expect("it was listed");
            let settlement = self.scheduler.complete(self.now, FlightId(number));
            assert_eq!(settlement.stream, flight.stream);
            self.measured += settlement.measured;
            self.charged += settlement.charged;
            let count = flight.requests.len() as u32;
            let own = self.streams.get_mut(&flight.stream);
            let own = own.expect("a stream stays until its requests are done");
            own.charged += settlement.charged;
            own.outstanding -= count;
            own.served += u64::from(count);
            let again = if own.is_leaving {
                0
            } else {
                count.min(own.depth)
            };
            (0..again).for_each(|_| self.issue(flight.stream));
            self.settle_departures();
        }
    }

    pub(crate) fn decide(&mut self) {
        let mut batch = Vec::new();
        loop {
            match self.scheduler.next(self.now, &mut batch) {
                Decision::Dispatch { flight, stream } => {
                    for id in &batch {
                        let owner = self.owners.remove(&id.0);
                        assert_eq!(owner, Some(stream), "a request went out as another's");
                    }
                    // Anything up to W, often W itself.
                    let service = (self.random() % (WORST_CASE.0 * 3 / 2)).clamp(1, WORST_CASE.0);
                    let flown = Flight {
                        done: self.now + Nanos(service),
                        stream,
                        requests: batch.clone(),
                    };
                    assert!(self.flights.insert(flight.0, flown).is_none());
                }
                Decision::Sleep { until } => {
                    self.wake = until;
                    return;
                }
            }
        }
    }

    /// No stream that was removed is there again.
    fn check_gone(&self) {
        let gone = self
            .given
            .iter()
            .filter(|id| !self.streams.contains_key(id));
        for id in gone {
            assert!(!self.scheduler.contains(*id), "{id:?} was removed");
        }
    }

    pub(crate) fn check(&self) {
        let scheduler = &self.scheduler;
        let there: Vec<StreamId> = scheduler.streams().collect();
        let known: Vec<StreamId> = self.streams.keys().copied().collect();
        assert_eq!(there, known, "the streams that there are");
        assert_eq!(scheduler.stream_count(), known.len());
        let bound = scheduler.unspent_bound().0 as i64;
        let mut charged = Nanos::ZERO;
        for (id, own) in &self.streams {
            let counters = scheduler.stream_counters(*id);
            let used = counters.reserved + counters.spare;
            charged += used;
            assert_eq!(
                used,
                own.charged + counters.waited,
                "{id:?}: time of its own requests"
            );
            assert!(counters.requests >= own.served);
            assert_eq!(scheduler.is_leaving(*id), own.is_leaving);
            let unspent = counters.unspent_max.unwrap_or(i64::MIN);
            let kept = unspent <= bound && counters.deadlines_missed == 0;
            assert!(
                kept || !self.keeps_promise,
                "{id:?} ({:?}): {unspent} ns unspent at a period's end, bound {bound}; {} missed",
                scheduler.stream_config(*id),
                counters.deadlines_missed
            );
        }
        let disk = scheduler.disk_counters(self.now);
        assert_eq!(
            charged + disk.charged_to_removed,
            disk.charged,
            "charges by stream"
        );
        assert_eq!(
            disk.charged,
            self.charged + disk.waiting,
            "charges and what was settled"
        );
    }

    /// All streams leave; what is left after that.
    pub(crate) fn end(mut self) {
        for id in self.streams.keys().copied().collect::<Vec<StreamId>>() {
            let own = self.streams.get(&id);
            if own.is_some_and(|own| !own.is_leaving) {
                self.remove(id);
            }
        }
        while self.scheduler.queued() > 0 || self.scheduler.in_flight() > 0 {
            self.run(self.now + Nanos::from_secs(1));
            self.check();
        }
        self.check();
        assert!(self.streams.is_empty() && self.owners.is_empty());
        let disk = self.scheduler.disk_counters(self.now);
        assert_eq!(disk.charged_to_removed, self.charged + disk.waiting);
        assert_eq!(self.measured, disk.busy);
    }
}
