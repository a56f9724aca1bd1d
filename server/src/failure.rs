//! The error of a command: sentences with cause and remedy, printed on standard error.

use std::fmt;

/// Why a command failed; exit status 1.
#[derive(Debug)]
pub(crate) struct Failure(String);

/// What commands return.
pub(crate) type CommandResult<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure with this sentence.
    pub(crate) fn new(sentence: impl Into<String>) -> Failure {
        Failure(sentence.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.trim_end())
    }
}

/// The errors of the other crates are sentences; their sources are appended where they add
/// something.
impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Failure {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !text.contains(&cause_text) {
                text.push_str(": ");
                text.push_str(&cause_text);
            }
            source = cause.source();
        }
        Failure(text)
    }
}
