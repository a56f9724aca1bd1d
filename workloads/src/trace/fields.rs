//! Columns, numbers and times in a line of a trace. Nothing is allocated, because there are
//! millions of lines.

use disktime_units::Nanos;

/// Splits a line at its commas into `found`; returns the number of columns, also of those for which
/// `found` has no space.
pub(crate) fn columns<'a>(line: &'a [u8], found: &mut [&'a [u8]]) -> usize {
    let mut count = 0;
    for column in line.split(|byte| *byte == b',') {
        if let Some(place) = found.get_mut(count) {
            *place = column.trim_ascii();
        }
        count += 1;
    }
    count
}

/// Splits a line at white space into `found`; returns the number of words.
pub(crate) fn words<'a>(line: &'a [u8], found: &mut [&'a [u8]]) -> usize {
    let mut count = 0;
    let words = line.split(u8::is_ascii_whitespace);
    for word in words.filter(|word| !word.is_empty()) {
        if let Some(place) = found.get_mut(count) {
            *place = word;
        }
        count += 1;
    }
    count
}

pub(crate) fn is_number(text: &[u8]) -> bool {
    number(text).is_some()
}

/// A whole number of digits only; faster than `str::parse`, which matters at ten million lines.
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// The number in a column, or a sentence that names it.
pub(crate) fn column(name: &str, text: &[u8]) -> Result<u64, String> {
    number(text).ok_or_else(|| {
        let what = if text.is_empty() {
            "nothing".to_owned()
        } else {
            format!("`{}`", String::from_utf8_lossy(text))
        };
        format!("{what} in the column `{name}` is not a whole number")
    })
}

/// A time in units of `unit_ns` nanoseconds.
pub(crate) fn time(name: &str, text: &[u8], unit_ns: u64) -> Result<Nanos, String> {
    column(name, text)?
        .checked_mul(unit_ns)
        .map(Nanos)
        .ok_or_else(|| format!("the time in the column `{name}` is beyond 584 years"))
}

/// Seconds with decimals, of which the first nine count.
pub(crate) fn seconds(name: &str, text: &[u8]) -> Result<Nanos, String> {
    let refused = || {
        format!(
            "`{}` in the column `{name}` is not a number of seconds",
            String::from_utf8_lossy(text)
        )
    };
    let point = text.iter().position(|byte| *byte == b'.');
    let (whole, decimals) = match point {
        Some(point) => (&text[..point], &text[point + 1..]),
        None => (text, &b"0"[..]),
    };
    if decimals.is_empty() || !decimals.iter().all(u8::is_ascii_digit) {
        return Err(refused());
    }
    let mut fraction = 0;
    for place in 0..9 {
        let digit = decimals.get(place).map_or(0, |byte| u64::from(byte - b'0'));
        fraction = fraction * 10 + digit;
    }
    number(whole)
        .ok_or_else(refused)?
        .checked_mul(1_000_000_000)
        .and_then(|nanos| nanos.checked_add(fraction))
        .map(Nanos)
        .ok_or_else(refused)
}
