//! What is wrong with a workload, and where: every problem is a sentence that says what to do, with
//! the line of the file that it is about.

use disktime_documents::{DocumentErrors, Excerpt, Problem, Severity, write_problems};
use std::fmt;
use thiserror::Error;

/// A workload that cannot be read or run. Printed, each problem shows its line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct WorkloadError {
    problems: Vec<Problem>,
}

impl WorkloadError {
    /// A problem that is not about a file.
    pub(crate) fn new(message: impl Into<String>) -> WorkloadError {
        WorkloadError::at(None, message)
    }

    pub(crate) fn at(place: Option<&Excerpt>, message: impl Into<String>) -> WorkloadError {
        let problem = Problem {
            severity: Severity::Error,
            message: message.into(),
            help: None,
            excerpt: place.cloned(),
        };
        WorkloadError {
            problems: vec![problem],
        }
    }

    /// The same with what to do.
    pub(crate) fn help(mut self, help: impl Into<String>) -> WorkloadError {
        if let Some(problem) = self.problems.last_mut() {
            problem.help = Some(help.into());
        }
        self
    }

    /// The same with a place, where none is known yet.
    pub(crate) fn or_at(mut self, place: Option<&Excerpt>) -> WorkloadError {
        for problem in &mut self.problems {
            problem.excerpt = problem.excerpt.take().or_else(|| place.cloned());
        }
        self
    }

    /// The same with the name of the client that failed before each message.
    pub(crate) fn of_client(mut self, client: &str) -> WorkloadError {
        for problem in &mut self.problems {
            problem.message = format!("client `{client}`: {}", problem.message);
        }
        self
    }

    /// What is wrong, at least one thing; in the order of the file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl From<DocumentErrors> for WorkloadError {
    fn from(errors: DocumentErrors) -> WorkloadError {
        WorkloadError {
            problems: errors.problems().collect(),
        }
    }
}

impl fmt::Display for WorkloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_problems(f, self.problems.iter().cloned())
    }
}
