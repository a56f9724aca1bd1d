//! O10: reservations change while they are used.

use super::{SECOND, all_weight, none_missed, share_by_window, start, with_weight};
use crate::{Bound, Check, Finding};
use disktime_engine::StreamConfig;
use disktime_lab::figure::{Axis, Mark, Panel, Series};
use disktime_lab::measures::mean;
use disktime_lab::mixes::Kind;
use disktime_lab::setup::{Change, reserved, share};
use disktime_lab::{Lab, LabResult, StreamSpan};
use disktime_units::Nanos;

pub(super) fn change(lab: &Lab<'_>, finding: &mut Finding) -> LabResult<Panel> {
    let config =
        |part: f64, millis: u64| with_weight(1, reserved(share(part), Nanos::from_millis(millis)));
    let mut setup = start(lab, 60)
        .stream("seq", config(0.3, 1000), Kind::Sequential.client())
        .stream("r8", config(0.2, 1000), Kind::Random(8).client())
        .stream("seq1", config(0.2, 500), Kind::Synchronous.client())
        .stream(
            "r32",
            all_weight(StreamConfig::BEST_EFFORT),
            Kind::Random(32).client(),
        );
    let before_s = (setup.duration.as_secs_f64() / 2.0).floor();
    let at = setup.warm_up + Nanos::from_secs(before_s as u64);
    let changed = [(0, config(0.1, 1000)), (1, config(0.4, 500))];
    setup.changes = changed
        .map(|(stream, config)| Change { at, stream, config })
        .to_vec();
    let run = lab.run(&setup)?;
    let own = |span: &StreamSpan| span.own.as_secs_f64();
    let curves: Vec<Vec<(f64, f64)>> = (0..3)
        .map(|stream| share_by_window(&run, SECOND, stream, own))
        .collect();
    // Two seconds for the change to take effect.
    let after = |stream: usize| mean_from(&curves[stream], before_s + 2.0, f64::MAX);
    let before = |stream: usize| mean_from(&curves[stream], 0.0, before_s);
    let near = |expected: f64| Bound::Absolute {
        expected,
        tolerance: 0.01,
    };
    for (key, what, measured, expected) in [
        (
            "before",
            "own share of the one that grows, before",
            before(1),
            0.2,
        ),
        (
            "grown",
            "own share of the one that grows, from 2 s after",
            after(1),
            0.4,
        ),
        (
            "shrunk",
            "own share of the one that shrinks, from 2 s after",
            after(0),
            0.1,
        ),
        (
            "unchanged",
            "own share of the one that stays, from 2 s after",
            after(2),
            0.2,
        ),
    ] {
        finding.check(Check::new(key, what, measured, near(expected), ""));
    }
    none_missed(finding, "missed_change", &run);
    let names = ["seq: 30 % → 10 %", "r8: 20 % → 40 %", "seq1: 20 %"];
    let steps = names.iter().zip(curves);
    Ok(Panel {
        title: "reservations change in the middle".to_owned(),
        x: Axis::linear("time (s)", 0.0, run.seconds()),
        y: Axis::linear("share of the disk's time on its own account", 0.0, 0.6),
        series: steps
            .map(|(name, points)| Series::new(*name, Mark::Line, points))
            .collect(),
    })
}

fn mean_from(points: &[(f64, f64)], from: f64, to: f64) -> f64 {
    let inside = points.iter().filter(|(x, _)| *x >= from && *x < to);
    let values: Vec<f64> = inside.map(|(_, y)| *y).collect();
    mean(&values)
}
