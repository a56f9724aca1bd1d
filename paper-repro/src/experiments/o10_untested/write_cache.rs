//! O10: readers beside a random writer, with the drive's write cache off and on.

use super::{ISOLATES, start, with_weight};
use crate::{Check, Finding};
use disktime_lab::figure::{Axis, Mark, Panel, Series};
use disktime_lab::measures::isolation;
use disktime_lab::mixes::Kind;
use disktime_lab::setup::{Setup, reader, reserved, share, writing};
use disktime_lab::{Lab, LabResult, Table, number};
use disktime_units::Nanos;
use disktime_workloads::Pattern;

pub(super) fn write_cache(lab: &Lab<'_>, finding: &mut Finding) -> LabResult<Panel> {
    let readers = [Kind::Random(8), Kind::Synchronous];
    let mut table = Table::titled(
        "A reader beside a random writer, by the drive's write cache",
        &[
            "reader",
            "write cache",
            "isolation",
            "reader's share of time",
            "writer's share of time",
            "writer (MB/s)",
            "longer than W",
            "longest (ms)",
            "deadlines missed",
        ],
    );
    let mut bars = [Vec::new(), Vec::new()];
    for (group, kind) in readers.iter().enumerate() {
        for (on, points) in bars.iter_mut().enumerate() {
            let state = ["off", "on"][on];
            let mut setup = beside_writer(lab, *kind);
            setup.drive.write_cache = on == 1;
            let run = lab.run(&setup)?;
            let alone = lab.run(&setup.alone(0))?.iops(0);
            let ratio = isolation(run.iops(0), alone, 0.4);
            points.push((group as f64, ratio));
            let name = kind.name();
            let what = format!("isolation of {name} beside a random writer, write cache {state}");
            let check = Check::new(format!("{name}_cache_{state}"), what, ratio, ISOLATES, "");
            finding.check(if on == 1 { check } else { check.decisive() });
            let disk = run.samples.last().map(|sample| sample.disk);
            let disk = disk.unwrap_or_default();
            table.row(vec![
                name,
                state.to_owned(),
                number(ratio),
                number(run.share(0)),
                number(run.share(1)),
                number(run.bytes_per_second(1) / 1e6),
                disk.overruns.to_string(),
                number(disk.longest.as_millis_f64()),
                run.deadlines_missed().to_string(),
            ]);
        }
    }
    finding.tables.push(table);
    finding.note(
        "With the write cache on a write is charged when the cache has it. The drive brings it to the \
         medium when it pleases: in the writer's time once the cache is full, but also in every pause of \
         somebody else. A stream with a pause after each answer (seq1) then pays for a write and the way \
         back with each request, in time that is charged to it: it gets its time, and next to nothing \
         for it. A stream that leaves no pause (r8) loses nothing. Nothing above the drive can see or \
         prevent that: switch a drive's write cache off where isolation is to hold.",
    );
    let ideal = Series::reference("share × alone", Mark::Curve, vec![(-0.5, 1.0), (1.5, 1.0)]);
    let [off, on] = bars;
    Ok(Panel {
        title: "a reader beside a random writer".to_owned(),
        x: Axis::groups("reader", &["r8", "seq1"]),
        y: Axis::linear("throughput ÷ (share × alone)", 0.0, 1.4),
        series: vec![
            ideal,
            Series::new("write cache off", Mark::Bars, off),
            Series::new("write cache on", Mark::Bars, on),
        ],
    })
}

fn beside_writer(lab: &Lab<'_>, kind: Kind) -> Setup {
    let half = |weight| with_weight(weight, reserved(share(0.4), Nanos::from_secs(2)));
    let writer = writing(reader(Pattern::Random, 64 << 10, 32));
    start(lab, 120)
        .stream("reader", half(1), kind.client())
        .stream("writer", half(10_000), writer)
}
