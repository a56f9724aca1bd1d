//! The requests of a generated client without their times: blocks, files, or a mix.
//!
//! **Files** are those of the benchmarks SPECweb96 and SPECweb99 (static part): every directory has
//! 36 files, nine in each of four classes. Class c has files of i × 100 × 10^c bytes for i = 1 to 9
//! (to 0.9, 9, 90, 900 KB), about 5 MB in all; 35, 50, 14 and 1 % of the requests go to the
//! classes, and directories are chosen by Zipf's law with θ = 1. These are disktime's choices, not
//! SPEC's: within a class the files are equally popular; a file starts at a multiple of 4 KiB, is
//! rounded up to one, and is read in one request; popular directories are scattered over the range.
//!
//! Invariants: every request is inside the client's range; positions do not depend on the share of
//! reads; nothing is allocated after the start. What is not known here: time.

use crate::WorkloadError;
use crate::generated::{Blocks, FILE_GRAIN_BYTES, Files, MixPart, Requests};
use crate::positions::{PopularitySampler, PositionGenerator};
use disktime_engine::RequestKind;
use disktime_random::Random;
use disktime_units::{Share, format_size};

/// A request without its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestSpec {
    pub kind: RequestKind,
    pub offset_bytes: u64,
    pub len_bytes: u64,
    pub fua: bool,
}

/// Generates one request after the other.
#[derive(Debug)]
pub(crate) enum RequestGenerator {
    Blocks(BlockGenerator),
    Files(Box<FileGenerator>),
    Mix(MixGenerator),
}

impl RequestGenerator {
    /// A generator of requests within `base_bytes .. base_bytes + range_bytes`. `label` is the
    /// client's name, which with the seed determines its random numbers.
    ///
    /// # Errors
    /// If the range is too small.
    pub(crate) fn new(
        requests: &Requests,
        base_bytes: u64,
        range_bytes: u64,
        seed: u64,
        label: &str,
    ) -> Result<RequestGenerator, WorkloadError> {
        // Two sequences, so that changing the share of reads does not change the positions.
        let positions = Random::labelled(seed, label);
        let directions = Random::labelled(seed, &format!("{label} directions"));
        match requests {
            Requests::Blocks(blocks) => {
                let count = range_bytes / blocks.block_bytes.max(1);
                if count == 0 {
                    return Err(WorkloadError::new(format!(
                        "client `{label}` uses blocks of {}, but its range has only {}; use a \
                            smaller `block` or a larger `span`",
                        format_size(blocks.block_bytes),
                        format_size(range_bytes)
                    )));
                }
                Ok(RequestGenerator::Blocks(BlockGenerator {
                    base_bytes,
                    positions: PositionGenerator::new(blocks.pattern, count, positions),
                    directions: DirectionSampler(blocks.read, directions),
                    blocks: *blocks,
                }))
            }
            Requests::Files(files) => {
                FileGenerator::new(files, base_bytes, range_bytes, label, positions, directions)
                    .map(|files| RequestGenerator::Files(Box::new(files)))
            }
            Requests::Mix(parts) => MixGenerator::new(parts, base_bytes, range_bytes, seed, label)
                .map(RequestGenerator::Mix),
        }
    }

    #[inline]
    pub(crate) fn next(&mut self) -> RequestSpec {
        match self {
            RequestGenerator::Blocks(blocks) => blocks.next(),
            RequestGenerator::Files(files) => files.next(),
            RequestGenerator::Mix(mix) => mix.next(),
        }
    }
}

/// Draws reads and writes.
#[derive(Debug)]
struct DirectionSampler(Share, Random);

impl DirectionSampler {
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
pub(crate) struct BlockGenerator {
    base_bytes: u64,
    blocks: Blocks,
    positions: PositionGenerator,
    directions: DirectionSampler,
}

impl BlockGenerator {
    #[inline]
    fn next(&mut self) -> RequestSpec {
        let kind = self.directions.next();
        RequestSpec {
            kind,
            offset_bytes: self.base_bytes + self.positions.next_block() * self.blocks.block_bytes,
            len_bytes: self.blocks.block_bytes,
            fua: self.blocks.fua && kind == RequestKind::Write,
        }
    }
}

/// The smallest file of each class.
const CLASS_UNITS: [u64; 4] = [100, 1_000, 10_000, 100_000];
/// The share of requests for each class, in per cent.
const CLASS_SHARES: [u64; 4] = [35, 50, 14, 1];
/// Files of a class, the i-th of i units.
const FILES_IN_CLASS: u64 = 9;

fn file_bytes(class: usize, file: u64) -> u64 {
    (CLASS_UNITS[class] * file).next_multiple_of(FILE_GRAIN_BYTES)
}

#[derive(Debug)]
pub(crate) struct FileGenerator {
    base_bytes: u64,
    directory_bytes: u64,
    /// The start of each file in its directory, by class.
    starts: [[u64; FILES_IN_CLASS as usize]; 4],
    directories: PopularitySampler,
    positions: Random,
    directions: DirectionSampler,
}

impl FileGenerator {
    fn new(
        files: &Files,
        base_bytes: u64,
        range_bytes: u64,
        label: &str,
        positions: Random,
        directions: Random,
    ) -> Result<FileGenerator, WorkloadError> {
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
                "client `{label}` is a web server whose directories need {} each, but its range \
                    has \
                 only {}; use a larger `span`",
                format_size(directory_bytes),
                format_size(range_bytes)
            )));
        }
        Ok(FileGenerator {
            base_bytes,
            directory_bytes,
            starts,
            directories: PopularitySampler::new(count, files.directories),
            positions,
            directions: DirectionSampler(files.read, directions),
        })
    }

    fn next(&mut self) -> RequestSpec {
        let directory = self.directories.draw(&mut self.positions);
        let mut drawn = self.positions.below(100);
        let mut class = 0;
        while drawn >= CLASS_SHARES[class] {
            drawn -= CLASS_SHARES[class];
            class += 1;
        }
        let file = self.positions.between(1, FILES_IN_CLASS);
        RequestSpec {
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
pub(crate) struct MixGenerator {
    /// For each part the sum of the weights up to it.
    until: Vec<u64>,
    whole: u64,
    parts: Vec<RequestGenerator>,
    draws: Random,
}

impl MixGenerator {
    fn new(
        parts: &[MixPart],
        base_bytes: u64,
        range_bytes: u64,
        seed: u64,
        label: &str,
    ) -> Result<MixGenerator, WorkloadError> {
        let mut mix = MixGenerator {
            until: Vec::with_capacity(parts.len()),
            whole: 0,
            parts: Vec::with_capacity(parts.len()),
            draws: Random::labelled(seed, &format!("{label} mix")),
        };
        for (number, part) in (1..).zip(parts) {
            let left = range_bytes.saturating_sub(part.offset_bytes);
            let span = part.span_bytes.unwrap_or(left);
            if span == 0 || span > left {
                return Err(WorkloadError::new(format!(
                    "part {number} of the mix of client `{label}` goes beyond the end of the \
                     client's range; its `offset` + `span` may be at most {}",
                    format_size(range_bytes)
                )));
            }
            mix.whole += u64::from(part.weight.get());
            mix.until.push(mix.whole);
            mix.parts.push(RequestGenerator::new(
                &part.requests,
                base_bytes + part.offset_bytes,
                span,
                seed,
                &format!("{label} part {number}"),
            )?);
        }
        if mix.parts.is_empty() {
            return Err(WorkloadError::new(format!(
                "the mix of client `{label}` has no parts; add at least one"
            )));
        }
        Ok(mix)
    }

    fn next(&mut self) -> RequestSpec {
        let drawn = self.draws.below(self.whole);
        let part = self.until.partition_point(|until| *until <= drawn);
        self.parts[part].next()
    }
}

#[cfg(test)]
mod tests;
