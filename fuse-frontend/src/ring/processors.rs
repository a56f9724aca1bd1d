//! The number of possible processors: the kernel requires a queue for each.

use std::fs;
use std::io;

/// How many processors this machine can have while it runs.
pub(super) fn count() -> io::Result<usize> {
    let list = fs::read_to_string("/sys/devices/system/cpu/possible")?;
    count_in(&list).ok_or_else(|| {
        io::Error::other(format!(
            "expected a list of processors as in 0-3,8, found {list:?}"
        ))
    })
}

/// The number of processors in a list as `0-3,8`.
fn count_in(list: &str) -> Option<usize> {
    let ranges = list.trim().split(',').map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.parse::<u16>().ok()?, last.parse::<u16>().ok()?);
        Some(usize::from(last.checked_sub(first)?) + 1)
    });
    ranges.sum()
}

#[cfg(test)]
mod tests;
