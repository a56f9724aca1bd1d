//! O10: twelve streams, and four in different regions of the drive and without its cache.

use super::super::isolation_axis;
use super::{ISOLATES, SECOND, none_missed, start};
use crate::Finding;
use disktime_engine::StreamConfig;
use disktime_lab::figure::{Axis, Panel, Series};
use disktime_lab::measures::{Sharing, greatest};
use disktime_lab::mixes::{MIXES, Mix, StreamKind};
use disktime_lab::setup::{Setup, StreamSetup};
use disktime_lab::{Lab, LabResult, Run, Table, cells, number};
use disktime_units::Nanos;

const TWELVE: Mix = Mix {
    streams: &[
        (StreamKind::Sequential, 0.1),
        (StreamKind::Random(8), 0.1),
        (StreamKind::Synchronous, 0.1),
        (StreamKind::Random(1), 0.05),
        (StreamKind::Runs(16), 0.1),
        (StreamKind::Random(32), 0.1),
        (StreamKind::Sequential, 0.05),
        (StreamKind::Runs(128), 0.1),
        (StreamKind::Synchronous, 0.05),
        (StreamKind::Random(8), 0.1),
        (StreamKind::Random(1), 0.05),
        (StreamKind::Runs(16), 0.1),
    ],
};
/// Four streams: seq, r8, seq1, run16.
const PLACED: usize = 7;
/// Slots of the drive that the placed mix is put into some of.
const SLOTS: usize = 20;

/// What streams with reservations get, held against what they get alone in the same place.
struct RegionResult {
    run: Run,
    sharing: Sharing,
    /// Of the first stream with a reservation, in MB/s.
    first_mb_per_s: f64,
}

fn measure(lab: &Lab<'_>, setup: &Setup) -> LabResult<RegionResult> {
    let run = lab.run(setup)?;
    let mut first_mb_per_s = None;
    let mut streams = Vec::new();
    for (index, stream) in setup.streams.iter().enumerate() {
        let Some(reservation) = stream.config.reservation else {
            continue;
        };
        first_mb_per_s.get_or_insert(run.bytes_per_second(index) / 1e6);
        let alone = lab.run(&setup.alone(index))?.iops(index);
        let share = f64::from(reservation.share.0) / 1e6;
        streams.push((run.iops(index), alone, share));
    }
    Ok(RegionResult {
        run,
        sharing: streams.into_iter().collect(),
        first_mb_per_s: first_mb_per_s.unwrap_or(f64::NAN),
    })
}

/// The mix in some slots of the drive; the others stay empty.
fn placed(lab: &Lab<'_>, slot_of: fn(usize) -> usize) -> LabResult<Setup> {
    let mut setup = MIXES[PLACED].reserved_in(start(lab, 60), SECOND)?;
    let empty = |slot| StreamSetup {
        name: format!("empty {slot}"),
        config: StreamConfig::BEST_EFFORT,
        clients: Vec::new(),
    };
    let mut slots: Vec<StreamSetup> = (0..SLOTS).map(empty).collect();
    for (index, stream) in setup.streams.drain(..).enumerate() {
        slots[slot_of(index)] = stream;
    }
    setup.streams = slots;
    Ok(setup)
}

pub(super) fn many_streams_and_regions(lab: &Lab<'_>, finding: &mut Finding) -> LabResult<Panel> {
    let twelve = |millis: u64| TWELVE.reserved_in(start(lab, 120), Nanos::from_millis(millis));
    let mut no_cache = placed(lab, |index| index * 5)?;
    no_cache.drive.cache_segments = Some(0);
    let inner = placed(lab, |index| SLOTS - 4 + index)?;
    let cases = [
        ("12, 1 s", "twelve_1s", twelve(1000)?),
        ("12, 2.5 s", "twelve_2500ms", twelve(2500)?),
        ("outer", "outermost", placed(lab, |index| index)?),
        ("inner", "innermost", inner),
        ("spread", "spread", placed(lab, |index| index * 5)?),
        ("no cache", "no_cache", no_cache),
    ];
    let columns = "case | least isolation | greatest | efficiency | first stream (MB/s) | \
                   deadlines missed";
    let title = "Twelve streams, and four in different regions of the drive and its cache";
    let mut table = Table::headed(columns).with_title(title);
    let mut all = Vec::new();
    for (name, key, setup) in &cases {
        let RegionResult {
            run,
            sharing,
            first_mb_per_s,
        } = measure(lab, setup)?;
        let worst = sharing.least_isolation();
        let what = format!("least isolation, {}", key.replace('_', " "));
        finding
            .check(format!("isolation_{key}"), what, worst)
            .at_least(ISOLATES, "")
            .decisive();
        none_missed(finding, &format!("missed_{key}"), &run);
        table.row(cells![
            name,
            number(worst),
            number(greatest(sharing.isolations())),
            number(sharing.efficiency()),
            number(first_mb_per_s),
            run.deadlines_missed(),
        ]);
        all.push((worst, sharing.efficiency(), first_mb_per_s));
    }
    let what = "efficiency of twelve streams at periods around 2.5 s";
    finding
        .check("efficiency_twelve", what, all[1].1)
        .at_least(0.92, "");
    let what = "the sequential stream's throughput innermost ÷ outermost: the zones are there";
    finding
        .check("zones", what, all[3].2 / all[2].2)
        .at_most(0.8, "");
    finding.table(table);
    let names = Axis::groups("case", cases.iter().map(|(name, ..)| name));
    let title = "the worst of twelve streams, and of four by region";
    Ok(Panel::new(title, names, isolation_axis(1.4))
        .level("share × alone", 1.0)
        .with(Series::bars(
            "worst stream",
            all.iter().map(|(worst, ..)| *worst),
        )))
}
