//! The version of a program, as a label records it and as messages name it.

use std::fmt;

/// The version of the program that wrote a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ProgramVersion {
    /// Major, minor, patch.
    numbers: [u16; 3],
}

impl ProgramVersion {
    pub(crate) fn new(numbers: [u16; 3]) -> ProgramVersion {
        ProgramVersion { numbers }
    }

    /// Major, minor, patch.
    pub fn numbers(&self) -> [u16; 3] {
        self.numbers
    }

    /// This program's.
    pub(crate) fn this() -> ProgramVersion {
        let number = |text: &str| text.parse().unwrap_or(0);
        ProgramVersion {
            numbers: [
                number(env!("CARGO_PKG_VERSION_MAJOR")),
                number(env!("CARGO_PKG_VERSION_MINOR")),
                number(env!("CARGO_PKG_VERSION_PATCH")),
            ],
        }
    }
}

impl fmt::Display for ProgramVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}")
    }
}
