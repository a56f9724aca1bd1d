//! What benchmark programs share: finding the program under test, saying what machine it ran on, and
//! servers measured side by side.
//!
//! What is not known here: what is measured.

pub mod child;
pub mod compare;
pub mod decision;
pub mod fio;
pub mod limits;
pub mod machine;
pub mod process;
pub mod program;
pub mod soak;
pub mod spread;

/// Why a benchmark could not be run, as a sentence with the remedy.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
/// A result, or why there is none.
pub type BenchResult<T = ()> = Result<T, Failure>;
