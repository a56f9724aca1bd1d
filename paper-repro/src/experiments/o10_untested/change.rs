//! O10: reservations change while they are used.

use super::{SECOND, all_weight, none_missed, share_by_window, start};
use crate::Finding;
use disktime_engine::StreamConfig;
use disktime_lab::figure::{Axis, Panel, Series};
use disktime_lab::measures::mean;
use disktime_lab::mixes::StreamKind;
use disktime_lab::setup::{Change, reserved, weighted};
use disktime_lab::{Lab, LabResult};
use disktime_units::Nanos;

pub(super) fn change(lab: &Lab<'_>, finding: &mut Finding) -> LabResult<Panel> {
    let config = |part: f64, millis: u64| weighted(1, reserved(part, Nanos::from_millis(millis)));
    let best_effort = all_weight(StreamConfig::BEST_EFFORT);
    let mut setup = start(lab, 60)
        .stream("seq", config(0.3, 1000), StreamKind::Sequential.client())
        .stream("r8", config(0.2, 1000), StreamKind::Random(8).client())
        .stream("seq1", config(0.2, 500), StreamKind::Synchronous.client())
        .stream("r32", best_effort, StreamKind::Random(32).client());
    let before_s = (setup.duration.as_secs_f64() / 2.0).floor();
    let at = setup.warm_up + Nanos::from_secs(before_s as u64);
    let changed = [(0, config(0.1, 1000)), (1, config(0.4, 500))];
    let changed = changed.map(|(stream, config)| Change { at, stream, config });
    setup.changes = changed.to_vec();
    let run = lab.run(&setup)?;
    let curves = [0, 1, 2].map(|stream| {
        share_by_window(&run, SECOND, stream, |span| {
            span.reserved_used.as_secs_f64()
        })
    });
    let before = |stream: usize| mean_from(&curves[stream], 0.0, before_s);
    // The change may take two seconds to take effect.
    let after = |stream: usize| mean_from(&curves[stream], before_s + 2.0, f64::MAX);
    for (key, what, measured, expected) in [
        ("before", "the one that grows, before", before(1), 0.2),
        ("grown", "the one that grows, from 2 s after", after(1), 0.4),
        (
            "shrunk",
            "the one that shrinks, from 2 s after",
            after(0),
            0.1,
        ),
        (
            "unchanged",
            "the one that stays, from 2 s after",
            after(2),
            0.2,
        ),
    ] {
        finding
            .check(key, format!("own share of {what}"), measured)
            .within(expected, 0.01, "");
    }
    none_missed(finding, "missed_change", &run);
    let names = ["seq: 30 % → 10 %", "r8: 20 % → 40 %", "seq1: 20 %"];
    let lines = names.into_iter().zip(curves);
    let x = Axis::linear("time (s)", 0.0, run.seconds());
    let y = Axis::linear("share of the disk's time on its own account", 0.0, 0.6);
    let panel = Panel::new("reservations change in the middle", x, y);
    Ok(panel.with_all(lines.map(|(name, points)| Series::line(name, points))))
}

fn mean_from(points: &[(f64, f64)], from: f64, to: f64) -> f64 {
    let inside = points.iter().filter(|(x, _)| *x >= from && *x < to);
    mean(inside.map(|(_, y)| *y))
}
