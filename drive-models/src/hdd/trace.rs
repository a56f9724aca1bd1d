//! Service times measured on a real drive, and a model's distance from them.
//!
//! A measured trace has a request per line, `R|W Hit|Miss lbn sectors service_us think_us`, sent
//! one at a time: a request is issued when the one before it was answered and its think time has
//! passed. The Hit/Miss column is not reliable and is ignored.
//!
//! The *demerit* (Ruemmler and Wilkes, 1994) is the root mean square of the horizontal distance
//! between the cumulative distributions of measured and modelled service times, here in per cent
//! of the measured mean.

use super::model::{HddModel, Served};
use super::parameters::{HddError, SECTOR_BYTES};
use crate::Operation;
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// A request and its service time on the real drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeasuredRequest {
    /// Read or write.
    pub operation: Operation,
    /// Start in bytes.
    pub offset_bytes: u64,
    /// Length in bytes.
    pub len_bytes: u64,
    /// Measured service time.
    pub service: Nanos,
    /// Time from its completion to the next request.
    pub think: Nanos,
}

/// Longest trace that is read into memory.
const MOST_REQUESTS: usize = 10_000_000;

/// Reads a measured trace, plain or compressed (`.gz`).
///
/// # Errors
/// A sentence with the file and the line.
pub fn read_measured_trace(path: &Path) -> Result<Vec<MeasuredRequest>, HddError> {
    let shown = path.display();
    let file = File::open(path)
        .map_err(|error| HddError::new(format!("the trace {shown} cannot be opened: {error}")))?;
    let reader: Box<dyn Read> = match path.extension() {
        Some(extension) if extension == "gz" => Box::new(MultiGzDecoder::new(file)),
        _ => Box::new(file),
    };
    let mut requests = Vec::new();
    for (index, line) in BufReader::new(reader).lines().enumerate() {
        let number = index + 1;
        let line = line.map_err(|error| {
            HddError::new(format!(
                "{shown}, line {number}: the trace cannot be read: {error}"
            ))
        })?;
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let fields: Vec<&str> = line.split_whitespace().collect();
        // Some traces begin with the number of their requests.
        if index == 0 && fields.len() == 1 && fields[0].parse::<u64>().is_ok() {
            continue;
        }
        let request = parse_fields(&fields).map_err(|why| {
            HddError::new(format!(
                "{shown}, line {number}: {why}; a line is `R|W Hit|Miss lbn sectors service_us \
                 think_us`"
            ))
        })?;
        if requests.len() == MOST_REQUESTS {
            return Err(HddError::new(format!(
                "{shown} has more than {MOST_REQUESTS} requests; cut it into parts"
            )));
        }
        requests.push(request);
    }
    if requests.is_empty() {
        return Err(HddError::new(format!("{shown} holds no request")));
    }
    Ok(requests)
}

fn parse_fields(fields: &[&str]) -> Result<MeasuredRequest, String> {
    let [operation, _, lbn, sectors, service, think] = fields else {
        return Err(format!("{} fields were found instead of 6", fields.len()));
    };
    let operation = match *operation {
        "R" => Operation::Read,
        "W" => Operation::Write,
        other => return Err(format!("`{other}` is neither R nor W")),
    };
    let whole = |name: &str, text: &str| {
        let number = text
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(SECTOR_BYTES));
        number.ok_or_else(|| format!("the {name} `{text}` is not a number of sectors"))
    };
    let micros = |name: &str, text: &str| match text.parse::<f64>() {
        Ok(number) if (0.0..1e12).contains(&number) => Ok(Nanos((number * 1e3).round() as u64)),
        _ => Err(format!(
            "the {name} `{text}` is not a number of microseconds"
        )),
    };
    Ok(MeasuredRequest {
        operation,
        offset_bytes: whole("lbn", lbn)?,
        len_bytes: whole("length", sectors)?,
        service: micros("service time", service)?,
        think: micros("think time", think)?,
    })
}

/// Modelled service times of the trace's requests, each issued after its predecessor's think time,
/// with how the model served each. With `shaken`, each think time is changed by up to half a turn
/// (or half of itself) either way, so that several replays together show the distribution of
/// rotational waits rather than one sample of it: the traces do not record the platter's phase.
///
/// # Errors
/// If a request lies beyond the end of the modelled drive.
pub(super) fn replay_served(
    model: &mut HddModel,
    trace: &[MeasuredRequest],
    mut shaken: Option<SplitMix64>,
) -> Result<Vec<(Nanos, Served)>, HddError> {
    model.reset();
    let mut now = Nanos::ZERO;
    let mut times = Vec::with_capacity(trace.len());
    for (index, request) in trace.iter().enumerate() {
        let end = request.offset_bytes.saturating_add(request.len_bytes);
        if end > model.size_bytes() {
            return Err(HddError::new(format!(
                "request {} of the trace ends at byte {end}, beyond the drive's {} bytes; it was \
                 measured on another drive",
                index + 1,
                model.size_bytes()
            )));
        }
        let done = model.serve(
            now,
            request.operation,
            request.offset_bytes,
            request.len_bytes,
        );
        times.push((done - now, model.last_served()));
        now = done + request.think;
        if let Some(random) = &mut shaken {
            let width = model.turn().min(request.think).0;
            now = (now + Nanos(random.below(width.max(1)))).saturating_sub(Nanos(width / 2));
        }
    }
    Ok(times)
}

/// Mean in milliseconds.
pub(super) fn mean_ms(times: impl ExactSizeIterator<Item = Nanos>) -> f64 {
    let count = times.len().max(1) as f64;
    times.map(Nanos::as_millis_f64).sum::<f64>() / count
}

/// Demerit in per cent of the measured mean.
///
/// # Panics
/// If the two differ in length or are empty.
pub(super) fn demerit_percent(measured: &[Nanos], modelled: &[Nanos]) -> f64 {
    assert!(
        !measured.is_empty() && measured.len() == modelled.len(),
        "one time for each request"
    );
    let sorted = |times: &[Nanos]| {
        let mut times = times.to_vec();
        times.sort_unstable();
        times
    };
    let square =
        |(one, other): (Nanos, Nanos)| (one.as_millis_f64() - other.as_millis_f64()).powi(2);
    let squares = sorted(measured)
        .into_iter()
        .zip(sorted(modelled))
        .map(square);
    let root_mean_square = (squares.sum::<f64>() / measured.len() as f64).sqrt();
    100.0 * root_mean_square / mean_ms(measured.iter().copied())
}
