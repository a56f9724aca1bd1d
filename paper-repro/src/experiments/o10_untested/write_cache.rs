//! O10: readers beside a random writer, with the drive's write cache off and on.

use super::super::isolation_axis;
use super::{ISOLATES, start};
use crate::Finding;
use disktime_lab::figure::{Axis, Panel, Series};
use disktime_lab::measures::isolation;
use disktime_lab::mixes::StreamKind;
use disktime_lab::setup::{Setup, reader, reserved, weighted, writing};
use disktime_lab::{Lab, LabResult, Table, cells, number};
use disktime_units::Nanos;
use disktime_workloads::Pattern;

const READERS: [StreamKind; 2] = [StreamKind::Random(8), StreamKind::Synchronous];
const STATES: [&str; 2] = ["off", "on"];
/// Of the reader, and of the writer.
const SHARE: f64 = 0.4;

pub(super) fn write_cache(lab: &Lab<'_>, finding: &mut Finding) -> LabResult<Panel> {
    let columns = "reader | write cache | isolation | reader's share of time | \
                   writer's share of time | writer (MB/s) | longer than W | longest (ms) | \
                   deadlines missed";
    let title = "A reader beside a random writer, by the drive's write cache";
    let mut table = Table::headed(columns).with_title(title);
    let mut bars = [Vec::new(), Vec::new()];
    for kind in READERS {
        for (on, ratios) in bars.iter_mut().enumerate() {
            let state = STATES[on];
            let mut setup = beside_writer(lab, kind);
            setup.drive.write_cache = on == 1;
            let run = lab.run(&setup)?;
            let alone = lab.run(&setup.alone(0))?.iops(0);
            let ratio = isolation(run.iops(0), alone, SHARE);
            ratios.push(ratio);
            let name = kind.name();
            let what = format!("isolation of {name} beside a random writer, write cache {state}");
            finding
                .check(format!("{name}_cache_{state}"), what, ratio)
                .at_least(ISOLATES, "")
                .decisive_if(on == 0);
            let disk = run.final_disk();
            table.row(cells![
                name,
                state,
                number(ratio),
                number(run.share(0)),
                number(run.share(1)),
                number(run.bytes_per_second(1) / 1e6),
                disk.overruns,
                number(disk.longest.as_millis_f64()),
                run.deadlines_missed(),
            ]);
        }
    }
    finding.table(table);
    finding.note(
        "With the write cache on a write is charged when the cache has it. The drive brings it to the \
         medium later: in the writer's time once the cache is full, but also in every pause of another \
         stream. A stream with a pause after each answer (seq1) then pays for a write and the way \
         back with each request, in time that is charged to it: it gets its time, and next to nothing \
         for it. A stream that leaves no pause (r8) loses nothing. Nothing above the drive can see or \
         prevent that: switch a drive's write cache off where isolation is to hold.",
    );
    let readers = Axis::groups("reader", READERS.map(StreamKind::name));
    let series = STATES.into_iter().zip(bars);
    let panel = Panel::new(
        "a reader beside a random writer",
        readers,
        isolation_axis(1.4),
    );
    Ok(panel.level("share × alone", 1.0).with_all(
        series.map(|(state, ratios)| Series::bars(format!("write cache {state}"), ratios)),
    ))
}

fn beside_writer(lab: &Lab<'_>, kind: StreamKind) -> Setup {
    let config = |weight| weighted(weight, reserved(SHARE, Nanos::from_secs(2)));
    let writer = writing(reader(Pattern::Random, 64 << 10, 32));
    start(lab, 120)
        .stream("reader", config(1), kind.client())
        .stream("writer", config(10_000), writer)
}
