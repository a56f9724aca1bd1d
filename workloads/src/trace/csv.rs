//! The formats whose columns are separated by commas: disktime's own, MSR Cambridge's, and SPC's.

use super::fields::{column, columns, seconds, time};
use super::format::TraceFormat;
use super::reader::Line;
use disktime_engine::RequestKind;

/// The columns of disktime's own format, which may also be the first line of the file.
const COLUMNS: &str = "time_us,dev,op,offset,bytes";

/// Sectors of SPC's addresses.
const SECTOR_BYTES: u64 = 512;

fn operation(text: &[u8]) -> Result<RequestKind, String> {
    if text.eq_ignore_ascii_case(b"R") || text.eq_ignore_ascii_case(b"Read") {
        Ok(RequestKind::Read)
    } else if text.eq_ignore_ascii_case(b"W") || text.eq_ignore_ascii_case(b"Write") {
        Ok(RequestKind::Write)
    } else {
        Err(format!(
            "expected R or W, found `{}`",
            String::from_utf8_lossy(text)
        ))
    }
}

fn missing(names: &str, count: usize) -> String {
    let missing = names.split(',').nth(count).unwrap_or("bytes");
    format!("the column `{missing}` is missing")
}

/// `time_us,dev,op,offset,bytes`.
pub(super) fn own(text: &[u8]) -> Result<Line, String> {
    let mut found: [&[u8]; 5] = [&[]; 5];
    match columns(text, &mut found) {
        5 => {}
        count @ 0..5 => return Err(missing(COLUMNS, count)),
        _ => return Err("there are more than five columns".to_owned()),
    }
    let [at, dev, op, offset, bytes] = found;
    Ok(Line {
        at: time("time_us", at, 1_000)?,
        dev: column("dev", dev)?,
        kind: operation(op)?,
        fua: false,
        offset_bytes: column("offset", offset)?,
        len_bytes: column("bytes", bytes)?,
    })
}

const MSR_COLUMNS: &str = "Timestamp,Hostname,DiskNumber,Type,Offset,Size,ResponseTime";

/// A line of MSR Cambridge; times count 100 ns since the year 1601.
pub(super) fn msr(text: &[u8]) -> Result<Line, String> {
    let mut found: [&[u8]; 7] = [&[]; 7];
    match columns(text, &mut found) {
        7 => {}
        count @ 0..7 => return Err(missing(MSR_COLUMNS, count)),
        _ => return Err("there are more than seven columns".to_owned()),
    }
    let [at, _host, dev, op, offset, bytes, _response] = found;
    Ok(Line {
        at: time("Timestamp", at, 100)?,
        dev: column("DiskNumber", dev)?,
        kind: operation(op)?,
        fua: false,
        offset_bytes: column("Offset", offset)?,
        len_bytes: column("Size", bytes)?,
    })
}

const SPC_COLUMNS: &str = "ASU,LBA,Size,Opcode,Timestamp";

/// A line of SPC; columns after the fifth are not standard, and ignored.
pub(super) fn spc(text: &[u8]) -> Result<Line, String> {
    let mut found: [&[u8]; 5] = [&[]; 5];
    let count = columns(text, &mut found);
    if count < 5 {
        return Err(missing(SPC_COLUMNS, count));
    }
    let [asu, lba, bytes, op, at] = found;
    let lba = column("LBA", lba)?;
    Ok(Line {
        at: seconds("Timestamp", at)?,
        dev: column("ASU", asu)?,
        kind: operation(op)?,
        fua: false,
        offset_bytes: lba
            .checked_mul(SECTOR_BYTES)
            .ok_or_else(|| format!("sector {lba} is beyond the largest address"))?,
        len_bytes: column("Size", bytes)?,
    })
}

/// The format whose column names the first line holds.
pub(super) fn heading(text: &[u8]) -> Option<TraceFormat> {
    [
        (COLUMNS, TraceFormat::Csv),
        (MSR_COLUMNS, TraceFormat::Msr),
        (SPC_COLUMNS, TraceFormat::Spc),
    ]
    .into_iter()
    .find(|(columns, _)| text.eq_ignore_ascii_case(columns.as_bytes()))
    .map(|(_, format)| format)
}
