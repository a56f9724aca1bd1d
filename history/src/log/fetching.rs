//! Moments that open at once: where a block lies is found when it is asked for.
//!
//! ```text
//!   fetch ─ up to 64 blocks ─ open segment ─ newest sealed segment ─ … ─ oldest ─ image
//!                                            fences, filter ─ a page of its footer, read
//! ```
//!
//! Only blocks that are asked for are searched: each of their neighbours would add the pages of
//! other segments. Invariants: what is known is what a whole map would say; a fold makes nothing
//! known. A page that cannot be read makes the view whole, by the segments' batches if need be.
//! Everything is bounded: requests that wait, blocks that are known.
//!
//! What is not known here: what is read for it.

use super::building::BuildPurpose;
use super::{Log, Purpose, STAGED_MAX};
use crate::branches::Path;
use crate::fences::Fences;
use crate::format::checkpoint::SegmentRow;
use crate::format::footer::{FooterEntry, PageKind, decode_page};
use crate::format::{Seq, Unit};
use crate::map::{BlockMap, Value};
use crate::replay;
use crate::runs::Runs;
use crate::steps::{Failure, IoFailed, Notice, RequestId, Step, ViewId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

/// Blocks that are searched together, at most.
const SEARCH_BLOCKS: u64 = 64;

/// Runs of blocks of a view that are known, at most.
const KNOWN_RUNS_MAX: usize = 65_536;

/// Blocks of one fetch, at most.
pub const FETCH_BLOCKS_MAX: u64 = 8192;

/// Whether blocks can be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetched {
    /// Now.
    Ready,
    /// When `Notice::Done` names the request.
    Later,
}

/// Where the blocks of a view lie.
#[derive(Debug)]
pub(super) enum ViewMap {
    Whole(BlockMap),
    Lazy(Box<LazyMap>),
}

/// A map of which only some blocks are known.
#[derive(Debug)]
pub(super) struct LazyMap {
    path: Path,
    /// Sealed segments that it sees, newest first.
    segments: Vec<(SegmentRow, Arc<Fences>)>,
    /// What the open segment held.
    newest: BlockMap,
    found: BlockMap,
    /// Blocks that are known.
    known: Runs,
}

impl LazyMap {
    /// Blocks from `lba` on, at most `limit`, that are known.
    pub(super) fn known(&self, lba: u64, limit: u64) -> u64 {
        let (blocks, are_known) = self.known.run_at(lba, limit);
        if are_known { blocks } else { 0 }
    }

    /// What is known.
    pub(super) fn map(&self) -> &BlockMap {
        &self.found
    }

    /// A fold moved into the image what `folded` has, and retired segments: `is_kept` knows the
    /// others.
    pub(super) fn forget(&mut self, folded: &BlockMap, is_kept: impl Fn(u64) -> bool) {
        self.newest.forget(folded);
        self.segments.retain(|(row, _)| is_kept(row.id));
        self.found = BlockMap::default();
        self.known.clear();
    }

    fn keep(&mut self, blocks: Range<u64>, found: &[(u64, Value)]) {
        if self.known.len() >= KNOWN_RUNS_MAX {
            self.known.clear();
            self.found = BlockMap::default();
        }
        for (lba, value) in found {
            self.found.set(*lba, *value);
        }
        self.known.insert(blocks);
    }
}

/// Blocks that are being found.
#[derive(Debug)]
struct Search {
    blocks: Range<u64>,
    /// Blocks that no segment so far has.
    open: Vec<u64>,
    found: Vec<(u64, Value)>,
    /// Segments that were searched.
    searched: usize,
    /// Pages of the footer of the next one.
    pages: BTreeMap<u32, Vec<FooterEntry>>,
    /// The page that is being read.
    reading: Option<u32>,
}

#[derive(Debug)]
struct Fetch {
    request: RequestId,
    view: ViewId,
    blocks: Range<u64>,
}

/// Fetches that wait; the first one is searched for.
#[derive(Debug, Default)]
pub(super) struct Fetches {
    waiting: VecDeque<Fetch>,
    search: Option<Search>,
}

impl Fetches {
    /// Whether no page is being read.
    pub(super) fn is_idle(&self) -> bool {
        let search = self.search.as_ref();
        search.is_none_or(|search| search.reading.is_none())
    }

    /// Segments were retired: what was found so far counts no more.
    pub(super) fn begin_again(&mut self) {
        self.search = None;
    }
}

impl Log {
    /// A moment is opened for reading, at once: blocks are looked up after [`Log::fetch`] has found
    /// them. `Notice::ViewOpened` says when; only a segment without a whole footer makes it wait
    /// like [`Log::open_view`].
    ///
    /// # Errors
    /// [`Failure::NoSuchMoment`].
    pub fn open_view_lazily(&mut self, request: RequestId, moment: Seq) -> Result<(), Failure> {
        self.check_view(moment)?;
        let path = self.branches.path(moment);
        let is_seen = |row: &&SegmentRow| path.sees_any(row.seqs[0], row.seqs[1]);
        let rows = self.segments.sealed().filter(is_seen).rev();
        let with_fences = rows.map(|row| {
            let fences = self.fences.get(&row.id)?;
            Some((row.clone(), Arc::clone(fences)))
        });
        let Some(segments) = with_fences.collect() else {
            return self.open_view(request, moment);
        };
        let mut newest = BlockMap::default();
        if let Some(open) = self.segments.open() {
            replay::apply_footer(&open.footer, &path, &mut newest);
        }
        let map = LazyMap {
            path,
            segments,
            newest,
            found: BlockMap::default(),
            known: Runs::default(),
        };
        let view = self.add_view(moment, ViewMap::Lazy(Box::new(map)));
        self.notices.push_back(Notice::ViewOpened { request, view });
        Ok(())
    }

    /// Blocks of a view are found, at most [`FETCH_BLOCKS_MAX`], so that they can be looked up. A
    /// fold may make that necessary again: then the look-up says `None`.
    ///
    /// # Errors
    /// [`Failure::NoSuchMoment`] if the view is not open; [`Failure::OutOfRange`],
    /// [`Failure::Busy`].
    pub fn fetch(
        &mut self,
        request: RequestId,
        view: ViewId,
        lba: u64,
        blocks: u64,
    ) -> Result<Fetched, Failure> {
        let end = lba.checked_add(blocks).ok_or(Failure::OutOfRange)?;
        if !(1..=FETCH_BLOCKS_MAX).contains(&blocks) || end > self.geometry.vdisk_blocks {
            return Err(Failure::OutOfRange);
        }
        let (_, map) = self.views.get(&view).ok_or(Failure::NoSuchMoment)?;
        match map {
            ViewMap::Whole(_) => return Ok(Fetched::Ready),
            ViewMap::Lazy(map) if map.known(lba, blocks) == blocks => return Ok(Fetched::Ready),
            ViewMap::Lazy(_) if self.fetches.waiting.len() >= STAGED_MAX => {
                return Err(Failure::Busy);
            }
            ViewMap::Lazy(_) => {}
        }
        if let Some(waiting) = self.waiting_for_whole.get_mut(&view) {
            waiting.push(request);
            return Ok(Fetched::Later);
        }
        let blocks = lba..end;
        self.fetches.waiting.push_back(Fetch {
            request,
            view,
            blocks,
        });
        Ok(Fetched::Later)
    }

    /// Fences of a footer that lies on the disk as it is.
    pub(super) fn note_fences(&mut self, segment: u64, make: impl FnOnce() -> Fences) {
        self.fences
            .entry(segment)
            .or_insert_with(|| Arc::new(make()));
    }

    /// Those of segments that are no more go, and of those whose footer is not there any more.
    pub(super) fn drop_fences(&mut self) {
        let whole = self.segments.sealed().filter(|row| !row.is_cut);
        let open = self.segments.open().map(|open| open.id);
        let kept: BTreeSet<u64> = whole.map(|row| row.id).chain(open).collect();
        self.fences.retain(|id, _| kept.contains(id));
    }

    pub(super) fn advance_fetches(&mut self) {
        while self.fetches.is_idle() && !self.fold_waits_for_builds() {
            let Some(fetch) = self.fetches.waiting.front() else {
                return;
            };
            let (request, view, blocks) = (fetch.request, fetch.view, fetch.blocks.clone());
            let next = match self.views.get(&view).map(|(_, map)| map) {
                None => {
                    self.end_fetch();
                    self.fail_request(request, Failure::NoSuchMoment);
                    continue;
                }
                Some(ViewMap::Whole(_)) => None,
                Some(ViewMap::Lazy(map)) => {
                    let known = map.known(blocks.start, blocks.end - blocks.start);
                    Some(blocks.start + known).filter(|next| *next < blocks.end)
                }
            };
            let Some(next) = next else {
                self.end_fetch();
                let seq = self.moment_of(view).unwrap_or(0);
                self.notices.push_back(Notice::Done { request, seq });
                continue;
            };
            if !self.search(view, next..blocks.end.min(next + SEARCH_BLOCKS)) {
                return;
            }
        }
    }

    fn end_fetch(&mut self) {
        self.fetches.waiting.pop_front();
        self.fetches.search = None;
    }

    /// Searches for blocks until a page has to be read; whether it goes on without.
    fn search(&mut self, view: ViewId, blocks: Range<u64>) -> bool {
        let Some((_, ViewMap::Lazy(map))) = self.views.get_mut(&view) else {
            return true;
        };
        let search = self.fetches.search.take();
        let mut search = search
            .filter(|search| search.blocks == blocks)
            .unwrap_or_else(|| Search::begin(blocks, &map.newest));
        while let Some((row, fences)) = map.segments.get(search.searched) {
            if search.open.is_empty() {
                break;
            }
            if let Some(page) = search.missing_page(&map.path, row, fences) {
                let unit = page_unit(row, page);
                search.reading = Some(page);
                self.fetches.search = Some(search);
                let io = self.start(Purpose::FetchRead);
                self.steps.push_back(Step::Read { io, unit, units: 1 });
                return false;
            }
            search.take_segment(&map.path, row, fences);
        }
        map.keep(search.blocks, &search.found);
        true
    }

    pub(super) fn fetch_read_ended(&mut self, result: Result<&[u8], IoFailed>) {
        let view = self.fetches.waiting.front().map(|fetch| fetch.view);
        let Some(search) = &mut self.fetches.search else {
            return;
        };
        let Some((page, view)) = search.reading.take().zip(view) else {
            return;
        };
        let map = self.views.get(&view).map(|(_, map)| map);
        let Some(ViewMap::Lazy(map)) = map else {
            return;
        };
        let entries = map.segments.get(search.searched).and_then(|segment| {
            let (row, fences) = segment;
            let unit = page_unit(row, page);
            let kind = if fences.is_of_blocks(page) {
                PageKind::Blocks
            } else {
                PageKind::Runs
            };
            let entries = decode_page(&self.checks, row.id, unit, kind, result.ok()?)?;
            let batches = self.geometry.slot_start(row.slot)..unit;
            let lie_inside = entries.iter().all(|entry| batches.contains(&entry.unit));
            lie_inside.then_some(entries)
        });
        match entries {
            Some(entries) => {
                search.pages.insert(page, entries);
            }
            None => {
                // The batches say the same as the footer.
                self.fetches.search = None;
                let fetches = self.fetches.waiting.iter();
                let waiting = fetches.filter(|fetch| fetch.view == view);
                let requests: Vec<RequestId> = waiting.map(|fetch| fetch.request).collect();
                self.fetches.waiting.retain(|fetch| fetch.view != view);
                self.builds.push(BuildPurpose::Whole { view });
                self.waiting_for_whole.insert(view, requests);
            }
        }
    }

    /// The whole map of a view was built, or cannot be.
    pub(super) fn view_is_whole(&mut self, view: ViewId, map: Option<BlockMap>) {
        let requests = self.waiting_for_whole.remove(&view).unwrap_or_default();
        let why = match (self.views.get_mut(&view), map) {
            (Some((_, of_view)), Some(map)) => {
                *of_view = ViewMap::Whole(map);
                None
            }
            (Some(_), None) => Some(Failure::Damaged),
            (None, _) => Some(Failure::NoSuchMoment),
        };
        let seq = self.moment_of(view).unwrap_or(0);
        for request in requests {
            match why {
                Some(why) => self.fail_request(request, why),
                None => self.notices.push_back(Notice::Done { request, seq }),
            }
        }
    }
}

/// Where a page of the footer of a sealed segment lies: the SEAL is before the first one.
fn page_unit(row: &SegmentRow, page: u32) -> Unit {
    row.seal.map_or(0, |(unit, _)| unit) + 1 + page
}

impl Search {
    fn begin(blocks: Range<u64>, newest: &BlockMap) -> Search {
        let found = |lba: u64| newest.get(lba).map(|value| (lba, value));
        let is_open = |lba: &u64| newest.get(*lba).is_none();
        Search {
            open: blocks.clone().filter(is_open).collect(),
            found: blocks.clone().filter_map(found).collect(),
            blocks,
            searched: 0,
            pages: BTreeMap::new(),
            reading: None,
        }
    }

    /// A page of the segment that has to be read before all blocks are known in it.
    fn missing_page(&self, path: &Path, row: &SegmentRow, fences: &Fences) -> Option<u32> {
        let mut pages = self.open.iter().flat_map(|lba| {
            let intervals = path.within(row.seqs[0], row.seqs[1]);
            let of_block = intervals.filter_map(|(_, last)| fences.page_of(*lba, last));
            of_block.chain(fences.run_pages_of(*lba))
        });
        pages.find(|page| !self.pages.contains_key(page))
    }

    /// All pages that are needed of the segment are there: takes the newest version of each block.
    fn take_segment(&mut self, path: &Path, row: &SegmentRow, fences: &Fences) {
        let pages = std::mem::take(&mut self.pages);
        let newest = |lba: u64| {
            let intervals = path.within(row.seqs[0], row.seqs[1]);
            let of_block = intervals.filter_map(|(first, last)| {
                let entries = pages.get(&fences.page_of(lba, last)?)?;
                let behind = entries.partition_point(|entry| (entry.key, entry.seq) <= (lba, last));
                let entry = entries[..behind].last()?;
                let is_it = entry.key == lba && entry.seq >= first;
                is_it.then(|| (entry.seq, Value::data(entry.unit, entry.last)))
            });
            let runs = fences.run_pages_of(lba).filter_map(|page| pages.get(&page));
            let covers = |entry: &&FooterEntry| {
                let end = entry.key.saturating_add(u64::from(entry.last));
                (entry.key..end).contains(&lba) && path.sees(entry.seq)
            };
            let runs = runs.flatten().filter(covers);
            let of_runs = runs.map(|entry| (entry.seq, Value::zeroes(entry.unit)));
            of_block.chain(of_runs).max_by_key(|(seq, _)| *seq)
        };
        let found = &mut self.found;
        self.open.retain(|lba| match newest(*lba) {
            Some((_, value)) => {
                found.push((*lba, value));
                false
            }
            None => true,
        });
        self.searched += 1;
    }
}
