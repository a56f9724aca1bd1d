//! O10: a limit, beside backlogged streams and beside such as come by the clock.

use super::{SECOND, all_weight, none_missed, share_by_window, start, with_weight};
use crate::{Bound, Check, Finding};
use disktime_engine::{Limit, StreamConfig};
use disktime_lab::figure::{Axis, Mark, Panel, Series};
use disktime_lab::measures::greatest;
use disktime_lab::mixes::Kind;
use disktime_lab::setup::{Setup, reserved, share};
use disktime_lab::{Lab, LabResult, Run, StreamSpan, Table, number};
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
    streams: &'static [(Kind, f64, u64)],
}

const NEIGHBOURS: [Neighbours; 2] = [
    Neighbours {
        name: "backlogged",
        leave_time: false,
        streams: &[(Kind::Sequential, 0.1, 700), (Kind::Random(8), 0.1, 500)],
    },
    Neighbours {
        name: "by the clock",
        leave_time: true,
        streams: &[
            (Kind::Media(400), 0.1, 500),
            (Kind::Bursts, 0.1, 700),
            (Kind::Media(50), 0.05, 300),
        ],
    },
];

pub(super) fn limits(lab: &Lab<'_>, finding: &mut Finding) -> LabResult<Panel> {
    let mut table = Table::titled(
        "A stream that wants all, limited to 60 % per 500 ms",
        &[
            "beside",
            "share with limit",
            "share without",
            "others' part of spare time without",
            "most in a limit period (ms)",
            "deadlines missed",
        ],
    );
    let mut series = Vec::new();
    for neighbours in NEIGHBOURS {
        let name = neighbours.name;
        let key = name.replace(' ', "_");
        let runs = [Some(LIMIT), None].map(|limit| lab.run(&limited(lab, &neighbours, limit)));
        let [with, without] = runs;
        let (with, without) = (with?, without?);
        let periods: Vec<f64> = with
            .windows(LIMIT_PERIOD)
            .iter()
            .map(|streams| streams[0].disk_time())
            .collect();
        let beyond = greatest(&periods) * 1000.0 - LIMIT * LIMIT_PERIOD.as_millis_f64();
        let what = format!("most beyond the limit in a period of it, others {name}");
        let most = Bound::AtMost(with.facts.worst_case.as_millis_f64());
        finding.check(Check::new(format!("beyond_{key}"), what, beyond, most, "ms").decisive());
        let what = format!("share of the limited stream, others {name}");
        // A limit promises nothing: only where nobody else wants the time is all of it had.
        let given = match neighbours.leave_time {
            true => Bound::Between(LIMIT - 0.01, LIMIT + 0.001),
            false => Bound::AtMost(LIMIT + 0.001),
        };
        finding.check(Check::new(
            format!("limited_{key}"),
            what,
            with.share(0),
            given,
            "",
        ));
        let what = format!("the same stream's share without its limit, others {name}");
        let more = Bound::AtLeast(LIMIT + 0.05);
        finding.check(Check::new(
            format!("free_{key}"),
            what,
            without.share(0),
            more,
            "",
        ));
        none_missed(finding, &format!("missed_limit_{key}"), &with);
        table.row(vec![
            name.to_owned(),
            number(with.share(0)),
            number(without.share(0)),
            number(spare_of_others(&without)),
            number(greatest(&periods) * 1000.0),
            with.deadlines_missed().to_string(),
        ]);
        if series.is_empty() {
            let mut free = share_by_window(&without, LIMIT_PERIOD, 0, StreamSpan::disk_time);
            free.retain(|(at, _)| *at < SHOWN_S);
            series.push(Series::new("without limit", Mark::Curve, free));
            let mut kept = share_by_window(&with, LIMIT_PERIOD, 0, StreamSpan::disk_time);
            kept.retain(|(at, _)| *at < SHOWN_S);
            series.push(Series::new("with limit", Mark::Curve, kept));
        }
    }
    finding.tables.push(table);
    finding.note(
        "The limited stream has all the weight, and still backlogged others get some of the spare time, \
         and it less than its limit: while it has budget of its own it does not compete for spare time, \
         so its weight does not count, and whoever is at the arm goes on for as long as there is slack.",
    );
    series.insert(
        0,
        Series::reference("limit", Mark::Curve, vec![(0.0, LIMIT), (SHOWN_S, LIMIT)]),
    );
    Ok(Panel {
        title: "a limit of 60 % per 500 ms, others backlogged".to_owned(),
        x: Axis::linear("time (s)", 0.0, SHOWN_S),
        y: Axis::linear("share of the disk's time, per 500 ms", 0.0, 1.0),
        series,
    })
}

/// The part of all spare time that the others got, who have a ten-thousandth of the weight.
fn spare_of_others(run: &Run) -> f64 {
    let streams = run.samples.last().map_or(0, |last| last.streams.len());
    let spare = |index: usize| run.stream(index).spare.as_secs_f64();
    let all: f64 = (0..streams).map(spare).sum();
    (all - spare(0)) / all
}

fn limited(lab: &Lab<'_>, neighbours: &Neighbours, limit: Option<f64>) -> Setup {
    let limit = limit.map(|part| Limit {
        share: share(part),
        period: LIMIT_PERIOD,
    });
    let config = StreamConfig {
        limit,
        ..all_weight(reserved(share(0.2), SECOND))
    };
    let mut setup = start(lab, 60).stream("limited", config, Kind::Random(32).client());
    for (kind, part, period_ms) in neighbours.streams {
        let period = Nanos::from_millis(*period_ms);
        let config = with_weight(1, reserved(share(*part), period));
        setup = setup.stream(&kind.name(), config, kind.client());
    }
    setup
}
