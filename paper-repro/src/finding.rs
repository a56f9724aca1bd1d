//! What an experiment found: measured values held against expected ones, figures, tables, notes.
//! The verdict is computed from the checks; nobody writes it down.

use disktime_lab::figure::Figure;
use disktime_lab::{Table, number, with_unit};

/// Whether a claim came out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every check holds.
    Reproduced,
    /// The decisive checks hold, others do not.
    Partly,
    /// A decisive check fails, or every check does.
    NotReproduced,
}

impl Verdict {
    /// As in the report.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Reproduced => "reproduced",
            Verdict::Partly => "partly",
            Verdict::NotReproduced => "not reproduced",
        }
    }
}

/// What a measured value is held to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// As much, give or take that fraction of it.
    Relative {
        /// What is expected.
        expected: f64,
        /// Fraction of it.
        tolerance: f64,
    },
    /// As much, give or take that much.
    Absolute {
        /// What is expected.
        expected: f64,
        /// In the value's unit.
        tolerance: f64,
    },
    /// That or more.
    AtLeast(f64),
    /// That or less.
    AtMost(f64),
    /// From, to.
    Between(f64, f64),
}

/// A measured value and what it is held to.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// Its name in the report: `iops_n16`.
    pub key: String,
    /// What was measured, in words.
    pub what: String,
    /// What was measured.
    pub measured: f64,
    /// What it is held to.
    pub bound: Bound,
    /// The unit of both; empty for ratios.
    pub unit: &'static str,
    /// Whether the claim stands and falls with it.
    pub decisive: bool,
}

impl Check {
    /// A check that is one of several.
    pub fn new(
        key: impl Into<String>,
        what: impl Into<String>,
        measured: f64,
        bound: Bound,
        unit: &'static str,
    ) -> Check {
        Check {
            key: key.into(),
            what: what.into(),
            measured,
            bound,
            unit,
            decisive: false,
        }
    }

    /// The claim stands and falls with it.
    #[must_use]
    pub fn decisive(mut self) -> Check {
        self.decisive = true;
        self
    }

    /// Whether it holds. What could not be measured (not a number) does not.
    pub fn holds(&self) -> bool {
        let value = self.measured;
        match self.bound {
            Bound::Relative {
                expected,
                tolerance,
            } => (value - expected).abs() <= tolerance * expected.abs(),
            Bound::Absolute {
                expected,
                tolerance,
            } => (value - expected).abs() <= tolerance,
            Bound::AtLeast(least) => value >= least,
            Bound::AtMost(most) => value <= most,
            Bound::Between(from, to) => value >= from && value <= to,
        }
    }

    fn with_unit(&self, value: f64) -> String {
        with_unit(value, self.unit)
    }

    /// What is expected, for people.
    pub fn expected_text(&self) -> String {
        match self.bound {
            Bound::Relative { expected, .. } | Bound::Absolute { expected, .. } => {
                self.with_unit(expected)
            }
            Bound::AtLeast(least) => format!("at least {}", self.with_unit(least)),
            Bound::AtMost(most) => format!("at most {}", self.with_unit(most)),
            Bound::Between(from, to) => {
                format!("{} to {}", number(from), self.with_unit(to))
            }
        }
    }

    /// What was measured, for people.
    pub fn measured_text(&self) -> String {
        self.with_unit(self.measured)
    }

    /// How far off it may be, for people.
    pub fn tolerance_text(&self) -> String {
        match self.bound {
            Bound::Relative { tolerance, .. } => format!("± {} %", number(tolerance * 100.0)),
            Bound::Absolute { tolerance, .. } => format!("± {}", self.with_unit(tolerance)),
            Bound::AtLeast(_) | Bound::AtMost(_) | Bound::Between(..) => "none".to_owned(),
        }
    }
}

/// What an experiment found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Finding {
    /// How it was measured: disk, streams, times.
    pub set_up: String,
    /// What was held against what.
    pub checks: Vec<Check>,
    /// The pictures.
    pub figures: Vec<Figure>,
    /// The tables.
    pub tables: Vec<Table>,
    /// What differs from the paper or is not known of it, and what the figures mean.
    pub notes: Vec<String>,
}

impl Finding {
    /// A finding without results yet.
    pub fn new(set_up: impl Into<String>) -> Finding {
        Finding {
            set_up: set_up.into(),
            ..Finding::default()
        }
    }

    /// Adds a check.
    pub fn check(&mut self, check: Check) {
        self.checks.push(check);
    }

    /// Adds a note.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// The verdict: all checks hold; or the decisive ones and some others do; or not.
    pub fn verdict(&self) -> Verdict {
        let failed = self.checks.iter().filter(|check| !check.holds());
        let decisive = failed.clone().any(|check| check.decisive);
        match failed.count() {
            // Nothing was held against anything: nothing is shown.
            _ if self.checks.is_empty() => Verdict::NotReproduced,
            0 => Verdict::Reproduced,
            all if decisive || all == self.checks.len() => Verdict::NotReproduced,
            _ => Verdict::Partly,
        }
    }

    /// Why the verdict is what it is.
    pub fn reason(&self) -> String {
        if self.checks.is_empty() {
            return "nothing was measured that could be held against the claim".to_owned();
        }
        let failed: Vec<String> = self
            .checks
            .iter()
            .filter(|check| !check.holds())
            .map(|check| {
                let decisive = if check.decisive { " (decisive)" } else { "" };
                let tolerance = match check.bound {
                    Bound::Relative { .. } | Bound::Absolute { .. } => {
                        format!(" {}", check.tolerance_text())
                    }
                    _ => String::new(),
                };
                format!(
                    "{}: {}, expected {}{tolerance}{decisive}",
                    check.what,
                    check.measured_text(),
                    check.expected_text(),
                )
            })
            .collect();
        if failed.is_empty() {
            return match self.checks.len() {
                1 => "the check holds".to_owned(),
                count => format!("all {count} checks hold"),
            };
        }
        format!(
            "{} of {} checks fail: {}",
            failed.len(),
            self.checks.len(),
            failed.join("; ")
        )
    }
}

#[cfg(test)]
mod tests;
