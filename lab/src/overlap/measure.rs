//! What a case shows under a policy, beside what its clients do alone.

use super::cases::Case;
use super::client::OverlapClient;
use super::drives::LabDrive;
use super::peers::Peer;
use super::run::OverlapRun;
use super::solo::{Solo, SoloRuns};
use disktime_scheduler::{PolicyKind, SchedulerConfig};
use disktime_units::Nanos;

/// How long a case is run.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Before anything is measured.
    pub warm: Nanos,
    /// Measured.
    pub length: Nanos,
}

impl Span {
    /// At least so much, and three of the longest periods, after a whole number of them.
    pub fn of(case: &Case, least: Nanos) -> Span {
        let period = case.longest_period();
        let warm = if case.has_writers() { 300 } else { 100 };
        let mut warm = Nanos::from_millis(warm);
        if period > Nanos::ZERO {
            warm = Nanos(warm.0.div_ceil(period.0) * period.0);
        }
        let length = least.max(Nanos(period.0 * 3));
        Span { warm, length }
    }
}

/// What one stream had.
#[derive(Debug, Clone, Copy)]
pub struct StreamMeasure {
    /// N/S: its rate ÷ that alone.
    pub rate: f64,
    /// N/(u·S); without a reservation as `rate`.
    pub isolation: f64,
    /// 99th percentile ÷ that alone,
    pub p99: f64,
    /// and the median.
    pub p50: f64,
    /// The most that was unspent at a period end, in ns.
    pub unspent: i64,
    /// Deadlines missed.
    pub missed: u64,
    /// V ÷ all time.
    pub solo_time: f64,
}

/// What a case shows.
#[derive(Debug, Clone)]
pub struct CaseMeasure {
    /// Each stream.
    pub streams: Vec<StreamMeasure>,
    /// ΣN·o ÷ time: how much of the drive's throughput was used by its prices.
    pub work: f64,
    /// ΣN/S.
    pub efficiency: f64,
    /// The bound on what is unspent, in ns.
    pub bound: i64,
    /// Of an audited run: the least exact slack after any event, in ns.
    pub least_slack: i64,
    /// Requests answered.
    pub requests: u64,
}

/// Runs a case.
pub fn measure(
    case: &Case,
    policy: PolicyKind,
    span: Span,
    turnaround: Nanos,
    alone: &SoloRuns,
    audited: bool,
) -> CaseMeasure {
    let mut config = case.drive.config(policy);
    if let PolicyKind::Mclock(_) = policy {
        config.max_in_flight = config.max_in_flight.min(64);
    }
    let solos = solos(case, span, turnaround, alone);
    let clients = case.clients.clone();
    let told = (config, clients);
    run_case(&case.drive, case, told, (span, turnaround), &solos, audited)
}

/// A case under a peer.
#[derive(Debug, Clone, Copy)]
pub struct PeerRun<'a> {
    /// The case.
    pub case: &'a Case,
    /// Who schedules.
    pub peer: Peer,
    /// Requests in the drive at most.
    pub depth: usize,
    /// How long.
    pub span: Span,
    /// What a client takes to answer.
    pub turnaround: Nanos,
    /// The rates alone that the peer is told are off as the drive's prices are, which are believed
    /// to be so many per cent of what they are.
    pub prices_percent: u32,
}

impl PeerRun<'_> {
    /// Runs it.
    pub fn measure(&self, alone: &SoloRuns) -> CaseMeasure {
        let case = self.case;
        let solos = solos(case, self.span, self.turnaround, alone);
        let believed = |solo: &Solo| solo.rate * 100.0 / f64::from(self.prices_percent);
        let rates: Vec<f64> = solos.iter().map(believed).collect();
        let drive = case.drive.clone().with_prices(self.prices_percent);
        let told = self.peer.set_up(&drive, self.depth, &case.clients, &rates);
        run_case(
            &drive,
            case,
            told,
            (self.span, self.turnaround),
            &solos,
            false,
        )
    }
}

fn solos(case: &Case, span: Span, turnaround: Nanos, alone: &SoloRuns) -> Vec<Solo> {
    let clients = case.clients.iter();
    let of = |client| alone.of(&case.drive, client, turnaround, span.warm);
    clients.map(of).collect()
}

fn run_case(
    drive: &LabDrive,
    case: &Case,
    (config, clients): (SchedulerConfig, Vec<OverlapClient>),
    (span, turnaround): (Span, Nanos),
    solos: &[Solo],
    audited: bool,
) -> CaseMeasure {
    let device = drive.device(case.seed);
    let run = OverlapRun::new(config, device, drive.cost(), clients, turnaround, case.seed);
    let mut run = if audited { run.audited() } else { run };
    run.run(span.warm, span.length);
    let seconds = span.length.as_secs_f64();
    let all = (span.warm + span.length).0 as f64;
    let mut measure = CaseMeasure {
        streams: Vec::new(),
        work: 0.0,
        efficiency: 0.0,
        bound: run.scheduler().unspent_bound().0 as i64,
        least_slack: run.least_slack(),
        requests: 0,
    };
    let clients = case.clients.iter().zip(solos);
    for (index, ((client, solo), result)) in clients.zip(run.results()).enumerate() {
        let rate = result.requests as f64 / seconds / solo.rate;
        let share = client.share();
        let quantile = |of| result.latency.value_at_quantile(of) as f64;
        let id = run.scheduler().stream_at(index);
        let solo_time = id.map_or(0, |id| run.scheduler().solo_time(id).0);
        measure.streams.push(StreamMeasure {
            rate,
            isolation: if share > 0.0 { rate / share } else { rate },
            p99: quantile(0.99) / solo.p99.0.max(1) as f64,
            p50: quantile(0.5) / solo.p50.0.max(1) as f64,
            unspent: result.counters.unspent_max.unwrap_or(0),
            missed: result.counters.deadlines_missed,
            solo_time: solo_time as f64 / all,
        });
        measure.work += result.occupancy.as_secs_f64() / seconds;
        measure.efficiency += rate;
        measure.requests += result.requests;
    }
    measure
}
