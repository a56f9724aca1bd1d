//! What `blkparse` prints by default: a line per event, `8,0 1 42 0.001234567 697 Q WS 223490 + 8
//! [kworker/1:2]`: device, processor, sequence number, seconds, process, event, what is asked for,
//! first sector, number of sectors, name of the process.
//!
//! Events other than the wanted one are passed over, messages too. What is asked for has a letter
//! for the operation (R, W, D discard, N none), F before it for a flush that comes first, F after
//! it for a write that is to be durable; S, A, M and others do not change what is replayed. At the end
//! blkparse prints a summary, which ends the trace.

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

/// What an event asks for.
struct Asked {
    flush_before: bool,
    operation: Option<RequestKind>,
    fua: bool,
}

fn asked(letters: &[u8]) -> Option<Asked> {
    let (flush_before, rest) = match letters {
        [b'F', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let (operation, rest) = match rest {
        [b'R', rest @ ..] => (Some(RequestKind::Read), rest),
        [b'W', rest @ ..] => (Some(RequestKind::Write), rest),
        // Discards, and erasures, which are printed with a second letter.
        [b'D', rest @ ..] => (Some(RequestKind::Trim), rest),
        [b'N', rest @ ..] => (None, rest),
        // An old kernel's flush by itself.
        [] if flush_before => (None, rest),
        _ => return None,
    };
    Some(Asked {
        flush_before,
        operation,
        fua: rest.contains(&b'F'),
    })
}

/// Reads a line.
pub(super) fn line(text: &[u8], wanted: TraceEvent) -> Result<Parsed, String> {
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
    let letter = match wanted {
        TraceEvent::Queued => b"Q",
        TraceEvent::Issued => b"D",
    };
    if event != letter {
        return Ok(Parsed::Nothing);
    }
    let asked = asked(letters).ok_or_else(|| {
        let letters = String::from_utf8_lossy(letters);
        format!("`{letters}` is not what an event asks for, as in R, WS or FWFS")
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
    let Some(kind) = asked.operation.filter(|_| has_range || !asked.flush_before) else {
        return Ok(match asked.flush_before {
            true => Parsed::One(flush),
            false => Parsed::Nothing,
        });
    };
    if !has_range {
        return Err("the sectors are missing, as in `223490 + 8`".to_owned());
    }
    let bytes = |name: &str, sectors: &[u8]| {
        column(name, sectors)?
            .checked_mul(SECTOR_BYTES)
            .ok_or_else(|| "the sector is beyond the largest address".to_owned())
    };
    let request = Line {
        kind,
        fua: asked.fua,
        offset_bytes: bytes("first sector", first)?,
        len_bytes: bytes("number of sectors", sectors)?,
        ..flush
    };
    Ok(match asked.flush_before {
        // A flush with nothing after it, printed with its zero sectors.
        true if request.len_bytes == 0 => Parsed::One(flush),
        true => Parsed::Two(flush, request),
        false => Parsed::One(request),
    })
}
