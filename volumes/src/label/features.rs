//! Feature bits: what a disk uses that not every program understands.
//!
//! An incompatible bit means that a program without the feature would read wrong data or destroy
//! some: it has to refuse the disk. A compatible bit is kept by a program that does not know it.

pub use crate::program_version::ProgramVersion;

/// A feature that has a bit.
struct Feature {
    bit: u32,
    name: &'static str,
}

/// Incompatible bits that have a name. A bit gets its entry when it is reserved, which is before a
/// program writes it, so that programs in between can name it.
const INCOMPATIBLE: [Feature; 1] = [Feature {
    bit: 0,
    name: "history",
}];

/// The newest data of vdisks lies in a log.
const HISTORY: u64 = 1;

/// Incompatible bits that this program understands.
const SUPPORTED_INCOMPATIBLE: u64 = HISTORY;

/// The feature bits of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Features {
    incompatible: u64,
    compatible: u64,
}

impl Features {
    pub(super) fn new(incompatible: u64, compatible: u64) -> Features {
        Features {
            incompatible,
            compatible,
        }
    }

    /// A program has to know all of these.
    pub fn incompatible(&self) -> u64 {
        self.incompatible
    }

    /// A program keeps those that it does not know.
    pub fn compatible(&self) -> u64 {
        self.compatible
    }

    /// Whether the newest data of some vdisk lies in a log.
    pub(super) fn has_history(&self) -> bool {
        self.incompatible & HISTORY != 0
    }

    /// The same, saying so or not.
    pub(super) fn with_history(self, has_history: bool) -> Features {
        let incompatible = match has_history {
            true => self.incompatible | HISTORY,
            false => self.incompatible & !HISTORY,
        };
        Features {
            incompatible,
            ..self
        }
    }

    /// The incompatible bits that this program does not understand.
    pub(super) fn unsupported(&self) -> u64 {
        self.incompatible & !SUPPORTED_INCOMPATIBLE
    }
}

/// Names incompatible bits for people.
pub(super) fn names(bits: u64) -> String {
    let set = (0..u64::BITS).filter(|bit| bits & (1 << bit) != 0);
    let name = |bit: u32| {
        let known = INCOMPATIBLE.iter().find(|feature| feature.bit == bit);
        match known {
            Some(feature) => format!("the feature `{}`", feature.name),
            None => format!("feature bit {bit}"),
        }
    };
    set.map(name).collect::<Vec<_>>().join(" and ")
}
