//! What `blkparse` prints by default: a line per event, `8,0 1 42 0.001234567 697 Q WS 223490 + 8
//! [kworker/1:2]`: device, processor, sequence number, seconds, process, event, operation, first
//! sector, number of sectors, name of the process.
//!
//! Other events than the selected one, and messages, are ignored. The operation has a letter (R, W,
//! D discard, N none), F before it for a flush that comes first, F after it for a write with FUA;
//! S, A, M and others do not change what is replayed. At the end blkparse prints a summary, which
//! ends the trace.

use super::fields::{column, number, seconds, words};
use super::format::TraceEvent;
use super::reader::{Line, Parsed};
use disktime_engine::RequestKind;

const SECTOR_BYTES: u64 = 512;

/// The first words of the lines of the summary.
const SUMMARY: [&[u8]; 5] = [b"CPU", b"Total", b"Throughput", b"Events", b"Skips"];

/// Major and minor number as one, as Linux has them.
pub(crate) fn device(text: &[u8]) -> Option<u64> {
    let separator = text.iter().position(|byte| matches!(byte, b',' | b':'))?;
    let (major, minor) = (number(&text[..separator])?, number(&text[separator + 1..])?);
    (major < 1 << 12 && minor < 1 << 20).then_some(major << 20 | minor)
}

/// The operation of an event.
struct EventOperation {
    flush_before: bool,
    kind: Option<RequestKind>,
    fua: bool,
}

fn event_operation(letters: &[u8]) -> Option<EventOperation> {
    let (flush_before, rest) = match letters {
        [b'F', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let (kind, rest) = match rest {
        [b'R', rest @ ..] => (Some(RequestKind::Read), rest),
        [b'W', rest @ ..] => (Some(RequestKind::Write), rest),
        // Discards, and erasures, which are printed with a second letter.
        [b'D', rest @ ..] => (Some(RequestKind::Trim), rest),
        [b'N', rest @ ..] => (None, rest),
        // A flush without data, as old kernels print it.
        [] if flush_before => (None, rest),
        _ => return None,
    };
    Some(EventOperation {
        flush_before,
        kind,
        fua: rest.contains(&b'F'),
    })
}

/// Reads a line.
pub(super) fn line(text: &[u8], selected: TraceEvent) -> Result<Parsed, String> {
    let mut found: [&[u8]; 10] = [&[]; 10];
    let count = words(text, &mut found);
    let [
        device_text,
        cpu,
        _sequence,
        at,
        _process,
        event,
        letters,
        first,
        plus,
        sectors,
    ] = found;
    if SUMMARY.iter().any(|word| device_text.starts_with(word)) {
        return Ok(Parsed::End);
    }
    if device_text == b"Input" {
        return Ok(Parsed::Nothing);
    }
    let dev = device(device_text).ok_or_else(|| {
        format!(
            "`{}` is not a device as in 8,0",
            String::from_utf8_lossy(device_text)
        )
    })?;
    column("processor", cpu)?;
    let at = seconds("time", at)?;
    if event.is_empty() || event.len() > 2 || !event.iter().all(u8::is_ascii_alphabetic) {
        let event = String::from_utf8_lossy(event);
        return Err(format!("`{event}` is not an event of blkparse"));
    }
    let letter = match selected {
        TraceEvent::Queued => b"Q",
        TraceEvent::Issued => b"D",
    };
    if event != letter {
        return Ok(Parsed::Nothing);
    }
    let operation = event_operation(letters).ok_or_else(|| {
        let letters = String::from_utf8_lossy(letters);
        format!("expected an operation as in R, WS or FWFS, found `{letters}`")
    })?;
    let flush = Line {
        at,
        dev,
        kind: RequestKind::Flush,
        fua: false,
        offset_bytes: 0,
        len_bytes: 0,
    };
    let has_range = count >= 10 && plus == b"+";
    let Some(kind) = operation
        .kind
        .filter(|_| has_range || !operation.flush_before)
    else {
        return Ok(match operation.flush_before {
            true => Parsed::One(flush),
            false => Parsed::Nothing,
        });
    };
    if !has_range {
        return Err("expected the sectors as in `223490 + 8`, found none".to_owned());
    }
    let bytes = |name: &str, sectors: &[u8]| {
        column(name, sectors)?
            .checked_mul(SECTOR_BYTES)
            .ok_or_else(|| "the sector is beyond the largest address".to_owned())
    };
    let request = Line {
        kind,
        fua: operation.fua,
        offset_bytes: bytes("first sector", first)?,
        len_bytes: bytes("number of sectors", sectors)?,
        ..flush
    };
    Ok(match operation.flush_before {
        // A flush without data, printed with zero sectors.
        true if request.len_bytes == 0 => Parsed::One(flush),
        true => Parsed::Two(flush, request),
        false => Parsed::One(request),
    })
}
