//! What a generated client asks for next, without its time: blocks, files, or a mix.
//!
//! **Files** are those of the benchmarks SPECweb96 and SPECweb99 (static part): every directory has
//! 36 files, nine in each of four classes. Class c has files of i × 100 × 10^c bytes for i = 1 to 9 (to
//! 0.9, 9, 90, 900 KB), about 5 MB in all; 35, 50, 14 and 1 % of the requests go to the classes,
//! and directories are chosen by Zipf's law with θ = 1. Our assembly, not theirs: within a class the
//! files are equally popular; a file starts at a multiple of 4 KiB, is rounded up to one, and is asked
//! for in one request; popular directories lie scattered over the range.
//!
//! Invariants: every request lies in the client's range; places do not depend on the share of
//! reads; nothing is allocated after the start. What is not known here: time.

use crate::WorkloadError;
use crate::generated::{Blocks, FILE_GRAIN_BYTES, Files, MixPart, Requests};
use crate::places::{Places, Popular};
use disktime_engine::RequestKind;
use disktime_random::Random;
use disktime_units::{Share, format_size};

/// A request without its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub kind: RequestKind,
    pub offset_bytes: u64,
    pub len_bytes: u64,
    pub fua: bool,
}

/// Chooses one request after the other.
#[derive(Debug)]
pub(crate) enum Chooser {
    Blocks(BlockChooser),
    Files(Box<FileChooser>),
    Mix(MixChooser),
}

impl Chooser {
    /// A chooser of requests within `base_bytes .. base_bytes + range_bytes`. `label` is the
    /// client's name, from which its random numbers come.
    ///
    /// # Errors
    /// If the range does not have the room.
    pub(crate) fn new(
        requests: &Requests,
        base_bytes: u64,
        range_bytes: u64,
        seed: u64,
        label: &str,
    ) -> Result<Chooser, WorkloadError> {
        // Two sequences, so that changing the share of reads does not change the places.
        let places = Random::labelled(seed, label);
        let directions = Random::labelled(seed, &format!("{label} directions"));
        match requests {
            Requests::Blocks(blocks) => {
                let count = range_bytes / blocks.block_bytes.max(1);
                if count == 0 {
                    return Err(WorkloadError::new(format!(
                        "client `{label}` asks for blocks of {}, but the range that it uses has {} only",
                        format_size(blocks.block_bytes),
                        format_size(range_bytes)
                    )));
                }
                Ok(Chooser::Blocks(BlockChooser {
                    base_bytes,
                    places: Places::new(blocks.pattern, count, places),
                    directions: Directions(blocks.read, directions),
                    blocks: *blocks,
                }))
            }
            Requests::Files(files) => {
                FileChooser::new(files, base_bytes, range_bytes, label, places, directions)
                    .map(|files| Chooser::Files(Box::new(files)))
            }
            Requests::Mix(parts) => {
                MixChooser::new(parts, base_bytes, range_bytes, seed, label).map(Chooser::Mix)
            }
        }
    }

    #[inline]
    pub(crate) fn next(&mut self) -> Wanted {
        match self {
            Chooser::Blocks(blocks) => blocks.next(),
            Chooser::Files(files) => files.next(),
            Chooser::Mix(mix) => mix.next(),
        }
    }
}

/// Draws reads and writes.
#[derive(Debug)]
struct Directions(Share, Random);

impl Directions {
    #[inline]
    fn next(&mut self) -> RequestKind {
        let read = match self.0 {
            Share::WHOLE => true,
            Share(0) => false,
            Share(ppm) => self.1.below(1_000_000) < u64::from(ppm),
        };
        if read {
            RequestKind::Read
        } else {
            RequestKind::Write
        }
    }
}

#[derive(Debug)]
pub(crate) struct BlockChooser {
    base_bytes: u64,
    blocks: Blocks,
    places: Places,
    directions: Directions,
}

impl BlockChooser {
    #[inline]
    fn next(&mut self) -> Wanted {
        let kind = self.directions.next();
        Wanted {
            kind,
            offset_bytes: self.base_bytes + self.places.next_block() * self.blocks.block_bytes,
            len_bytes: self.blocks.block_bytes,
            fua: self.blocks.fua && kind == RequestKind::Write,
        }
    }
}

/// The smallest file of each class.
const CLASS_UNITS: [u64; 4] = [100, 1_000, 10_000, 100_000];
/// How many of a hundred requests go to each class.
const CLASS_SHARES: [u64; 4] = [35, 50, 14, 1];
/// Files of a class, the i-th of i units.
const FILES_IN_CLASS: u64 = 9;

fn file_bytes(class: usize, file: u64) -> u64 {
    (CLASS_UNITS[class] * file).next_multiple_of(FILE_GRAIN_BYTES)
}

#[derive(Debug)]
pub(crate) struct FileChooser {
    base_bytes: u64,
    directory_bytes: u64,
    /// Where each file starts in its directory, by class.
    starts: [[u64; FILES_IN_CLASS as usize]; 4],
    directories: Popular,
    places: Random,
    directions: Directions,
}

impl FileChooser {
    fn new(
        files: &Files,
        base_bytes: u64,
        range_bytes: u64,
        label: &str,
        places: Random,
        directions: Random,
    ) -> Result<FileChooser, WorkloadError> {
        let mut starts = [[0; FILES_IN_CLASS as usize]; 4];
        let mut directory_bytes = 0;
        for (class, starts) in starts.iter_mut().enumerate() {
            for (file, start) in (1..).zip(starts) {
                *start = directory_bytes;
                directory_bytes += file_bytes(class, file);
            }
        }
        let count = range_bytes / directory_bytes;
        if count == 0 {
            return Err(WorkloadError::new(format!(
                "client `{label}` is a web server whose directories have {} each, but the range \
                 that it uses has {} only",
                format_size(directory_bytes),
                format_size(range_bytes)
            )));
        }
        Ok(FileChooser {
            base_bytes,
            directory_bytes,
            starts,
            directories: Popular::new(count, files.directories),
            places,
            directions: Directions(files.read, directions),
        })
    }

    fn next(&mut self) -> Wanted {
        let directory = self.directories.draw(&mut self.places);
        let mut drawn = self.places.below(100);
        let mut class = 0;
        while drawn >= CLASS_SHARES[class] {
            drawn -= CLASS_SHARES[class];
            class += 1;
        }
        let file = self.places.between(1, FILES_IN_CLASS);
        Wanted {
            kind: self.directions.next(),
            offset_bytes: self.base_bytes
                + directory * self.directory_bytes
                + self.starts[class][file as usize - 1],
            len_bytes: file_bytes(class, file),
            fua: false,
        }
    }
}

#[derive(Debug)]
pub(crate) struct MixChooser {
    /// The weights of the parts up to each, added up.
    until: Vec<u64>,
    whole: u64,
    parts: Vec<Chooser>,
    turns: Random,
}

impl MixChooser {
    fn new(
        parts: &[MixPart],
        base_bytes: u64,
        range_bytes: u64,
        seed: u64,
        label: &str,
    ) -> Result<MixChooser, WorkloadError> {
        let mut mix = MixChooser {
            until: Vec::with_capacity(parts.len()),
            whole: 0,
            parts: Vec::with_capacity(parts.len()),
            turns: Random::labelled(seed, &format!("{label} mix")),
        };
        for (number, part) in (1..).zip(parts) {
            let left = range_bytes.saturating_sub(part.offset_bytes);
            let span = part.span_bytes.unwrap_or(left);
            if span == 0 || span > left {
                return Err(WorkloadError::new(format!(
                    "part {number} of the mix of client `{label}` goes beyond the end of the \
                     client's range, which has {}; its `offset` + `span` may be that at most",
                    format_size(range_bytes)
                )));
            }
            mix.whole += u64::from(part.weight.get());
            mix.until.push(mix.whole);
            mix.parts.push(Chooser::new(
                &part.requests,
                base_bytes + part.offset_bytes,
                span,
                seed,
                &format!("{label} part {number}"),
            )?);
        }
        if mix.parts.is_empty() {
            return Err(WorkloadError::new(format!(
                "the mix of client `{label}` has no part; give it one at least"
            )));
        }
        Ok(mix)
    }

    fn next(&mut self) -> Wanted {
        let drawn = self.turns.below(self.whole);
        let part = self.until.partition_point(|until| *until <= drawn);
        self.parts[part].next()
    }
}

#[cfg(test)]
mod tests;
