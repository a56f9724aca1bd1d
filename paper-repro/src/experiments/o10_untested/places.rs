//! O10: twelve streams, and four in different places of the drive and without its cache.

use super::{ISOLATES, SECOND, none_missed};
use crate::{Bound, Check, Finding};
use disktime_engine::{PolicyKind, StreamConfig};
use disktime_lab::figure::{Axis, Mark, Panel, Series};
use disktime_lab::measures::{efficiency, greatest, isolation, least};
use disktime_lab::mixes::{ACCOUNT, Kind, MIXES, Mix};
use disktime_lab::setup::{Setup, StreamSetup};
use disktime_lab::{Lab, LabResult, Run, Table, number};
use disktime_units::Nanos;

const TWELVE: Mix = Mix {
    streams: &[
        (Kind::Sequential, 0.1),
        (Kind::Random(8), 0.1),
        (Kind::Synchronous, 0.1),
        (Kind::Random(1), 0.05),
        (Kind::Runs(16), 0.1),
        (Kind::Random(32), 0.1),
        (Kind::Sequential, 0.05),
        (Kind::Runs(128), 0.1),
        (Kind::Synchronous, 0.05),
        (Kind::Random(8), 0.1),
        (Kind::Random(1), 0.05),
        (Kind::Runs(16), 0.1),
    ],
};
/// Four streams: seq, r8, seq1, run16.
const PLACED: usize = 7;
/// Slots of the drive that the placed mix is put into some of.
const SLOTS: usize = 20;

/// What streams with reservations get, held against what they get alone in the same place.
struct Measured {
    run: Run,
    ratios: Vec<f64>,
    efficiency: f64,
    /// Of the first stream with a reservation, in MB/s.
    first_mb_per_s: f64,
}

fn measure(lab: &Lab<'_>, setup: &Setup) -> LabResult<Measured> {
    let run = lab.run(setup)?;
    let (mut ratios, mut rates, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    let mut first_mb_per_s = f64::NAN;
    for (index, stream) in setup.streams.iter().enumerate() {
        let Some(reservation) = stream.config.reservation else {
            continue;
        };
        if ratios.is_empty() {
            first_mb_per_s = run.bytes_per_second(index) / 1e6;
        }
        let rate_alone = lab.run(&setup.alone(index))?.iops(index);
        let part = f64::from(reservation.share.0) / 1e6;
        ratios.push(isolation(run.iops(index), rate_alone, part));
        rates.push(run.iops(index));
        alone.push(rate_alone);
    }
    Ok(Measured {
        run,
        ratios,
        efficiency: efficiency(&rates, &alone),
        first_mb_per_s,
    })
}

/// The mix in some slots of the drive; nobody uses the others.
fn placed(lab: &Lab<'_>, slot_of: fn(usize) -> usize) -> LabResult<Setup> {
    let mix = &MIXES[PLACED];
    let duration = lab.seconds(60);
    let mut setup = mix.setup(PolicyKind::Fahrrad, ACCOUNT, SECOND, duration)?;
    let mut slots: Vec<StreamSetup> = (0..SLOTS)
        .map(|slot| StreamSetup {
            name: format!("nobody {slot}"),
            config: StreamConfig::BEST_EFFORT,
            clients: Vec::new(),
        })
        .collect();
    for (index, stream) in setup.streams.drain(..).enumerate() {
        slots[slot_of(index)] = stream;
    }
    setup.streams = slots;
    Ok(setup)
}

pub(super) fn many_and_places(lab: &Lab<'_>, finding: &mut Finding) -> LabResult<Panel> {
    let twelve = |millis: u64| {
        let period = Nanos::from_millis(millis);
        TWELVE.setup(PolicyKind::Fahrrad, ACCOUNT, period, lab.seconds(120))
    };
    let mut no_cache = placed(lab, |index| index * 5)?;
    no_cache.drive.cache_segments = Some(0);
    let cases = [
        ("12, 1 s", "twelve_1s", twelve(1000)?),
        ("12, 2.5 s", "twelve_2500ms", twelve(2500)?),
        ("outer", "outermost", placed(lab, |index| index)?),
        (
            "inner",
            "innermost",
            placed(lab, |index| SLOTS - 4 + index)?,
        ),
        ("spread", "spread", placed(lab, |index| index * 5)?),
        ("no cache", "no_cache", no_cache),
    ];
    let names = cases.each_ref().map(|(name, ..)| *name);
    let mut table = Table::titled(
        "Twelve streams, and four in different places of the drive and its cache",
        &[
            "case",
            "least isolation",
            "greatest",
            "efficiency",
            "first stream (MB/s)",
            "deadlines missed",
        ],
    );
    let mut all = Vec::new();
    for (name, key, setup) in &cases {
        let measured = measure(lab, setup)?;
        let worst = least(&measured.ratios);
        let what = format!("least isolation, {}", key.replace('_', " "));
        let check = Check::new(format!("isolation_{key}"), what, worst, ISOLATES, "");
        finding.check(check.decisive());
        none_missed(finding, &format!("missed_{key}"), &measured.run);
        table.row(vec![
            (*name).to_owned(),
            number(worst),
            number(greatest(&measured.ratios)),
            number(measured.efficiency),
            number(measured.first_mb_per_s),
            measured.run.deadlines_missed().to_string(),
        ]);
        all.push(measured);
    }
    let what = "efficiency of twelve streams at periods around 2.5 s";
    let bound = Bound::AtLeast(0.92);
    finding.check(Check::new(
        "efficiency_twelve",
        what,
        all[1].efficiency,
        bound,
        "",
    ));
    let what = "the sequential stream's throughput innermost ÷ outermost: the zones are there";
    let zones = all[3].first_mb_per_s / all[2].first_mb_per_s;
    finding.check(Check::new("zones", what, zones, Bound::AtMost(0.8), ""));
    finding.tables.push(table);
    let worst = all.iter().map(|measured| least(&measured.ratios));
    let points = worst
        .enumerate()
        .map(|(group, ratio)| (group as f64, ratio));
    let last = names.len() as f64 - 0.5;
    Ok(Panel {
        title: "the worst of twelve streams, and of four by place".to_owned(),
        x: Axis::groups("case", &names),
        y: Axis::linear("throughput ÷ (share × alone)", 0.0, 1.4),
        series: vec![
            Series::reference("share × alone", Mark::Curve, vec![(-0.5, 1.0), (last, 1.0)]),
            Series::new("worst stream", Mark::Bars, points.collect()),
        ],
    })
}
