//! Reads what the test binaries print: what to show, what was skipped, and the sums.
//!
//! A test that cannot run for a reason that is not its fault prints `SKIPPED name: reason` and returns. The
//! test harness counts it as passed; here it counts as skipped. Tests run with `--show-output`, so that
//! such lines are seen; the rest of what passing tests print is kept from the screen.

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
mod tests {
    use super::*;

    const OUTPUT: &str = "\
running 3 tests
test alone ... ok
test needs_data ... ok
test wrong ... FAILED

successes:

---- needs_data stdout ----
SKIPPED needs_data: ../shared/data is not there
noise

successes:
    alone
    needs_data

failures:

---- wrong stdout ----
assertion failed

failures:
    wrong

test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s

running 1 test
test other ... ignored

test result: ok. 0 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    #[test]
    fn sums_are_over_all_binaries_and_skipped_tests_are_no_passed_ones() {
        let mut report = Report::default();
        let shown: Vec<&str> = OUTPUT.lines().filter(|line| report.line(line)).collect();
        assert_eq!(report.sums(), "1 passed, 1 failed, 2 skipped");
        assert_eq!(report.skipped, ["needs_data: ../shared/data is not there"]);
        assert!(
            !shown.contains(&"noise"),
            "what passing tests print stays away"
        );
        assert!(shown.contains(&"assertion failed"));
        assert!(shown.contains(&"test other ... ignored"));
        assert_eq!(
            shown
                .iter()
                .filter(|line| line.starts_with("test result: "))
                .count(),
            2
        );
    }

    #[test]
    fn no_output_gives_zeroes() {
        assert_eq!(Report::default().sums(), "0 passed, 0 failed, 0 skipped");
    }
}
