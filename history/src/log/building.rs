//! Maps of moments, built by replaying the footers of all segments that the moment sees.
//!
//! One at a time, oldest segment first, so that a newer version overwrites an older one. A footer
//! that is damaged is made anew from the segment's batches.

use super::fetching::ViewMap;
use super::newest::Next;
use super::pipeline::last_until;
use super::{Log, Purpose, View};
use crate::branches::Path;
use crate::fences::Fences;
use crate::format::batch::{BatchHeader, Body};
use crate::format::checkpoint::SegmentRow;
use crate::format::footer::Footer;
use crate::format::record::{BranchReason, Record};
use crate::format::{PAYLOAD_UNITS_MAX, Seq, UNIT_BYTES};
use crate::map::BlockMap;
use crate::replay;
use crate::scan::{self, Before, Durable, Expected, Listed};
use crate::segments::Cut;
use crate::steps::{Failure, IoFailed, Notice, RequestId, Step};
use std::collections::VecDeque;

/// Builds that wait, at most.
pub(super) const BUILDS_MAX: usize = 64;

/// Units that are read at once.
const READ_UNITS: u32 = PAYLOAD_UNITS_MAX as u32 + 1;

/// What a map is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BuildPurpose {
    Opening,
    Branch {
        request: RequestId,
        fork: Seq,
        reason: BranchReason,
    },
    View {
        request: RequestId,
        moment: Seq,
    },
    Fold,
    /// What was written between two moments.
    Changed {
        request: RequestId,
        since: Seq,
        until: Seq,
    },
    /// In the background: a view of which only some blocks are known.
    Whole {
        view: View,
    },
    /// In the background, no map: the fences of segments that the newest moment does not see.
    Fences,
    /// It is needed no more.
    Abandoned,
    /// No map: the last seq at a time.
    Time {
        request: RequestId,
        time_ns: u64,
    },
}

impl BuildPurpose {
    /// Whether others go before it.
    fn is_background(self) -> bool {
        matches!(self, BuildPurpose::Whole { .. } | BuildPurpose::Fences)
    }
}

/// A map that is being built.
#[derive(Debug)]
struct Build {
    purpose: BuildPurpose,
    path: Path,
    /// Sealed segments that are still to be replayed.
    segments: VecDeque<SegmentRow>,
    /// What the open segment held when the build began.
    open: Option<Footer>,
    map: BlockMap,
    /// The slot of the first segment, as far as it is read, if its footer is damaged.
    slot: Option<Vec<u8>>,
    /// Units of the read in flight.
    read_units: u32,
    /// Up to here, single units of the slot are read, because a longer read failed.
    single_until: usize,
    found: Option<Seq>,
}

/// Builds that wait and the one that is in flight.
#[derive(Debug, Default)]
pub(super) struct Builds {
    waiting: VecDeque<BuildPurpose>,
    current: Option<Build>,
    /// One in the background, while others go before it.
    suspended: Option<Build>,
    /// What a branch begins with, when its record is durable.
    for_branch: Option<Next>,
}

impl Builds {
    pub(super) fn push(&mut self, purpose: BuildPurpose) {
        self.waiting.push_back(purpose);
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= BUILDS_MAX
    }

    pub(super) fn is_idle(&self) -> bool {
        self.current.is_none() && self.suspended.is_none()
    }

    /// What is built or waits for it.
    pub(super) fn purposes(&self) -> impl Iterator<Item = BuildPurpose> {
        let current = self.current.iter().map(|build| build.purpose);
        current.chain(self.waiting.iter().copied())
    }

    /// A branch that begins with this waits for its record.
    pub(super) fn set_for_branch(&mut self, next: Next) {
        self.for_branch = Some(next);
    }

    pub(super) fn take_for_branch(&mut self) -> Option<Next> {
        self.for_branch.take()
    }

    /// What a branch will begin with, if one waits for its record.
    pub(super) fn for_branch_mut(&mut self) -> Option<&mut Next> {
        self.for_branch.as_mut()
    }

    /// The next one that waits: those in the background come last.
    fn take_next(&mut self) -> Option<BuildPurpose> {
        let mut waiting = self.waiting.iter();
        let foreground = waiting.position(|purpose| !purpose.is_background());
        match foreground {
            Some(at) => self.waiting.remove(at),
            None if self.suspended.is_some() => None,
            None => self.waiting.pop_front(),
        }
    }

    /// Whether one that goes before those in the background waits.
    fn is_urgent(&self) -> bool {
        self.waiting.iter().any(|purpose| !purpose.is_background())
    }

    /// Whether the map of a view is needed no more.
    pub(super) fn abandon_whole(&mut self, view: View) {
        let is_it = |purpose: BuildPurpose| purpose == BuildPurpose::Whole { view };
        self.waiting.retain(|purpose| !is_it(*purpose));
        self.suspended.take_if(|build| is_it(build.purpose));
        if let Some(build) = self.current.as_mut().filter(|build| is_it(build.purpose)) {
            build.purpose = BuildPurpose::Abandoned;
        }
    }

    /// The requests that can no longer be served when the log is broken: those that would write.
    pub(super) fn take_requests(&mut self) -> Vec<RequestId> {
        self.for_branch = None;
        let current = self.current.iter().map(|build| build.purpose);
        let requests = current
            .chain(self.waiting.iter().copied())
            .filter_map(|purpose| match purpose {
                BuildPurpose::Branch { request, .. } => Some(request),
                _ => None,
            });
        let requests = requests.collect();
        if let Some(build) = &mut self.current
            && matches!(build.purpose, BuildPurpose::Branch { .. })
        {
            build.purpose = BuildPurpose::Abandoned;
        }
        self.waiting
            .retain(|purpose| !matches!(purpose, BuildPurpose::Branch { .. }));
        requests
    }
}

impl Log {
    pub(super) fn advance_builds(&mut self) {
        while self.builds.current.is_none() {
            // A fold lets no other one begin.
            let next = match self.fold_waits_for_builds() {
                true => None,
                false => self.builds.take_next(),
            };
            match next {
                Some(purpose) => self.begin_build(purpose),
                None if self.builds.suspended.is_some() => {
                    self.builds.current = self.builds.suspended.take();
                    self.read_next();
                }
                None => return,
            }
        }
    }

    fn begin_build(&mut self, purpose: BuildPurpose) {
        let path = match purpose {
            BuildPurpose::Opening => self.branches.current_path().until(self.published_seq),
            BuildPurpose::Branch { fork, .. } => self.branches.path(fork),
            BuildPurpose::View { moment, .. } => self.branches.path(moment),
            BuildPurpose::Changed { since, until, .. } => {
                let since = self.branches.path(since);
                self.branches.path(until).difference(&since)
            }
            BuildPurpose::Whole { view } => match self.lazy_map(view) {
                Ok(Some(map)) => map.path().clone(),
                _ => return self.fetches_go_on(view),
            },
            BuildPurpose::Fold => {
                let to = self.fold.as_ref().map_or(0, |fold| fold.to());
                self.branches.current_path().until(to)
            }
            BuildPurpose::Time { .. } | BuildPurpose::Fences | BuildPurpose::Abandoned => {
                self.branches.path(0)
            }
        };
        let is_needed = |row: &&SegmentRow| match purpose {
            BuildPurpose::Time { time_ns, .. } => {
                row.times_ns[0] <= time_ns && time_ns <= row.times_ns[1]
            }
            BuildPurpose::Fences => self.lacks_fences(row),
            _ => path.sees_any(row.seqs[0], row.seqs[1]),
        };
        let segments = self.segments.sealed().filter(is_needed).cloned().collect();
        let open = self.segments.open().map(|open| open.footer.clone());
        self.builds.current = Some(Build {
            purpose,
            path,
            segments,
            open,
            map: BlockMap::default(),
            slot: None,
            read_units: 0,
            single_until: 0,
            found: None,
        });
        self.read_next();
    }

    /// Reads on, or ends the build.
    fn read_next(&mut self) {
        let is_urgent = self.builds.is_urgent() && !self.fold_waits_for_builds();
        let Some(build) = &mut self.builds.current else {
            return;
        };
        let Some(row) = build.segments.front() else {
            self.end_build();
            return;
        };
        if is_urgent && build.purpose.is_background() && build.slot.is_none() {
            self.builds.suspended = self.builds.current.take();
            return;
        }
        if row.is_cut && build.slot.is_none() {
            // There is no footer to be read first.
            build.slot = Some(Vec::new());
        }
        let start = self.geometry.slot_start(row.slot);
        let slot_end = start + self.geometry.slot_units;
        let seal = row.seal.map_or(slot_end, |(unit, _)| unit);
        let (unit, units) = match &build.slot {
            // The batches end where the SEAL begins.
            Some(read) => {
                let unit = start + (read.len() / UNIT_BYTES) as u32;
                let is_single = read.len() < build.single_until;
                let units = if is_single { 1 } else { READ_UNITS };
                (unit, units.min(seal - unit))
            }
            None => (seal, READ_UNITS.min(slot_end - seal)),
        };
        build.read_units = units;
        let io = self.start(Purpose::BuildRead);
        self.steps.push_back(Step::Read { io, unit, units });
    }

    pub(super) fn build_read_ended(&mut self, result: Result<&[u8], IoFailed>) {
        let Some(mut build) = self.builds.current.take() else {
            return;
        };
        if build.purpose == BuildPurpose::Abandoned {
            return;
        }
        let Some(row) = build.segments.front().cloned() else {
            return;
        };
        let seal = row.seal.map_or(0, |(unit, _)| unit);
        let batches = seal.saturating_sub(self.geometry.slot_start(row.slot));
        let batches_bytes = batches as usize * UNIT_BYTES;
        let footer = match (&mut build.slot, result) {
            (None, result) => {
                let footer = result
                    .ok()
                    .and_then(|bytes| self.footer_of_seal(&row, bytes));
                if let Some(footer) = &footer {
                    self.note_fences(row.id, || Fences::of_footer(footer));
                } else if build.purpose == BuildPurpose::Fences {
                    build.segments.pop_front();
                } else {
                    build.slot = Some(Vec::new());
                    build.single_until = 0;
                }
                footer
            }
            (Some(slot), Err(IoFailed)) if build.read_units > 1 => {
                build.single_until = slot.len() + build.read_units as usize * UNIT_BYTES;
                None
            }
            (Some(slot), result) => {
                slot.extend_from_slice(result.unwrap_or(&[0; UNIT_BYTES]));
                if slot.len() < batches_bytes {
                    None
                } else {
                    match self.footer_of_slot(&row, slot, &build.path) {
                        Ok(footer) => Some(footer),
                        Err(cut) => {
                            self.build_is_damaged(build, cut);
                            return;
                        }
                    }
                }
            }
        };
        if let Some(footer) = footer {
            if let BuildPurpose::Time { time_ns, .. } = build.purpose {
                build.found = last_until(&footer.entries[2], time_ns);
            }
            replay::apply_footer(&footer, &build.path, &mut build.map);
            build.segments.pop_front();
            build.slot = None;
        }
        self.builds.current = Some(build);
        self.read_next();
    }

    fn footer_of_seal(&self, row: &SegmentRow, bytes: &[u8]) -> Option<Footer> {
        let (unit, expected) = row.seal?;
        let block = bytes.get(..UNIT_BYTES)?;
        let (header, checksum) = BatchHeader::decode(&self.checks, row.id, unit, block)?;
        let Body::Record(Record::Seal(seal)) = header.body else {
            return None;
        };
        let end = UNIT_BYTES * (1 + header.payload_checksums.len());
        let pages = bytes.get(UNIT_BYTES..end)?;
        let footer = Footer::decode(&self.checks, row.id, unit + 1, seal.pages, pages)?;
        let start = self.geometry.slot_start(row.slot);
        let blocks = self.geometry.vdisk_blocks;
        let is_possible =
            checksum == expected && replay::footer_is_possible(&footer, start..unit, blocks);
        is_possible.then_some(footer)
    }

    /// The footer, made of the batches that lie before the SEAL, as far as the path needs them; or
    /// where they end, if it needs more.
    fn footer_of_slot(&self, row: &SegmentRow, slot: &[u8], path: &Path) -> Result<Footer, Cut> {
        let expected = Expected {
            id: Some(row.id),
            slot: row.slot,
            epoch_max: self.superblock.epoch,
            before: None,
            without_header: Before::NOTHING,
            listed: Some(Listed {
                first_seq: row.seqs[0],
                time_ns: row.times_ns[0],
                // Nothing is read there: any slot but its own.
                next_slot: u32::from(row.slot == 0),
            }),
            durable: Durable {
                is_sealed: true,
                hole: row.hole,
                ..Durable::default()
            },
        };
        let scan = scan::scan(&self.checks, &self.geometry, &expected, slot);
        let reached = scan.header.as_ref().map(|_| scan.reached);
        // The SEAL may be what is damaged, and its seq may have jumped: its place is what counts.
        let is_whole = reached.is_some() && scan.end_units as usize * UNIT_BYTES == slot.len();
        let first = row.seqs[0].saturating_sub(1);
        let last = reached.map_or(first, |reached| reached.last_seq);
        if !is_whole && last < row.seqs[1] && path.sees_any(last + 1, row.seqs[1]) {
            return Err(Cut {
                segment: row.id,
                unit: self.geometry.slot_start(row.slot) + scan.end_units,
                last_seq: last,
                time_ns: scan.reached.time_ns.max(row.times_ns[0]),
                hole: scan.hole,
            });
        }
        let mut footer = Footer::default();
        for (batch, _) in &scan.batches {
            replay::add_to_footer(batch, &mut footer);
        }
        Ok(footer)
    }

    fn build_is_damaged(&mut self, build: Build, cut: Cut) {
        match build.purpose {
            BuildPurpose::Opening => self.opening_is_damaged(cut),
            BuildPurpose::Fold => self.image_failed(),
            BuildPurpose::Fences | BuildPurpose::Abandoned => {}
            BuildPurpose::Whole { view } => self.whole_is_built(view, None),
            BuildPurpose::Branch { request, .. } => {
                self.reverting = false;
                self.fail_request(request, Failure::Damaged);
            }
            BuildPurpose::View { request, .. }
            | BuildPurpose::Changed { request, .. }
            | BuildPurpose::Time { request, .. } => {
                self.fail_request(request, Failure::Damaged);
            }
        }
    }

    /// The BRANCH is durable: what is read from now on is what its moment holds.
    pub(super) fn branch_is_durable(&mut self, request: RequestId, seq: Seq) {
        if let Some(next) = self.builds.take_for_branch() {
            self.newest_is(next);
        }
        self.reverting = false;
        self.notices.push_back(Notice::Done { request, seq });
    }

    fn end_build(&mut self) {
        let Some(mut build) = self.builds.current.take() else {
            return;
        };
        if let Some(open) = &build.open {
            replay::apply_footer(open, &build.path, &mut build.map);
        }
        match build.purpose {
            BuildPurpose::Opening => self.opening_map_is_built(build.map),
            BuildPurpose::Fold => self.fold_map_is_built(build.map),
            BuildPurpose::Fences | BuildPurpose::Abandoned => {}
            BuildPurpose::Whole { view } => self.whole_is_built(view, Some(build.map)),
            BuildPurpose::Time { request, time_ns } => {
                let batches = build.open.iter().map(|footer| &footer.entries[2]);
                let newest = batches
                    .filter_map(|batches| last_until(batches, time_ns))
                    .next_back();
                // Between two segments, the end of the earlier one.
                let is_before = |row: &&SegmentRow| row.times_ns[1] <= time_ns;
                let ended = self.segments.sealed().rfind(is_before);
                let ended = ended.map(|row| row.seqs[1]);
                // Before all that is known the content was that which the history began with.
                let seq = newest.or(build.found).or(ended).unwrap_or(0);
                match self.check_moment(seq) {
                    Ok(()) => self.notices.push_back(Notice::Done { request, seq }),
                    Err(why) => self.fail_request(request, why),
                }
            }
            BuildPurpose::Changed { request, .. } => {
                let runs = build.map.runs();
                self.notices.push_back(Notice::Changed { request, runs });
            }
            BuildPurpose::View { request, moment } => {
                let view = self.add_view(moment, ViewMap::Whole(build.map));
                self.notices.push_back(Notice::ViewOpened { request, view });
            }
            BuildPurpose::Branch {
                request,
                fork,
                reason,
            } => {
                self.stage_branch(request, (fork, reason), Next::Whole(build.map));
            }
        }
    }
}
