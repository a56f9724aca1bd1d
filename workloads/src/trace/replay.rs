//! The replay of a trace: requests of the client's device, moved into its range, at their times.

use super::reader::{TraceReader, TraceRecord};
use crate::WorkloadError;
use crate::trace::{Fit, Timing, TraceSource};
use disktime_engine::RequestKind;
use disktime_units::{Nanos, format_size};

/// The extent of a whole trace; found by reading it once before it is replayed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TraceSurvey {
    /// The number of requests.
    pub requests: u64,
    /// The largest end of a request.
    pub extent_bytes: u64,
    /// The length of the longest request.
    pub longest_bytes: u64,
    /// The time of the last request, as recorded.
    pub last: Nanos,
}

/// Reads a whole trace without replaying it, so that a bad line is reported before the run.
///
/// # Errors
/// A file or line that cannot be read; with [`Fit::Refuse`] an offset beyond `range_bytes`; a
/// request longer than the range; a trace without a request of the device.
pub fn survey(source: &TraceSource, range_bytes: u64) -> Result<TraceSurvey, WorkloadError> {
    survey_aligned(source, range_bytes, 1)
}

/// The same where requests have to start and end at multiples of `align_bytes`.
pub(crate) fn survey_aligned(
    source: &TraceSource,
    range_bytes: u64,
    align_bytes: u64,
) -> Result<TraceSurvey, WorkloadError> {
    let mut reader = TraceReader::open(&source.path, source.options)?;
    let mut survey = TraceSurvey::default();
    while let Some(record) = reader.next_record()? {
        if source.dev.is_some_and(|dev| dev != record.dev) {
            continue;
        }
        survey.requests += 1;
        survey.last = record.at;
        if record.kind == RequestKind::Flush {
            continue;
        }
        check(source, &record, range_bytes, align_bytes)
            .map_err(|(what, help)| reader.error(what).help(help))?;
        let end = record.offset_bytes + record.len_bytes;
        survey.extent_bytes = survey.extent_bytes.max(end);
        survey.longest_bytes = survey.longest_bytes.max(record.len_bytes);
    }
    if survey.requests == 0 {
        let which = source
            .dev
            .map_or(String::new(), |dev| format!(" of device {dev}"));
        return Err(WorkloadError::new(format!(
            "the trace `{}` holds no request{which}; check the file and `dev`",
            source.path.display()
        )));
    }
    Ok(survey)
}

/// What is wrong with a request, and what to do about it.
fn check(
    source: &TraceSource,
    record: &TraceRecord,
    range_bytes: u64,
    align_bytes: u64,
) -> Result<(), (String, &'static str)> {
    let end = record.offset_bytes + record.len_bytes;
    if source.fit == Fit::Refuse && end > range_bytes {
        let what = format!(
            "the request ends at {} ({end} bytes), beyond the {} that the client may use",
            format_size(end),
            format_size(range_bytes)
        );
        let help = "write \"fit\": \"wrap\" or \"fit\": \"scale\", or use a larger virtual disk";
        return Err((what, help));
    }
    if record.len_bytes > range_bytes {
        let what = format!(
            "the request has {}, but the client may use only {}",
            format_size(record.len_bytes),
            format_size(range_bytes)
        );
        return Err((what, "use a larger virtual disk"));
    }
    let odd = |bytes: u64| !bytes.is_multiple_of(align_bytes);
    if odd(record.len_bytes) || odd(record.offset_bytes) {
        let what = format!("the server accepts only multiples of {align_bytes} bytes");
        return Err((
            what,
            "use a server that accepts any length, as disktime does",
        ));
    }
    Ok(())
}

/// A trace as a client replays it.
#[derive(Debug)]
pub(crate) struct Replay {
    reader: TraceReader,
    source: TraceSource,
    range_bytes: u64,
    extent_bytes: u64,
    align_bytes: u64,
    /// The time of the previous request, as recorded and as replayed.
    recorded: Nanos,
    replayed: Nanos,
}

impl Replay {
    pub(crate) fn new(
        source: &TraceSource,
        range_bytes: u64,
        align_bytes: u64,
        start: Nanos,
    ) -> Result<Replay, WorkloadError> {
        let survey = survey_aligned(source, range_bytes, align_bytes)?;
        Ok(Replay {
            reader: TraceReader::open(&source.path, source.options)?,
            source: source.clone(),
            range_bytes,
            extent_bytes: survey.extent_bytes,
            align_bytes: align_bytes.max(512),
            recorded: Nanos::ZERO,
            replayed: start,
        })
    }

    /// Whether requests come as fast as replies.
    pub(crate) fn is_closed(&self) -> bool {
        self.source.timing == Timing::AsFastAsPossible
    }

    /// The next request: when it comes, and the record with its offset moved into the range.
    pub(crate) fn next(&mut self) -> Result<Option<(Nanos, TraceRecord)>, WorkloadError> {
        while let Some(mut record) = self.reader.next_record()? {
            if self.source.dev.is_some_and(|dev| dev != record.dev) {
                continue;
            }
            if record.kind != RequestKind::Flush {
                record.offset_bytes = self.fitted_offset(&record).ok_or_else(|| {
                    self.reader
                        .error("the trace changed while it was replayed".to_owned())
                })?;
            }
            if let Timing::Recorded { speed_ppm, max_gap } = self.source.timing {
                self.advance(record.at, speed_ppm, max_gap);
            }
            return Ok(Some((self.replayed, record)));
        }
        Ok(None)
    }

    /// Moves on to the time of a request. A gap is the difference of two times that
    /// are sped up, so that roundings do not add up.
    fn advance(&mut self, at: Nanos, speed_ppm: u64, max_gap: Option<Nanos>) {
        let faster = |time: Nanos| {
            let nanos = u128::from(time.0) * 1_000_000 / u128::from(speed_ppm.max(1));
            Nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
        };
        let gap = faster(at).saturating_sub(faster(self.recorded));
        let gap = max_gap.map_or(gap, |most| gap.min(most));
        self.recorded = at;
        self.replayed = self.replayed.saturating_add(gap);
    }

    fn fitted_offset(&self, record: &TraceRecord) -> Option<u64> {
        fitted_offset(
            self.source.fit,
            record,
            self.range_bytes,
            self.extent_bytes,
            self.align_bytes,
        )
    }
}

/// Where a request goes in a range, or `None` if it does not fit, which the survey excluded.
pub(super) fn fitted_offset(
    fit: Fit,
    record: &TraceRecord,
    range_bytes: u64,
    extent_bytes: u64,
    grain_bytes: u64,
) -> Option<u64> {
    let last = range_bytes.checked_sub(record.len_bytes)?;
    let offset = match fit {
        Fit::Refuse => return (record.offset_bytes <= last).then_some(record.offset_bytes),
        // Whole grains, so that positions stay as aligned as they were recorded.
        Fit::Wrap => match range_bytes / grain_bytes {
            0 => record.offset_bytes % range_bytes,
            grains => record.offset_bytes % (grains * grain_bytes),
        },
        Fit::Scale => {
            let scaled = u128::from(record.offset_bytes) * u128::from(range_bytes)
                / u128::from(extent_bytes.max(1));
            u64::try_from(scaled).ok()? / grain_bytes * grain_bytes
        }
    };
    // A request that would end beyond the range is moved back, to a multiple of the grain.
    Some(if offset <= last {
        offset
    } else {
        last / grain_bytes * grain_bytes
    })
}
