//! All mistakes of a document together, printed for people or as JSON for machines.
//!
//! Invariants: findings are in file order, without repetition, and at most 200: a document that is
//! wrong everywhere must not fill the memory.

use crate::document::Document;
use crate::finding::{Finding, Severity};
use crate::problem::{Problem, write_problems};
use crate::span::Location;
use std::fmt;

/// How many findings are kept.
const MAX_KEPT: usize = 200;

/// What is wrong with a document, in file order. Printed, each finding shows its line with a mark
/// and what was expected.
#[derive(Debug, Clone)]
pub struct DocumentErrors {
    document: Document,
    findings: Vec<Finding>,
}

impl DocumentErrors {
    /// `findings` in the order of the file; the first 200 of them.
    pub fn new(document: Document, mut findings: Vec<Finding>) -> DocumentErrors {
        findings.sort_by_key(Finding::span);
        findings.dedup();
        findings.truncate(MAX_KEPT);
        DocumentErrors { document, findings }
    }

    /// The errors among `findings`, or `None` when there are only warnings.
    pub fn errors_of(document: &Document, findings: &[Finding]) -> Option<DocumentErrors> {
        let is_error = |finding: &&Finding| finding.severity() == Severity::Error;
        let errors: Vec<_> = findings.iter().filter(is_error).cloned().collect();
        (!errors.is_empty()).then(|| DocumentErrors::new(document.clone(), errors))
    }

    /// The findings, in file order; at least one.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The line and column of a finding, unless it concerns the file as a whole.
    pub fn location(&self, finding: &Finding) -> Option<Location> {
        finding.span().map(|span| self.document.locate(span))
    }

    /// The findings with their lines, in file order.
    pub fn problems(&self) -> impl ExactSizeIterator<Item = Problem> {
        self.findings
            .iter()
            .map(|finding| self.document.problem(finding))
    }

    /// These and `others`, which have to be about the same file, in file order.
    pub fn and(self, others: DocumentErrors) -> DocumentErrors {
        let findings = self.findings.into_iter().chain(others.findings).collect();
        DocumentErrors::new(self.document, findings)
    }

    /// For machines: `[{"severity", "file", "line", "column", "message", "help"}]`.
    pub fn to_json(&self) -> serde_json::Value {
        let one = |finding: &Finding| {
            let mut value = self.document.finding_json(finding);
            value["file"] = self.document.file().into();
            value
        };
        self.findings.iter().map(one).collect()
    }
}

impl fmt::Display for DocumentErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_problems(f, self.problems())
    }
}

impl std::error::Error for DocumentErrors {}
