//! The text forms of quantities: `64GiB`, `500ms`, `40%`. Parsing is exact (no floating point), and
//! an error says what was expected.

use crate::{Nanos, Share};
use thiserror::Error;

/// A quantity that cannot be read; the sentence says what was expected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct QuantityError {
    message: String,
}

fn error(message: String) -> QuantityError {
    QuantityError { message }
}

const SIZES: [(&str, u64); 21] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("PiB", 1 << 50),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("K", 1 << 10),
    ("M", 1 << 20),
    ("G", 1 << 30),
    ("T", 1 << 40),
    ("P", 1 << 50),
    // As fio, dd and QEMU take them.
    ("k", 1 << 10),
    ("m", 1 << 20),
    ("g", 1 << 30),
    ("t", 1 << 40),
    ("p", 1 << 50),
];

const DURATIONS: [(&str, u64); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// A decimal number as (digits without the point, number of decimals), and the text after it.
fn split_number(text: &str) -> Option<(u128, u32, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || (number.contains('.') && decimals.is_empty()) || number.len() > 24 {
        return None;
    }
    let digits: u128 = format!("{whole}{decimals}").parse().ok()?;
    Some((
        digits,
        u32::try_from(decimals.len()).ok()?,
        unit.trim_start(),
    ))
}

/// `digits / 10^decimals × factor`, if that is a whole number that fits.
fn scale(digits: u128, decimals: u32, factor: u64) -> Option<u64> {
    let scaled = digits.checked_mul(u128::from(factor))?;
    let divisor = 10u128.checked_pow(decimals)?;
    if scaled % divisor != 0 {
        return None;
    }
    u64::try_from(scaled / divisor).ok()
}

fn parse_with_units(
    text: &str,
    units: &[(&str, u64)],
    what: &str,
    example: &str,
) -> Result<u64, QuantityError> {
    let refused = || {
        error(format!(
            "`{text}` is not {what}; write a number and a unit, as in {example}"
        ))
    };
    let (digits, decimals, unit) = split_number(text.trim()).ok_or_else(refused)?;
    let (_, factor) = units
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(refused)?;
    scale(digits, decimals, *factor).ok_or_else(|| {
        error(format!(
            "`{text}` is not {what} that can be represented exactly"
        ))
    })
}

/// A size in bytes: `4096B`, `4KiB`, `4k`, `1.5GiB`, `64GB`. A letter alone is a binary unit.
///
/// # Errors
/// A sentence that names the units, for anything else.
pub fn parse_size(text: &str) -> Result<u64, QuantityError> {
    parse_with_units(text, &SIZES, "a size", "\"64GiB\", \"512MiB\" or \"4KiB\"")
}

/// A length of time: `250ms`, `1.5s`, `2min`, `1h`.
///
/// # Errors
/// A sentence that names the units, for anything else.
pub fn parse_duration(text: &str) -> Result<Nanos, QuantityError> {
    parse_with_units(
        text,
        &DURATIONS,
        "a duration",
        "\"500ms\", \"1s\" or \"200us\"",
    )
    .map(Nanos)
}

/// A share of the whole: `40%`, `12.5 %`; at most four decimals and at most 100 %.
///
/// # Errors
/// A sentence that says what is accepted, for anything else.
pub fn parse_share(text: &str) -> Result<Share, QuantityError> {
    let refused = || {
        error(format!(
            "`{text}` is not a share; write per cent with at most four decimals, as in \"40%\" or \
                \"12.5%\""
        ))
    };
    let (digits, decimals, unit) = split_number(text.trim()).ok_or_else(refused)?;
    if unit != "%" {
        return Err(refused());
    }
    let ppm = scale(digits, decimals, 10_000).ok_or_else(refused)?;
    if ppm > 1_000_000 {
        return Err(error(format!(
            "`{text}` is more than 100%, the largest share"
        )));
    }
    Ok(Share(u32::try_from(ppm).map_err(|_| refused())?))
}

/// The binary units, the largest first.
const SIZE_UNITS: [(&str, u64); 6] = [
    ("PiB", 1 << 50),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// A size for people: the largest binary unit that divides it, or two decimals of the nearest.
pub fn format_size(bytes: u64) -> String {
    let nearest = SIZE_UNITS.iter().find(|(_, factor)| bytes >= *factor);
    match nearest {
        Some((name, factor)) if bytes.is_multiple_of(*factor) => {
            format!("{}{name}", bytes / factor)
        }
        Some((name, factor)) => format!("{:.2}{name}", bytes as f64 / *factor as f64),
        None => "0B".to_owned(),
    }
}

/// Sizes that are compared: as [`format_size`] has them, but where two that differ would read the
/// same, all in the largest unit that divides each.
pub fn format_sizes<const N: usize>(bytes: [u64; N]) -> [String; N] {
    let short = bytes.map(format_size);
    let reads = |at: usize| short[at].replace(".00", "");
    let is_confused = (0..N).any(|one| {
        let mut others = one + 1..N;
        others.any(|other| bytes[one] != bytes[other] && reads(one) == reads(other))
    });
    if !is_confused {
        return short;
    }
    let divides_all = |(_, factor): &&(&str, u64)| bytes.iter().all(|one| one % factor == 0);
    let (name, factor) = SIZE_UNITS.iter().find(divides_all).unwrap_or(&("B", 1));
    bytes.map(|one| format!("{}{name}", one / factor))
}

/// A duration for people: three significant digits in the unit that suits it.
pub fn format_duration(time: Nanos) -> String {
    let (value, unit) = match time.0 {
        0 => return "0s".to_owned(),
        1..1_000 => return format!("{}ns", time.0),
        1_000..1_000_000 => (time.0 as f64 / 1e3, "us"),
        1_000_000..1_000_000_000 => (time.0 as f64 / 1e6, "ms"),
        _ => (time.0 as f64 / 1e9, "s"),
    };
    let decimals = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests;
