//! What a stream received, seen from outside: checks of the promise that do not use the
//! scheduler's own.

use disktime_units::Nanos;

/// Disk time on the stream's own account: `own` of it between `start` and `end`, from the start.
#[derive(Debug, Clone, Copy)]
pub struct Segment {
    pub start: Nanos,
    pub end: Nanos,
    pub own: Nanos,
}

/// A time during which requests were there without interruption.
#[derive(Debug, Clone, Copy)]
pub struct Backlog {
    pub start: Nanos,
    pub end: Nanos,
    /// It began after so long a pause that the stream started afresh.
    pub fresh: bool,
}

/// The worst shortfalls of one stream, in ns.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shortfall {
    /// From the start of a backlog over whole periods: k·u·p − received.
    pub from_start: i64,
    /// Over any whole periods inside one.
    pub inside: i64,
    /// Period ends looked at.
    pub periods: u64,
}

/// The largest shortfall against the line u·t over any window between `from` and `to`, in ns.
pub fn any_window(segments: &[Segment], share_ppm: u32, from: Nanos, to: Nanos) -> i128 {
    let due = |at: Nanos| i128::from(at.0) * i128::from(share_ppm) / 1_000_000;
    let (mut got, mut highest, mut worst) = (0i128, -due(from), 0i128);
    let within = segments
        .iter()
        .filter(|one| one.start >= from && one.end <= to);
    for segment in within {
        // Behind the line most just before service, ahead of it most just after.
        worst = worst.max(highest - (got - due(segment.start)));
        got += i128::from(segment.own.0);
        highest = highest.max(got - due(segment.end));
    }
    worst
}

/// Time received until each of `times`, which ascend.
pub fn received(segments: &[Segment], times: &[Nanos]) -> Vec<i128> {
    let (mut index, mut sum) = (0, 0i128);
    let mut result = Vec::with_capacity(times.len());
    for time in times {
        while index < segments.len() && segments[index].end <= *time {
            sum += i128::from(segments[index].own.0);
            index += 1;
        }
        let open = segments.get(index).filter(|open| open.start < *time);
        let part = open.map_or(0, |open| (time.0 - open.start.0).min(open.own.0));
        result.push(sum + i128::from(part));
    }
    result
}

/// Looks at every fresh backlog of a stream of share `share_ppm` and period `period`.
pub fn shortfall(
    segments: &[Segment],
    backlogs: &[Backlog],
    share_ppm: u32,
    period: Nanos,
) -> Shortfall {
    let mut worst = Shortfall::default();
    for backlog in backlogs.iter().filter(|backlog| backlog.fresh) {
        let count = (backlog.end - backlog.start).0 / period.0;
        let ends: Vec<Nanos> = (0..=count)
            .map(|k| backlog.start + Nanos(k * period.0))
            .collect();
        let received = received(segments, &ends);
        let first = received[0];
        let mut highest = 0i128;
        for (k, got) in received.iter().enumerate() {
            let due = k as i128 * i128::from(period.0) * i128::from(share_ppm) / 1_000_000;
            let ahead = got - first - due;
            worst.from_start = worst
                .from_start
                .max(i64::try_from(-ahead).unwrap_or(i64::MAX));
            worst.inside = worst
                .inside
                .max(i64::try_from(highest - ahead).unwrap_or(i64::MAX));
            highest = highest.max(ahead);
        }
        worst.periods += count;
    }
    worst
}
