//! A random set of streams at the limit of what admission accepts, with adverse clients and service
//! times.
//!
//! Admission asks for Σu + Σc·s/p ≤ 1 with c·s/p rounded up to a millionth, and for nothing else: a
//! budget u·p below W is accepted. So are streams that join while others are served, and shares that
//! move from one to another: the scheduler lets them begin when that breaks nobody's promise.

use super::random::Rng;
use disktime_scheduler::{
    Limit, PolicyKind, RequestOrder, Reservation, SchedulerConfig, SeekCurve, StreamConfig,
    SwitchingAccount,
};
use disktime_units::{Nanos, Share};

/// Size of the disk.
pub(super) const DISK_BYTES: u64 = 160 << 30;
const WHOLE_PPM: u64 = 1_000_000;
/// c of the switching account in per cent, as admission reckons.
const FACTOR_PERCENT: u32 = 150;

/// Who pays for switches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Account {
    /// The stream that is served.
    Served,
    /// The switching account.
    Reserved,
}

/// How long requests take, as a part of W.
#[derive(Debug, Clone, Copy)]
pub(super) enum ServiceTimes {
    /// Always W.
    Worst,
    /// A twentieth of it.
    Tiny,
    /// Anything up to W.
    Uniform,
    /// Mostly a twentieth, 30 % W.
    Bimodal,
    /// Half.
    Half,
    /// 97 %.
    Nearly,
    /// A nanosecond or W.
    Extreme,
}

impl ServiceTimes {
    const ALL: [ServiceTimes; 7] = [
        ServiceTimes::Worst,
        ServiceTimes::Tiny,
        ServiceTimes::Uniform,
        ServiceTimes::Bimodal,
        ServiceTimes::Half,
        ServiceTimes::Nearly,
        ServiceTimes::Extreme,
    ];

    /// The next service time.
    pub(super) fn draw(self, rng: &mut Rng, worst_case: Nanos) -> Nanos {
        let worst = worst_case.0;
        Nanos(match self {
            ServiceTimes::Worst => worst,
            ServiceTimes::Tiny => worst / 20,
            ServiceTimes::Uniform => rng.range(1, worst + 1),
            ServiceTimes::Bimodal if rng.percent(30) => worst,
            ServiceTimes::Bimodal => worst / 20,
            ServiceTimes::Half => worst / 2,
            ServiceTimes::Nearly => worst / 100 * 97,
            ServiceTimes::Extreme if rng.percent(50) => worst,
            ServiceTimes::Extreme => 1,
        })
    }
}

/// When a client asks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Behaviour {
    /// The next request comes with the answer.
    Greedy,
    /// The next comes after a constant pause,
    Thinks(Nanos),
    /// or an exponential one.
    Muses(Nanos),
    /// When all are answered a pause, exponential, then all again.
    Bursts(Nanos),
    /// As that, but then sleeps on until another's long request has just been started.
    Waker(Nanos),
}

/// A client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client {
    pub(super) behaviour: Behaviour,
    /// Requests under way at most.
    pub(super) depth: u32,
    pub(super) times: ServiceTimes,
    /// In per cent: the chance that a request lies where the last ended.
    pub(super) sequential: u64,
    pub(super) merge: bool,
}

/// A stream, its client, and when they are there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub(super) config: StreamConfig,
    pub(super) client: Client,
    /// When the scheduler first hears of it,
    pub(super) joins: Nanos,
    /// when its client starts,
    pub(super) starts: Nanos,
    /// and when it asks no more.
    pub(super) leaves: Nanos,
}

/// Half of what one stream has reserved is given to another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    pub(super) at: Nanos,
    pub(super) from: usize,
    pub(super) to: usize,
}

/// A set.
#[derive(Debug)]
pub struct Case {
    pub(super) seed: u64,
    pub(super) account: Account,
    pub(super) config: SchedulerConfig,
    /// In order of joining.
    pub(super) members: Vec<Member>,
    /// When half of what one stream has goes to another.
    pub(super) changes: Vec<Change>,
    /// Clients hear of answers before the next decision.
    pub(super) answers_first: bool,
    pub(super) rng: Rng,
}

impl Case {
    /// The set of a seed.
    pub fn random(seed: u64, account: Option<Account>) -> Case {
        let mut rng = Rng::new(seed ^ 0x5eed_5eed_0000_0000);
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
        let shares = rng.shares(periods.len(), total, least, skew);
        let style = Style::random(&mut rng);
        let mut members: Vec<Member> = shares
            .iter()
            .zip(&periods)
            .map(|(share, period)| style.reserved(&mut rng, *share as u32, *period))
            .collect();
        for _ in 0..rng.range(0, 4) {
            members.push(style.greedy(&mut rng));
        }
        members.sort_by_key(|member| member.joins);
        let changes = style.changes(&mut rng, &members);
        Case {
            seed,
            changes,
            account,
            config,
            members,
            answers_first: rng.percent(50),
            rng,
        }
    }
}

fn disk(rng: &mut Rng, account: Account) -> SchedulerConfig {
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
            Account::Reserved => SwitchingAccount::Reserved {
                factor_percent: FACTOR_PERCENT,
            },
        },
        order,
        max_in_flight,
        merge_limit_bytes: merging[rng.range(0, 3) as usize],
    }
}

/// Periods from 20 ms to 10 s, with enough time left by the switching account.
fn periods(rng: &mut Rng, config: &SchedulerConfig) -> Vec<Nanos> {
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

/// What the switching account takes for these periods, as admission and the scheduler reckon.
fn switching_ppm(config: &SchedulerConfig, periods: &[Nanos]) -> u64 {
    match config.switching {
        SwitchingAccount::Served => 0,
        SwitchingAccount::Reserved { factor_percent } => {
            let cost = config.switch_cost.0 * u64::from(factor_percent) / 100;
            let each = periods
                .iter()
                .map(|period| (cost * WHOLE_PPM).div_ceil(period.0));
            each.sum()
        }
    }
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
    fn random(rng: &mut Rng) -> Style {
        let uniform = rng.percent(60);
        let times = ServiceTimes::ALL[rng.range(0, ServiceTimes::ALL.len() as u64) as usize];
        Style {
            times: uniform.then_some(times),
            backlogged: rng.percent(25),
            limits: rng.percent(20),
            comes_and_goes: rng.percent(40),
        }
    }

    fn reserved(self, rng: &mut Rng, share_ppm: u32, period: Nanos) -> Member {
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
            true => Behaviour::Greedy,
            false => behaviour(rng),
        };
        self.member(rng, config, behaviour)
    }

    /// Changes while they are served: the sum stays what it was.
    fn changes(self, rng: &mut Rng, members: &[Member]) -> Vec<Change> {
        if !self.comes_and_goes || rng.percent(50) {
            return Vec::new();
        }
        let count = members.len() as u64;
        let draw = |rng: &mut Rng| Change {
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

    fn greedy(self, rng: &mut Rng) -> Member {
        self.member(rng, StreamConfig::BEST_EFFORT, Behaviour::Greedy)
    }

    fn member(self, rng: &mut Rng, config: StreamConfig, behaviour: Behaviour) -> Member {
        let depth = match behaviour {
            Behaviour::Greedy => rng.range(1, 6),
            Behaviour::Thinks(_) | Behaviour::Muses(_) => 1 + rng.range(0, 4) / 3,
            Behaviour::Bursts(_) => rng.range(1, 80),
            Behaviour::Waker(_) => rng.range(1, 40),
        };
        let any = ServiceTimes::ALL[rng.range(0, ServiceTimes::ALL.len() as u64) as usize];
        let client = Client {
            behaviour,
            depth: depth as u32,
            times: self.times.unwrap_or(any),
            sequential: [0, 50, 100][rng.range(0, 3) as usize],
            merge: rng.percent(50),
        };
        let long = Nanos::from_secs(100);
        let moment = |rng: &mut Rng| rng.log_uniform(Nanos::from_millis(1), long);
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
            joins,
            starts: joins + pause,
            leaves,
        }
    }
}

fn behaviour(rng: &mut Rng) -> Behaviour {
    let pause = rng.log_uniform(Nanos::from_millis(1), Nanos::from_secs(20));
    match rng.range(0, 10) {
        0..4 => Behaviour::Greedy,
        4 => Behaviour::Thinks(Nanos(rng.range(1, 30_000_000))),
        5 => Behaviour::Muses(Nanos(rng.range(1, 60_000_000))),
        6 | 7 => Behaviour::Waker(pause),
        _ => Behaviour::Bursts(pause),
    }
}

impl Case {
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
            count(|one| one.joins > Nanos::ZERO),
            count(|one| one.config.reservation.is_none()),
            self.changes.len(),
            config.worst_case,
            config.switch_cost,
            config.worst_seek,
            config.max_in_flight
        )
    }
}
