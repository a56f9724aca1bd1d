//! Reads what the test binaries print: what to show, what was skipped, and the sums.
//!
//! A test that cannot run for a reason outside of it prints `SKIPPED name: reason` and returns. The
//! test harness counts it as passed; here it counts as skipped. Tests run with `--show-output`, so
//! that such lines reach this program; the rest of what passing tests print is not shown.

/// The sums over all test binaries.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
    /// `name: reason`, in order.
    pub(crate) skipped: Vec<String>,
    in_successes: bool,
}

impl Report {
    /// Takes in one line of output; whether to show it.
    pub(crate) fn line(&mut self, line: &str) -> bool {
        // libtest prints the output of passing tests between this line and the next of its own.
        if line == "successes:" {
            self.in_successes = true;
        }
        if line == "failures:" || line.starts_with("test result: ") {
            self.in_successes = false;
        }
        if let Some(skipped) = line.trim_start().strip_prefix("SKIPPED ")
            && !self.skipped.iter().any(|known| known == skipped)
        {
            self.skipped.push(skipped.to_string());
        }
        if let Some(result) = line.strip_prefix("test result: ") {
            self.passed += count_before(result, " passed");
            self.failed += count_before(result, " failed");
            self.ignored += count_before(result, " ignored");
        }
        !self.in_successes
    }

    /// The closing line.
    pub(crate) fn sums(&self) -> String {
        let skipped = self.skipped.len() as u64;
        format!(
            "{} passed, {} failed, {} skipped",
            self.passed.saturating_sub(skipped),
            self.failed,
            skipped + self.ignored
        )
    }
}

/// The number in front of a word: 12 in `ok. 12 passed; 0 failed`.
fn count_before(text: &str, word: &str) -> u64 {
    let before = text.find(word).map_or("", |at| &text[..at]);
    let number = before.rsplit(|char: char| !char.is_ascii_digit()).next();
    number.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
