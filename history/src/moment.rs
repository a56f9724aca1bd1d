//! How people write a moment: a time, how long ago, a mark, a seq.
//!
//! Invariant: a text has one meaning; what is a name of a mark is none of the other forms, because
//! a name begins with a letter or `_` and holds neither `:` nor `#`.
//!
//! What is not known here: which moments there are.

use crate::format::{MARK_NAME_BYTES_MAX, Seq};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moment {
    /// The newest content at this time, in nanoseconds since 1970.
    Time(u64),
    /// The newest content so many nanoseconds ago.
    Ago(u64),
    /// The content after this entry.
    Seq(Seq),
    /// The content that has this name.
    Mark(String),
}

/// Why a text is no moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MomentError {
    /// None of the forms.
    #[error(
        "`{0}` is not a moment; write a time (2026-11-30T06:00:00Z), how long ago (-5m), the name \
         of a mark, or seq:N"
    )]
    Form(String),
    /// A name that a mark cannot have.
    #[error(
        "`{0}` cannot name a mark: a mark cannot look like any other form of a moment; use 1 to \
         128 letters, digits, `.`, `_` and `-`, of which the first is a letter or `_`"
    )]
    Name(String),
}

const NS_PER_S: u64 = 1_000_000_000;
/// Units of durations, in nanoseconds.
const UNITS: [(&str, u64); 5] = [
    ("ms", NS_PER_S / 1000),
    ("s", NS_PER_S),
    ("m", 60 * NS_PER_S),
    ("h", 3600 * NS_PER_S),
    ("d", 86_400 * NS_PER_S),
];

impl Moment {
    /// Reads one of the forms.
    ///
    /// # Errors
    /// A sentence that shows the forms.
    pub fn parse(text: &str) -> Result<Moment, MomentError> {
        let refused = || MomentError::Form(text.to_string());
        let seq = text.strip_prefix("seq:").or_else(|| text.strip_prefix('#'));
        if let Some(digits) = seq {
            return number(digits).map(Moment::Seq).ok_or_else(refused);
        }
        if let Some(ago) = text.strip_prefix('-') {
            return duration_ns(ago).map(Moment::Ago).ok_or_else(refused);
        }
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| refused())?;
            let since_1970 = u64::try_from(time.unix_timestamp_nanos());
            return since_1970.map(Moment::Time).map_err(|_| refused());
        }
        check_mark_name(text).map_err(|_| refused())?;
        Ok(Moment::Mark(text.to_string()))
    }
}

/// Whether a mark can have this name.
///
/// # Errors
/// A sentence that says which names can.
pub fn check_mark_name(name: &str) -> Result<(), MomentError> {
    let begins = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if begins && name.len() <= MARK_NAME_BYTES_MAX && name.chars().all(is_allowed) {
        Ok(())
    } else {
        Err(MomentError::Name(name.to_string()))
    }
}

/// Digits alone: no sign, no blank.
fn number(digits: &str) -> Option<u64> {
    let is_plain = digits.chars().all(|digit| digit.is_ascii_digit());
    is_plain.then(|| digits.parse().ok()).flatten()
}

/// `5m`, `1h30m`, `500ms`: numbers with units, the greater units first.
fn duration_ns(text: &str) -> Option<u64> {
    let mut sum_ns = 0_u64;
    let mut rest = text;
    let mut smaller_than = u64::MAX;
    while !rest.is_empty() {
        let (digits, behind) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let end = behind.find(|c: char| c.is_ascii_digit());
        let (unit, next) = behind.split_at(end.unwrap_or(behind.len()));
        let (_, unit_ns) = UNITS.iter().find(|(name, _)| *name == unit)?;
        if *unit_ns >= smaller_than {
            return None;
        }
        sum_ns = sum_ns.checked_add(number(digits)?.checked_mul(*unit_ns)?)?;
        (smaller_than, rest) = (*unit_ns, next);
    }
    (smaller_than != u64::MAX).then_some(sum_ns)
}

/// A time as people write it, by RFC 3339 in UTC.
pub fn time_text(since_1970_ns: u64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(since_1970_ns));
    let text = time.ok().and_then(|time| time.format(&Rfc3339).ok());
    text.unwrap_or_else(|| format!("{since_1970_ns} ns since 1970"))
}

#[cfg(test)]
mod tests;
