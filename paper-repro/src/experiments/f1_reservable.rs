//! F1: how much of a disk can be reserved by throughput, and how much by time.

use crate::{Experiment, Finding, Origin, Real};
use disktime_engine::{PolicyKind, StreamConfig};
use disktime_lab::figure::{Axis, Figure, Panel, Series};
use disktime_lab::measures::least;
use disktime_lab::mixes::MIXES;
use disktime_lab::scheduling::{FACTOR_PERCENT, Scheduling};
use disktime_lab::setup::{DriveSetup, Setup, reader, reserved};
use disktime_lab::{DiskFacts, Lab, LabResult, number};
use disktime_units::Nanos;
use disktime_workloads::Pattern;

/// The experiment.
pub(super) const EXPERIMENT: Experiment = Experiment {
    id: "F1",
    title: "reservable share, by throughput and by time",
    origin: Origin::Paper,
    source: "Fahrrad, EuroSys 2008, abstract",
    claim: "Reserving throughput has to assume the worst case of every request, so that less than \
            0.01 % of the achievable bandwidth can be reserved; of disk time nearly 100 % can.",
    real: Real::No("half of it is arithmetic on the drive's worst case"),
    run,
};

/// Requests for which the reservable throughput is computed.
const SIZES: [(u64, &str); 2] = [(512, "512 B"), (4096, "4 KiB")];
/// The mix whose time is all reserved: four streams.
const MIX: usize = 7;
const PERIODS: [Nanos; 2] = [Nanos::from_secs(1), Nanos::from_secs(5)];

/// Bytes per second of a sequential reader alone.
fn achievable(lab: &Lab<'_>) -> LabResult<f64> {
    let client = reader(Pattern::Sequential, 64 << 10, 8);
    let setup = Setup::new(PolicyKind::Fifo, lab.seconds(20)).stream(
        "sequential",
        StreamConfig::BEST_EFFORT,
        client,
    );
    Ok(lab.run(&setup)?.bytes_per_second(0))
}

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let model = DriveSetup::papers().model()?;
    let achievable = achievable(lab)?;
    let mut finding = Finding::new(format!(
        "By throughput: one request in every worst-case time of the drive (longest seek, a turn, \
         transfer in the innermost zone), relative to the {} MB/s of a sequential reader. By time: \
         four backlogged streams ({}) that together reserve all that admission gives; measured is \
         what the worst of them received of its reservation.",
        number(achievable / 1e6),
        MIXES[MIX].name()
    ));
    let mut bars = Vec::new();
    for (bytes, name) in SIZES {
        let worst = model.worst_case(bytes).as_secs_f64();
        let part = bytes as f64 / worst / achievable * 100.0;
        let what = format!("reservable throughput ÷ achievable bandwidth, requests of {name}");
        finding
            .check(format!("throughput_{bytes}"), what, part)
            .at_most(0.01, "%");
        bars.push((format!("IOPS, {name}"), part));
    }
    let (reservable, received) = by_time(lab, Scheduling::SERVED, PERIODS[0])?;
    finding
        .check("time", "reservable share of the time", reservable)
        .at_least(99.0, "%")
        .decisive();
    let what = "received ÷ reserved time of the worst stream with all of it reserved";
    finding
        .check("time_received", what, received)
        .at_least(99.0, "%")
        .decisive();
    bars.push(("time, served pays".to_owned(), reservable));
    for period in PERIODS {
        let (reservable, received) = by_time(lab, Scheduling::ACCOUNT, period)?;
        let what = format!(
            "reservable share of the time with a switching account, periods around {period}"
        );
        let key = format!("time_account_{}s", period.0 / 1_000_000_000);
        finding.check(key, what, reservable).at_least(90.0, "%");
        finding.note(format!(
            "With the switching account (c = {}) and periods around {period}, {} % can be reserved; the \
             worst stream received {} % of its reservation on its own account.",
            f64::from(FACTOR_PERCENT) / 100.0,
            number(reservable),
            number(received)
        ));
        bars.push((format!("time, account, p = {period}"), reservable));
    }
    finding.figure(figure(&bars));
    finding.note(
        "The paper's worst case and request size are not known. With this drive's the reservable \
         throughput is above 0.01 % of the bandwidth, but of that order: a worst case that counts \
         retries or recalibration, or a faster drive, gives the paper's figure.",
    );
    finding.note(
        "Served pays: the stream that is served pays for the seek to it. Account: seeks between \
         streams are paid by an account that admission sets aside.",
    );
    Ok(finding)
}

/// What can be reserved, and what the worst stream received of its reservation, in per cent.
fn by_time(lab: &Lab<'_>, scheduling: Scheduling, period: Nanos) -> LabResult<(f64, f64)> {
    let facts = DiskFacts::of(&DriveSetup::papers())?;
    let shares = MIXES[MIX].shares(&facts, period, scheduling.switching());
    let mut setup = Setup::new(scheduling, lab.seconds(60));
    for (index, (kind, _)) in MIXES[MIX].streams.iter().enumerate() {
        let name = format!("{} {}", index + 1, kind.name());
        setup = setup.stream(&name, reserved(shares[index], period), kind.client());
    }
    let run = lab.run(&setup)?;
    let shares_in_order = shares.iter().enumerate();
    let received =
        shares_in_order.map(|(index, share)| run.reserved_used_share(index) / share * 100.0);
    Ok((shares.iter().sum::<f64>() * 100.0, least(received)))
}

fn figure(bars: &[(String, f64)]) -> Figure {
    let names = bars.iter().map(|(name, _)| name);
    let panel = Panel::new(
        "",
        Axis::groups("what is reserved", names),
        Axis::logarithmic("reservable ÷ achievable (%)", 0.001, 200.0),
    );
    let abstract_says = "Fahrrad's abstract (below 0.01 %, nearly 100 %)";
    let panel = panel
        .with(Series::bars(
            "this drive",
            bars.iter().map(|(_, value)| *value),
        ))
        .with(Series::markers(abstract_says, [0.01, 0.01, 100.0]).reference());
    Figure::new("f1-reservable", "What can be reserved of a disk", [panel])
}
