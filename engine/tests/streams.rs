//! Streams that come and go in the loop of one disk, against a model: every request is answered
//! once and under its own stream, a removed stream is there until the last of its requests is
//! answered (those not yet announced and those that are tried again included), and its slot's next
//! stream begins with empty statistics (I2, I5, I8).

mod common;

use common::{SERVICE, break_block, disk_loop, failed, write};
use disktime_disks::{Disk as _, FaultDisk};
use disktime_engine::{DiskLoop, IoDone, Reservation, StreamConfig, StreamId};
use disktime_units::{Nanos, Share};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap, HashSet};

const STREAMS_MAX: usize = 8;

#[derive(Debug, Clone)]
enum Step {
    Add {
        percent: u32,
        period_ms: u64,
    },
    AddGroup {
        percent: u32,
        period_ms: u64,
    },
    AddMember {
        group: usize,
    },
    Remove {
        stream: usize,
    },
    Reconfigure {
        stream: usize,
        percent: u32,
        period_ms: u64,
    },
    /// A run of adjacent writes.
    Submit {
        stream: usize,
        block: u64,
        count: u64,
    },
    Run {
        micros: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0u32..=100, 50u64..500)
            .prop_map(|(percent, period_ms)| Step::Add { percent, period_ms }),
        1 => (1u32..=100, 50u64..500)
            .prop_map(|(percent, period_ms)| Step::AddGroup { percent, period_ms }),
        1 => any::<usize>().prop_map(|group| Step::AddMember { group }),
        2 => any::<usize>().prop_map(|stream| Step::Remove { stream }),
        1 => (any::<usize>(), 0u32..=100, 50u64..500)
            .prop_map(|(stream, percent, period_ms)| Step::Reconfigure { stream, percent, period_ms }),
        6 => (any::<usize>(), 0u64..64, 1u64..6)
            .prop_map(|(stream, block, count)| Step::Submit { stream, block, count }),
        4 => (1u64..60_000).prop_map(|micros| Step::Run { micros }),
    ]
}

#[derive(Debug, Default)]
struct Known {
    outstanding: u64,
    answered: u64,
    is_leaving: bool,
    is_group: bool,
    group: Option<StreamId>,
    share: u32,
}

struct Model {
    disk_loop: DiskLoop<FaultDisk>,
    now: Nanos,
    streams: BTreeMap<StreamId, Known>,
    given: HashSet<StreamId>,
    /// By tag: whose it is, and whether it must fail.
    requests: HashMap<u64, (StreamId, bool)>,
    next_tag: u64,
}

/// In parts per million; 0 without a reservation.
fn share(config: &StreamConfig) -> u32 {
    config.reservation.map_or(0, |own| own.share.0)
}

/// The block that is broken.
const BAD: u64 = 13;

impl Model {
    fn new(max_in_flight: usize) -> Model {
        let (disk_loop, handle) = disk_loop(max_in_flight);
        break_block(&handle, BAD);
        Model {
            disk_loop,
            now: Nanos::ZERO,
            streams: BTreeMap::new(),
            given: HashSet::new(),
            requests: HashMap::new(),
            next_tag: 0,
        }
    }

    fn choose(&self, number: usize, may: impl Fn(&Known) -> bool) -> Option<StreamId> {
        let able = self.streams.iter().filter(|(_, own)| may(own));
        let able: Vec<StreamId> = able.map(|(id, _)| *id).collect();
        (!able.is_empty()).then(|| able[number % able.len()])
    }

    fn entitlement(&self, percent: u32, period_ms: u64, of: Option<StreamId>) -> StreamConfig {
        let others = self.streams.iter().filter(|(id, _)| Some(**id) != of);
        let taken: u32 = others.map(|(_, own)| own.share).sum();
        let share = (1_000_000 - taken) / 100 * percent;
        StreamConfig {
            reservation: (share > 0).then_some(Reservation {
                share: Share(share),
                period: Nanos::from_millis(period_ms),
            }),
            ..StreamConfig::BEST_EFFORT
        }
    }

    fn joined(&mut self, id: StreamId, known: Known) {
        assert!(self.given.insert(id), "{id:?} was given before");
        self.streams.insert(id, known);
        let report = self.disk_loop.report(self.now);
        let own = &report.streams[&id];
        for window in [own.windows.last_1s, own.windows.last_10s, own.windows.total] {
            assert_eq!(window.counters, Default::default(), "{id:?} begins anew");
        }
        assert_eq!((own.queue_time.count, own.service_time.count), (0, 0));
    }

    fn take(&mut self, step: Step) {
        let has_room = self.streams.len() < STREAMS_MAX;
        match step {
            Step::Add { percent, period_ms } if has_room => self.add(percent, period_ms, false),
            Step::AddGroup { percent, period_ms } if has_room => {
                self.add(percent, period_ms, true);
            }
            Step::AddMember { group } if has_room => {
                let can_join = |own: &Known| own.is_group && !own.is_leaving;
                if let Some(group) = self.choose(group, can_join) {
                    let id = self.disk_loop.add_member(self.now, group, 100);
                    self.joined(
                        id,
                        Known {
                            group: Some(group),
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
                    self.streams.get_mut(&id).expect("it was chosen").share = share(&config);
                    self.disk_loop.reconfigure(self.now, id, config);
                }
            }
            Step::Submit {
                stream,
                block,
                count,
            } => {
                if let Some(id) = self.choose(stream, |own| !own.is_group && !own.is_leaving) {
                    (block..block + count).for_each(|block| self.submit(id, block));
                }
            }
            Step::Run { micros } => self.run(self.now + Nanos::from_micros(micros)),
            _ => {}
        }
        self.check();
        self.check_gone();
    }

    fn add(&mut self, percent: u32, period_ms: u64, is_group: bool) {
        let config = self.entitlement(percent, period_ms, None);
        let id = match is_group {
            true => self.disk_loop.add_group(self.now, config),
            false => self.disk_loop.add_stream(self.now, config),
        };
        let known = Known {
            share: share(&config),
            is_group,
            ..Known::default()
        };
        self.joined(id, known);
    }

    fn submit(&mut self, id: StreamId, block: u64) {
        if !self.disk_loop.has_room() {
            return;
        }
        let tag = self.next_tag;
        self.next_tag += 1;
        self.requests.insert(tag, (id, block == BAD));
        self.streams.get_mut(&id).expect("it is there").outstanding += 1;
        self.disk_loop
            .submit(self.now, write(tag, id, block * 4096));
    }

    fn remove(&mut self, id: StreamId) {
        self.disk_loop.remove_stream(self.now, id);
        self.streams.get_mut(&id).expect("it was chosen").is_leaving = true;
        assert!(!self.disk_loop.accepts(id), "{id:?} still takes requests");
        self.settle_departures();
    }

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
                !self.disk_loop.has_stream(id),
                "{id:?} is drained and still there"
            );
            self.streams.remove(&id);
        }
    }

    fn run(&mut self, until: Nanos) {
        let mut done = Vec::new();
        loop {
            self.disk_loop.turn(self.now, &mut done);
            done.drain(..).for_each(|io| self.answered(io));
            self.settle_departures();
            match self.disk_loop.next_wake() {
                Some(next) if next <= until => self.now = self.now.max(next),
                _ => break,
            }
        }
        self.now = self.now.max(until);
    }

    fn answered(&mut self, io: IoDone) {
        let request = self.requests.remove(&io.tag);
        let (stream, must_fail) = request.expect("a request is answered once");
        assert_eq!(io.stream, stream, "an answer to another's request");
        assert_eq!(io.result.is_err(), must_fail, "tag {}", io.tag);
        let data = io.buffer.expect("a write gives its buffer back");
        assert!(
            data.iter().all(|byte| *byte == io.tag as u8),
            "another's data"
        );
        let own = self.streams.get_mut(&stream);
        let own = own.expect("a stream stays until its requests are answered");
        own.outstanding -= 1;
        own.answered += 1;
    }

    /// No stream that was removed is there again.
    fn check_gone(&self) {
        let gone = self
            .given
            .iter()
            .filter(|id| !self.streams.contains_key(id));
        for id in gone {
            assert!(!self.disk_loop.has_stream(*id), "{id:?} was removed");
            assert!(!self.disk_loop.accepts(*id), "{id:?} was removed");
        }
    }

    fn check(&self) {
        let report = self.disk_loop.report(self.now);
        let reported: Vec<StreamId> = report.streams.keys().copied().collect();
        let known: Vec<StreamId> = self.streams.keys().copied().collect();
        assert_eq!(reported, known, "the streams that there are");
        let mut charged = report.windows.total.counters.charged_to_removed;
        for (id, own) in &self.streams {
            assert!(self.disk_loop.has_stream(*id));
            assert_eq!(self.disk_loop.accepts(*id), !own.is_leaving);
            let of_stream = &report.streams[id];
            let counters = of_stream.windows.total.counters;
            charged += counters.reserved + counters.spare;
            // Requests that are tried again were served before they are answered.
            assert!(
                of_stream.service_time.count >= own.answered,
                "{id:?}: {own:?}"
            );
            assert!(own.answered > 0 || own.outstanding > 0 || counters.requests == 0);
            assert!(counters.requests >= own.answered);
        }
        assert_eq!(charged, report.windows.total.counters.charged);
    }

    fn end(mut self) {
        for id in self.streams.keys().copied().collect::<Vec<StreamId>>() {
            let own = self.streams.get(&id);
            if own.is_some_and(|own| !own.is_leaving) {
                self.remove(id);
            }
        }
        self.run(self.now + Nanos::from_secs(10));
        assert!(self.streams.is_empty() && self.requests.is_empty());
        assert!(self.disk_loop.is_idle());
        let total = self.disk_loop.report(self.now).windows.total.counters;
        assert_eq!(total.charged_to_removed, total.charged);
        if self.disk_loop.disk().properties().max_in_flight == 1 {
            assert_eq!(total.charged, total.busy + total.waiting);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn i8_streams_that_come_and_go_lose_no_request_and_mix_no_statistics_up(
        steps in vec(step(), 1..150),
        depth in prop::sample::select(vec![1usize, 4]),
    ) {
        let mut model = Model::new(depth);
        steps.into_iter().for_each(|step| model.take(step));
        model.end();
    }
}

#[test]
fn a_stream_stays_until_a_request_that_is_tried_again_alone_is_answered() {
    let (mut disk_loop, handle) = disk_loop(1);
    break_block(&handle, 2);
    let stream = disk_loop.add_stream(Nanos::ZERO, StreamConfig::BEST_EFFORT);
    for block in 0..4 {
        disk_loop.submit(Nanos::ZERO, write(block, stream, block * 4096));
    }
    // Not even announced to the scheduler.
    disk_loop.remove_stream(Nanos::ZERO, stream);
    let (mut now, mut done) = (Nanos::ZERO, Vec::new());
    disk_loop.turn(now, &mut done);
    while disk_loop.has_stream(stream) {
        now = disk_loop.next_wake().expect("requests are in flight");
        disk_loop.turn(now, &mut done);
    }
    assert_eq!(
        now,
        Nanos(SERVICE.0 * 5),
        "one of all four, and one of each"
    );
    assert_eq!((done.len(), failed(&done)), (4, vec![2]));
    assert!(disk_loop.report(now).streams.is_empty());
}

#[test]
fn a_new_stream_in_a_used_slot_has_windows_of_its_own() {
    let (mut disk_loop, _) = disk_loop(1);
    let mut done = Vec::new();
    let old = disk_loop.add_stream(Nanos::ZERO, StreamConfig::BEST_EFFORT);
    let mut now = Nanos::ZERO;
    for tag in 0..40 {
        disk_loop.submit(now, write(tag, old, tag << 20));
        disk_loop.turn(now, &mut done);
        now = disk_loop.next_wake().expect("in flight");
        disk_loop.turn(now, &mut done);
    }
    disk_loop.remove_stream(now, old);
    let new = disk_loop.add_stream(now, StreamConfig::BEST_EFFORT);
    assert_eq!((new.index(), new == old), (old.index(), false));
    disk_loop.submit(now, write(0, new, 0));
    disk_loop.turn(now, &mut done);
    now = disk_loop.next_wake().expect("in flight");
    disk_loop.turn(now, &mut done);
    let report = disk_loop.report(now);
    assert!(!report.streams.contains_key(&old));
    let own = &report.streams[&new];
    for window in [own.windows.last_1s, own.windows.last_10s, own.windows.total] {
        assert_eq!(
            (window.counters.spare, window.counters.requests),
            (SERVICE, 1)
        );
    }
    assert_eq!(own.service_time.count, 1);
    let total = report.windows.total.counters;
    assert_eq!(total.charged_to_removed, Nanos(SERVICE.0 * 40));
}

#[test]
fn ten_thousand_streams_one_after_the_other_leave_nothing_behind() {
    let (mut disk_loop, _) = disk_loop(1);
    let (mut now, mut done) = (Nanos::ZERO, Vec::new());
    for tag in 0..10_000 {
        let stream = disk_loop.add_stream(now, StreamConfig::BEST_EFFORT);
        assert_eq!(stream.index(), 0, "the slot is used again");
        disk_loop.submit(now, write(tag, stream, 0));
        disk_loop.remove_stream(now, stream);
        disk_loop.turn(now, &mut done);
        now = disk_loop.next_wake().expect("in flight");
        disk_loop.turn(now, &mut done);
        assert!(!disk_loop.has_stream(stream));
    }
    assert_eq!(done.len(), 10_000);
    assert_eq!(disk_loop.scheduler().stream_count(), 0);
}

#[test]
#[should_panic(expected = "is being removed and takes no new requests")]
fn a_stream_that_is_being_removed_takes_no_new_requests() {
    let (mut disk_loop, _) = disk_loop(1);
    let stream = disk_loop.add_stream(Nanos::ZERO, StreamConfig::BEST_EFFORT);
    disk_loop.submit(Nanos::ZERO, write(0, stream, 0));
    disk_loop.remove_stream(Nanos::ZERO, stream);
    disk_loop.submit(Nanos::ZERO, write(1, stream, 4096));
}

#[test]
#[should_panic(expected = "was removed")]
fn a_removed_streams_identity_takes_no_requests_to_its_successor() {
    let (mut disk_loop, _) = disk_loop(1);
    let old = disk_loop.add_stream(Nanos::ZERO, StreamConfig::BEST_EFFORT);
    disk_loop.remove_stream(Nanos::ZERO, old);
    disk_loop.add_stream(Nanos::ZERO, StreamConfig::BEST_EFFORT);
    disk_loop.submit(Nanos::ZERO, write(0, old, 0));
}
