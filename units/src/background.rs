//! A disk's background work, by name: what the server itself reads and writes, each kind paid by a
//! stream of its own that admission counts and the status shows.
//!
//! One table ([`works`]) says everything that several rooms need to know of a kind: its name in the
//! reservation file and in reports, what it does, and what is reserved for it where the file does
//! not say. A new kind is one entry there, and its use. What is not known here: who does the work.

use crate::{Nanos, Share};

macro_rules! works {
    ($($(#[$documentation:meta])* $work:ident => $facts:expr,)+) => {
        /// A kind of background work.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum BackgroundWork {
            $($(#[$documentation])* $work,)+
        }

        impl BackgroundWork {
            /// All kinds, in the order of their streams.
            pub const ALL: &[BackgroundWork] = &[$(BackgroundWork::$work,)+];

            const fn facts(self) -> Facts {
                match self {
                    $(BackgroundWork::$work => $facts,)+
                }
            }
        }
    };
}

/// What is known of a kind.
struct Facts {
    name: &'static str,
    about: &'static str,
    default: &'static str,
    share: Share,
    period_with_seeks: Nanos,
    period_without_seeks: Nanos,
}

works! {
    /// Reads and writes labels and zero maps.
    Metadata => Facts {
        name: "metadata",
        about: "The reservation of the server's reads and writes of labels and zero maps.",
        default: "1% per 5s on disks with seeks, 1% per 2s or longer on others",
        share: Share::from_percent(1),
        // A budget of 50 ms is above the longest request (W) there, and costs little switching.
        period_with_seeks: Nanos::from_secs(5),
        // A budget of 20 ms, twice W of a device without a profile. Admission takes a longer one on
        // a disk that needs it.
        period_without_seeks: Nanos::from_secs(2),
    },
    /// Tells the disk of trims that were held.
    Trims => Facts {
        name: "trims",
        about: "The reservation of trims that were recorded as holes (`\"trim\": \"hold\"`), when the \
            disk is told of them.",
        default: "none: spare time",
        share: Share::ZERO,
        period_with_seeks: Nanos::from_secs(5),
        period_without_seeks: Nanos::from_secs(2),
    },
}

impl BackgroundWork {
    /// Its name in the reservation file and in reports.
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// What its reservation is for, as a sentence.
    pub const fn about(self) -> &'static str {
        self.facts().about
    }

    /// The default reservation, in words.
    pub const fn default_text(self) -> &'static str {
        self.facts().default
    }

    /// The share of a disk's time that is reserved for it where the file does not say; zero: it
    /// uses spare time.
    pub const fn default_share(self) -> Share {
        self.facts().share
    }

    /// The period of that reservation.
    pub const fn default_period(self, has_seeks: bool) -> Nanos {
        if has_seeks {
            self.facts().period_with_seeks
        } else {
            self.facts().period_without_seeks
        }
    }
}

/// A value for each kind of background work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ByBackgroundWork<T>([T; BackgroundWork::ALL.len()]);

impl<T> ByBackgroundWork<T> {
    /// Asks for each value, in the order of [`BackgroundWork::ALL`].
    pub fn from_fn(mut value: impl FnMut(BackgroundWork) -> T) -> ByBackgroundWork<T> {
        ByBackgroundWork(std::array::from_fn(|index| {
            value(BackgroundWork::ALL[index])
        }))
    }

    /// The value of a kind.
    pub fn get(&self, work: BackgroundWork) -> &T {
        &self.0[work as usize]
    }

    /// The kinds with their values, in the order of [`BackgroundWork::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (BackgroundWork, &T)> {
        BackgroundWork::ALL.iter().copied().zip(&self.0)
    }
}

#[cfg(test)]
mod tests;
