//! What an experiment found: measured values held against expected ones, figures, tables, notes.
//!
//! Invariant: the verdict is computed from the checks. A check without a bound does not hold, and
//! neither does one whose value could not be measured.

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
enum Bound {
    /// The expected value, give or take a fraction of it.
    Relative {
        expected: f64,
        tolerance: f64,
    },
    /// The expected value, give or take that much.
    Absolute {
        expected: f64,
        tolerance: f64,
    },
    AtLeast(f64),
    AtMost(f64),
    /// From, to.
    Between(f64, f64),
}

/// A measured value and what it is held to.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    key: String,
    what: String,
    measured: f64,
    bound: Bound,
    unit: &'static str,
    decisive: bool,
}

impl Check {
    fn new(key: String, what: String, measured: f64) -> Check {
        Check {
            key,
            what,
            measured,
            bound: Bound::AtLeast(f64::NAN),
            unit: "",
            decisive: false,
        }
    }

    fn hold_to(&mut self, bound: Bound, unit: &'static str) -> &mut Check {
        self.bound = bound;
        self.unit = unit;
        self
    }

    /// It is to be that or more; the unit is empty for ratios.
    pub(crate) fn at_least(&mut self, least: f64, unit: &'static str) -> &mut Check {
        self.hold_to(Bound::AtLeast(least), unit)
    }

    /// It is to be that or less.
    pub(crate) fn at_most(&mut self, most: f64, unit: &'static str) -> &mut Check {
        self.hold_to(Bound::AtMost(most), unit)
    }

    /// It is to lie there.
    pub(crate) fn between(&mut self, from: f64, to: f64, unit: &'static str) -> &mut Check {
        self.hold_to(Bound::Between(from, to), unit)
    }

    /// It is to be as expected, give or take that fraction of it.
    pub(crate) fn near(&mut self, expected: f64, tolerance: f64, unit: &'static str) -> &mut Check {
        let bound = Bound::Relative {
            expected,
            tolerance,
        };
        self.hold_to(bound, unit)
    }

    /// It is to be as expected, give or take that much.
    pub(crate) fn within(
        &mut self,
        expected: f64,
        tolerance: f64,
        unit: &'static str,
    ) -> &mut Check {
        let bound = Bound::Absolute {
            expected,
            tolerance,
        };
        self.hold_to(bound, unit)
    }

    /// The claim stands and falls with it.
    pub(crate) fn decisive(&mut self) -> &mut Check {
        self.decisive_if(true)
    }

    /// The claim stands and falls with it, if so.
    pub(crate) fn decisive_if(&mut self, decisive: bool) -> &mut Check {
        self.decisive = decisive;
        self
    }

    /// Its name in the report, as in `iops_n16`.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What was measured, in words.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What was measured.
    pub fn measured(&self) -> f64 {
        self.measured
    }

    /// The unit; empty for ratios.
    pub fn unit(&self) -> &'static str {
        self.unit
    }

    /// Whether the claim stands and falls with it.
    pub fn is_decisive(&self) -> bool {
        self.decisive
    }

    /// Whether it holds.
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

    /// How far off it may be, if it may be off at all.
    fn tolerance(&self) -> Option<String> {
        match self.bound {
            Bound::Relative { tolerance, .. } => Some(format!("± {} %", number(tolerance * 100.0))),
            Bound::Absolute { tolerance, .. } => Some(format!("± {}", self.with_unit(tolerance))),
            Bound::AtLeast(_) | Bound::AtMost(_) | Bound::Between(..) => None,
        }
    }

    /// How far off it may be, for people.
    pub fn tolerance_text(&self) -> String {
        self.tolerance().unwrap_or_else(|| "none".to_owned())
    }

    /// What failed, for a verdict's reason.
    fn failure(&self) -> String {
        let tolerance = self.tolerance().map(|text| format!(" {text}"));
        format!(
            "{}: {}, expected {}{}{}",
            self.what,
            self.measured_text(),
            self.expected_text(),
            tolerance.unwrap_or_default(),
            if self.decisive { " (decisive)" } else { "" },
        )
    }
}

/// What an experiment found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Finding {
    set_up: String,
    checks: Vec<Check>,
    figures: Vec<Figure>,
    tables: Vec<Table>,
    notes: Vec<String>,
}

impl Finding {
    /// A finding without results yet; the set-up says how it was measured: disk, streams, times.
    pub(crate) fn new(set_up: impl Into<String>) -> Finding {
        Finding {
            set_up: set_up.into(),
            ..Finding::default()
        }
    }

    /// Adds a check of a measured value, which has yet to be told what it is held to.
    pub(crate) fn check(
        &mut self,
        key: impl Into<String>,
        what: impl Into<String>,
        measured: f64,
    ) -> &mut Check {
        let check = Check::new(key.into(), what.into(), measured);
        self.checks.push(check);
        let last = self.checks.len() - 1;
        &mut self.checks[last]
    }

    /// Adds a picture.
    pub(crate) fn figure(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    /// Adds a table.
    pub(crate) fn table(&mut self, table: Table) {
        self.tables.push(table);
    }

    /// Adds a note: what differs from the paper or is not known of it, and what the figures mean.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Says where it was measured, before the rest of the set-up.
    pub(crate) fn measured_on(&mut self, disk: &str) {
        self.set_up = format!("{disk} {}", self.set_up);
    }

    /// How it was measured.
    pub fn set_up(&self) -> &str {
        &self.set_up
    }

    /// What was held against what.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// The pictures.
    pub fn figures(&self) -> &[Figure] {
        &self.figures
    }

    /// The tables.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// The notes.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The verdict: all checks hold; or the decisive ones and some others do; or not.
    pub fn verdict(&self) -> Verdict {
        let failed = self.checks.iter().filter(|check| !check.holds());
        let decisive = failed.clone().any(|check| check.decisive);
        match failed.count() {
            // Without a check nothing is shown.
            _ if self.checks.is_empty() => Verdict::NotReproduced,
            0 => Verdict::Reproduced,
            all if decisive || all == self.checks.len() => Verdict::NotReproduced,
            _ => Verdict::Partly,
        }
    }

    /// Why the verdict is what it is.
    pub fn reason(&self) -> String {
        let failed = self.checks.iter().filter(|check| !check.holds());
        let failed: Vec<String> = failed.map(Check::failure).collect();
        match (self.checks.len(), failed.len()) {
            (0, _) => "nothing was measured that could be held against the claim".to_owned(),
            (1, 0) => "the check holds".to_owned(),
            (all, 0) => format!("all {all} checks hold"),
            (all, some) => format!("{some} of {all} checks fail: {}", failed.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests;
