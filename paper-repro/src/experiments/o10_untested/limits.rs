//! O10: a limit, beside backlogged streams and beside such as come by the clock.

use super::{SECOND, all_weight, none_missed, share_by_window, start};
use crate::Finding;
use disktime_lab::figure::{Axis, Panel, Series};
use disktime_lab::measures::greatest;
use disktime_lab::mixes::StreamKind;
use disktime_lab::setup::{Setup, limited, reserved, weighted};
use disktime_lab::{Lab, LabResult, Run, StreamSpan, Table, cells, number};
use disktime_units::Nanos;

const LIMIT: f64 = 0.6;
const LIMIT_PERIOD: Nanos = Nanos::from_millis(500);
/// Seconds of it in the picture.
const SHOWN_S: f64 = 15.0;

/// What the limit meets.
struct Neighbours {
    name: &'static str,
    /// They leave time over, which the limited stream alone wants.
    leave_time: bool,
    /// Kind, share, and period in ms of each.
    streams: &'static [(StreamKind, f64, u64)],
}

const NEIGHBOURS: [Neighbours; 2] = [
    Neighbours {
        name: "backlogged",
        leave_time: false,
        streams: &[
            (StreamKind::Sequential, 0.1, 700),
            (StreamKind::Random(8), 0.1, 500),
        ],
    },
    Neighbours {
        name: "by the clock",
        leave_time: true,
        streams: &[
            (StreamKind::Media(400), 0.1, 500),
            (StreamKind::Bursts, 0.1, 700),
            (StreamKind::Media(50), 0.05, 300),
        ],
    },
];

pub(super) fn limits(lab: &Lab<'_>, finding: &mut Finding) -> LabResult<Panel> {
    let columns = "beside | share with limit | share without | \
                   others' part of spare time without | most in a limit period (ms) | \
                   deadlines missed";
    let title = "A stream that wants all, limited to 60 % per 500 ms";
    let mut table = Table::headed(columns).with_title(title);
    let mut curves = Vec::new();
    for neighbours in NEIGHBOURS {
        let name = neighbours.name;
        let key = name.replace(' ', "_");
        let with = lab.run(&setup(lab, &neighbours, true))?;
        let without = lab.run(&setup(lab, &neighbours, false))?;
        let periods = with.windows(LIMIT_PERIOD);
        let most_s = greatest(periods.iter().map(|streams| streams[0].disk_time()));
        let beyond = most_s * 1000.0 - LIMIT * LIMIT_PERIOD.as_millis_f64();
        let what = format!("most beyond the limit in a period of it, others {name}");
        finding
            .check(format!("beyond_{key}"), what, beyond)
            .at_most(with.facts.worst_case.as_millis_f64(), "ms")
            .decisive();
        let what = format!("share of the limited stream, others {name}");
        let check = finding.check(format!("limited_{key}"), what, with.share(0));
        // A limit promises nothing: all of it is used only where no other stream wants the time.
        if neighbours.leave_time {
            check.between(LIMIT - 0.01, LIMIT + 0.001, "");
        } else {
            check.at_most(LIMIT + 0.001, "");
        }
        let what = format!("the same stream's share without its limit, others {name}");
        finding
            .check(format!("free_{key}"), what, without.share(0))
            .at_least(LIMIT + 0.05, "");
        none_missed(finding, &format!("missed_limit_{key}"), &with);
        table.row(cells![
            name,
            number(with.share(0)),
            number(without.share(0)),
            number(spare_of_others(&without)),
            number(most_s * 1000.0),
            with.deadlines_missed(),
        ]);
        if curves.is_empty() {
            curves.push(curve("without limit", &without));
            curves.push(curve("with limit", &with));
        }
    }
    finding.table(table);
    finding.note(
        "The limited stream has all the weight, and still backlogged others get some of the spare time, \
         and it less than its limit: while it has budget of its own it does not compete for spare time, \
         so its weight does not count, and the stream at the arm goes on for as long as there is slack.",
    );
    let x = Axis::linear("time (s)", 0.0, SHOWN_S);
    let y = Axis::linear("share of the disk's time, per 500 ms", 0.0, 1.0);
    let panel = Panel::new("a limit of 60 % per 500 ms, others backlogged", x, y);
    Ok(panel.level("limit", LIMIT).with_all(curves))
}

fn curve(name: &str, run: &Run) -> Series {
    let points = share_by_window(run, LIMIT_PERIOD, 0, StreamSpan::disk_time);
    Series::curve(name, points.into_iter().filter(|(at, _)| *at < SHOWN_S))
}

/// The part of all spare time that the others got, who have a ten-thousandth of the weight.
fn spare_of_others(run: &Run) -> f64 {
    let streams = run.final_counters().count();
    let spare = |index: usize| run.stream(index).spare.as_secs_f64();
    let all: f64 = (0..streams).map(spare).sum();
    (all - spare(0)) / all
}

fn setup(lab: &Lab<'_>, neighbours: &Neighbours, is_limited: bool) -> Setup {
    let mut config = all_weight(reserved(0.2, SECOND));
    if is_limited {
        config = limited(config, LIMIT, LIMIT_PERIOD);
    }
    let setup = start(lab, 60).stream("limited", config, StreamKind::Random(32).client());
    let streams = neighbours.streams.iter();
    streams.fold(setup, |setup, (kind, part, period_ms)| {
        let config = weighted(1, reserved(*part, Nanos::from_millis(*period_ms)));
        setup.stream(&kind.name(), config, kind.client())
    })
}
