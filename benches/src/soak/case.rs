//! A random set of streams at the limit of what admission accepts, with adverse clients and service
//! times.
//!
//! Admission asks for Σu + Σc·s/p ≤ 1 with c·s/p rounded up to a millionth, and for nothing else: a
//! budget u·p below W is accepted. So are streams that join while others are served, and shares
//! that move from one to another: the scheduler lets them begin when that breaks no other stream's
//! promise.

use disktime_lab::oracle::clients::{Behaviour, ClientConfig, Pattern, Presence, Think};
use disktime_lab::oracle::disks::{RESERVED, region_of, switching_ppm};
use disktime_lab::oracle::{Adversary, ServiceTimes, SharedRng, Turns, World};
use disktime_random::SplitMix64;
use disktime_scheduler::{
    Limit, OverlapConfig, PolicyKind, RequestOrder, Reservation, SchedulerConfig, SeekCurve,
    StreamConfig, SwitchingAccount,
};
use disktime_units::{Nanos, Share};

/// Size of the disk.
const DISK_BYTES: u64 = 160 << 30;
const WHOLE_PPM: u64 = 1_000_000;
/// Length of a request.
const BLOCK_BYTES: u64 = 4096;
/// What it costs by the linear model.
const PRICE: Nanos = Nanos(51_200);

/// Who pays for switches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Account {
    /// The stream that is served.
    Served,
    /// The switching account.
    Reserved,
}

/// A stream, its client with its service times, and when they are there.
#[derive(Debug, Clone, Copy)]
struct Member {
    config: StreamConfig,
    client: ClientConfig,
    times: ServiceTimes,
    presence: Presence,
}

/// Half of what one stream has reserved is given to another.
#[derive(Debug, Clone, Copy)]
struct Change {
    at: Nanos,
    from: usize,
    to: usize,
}

/// A set.
#[derive(Debug)]
pub struct Case {
    account: Account,
    config: SchedulerConfig,
    /// In order of joining.
    members: Vec<Member>,
    /// When half of what one stream has goes to another.
    changes: Vec<Change>,
    /// Clients hear of answers before the next decision.
    answers_first: bool,
    /// What is drawn while it runs.
    rng: SplitMix64,
}

impl Case {
    /// The set of a seed.
    pub fn random(seed: u64, account: Option<Account>) -> Case {
        let mut rng = SplitMix64::new(seed ^ 0x5eed_5eed_0000_0000);
        let by_seed = match seed % 2 {
            0 => Account::Served,
            _ => Account::Reserved,
        };
        let account = account.unwrap_or(by_seed);
        let config = disk(&mut rng, account);
        let periods = periods(&mut rng, &config);
        let taken = switching_ppm(&config, &periods);
        let mut total = WHOLE_PPM - taken;
        if rng.percent(15) {
            total = total * 8 / 10;
        }
        let (least, skew) = (rng.range(1, 1_000), rng.range(1, 5) as i32);
        let shares = shares(&mut rng, periods.len(), total, (least, skew));
        let style = Style::random(&mut rng);
        let mut members: Vec<Member> = shares
            .iter()
            .zip(&periods)
            .map(|(share, period)| style.reserved(&mut rng, *share as u32, *period))
            .collect();
        for _ in 0..rng.range(0, 4) {
            members.push(style.greedy(&mut rng));
        }
        members.sort_by_key(|member| member.presence.joins);
        for (index, member) in members.iter_mut().enumerate() {
            let zone = region_of(DISK_BYTES, index);
            member.client.zone = zone;
        }
        let changes = style.changes(&mut rng, &members);
        Case {
            changes,
            account,
            config,
            members,
            answers_first: rng.percent(50),
            rng,
        }
    }
}

fn disk(rng: &mut SplitMix64, account: Account) -> SchedulerConfig {
    let worst_case = rng.log_uniform(Nanos::from_micros(200), Nanos::from_millis(60));
    let has_seeks = account == Account::Reserved || rng.percent(50);
    let max_in_flight = match has_seeks {
        false if rng.percent(25) => rng.range(2, 33) as usize,
        _ => 1,
    };
    let part = |percent: u64| Nanos(worst_case.0 / 100 * percent);
    let (switch, longest) = (rng.range(5, 60), rng.range(60, 100));
    let curve = match has_seeks {
        true => vec![(0, part(1)), (DISK_BYTES, part(switch))],
        false => Vec::new(),
    };
    let order = match rng.percent(30) {
        true => RequestOrder::LeastPositioning { map: None },
        false => RequestOrder::Sweep,
    };
    let merging = [0, 16 << 10, 256 << 10];
    SchedulerConfig {
        policy: PolicyKind::Fahrrad,
        worst_case,
        switch_cost: if has_seeks { part(switch) } else { Nanos::ZERO },
        worst_seek: if has_seeks {
            part(longest)
        } else {
            Nanos::ZERO
        },
        seek_curve: SeekCurve::new(curve),
        has_seeks,
        switching: match account {
            Account::Served => SwitchingAccount::Served,
            Account::Reserved => RESERVED,
        },
        order,
        max_in_flight,
        merge_limit_bytes: merging[rng.range(0, 3) as usize],
        overlap: OverlapConfig::NONE,
    }
}

/// Periods from 20 ms to 10 s, with enough time left by the switching account.
fn periods(rng: &mut SplitMix64, config: &SchedulerConfig) -> Vec<Nanos> {
    let count = match rng.range(0, 100) {
        0..70 => rng.range(2, 9),
        70..97 => rng.range(9, 31),
        _ => rng.range(31, 101),
    };
    let (shortest, longest) = (Nanos::from_millis(20), Nanos::from_secs(10));
    let mut periods: Vec<Nanos> = (0..count)
        .map(|_| rng.log_uniform(shortest, longest))
        .collect();
    match rng.range(0, 10) {
        // Deadlines that coincide, all or some.
        0 | 1 => {
            let first = periods[0];
            periods.fill(first);
        }
        2 => {
            for period in &mut periods {
                *period = Nanos(shortest.0 << rng.range(0, 9));
            }
        }
        _ => {}
    }
    while switching_ppm(config, &periods) > 800_000 {
        if periods.len() > 2 {
            periods.pop();
        } else {
            for period in &mut periods {
                *period = Nanos(period.0 * 2);
            }
        }
    }
    periods
}

/// `count` shares in parts per million that add up to `total`, each at least `least`; the larger
/// `skew`, the more unequal.
fn shares(rng: &mut SplitMix64, count: usize, total: u64, (least, skew): (u64, i32)) -> Vec<u64> {
    let weights: Vec<f64> = (0..count).map(|_| (0.02 + rng.unit()).powi(skew)).collect();
    let sum: f64 = weights.iter().sum();
    let free = (total - least * count as u64) as f64;
    let part = |weight: &f64| least + (free * weight / sum) as u64;
    let mut shares: Vec<u64> = weights.iter().map(part).collect();
    let given: u64 = shares.iter().sum();
    shares[0] = (shares[0] + total).saturating_sub(given);
    shares
}

/// What the members of a set have in common.
#[derive(Debug, Clone, Copy)]
struct Style {
    /// All have these service times; each its own if `None`.
    times: Option<ServiceTimes>,
    /// All are always backlogged.
    backlogged: bool,
    /// Some have limits.
    limits: bool,
    /// Some come later and some leave.
    comes_and_goes: bool,
}

impl Style {
    fn random(rng: &mut SplitMix64) -> Style {
        let uniform = rng.percent(60);
        let times = ServiceTimes::ALL[rng.range(0, ServiceTimes::ALL.len() as u64) as usize];
        Style {
            times: uniform.then_some(times),
            backlogged: rng.percent(25),
            limits: rng.percent(20),
            comes_and_goes: rng.percent(40),
        }
    }

    fn reserved(self, rng: &mut SplitMix64, share_ppm: u32, period: Nanos) -> Member {
        let reservation = Reservation {
            share: Share(share_ppm),
            period,
        };
        let limit = (self.limits && rng.percent(30)).then(|| Limit {
            share: Share(rng.range(u64::from(share_ppm), WHOLE_PPM + 1) as u32),
            period: rng.log_uniform(Nanos::from_millis(20), Nanos::from_secs(2)),
        });
        let config = StreamConfig {
            reservation: Some(reservation),
            limit,
            weight: rng.range(1, 200) as u32,
        };
        let behaviour = match self.backlogged {
            true => GREEDY,
            false => behaviour(rng),
        };
        self.member(rng, config, behaviour)
    }

    /// Changes while they are served: the sum stays what it was.
    fn changes(self, rng: &mut SplitMix64, members: &[Member]) -> Vec<Change> {
        if !self.comes_and_goes || rng.percent(50) {
            return Vec::new();
        }
        let count = members.len() as u64;
        let draw = |rng: &mut SplitMix64| Change {
            at: rng.log_uniform(Nanos::from_millis(1), Nanos::from_secs(100)),
            from: rng.range(0, count) as usize,
            to: rng.range(0, count) as usize,
        };
        let is_reserved = |index: usize| members[index].config.reservation.is_some();
        let mut changes: Vec<Change> = (0..rng.range(1, 5)).map(|_| draw(rng)).collect();
        changes.retain(|one| one.from != one.to && is_reserved(one.from) && is_reserved(one.to));
        changes.sort_by_key(|one| one.at);
        changes
    }

    fn greedy(self, rng: &mut SplitMix64) -> Member {
        self.member(rng, StreamConfig::BEST_EFFORT, GREEDY)
    }

    fn member(self, rng: &mut SplitMix64, config: StreamConfig, behaviour: Behaviour) -> Member {
        let behaviour = with_depth(rng, behaviour);
        let any = ServiceTimes::ALL[rng.range(0, ServiceTimes::ALL.len() as u64) as usize];
        let client = ClientConfig {
            behaviour,
            pattern: Pattern::Following([0, 50, 100][rng.range(0, 3) as usize]),
            len: BLOCK_BYTES,
            price: PRICE,
            // Known when it is known in which order the streams join.
            zone: (0, 0),
            merge: rng.percent(50),
        };
        let long = Nanos::from_secs(100);
        let moment = |rng: &mut SplitMix64| rng.log_uniform(Nanos::from_millis(1), long);
        let joins = match self.comes_and_goes && rng.percent(40) {
            true => moment(rng),
            false => Nanos::ZERO,
        };
        let pause = match rng.percent(50) {
            true => moment(rng),
            false => Nanos::ZERO,
        };
        let leaves = match self.comes_and_goes && rng.percent(30) {
            true => joins + pause + moment(rng),
            false => Nanos::MAX,
        };
        Member {
            config,
            client,
            times: self.times.unwrap_or(any),
            presence: Presence {
                joins,
                starts: joins + pause,
                leaves,
            },
        }
    }
}

/// The next request comes with the answer.
const GREEDY: Behaviour = Behaviour::Closed {
    depth: 1,
    think: Think::None,
};

/// A behaviour, without a depth yet.
fn behaviour(rng: &mut SplitMix64) -> Behaviour {
    let pause = rng.log_uniform(Nanos::from_millis(1), Nanos::from_secs(20));
    let thinking = |think| Behaviour::Closed { depth: 1, think };
    match rng.range(0, 10) {
        0..4 => GREEDY,
        4 => thinking(Think::Fixed(Nanos(rng.range(1, 30_000_000)))),
        5 => thinking(Think::Exponential(Nanos(rng.range(1, 60_000_000)))),
        6 | 7 => Behaviour::ArmedWaker { burst: 1, pause },
        _ => Behaviour::Bursts { burst: 1, pause },
    }
}

/// The same with as many requests in flight as suit it.
fn with_depth(rng: &mut SplitMix64, behaviour: Behaviour) -> Behaviour {
    match behaviour {
        Behaviour::Closed { think, .. } => Behaviour::Closed {
            depth: match think {
                Think::None => rng.range(1, 6),
                _ => 1 + rng.range(0, 4) / 3,
            } as usize,
            think,
        },
        Behaviour::Bursts { pause, .. } => Behaviour::Bursts {
            burst: rng.range(1, 80) as usize,
            pause,
        },
        Behaviour::ArmedWaker { pause, .. } => Behaviour::ArmedWaker {
            burst: rng.range(1, 40) as usize,
            pause,
        },
        other => other,
    }
}

impl Case {
    /// Whose account pays for switches.
    pub(super) fn account(&self) -> Account {
        self.account
    }

    /// Whether requests are in flight one at a time, so that something is promised of periods.
    pub(super) fn is_serial(&self) -> bool {
        self.config.max_in_flight == 1
    }

    /// The world with the set in it.
    pub(super) fn world(self) -> World {
        let rng = SharedRng::from(self.rng);
        let times = self.members.iter().map(|member| member.times).collect();
        let device = Adversary::by_stream(times, self.config.worst_case, rng.clone());
        let mut world = World::new(self.config, DISK_BYTES, device)
            .answers_first(self.answers_first)
            .without_trace()
            .in_turns(Turns::ByStream(rng.clone()));
        for (number, change) in self.changes.into_iter().enumerate() {
            world.move_share_at(change.at, number, change.from, change.to);
        }
        for member in self.members {
            world.add_later(member.config, member.client, member.presence, rng.clone());
        }
        world
    }

    /// Says in a line what kind of set it is.
    pub(super) fn describe(&self) -> String {
        let count =
            |which: fn(&Member) -> bool| self.members.iter().filter(|one| which(one)).count();
        let config = &self.config;
        format!(
            "{:?}, {} streams ({} with limits, {} joining later, {} best effort), {} changes, W {}, \
             switch {}, return {}, {} in flight",
            self.account,
            self.members.len(),
            count(|one| one.config.limit.is_some()),
            count(|one| one.presence.joins > Nanos::ZERO),
            count(|one| one.config.reservation.is_none()),
            self.changes.len(),
            config.worst_case,
            config.switch_cost,
            config.worst_seek,
            config.max_in_flight
        )
    }
}
