//! Workloads in virtual time on a toy service: one server, first in first out, constant time.

use disktime_engine::{IoError, Reply, Request, RequestKind, Service, VdiskId};
use disktime_units::{Nanos, Share};
use disktime_workloads::{
    Blocks, Client, Generated, GeneratorKind, LoadReport, Moment, Pace, Pattern, Rate,
    RequestSource, Times, Timing, TraceSource, VirtualTarget, Workload, WorkloadError, run_virtual,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::num::NonZeroU32;
use std::os::fd::RawFd;

const SECOND: Nanos = Nanos::from_secs(1);
const MILLISECOND: Nanos = Nanos::from_millis(1);

/// Serves one request at a time, each in `service_time`; holds at most `room` requests.
struct Toy {
    service_time: Nanos,
    room: usize,
    queue: VecDeque<(Request, Nanos)>,
    free_at: Nanos,
    fails: bool,
    served: Vec<(Nanos, u64, u64)>,
    kinds: Vec<(u64, RequestKind, bool)>,
}

impl Toy {
    fn new(service_time: Nanos) -> Toy {
        Toy {
            service_time,
            room: usize::MAX,
            queue: VecDeque::new(),
            free_at: Nanos::ZERO,
            fails: false,
            served: Vec::new(),
            kinds: Vec::new(),
        }
    }
}

impl Service for Toy {
    fn submit(&mut self, now: Nanos, request: Request) -> Result<(), Request> {
        if self.queue.len() >= self.room {
            return Err(request);
        }
        self.free_at = self.free_at.max(now) + self.service_time;
        self.queue.push_back((request, self.free_at));
        Ok(())
    }

    fn turn(&mut self, now: Nanos, replies: &mut Vec<Reply>) {
        while self.queue.front().is_some_and(|(_, done)| *done <= now) {
            let Some((request, _)) = self.queue.pop_front() else {
                return;
            };
            self.kinds.push((request.origin, request.kind, request.fua));
            self.served
                .push((now, request.origin, request.offset_bytes));
            let result = if self.fails { Err(IoError::Io) } else { Ok(()) };
            replies.push(request.reply(result));
        }
    }

    fn next_wake(&self) -> Option<Nanos> {
        self.queue.front().map(|(_, done)| *done)
    }

    fn wake_fds(&self) -> Vec<RawFd> {
        Vec::new()
    }

    fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }
}

fn targets() -> BTreeMap<String, VirtualTarget> {
    let target = |service, vdisk| VirtualTarget {
        service,
        vdisk: VdiskId(vdisk),
        size_bytes: 1 << 30,
        has_data: false,
    };
    BTreeMap::from([
        ("a".to_owned(), target(0, 0)),
        ("b".to_owned(), target(1, 0)),
    ])
}

fn run(toys: &mut [Toy], workload: &Workload) -> Result<LoadReport, WorkloadError> {
    run_virtual(toys, &targets(), workload, None, &mut |_, _, _| {})
}

fn closed(name: &str, vdisk: &str, depth: u32, think: Nanos) -> Client {
    let mut client = Client::new(name, vdisk, SECOND);
    client.depth = depth;
    let blocks = Blocks {
        read: Share::from_percent(50),
        ..Blocks::RANDOM_READS
    };
    let think = Times::Constant(think);
    client.source = RequestSource::Generated(Generated::blocks(blocks, Pace::Closed { think }));
    client
}

fn workload(clients: Vec<Client>) -> Workload {
    Workload {
        clients,
        ..Workload::new(SECOND, 1)
    }
}

#[test]
fn a_closed_loop_gets_what_the_server_gives() {
    let report = run(
        &mut [Toy::new(MILLISECOND), Toy::new(MILLISECOND)],
        &workload(vec![closed("c", "a", 4, Nanos::ZERO)]),
    )
    .expect("it runs");
    let client = report.client("c").expect("it is reported");
    assert_eq!(client.requests, 1000);
    assert_eq!(client.iops, 1000.0);
    assert_eq!(client.bytes_per_second, 4_096_000.0);
    // Four in the queue, one served at a time: each waits for the three before it.
    let latency = client.latency.expect("requests were done");
    assert_eq!(latency.max, Nanos::from_millis(4));
    assert!(latency.p50.0.abs_diff(4_000_000) <= 4_000, "{latency:?}");
}

#[test]
fn think_time_lowers_the_rate() {
    let think = Nanos::from_millis(9);
    let report = run(
        &mut [Toy::new(MILLISECOND), Toy::new(SECOND)],
        &workload(vec![closed("c", "a", 1, think)]),
    )
    .expect("it runs");
    assert_eq!(report.client("c").map(|client| client.requests), Some(100));
}

/// Hands replies out only at every full 10 ms, long after they are ready.
struct Late(Toy);

const LATE: u64 = 10_000_000;

impl Service for Late {
    fn submit(&mut self, now: Nanos, request: Request) -> Result<(), Request> {
        self.0.submit(now, request)
    }

    fn turn(&mut self, now: Nanos, replies: &mut Vec<Reply>) {
        if now.0.is_multiple_of(LATE) {
            self.0.turn(now, replies);
        }
    }

    fn next_wake(&self) -> Option<Nanos> {
        self.0
            .next_wake()
            .map(|at| Nanos(at.0.next_multiple_of(LATE)))
    }

    fn wake_fds(&self) -> Vec<RawFd> {
        Vec::new()
    }

    fn is_idle(&self) -> bool {
        self.0.is_idle()
    }
}

#[test]
fn thinking_starts_when_the_answer_is_handed_out() {
    // Served at 1 ms, handed out at 10, thought until 15, served at 16, handed out at 20. Thinking
    // from when the disk was done, it would ask at 6 ms already, and be answered twice by 10.
    let mut services = [Late(Toy::new(MILLISECOND)), Late(Toy::new(SECOND))];
    let load = workload(vec![closed("c", "a", 1, Nanos::from_millis(5))]);
    let report =
        run_virtual(&mut services, &targets(), &load, None, &mut |_, _, _| {}).expect("it runs");
    let client = report.client("c").expect("it is reported");
    // Asked at 0, 15, 25, 35, …: handed out at 10, 20, 30, …, 1000.
    assert_eq!(client.requests, 100);
    assert_eq!(
        client.latency.map(|all| all.max),
        Some(Nanos::from_millis(10))
    );
    assert_eq!(client.latency.map(|all| all.p50.0 / 100_000), Some(50));
}

#[test]
fn disks_are_independent_and_reports_keep_the_order() {
    let clients = vec![
        closed("slow", "b", 1, Nanos::ZERO),
        closed("fast", "a", 1, Nanos::ZERO),
    ];
    let report = run(
        &mut [Toy::new(MILLISECOND), Toy::new(Nanos::from_millis(10))],
        &workload(clients),
    )
    .expect("it runs");
    let requests: Vec<_> = report
        .clients
        .iter()
        .map(|c| (c.name.as_str(), c.requests))
        .collect();
    assert_eq!(requests, [("slow", 100), ("fast", 1000)]);
}

#[test]
fn a_full_queue_delays_clients_and_no_client_starves() {
    let mut toy = Toy::new(MILLISECOND);
    toy.room = 2;
    let clients = (0..5)
        .map(|n| closed(&format!("c{n}"), "a", 3, Nanos::ZERO))
        .collect();
    let report = run(&mut [toy, Toy::new(SECOND)], &workload(clients)).expect("it runs");
    let requests: Vec<_> = report
        .clients
        .iter()
        .map(|client| client.requests)
        .collect();
    assert_eq!(requests.iter().sum::<u64>(), 1000);
    assert!(
        requests.iter().all(|count| (150..=250).contains(count)),
        "{requests:?}"
    );
}

#[test]
fn what_is_under_way_at_the_end_is_answered_but_not_measured() {
    let mut toys = [Toy::new(Nanos::from_millis(300)), Toy::new(SECOND)];
    let mut moments = Vec::new();
    let mut under_way_at_end = 0;
    let load = workload(vec![closed("c", "a", 2, Nanos::ZERO)]);
    let report = run_virtual(
        &mut toys,
        &targets(),
        &load,
        Some(Nanos::from_millis(400)),
        &mut |moment, index, toy| {
            if index == 0 {
                moments.push(moment);
                under_way_at_end = toy.queue.len();
            }
        },
    )
    .expect("it runs");
    assert_eq!(report.client("c").map(|client| client.requests), Some(3));
    let samples = [400, 800].map(|ms| Moment::Sample(Nanos::from_millis(ms)));
    assert_eq!(moments, [samples[0], samples[1], Moment::End(SECOND)]);
    assert_eq!(under_way_at_end, 2);
    assert!(toys[0].is_idle(), "every request was answered");
}

#[test]
fn a_rate_is_kept_and_overload_is_counted() {
    let mut client = closed("c", "a", 8, Nanos::ZERO);
    if let RequestSource::Generated(generated) = &mut client.source {
        generated.pace = Pace::Constant {
            rate: Rate {
                events: 400,
                per: SECOND,
            },
        };
    }
    let mut fast = [Toy::new(MILLISECOND), Toy::new(SECOND)];
    let report = run(&mut fast, &workload(vec![client.clone()])).expect("it runs");
    let got = report.client("c").expect("it is reported");
    assert_eq!((got.requests, got.delayed), (400, 0));
    assert_eq!(got.latency.map(|all| all.max), Some(MILLISECOND));

    let mut slow = [Toy::new(Nanos::from_millis(10)), Toy::new(SECOND)];
    let report = run(&mut slow, &workload(vec![client])).expect("it runs");
    let got = report.client("c").expect("it is reported");
    assert_eq!(got.requests, 100);
    assert!(got.delayed > 80, "{}", got.delayed);
    // Latency counts from the arrival, not from when the depth let the request through.
    assert!(got.latency.expect("requests were done").max > Nanos::from_millis(700));
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_does_not() {
    let once = |seed| {
        let clients = vec![
            closed("x", "a", 3, MILLISECOND),
            closed("y", "a", 2, Nanos::ZERO),
        ];
        let mut toys = [Toy::new(MILLISECOND), Toy::new(SECOND)];
        let report = run(
            &mut toys,
            &Workload {
                seed,
                ..workload(clients)
            },
        )
        .expect("it runs");
        (report.to_json_text(), std::mem::take(&mut toys[0].served))
    };
    assert_eq!(once(1), once(1));
    assert_ne!(once(1).1, once(2).1);
}

#[test]
fn flushes_and_durable_writes_reach_the_service() {
    let mut toys = [Toy::new(MILLISECOND), Toy::new(SECOND)];
    let clients = vec![
        Client::of_kind(GeneratorKind::Oltp, "oltp", "a", SECOND).pace(Pace::GREEDY),
        Client::of_kind(GeneratorKind::LogWriter, "log", "a", SECOND),
    ];
    run(&mut toys, &workload(clients)).expect("it runs");
    let of = |origin| {
        toys[0]
            .kinds
            .iter()
            .filter(move |(from, ..)| *from == origin)
    };
    let flushes = of(0)
        .filter(|(_, kind, _)| *kind == RequestKind::Flush)
        .count();
    // The two take turns of 1 ms; every eleventh of the database's 500 is a flush.
    assert_eq!(flushes, 500 / 11);
    assert!(of(0).all(|(.., fua)| !fua));
    assert!(of(1).count() > 400);
    assert!(of(1).all(|(_, kind, fua)| *kind == RequestKind::Write && *fua));
}

#[test]
fn a_trace_as_fast_as_possible_waits_for_answers_and_nothing_else() {
    let mut trace = tempfile::NamedTempFile::new().expect("a temporary file");
    for line in 0..100 {
        writeln!(trace, "{},0,R,{},512", line * 1_000_000, line * 512).expect("a line");
    }
    let mut client = Client::new("c", "a", SECOND).depth(4);
    client.source = RequestSource::Trace(TraceSource {
        timing: Timing::AsFastAsPossible,
        ..TraceSource::new(trace.path())
    });
    let mut toys = [Toy::new(MILLISECOND), Toy::new(SECOND)];
    let report = run(&mut toys, &workload(vec![client])).expect("it runs");
    let client = report.client("c").expect("it is reported");
    assert_eq!((client.requests, client.delayed), (100, 0));
    let (last, _, offset) = toys[0].served[99];
    assert_eq!((last, offset), (Nanos::from_millis(100), 99 * 512));
    assert_eq!(
        client.latency.map(|all| all.max),
        Some(Nanos::from_millis(4))
    );
}

#[test]
fn what_the_depth_holds_back_of_a_trace_is_counted() {
    let mut trace = tempfile::NamedTempFile::new().expect("a temporary file");
    for line in 0..10 {
        writeln!(trace, "{line},0,R,0,512").expect("a line");
    }
    let mut client = Client::new("c", "a", SECOND).depth(2);
    client.source = RequestSource::Trace(TraceSource::new(trace.path()));
    let mut toys = [Toy::new(MILLISECOND), Toy::new(SECOND)];
    let report = run(&mut toys, &workload(vec![client])).expect("it runs");
    let client = report.client("c").expect("it is reported");
    assert_eq!((client.requests, client.delayed), (10, 8));
    // The last, due at 9 us, could be asked for when eight were answered.
    let expected = Nanos::from_millis(8).saturating_sub(Nanos::from_micros(9));
    assert_eq!(client.longest_delay, expected);
}

#[test]
fn errors_are_counted_and_do_not_stop_the_clock() {
    let mut toy = Toy::new(Nanos::ZERO);
    toy.fails = true;
    let report = run(
        &mut [toy, Toy::new(SECOND)],
        &workload(vec![closed("c", "a", 1, Nanos::ZERO)]),
    )
    .expect("it runs");
    let client = report.client("c").expect("it is reported");
    assert_eq!(
        (client.requests, client.errors, client.latency),
        (0, 1000, None)
    );
}

#[test]
fn a_clock_that_stands_still_is_an_error() {
    let load = workload(vec![closed("c", "a", 1, Nanos::ZERO)]);
    let error =
        run(&mut [Toy::new(Nanos::ZERO), Toy::new(SECOND)], &load).expect_err("no time passes");
    assert!(error.to_string().contains("does not advance"), "{error}");
}

#[test]
fn an_unknown_virtual_disk_is_refused_with_the_names_there_are() {
    let load = workload(vec![closed("c", "wbe", 1, Nanos::ZERO)]);
    let error = run(&mut [Toy::new(SECOND), Toy::new(SECOND)], &load).expect_err("no such disk");
    assert!(
        error.to_string().contains("`wbe`") && error.to_string().contains("`a`, `b`"),
        "{error}"
    );
}

/// Any few clients, on servers with little space.
fn any_clients() -> impl Strategy<Value = Vec<Client>> {
    let one = (
        0usize..2,
        1u32..40,
        0u64..3_000_000,
        0u64..900,
        1u64..1000,
        0u8..5,
        0u32..=100,
    );
    proptest::collection::vec(one, 1..6).prop_map(|clients| {
        let client = |(number, (disk, depth, think, start, length, law, read))| {
            let start = Nanos::from_millis(start);
            let mut client = Client::new(
                &format!("c{number}"),
                ["a", "b"][disk],
                start + Nanos::from_millis(length),
            );
            client.depth = depth;
            client.start = start;
            let blocks = Blocks {
                pattern: Pattern::SemiRandom { run: 7 },
                read: Share::from_percent(read),
                ..Blocks::RANDOM_READS
            };
            let (rate, mean) = (Rate::per_second(1 + think % 5000), Nanos(think));
            let pace = match law {
                0 => Pace::Closed {
                    think: Times::Constant(mean),
                },
                1 => Pace::Closed {
                    think: Times::Exponential { mean },
                },
                2 => Pace::Constant { rate },
                3 => Pace::Poisson { rate },
                _ => Pace::Bursts {
                    period: GeneratorKind::BURST_PERIOD,
                    rate,
                },
            };
            client.source = RequestSource::Generated(Generated {
                commit_every: NonZeroU32::new(depth % 4),
                ..Generated::blocks(blocks, pace)
            });
            client
        };
        clients.into_iter().enumerate().map(client).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every request is answered, none is lost or counted twice, and a second run is the same.
    #[test]
    fn any_workload_is_conserved_and_repeats(clients in any_clients(), room in 1usize..50) {
        let workload = workload(clients);
        let once = || {
            let mut toys = [Toy::new(MILLISECOND), Toy::new(Nanos::from_micros(700))];
            toys.iter_mut().for_each(|toy| toy.room = room);
            let report = run(&mut toys, &workload).expect("it runs");
            assert!(toys.iter().all(Service::is_idle), "a request was left");
            let within = |toy: &Toy| toy.served.iter().filter(|(at, ..)| *at <= SECOND).count() as u64;
            let served: u64 = toys.iter().map(within).sum();
            assert_eq!(report.clients.iter().map(|client| client.requests).sum::<u64>(), served);
            report.to_json_text()
        };
        prop_assert_eq!(once(), once());
    }
}
