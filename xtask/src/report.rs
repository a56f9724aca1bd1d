//! Reads what the test binaries print: what to show, what failed, what was skipped, and the sums.
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
    /// The names of the tests that failed, in order.
    pub(crate) failures: Vec<String>,
    in_successes: bool,
    in_failures: bool,
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
            self.in_failures = line == "failures:";
        }
        // Of the two parts that begin with `failures:`, the last is a list of names alone.
        if line.starts_with("---- ") {
            self.in_failures = false;
        }
        if self.in_failures
            && let Some(name) = line.strip_prefix("    ")
        {
            self.failures.push(name.to_string());
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

    /// Those that ran and passed: the harness counts skipped tests, too.
    fn really_passed(&self) -> u64 {
        self.passed.saturating_sub(self.skipped.len() as u64)
    }

    /// What to do about skipped tests, if something can be done.
    pub(crate) fn remedy(&self) -> Option<&'static str> {
        let lacks_data = |skipped: &String| skipped.contains("../shared/data");
        self.skipped.iter().any(lacks_data).then_some(
            "docs/measured-data.md says which files belong into ../shared/data and where they \
             come from",
        )
    }
}

/// The closing line, over all runs.
pub(crate) fn sums(runs: &[Report]) -> String {
    let sum = |count: fn(&Report) -> u64| -> u64 { runs.iter().map(count).sum() };
    format!(
        "{} passed, {} failed, {} skipped",
        sum(Report::really_passed),
        sum(|run| run.failed),
        sum(|run| run.skipped.len() as u64 + run.ignored)
    )
}

/// The number in front of a word: 12 in `ok. 12 passed; 0 failed`.
fn count_before(text: &str, word: &str) -> u64 {
    let before = text.find(word).map_or("", |at| &text[..at]);
    let number = before.rsplit(|char: char| !char.is_ascii_digit()).next();
    number.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
