//! What benchmark programs share: finding the program under test, saying what machine it ran on,
//! servers measured side by side, and the parts that tests run as well.
//!
//! What is not known here: what is measured.

pub mod compare;
pub mod decision;
pub mod fio;
pub mod limits;
pub mod load;
pub mod machine;
pub mod overlap;
pub mod process;
pub mod program;
pub mod server_process;
pub mod soak;
pub mod spread;

/// Why a benchmark could not be run, as a sentence with the remedy.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
/// A result, or why there is none.
pub type BenchResult<T = ()> = Result<T, Failure>;
