//! Contents that are there at once: where a block lies is found when it is asked for.
//!
//! ```text
//!   fetch ─ up to 64 blocks ─ search (lazy_map.rs) ─ a page of a footer, read ─ … ─ known
//!                                │ many pages were read, or one does not verify
//!                                └─ the whole map is built in the background, and takes its place
//! ```
//!
//! Only blocks that are asked for are searched: each of their neighbours would add the pages of
//! other segments. A page that cannot be read makes the map whole, by the segments' batches if need
//! be. Everything is bounded: requests that wait, blocks that are known.
//!
//! What is not known here: what is read for it.

use super::building::BuildPurpose;
use super::lazy_map::{LazyMap, Search, Shortcut, WantedPage, Whole};
use super::newest::{Newest, Next};
use super::{Log, Phase, Purpose, STAGED_MAX, View};
use crate::branches::Path;
use crate::fences::Fences;
use crate::format::checkpoint::SegmentRow;
use crate::format::footer::{FooterEntry, decode_page};
use crate::format::{Seq, Unit};
use crate::map::BlockMap;
use crate::replay;
use crate::steps::{Failure, IoFailed, Notice, RequestId, Step, ViewId};
use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

/// Blocks that are searched together, at most.
const SEARCH_BLOCKS: u64 = 64;

/// Blocks of one fetch, at most.
pub const FETCH_BLOCKS_MAX: u64 = 8192;

/// Pages that a search reads while the whole map is being built; then it waits for that.
const PAGES_BESIDE_BUILD: usize = 8;

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

#[derive(Debug, Clone)]
struct Fetch {
    request: RequestId,
    view: View,
    /// None: all of it, as a whole map.
    blocks: Option<Range<u64>>,
}

/// Fetches that wait; the first one is searched for.
#[derive(Debug, Default)]
pub(super) struct Fetches {
    waiting: VecDeque<Fetch>,
    /// Those that wait for whole maps.
    for_whole: Vec<Fetch>,
    search: Option<Search>,
    /// The page that is being read.
    reading: Option<WantedPage>,
}

impl Fetches {
    /// Whether no page is being read.
    pub(super) fn is_idle(&self) -> bool {
        self.reading.is_none()
    }

    /// Maps have changed: what was found so far counts no more.
    pub(super) fn begin_again(&mut self) {
        self.search = None;
    }

    fn is_full(&self) -> bool {
        self.waiting.len() + self.for_whole.len() >= STAGED_MAX
    }

    /// Those that wait for the whole map of a view are searched for, or answered.
    fn requeue(&mut self, view: View) {
        let of_view = self.for_whole.extract_if(.., |fetch| fetch.view == view);
        self.waiting.extend(of_view);
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
        let Some(map) = self.lazy_map_of(self.branches.path(moment)) else {
            return self.open_view(request, moment);
        };
        let view = self.add_view(moment, ViewMap::Lazy(Box::new(map)));
        self.notices.push_back(Notice::ViewOpened { request, view });
        Ok(())
    }

    /// Blocks are found, at most [`FETCH_BLOCKS_MAX`], so that they can be looked up. A fold may
    /// make that necessary again: then the look-up says `None`.
    ///
    /// # Errors
    /// [`Failure::NoSuchMoment`] if the view is not open; [`Failure::OutOfRange`],
    /// [`Failure::Busy`].
    pub fn fetch(
        &mut self,
        request: RequestId,
        view: View,
        lba: u64,
        blocks: u64,
    ) -> Result<Fetched, Failure> {
        let end = lba.checked_add(blocks).ok_or(Failure::OutOfRange)?;
        let size = self.blocks_of(view);
        if !(1..=FETCH_BLOCKS_MAX).contains(&blocks) || size.is_some_and(|size| end > size) {
            return Err(Failure::OutOfRange);
        }
        let blocks = lba..end;
        if self.unknown(view, &blocks)?.is_none() {
            return Ok(Fetched::Ready);
        }
        if self.fetches.is_full() {
            return Err(Failure::Busy);
        }
        self.fetches.waiting.push_back(Fetch {
            request,
            view,
            blocks: Some(blocks),
        });
        Ok(Fetched::Later)
    }

    /// All blocks are found, so that they can be looked up without another fetch.
    ///
    /// # Errors
    /// [`Failure::NoSuchMoment`] if the view is not open; [`Failure::Damaged`], [`Failure::Busy`].
    pub fn fetch_whole(&mut self, request: RequestId, view: View) -> Result<Fetched, Failure> {
        match self.lazy_map(view)?.map(|map| map.whole) {
            None => return Ok(Fetched::Ready),
            Some(Whole::Never) => return Err(Failure::Damaged),
            Some(_) if self.fetches.is_full() => return Err(Failure::Busy),
            Some(Whole::NotYet | Whole::Coming) => {}
        }
        self.begin_whole(view);
        self.fetches.for_whole.push(Fetch {
            request,
            view,
            blocks: None,
        });
        Ok(Fetched::Later)
    }

    /// Whether all blocks can be looked up without a fetch.
    pub fn is_whole(&self, view: View) -> bool {
        matches!(self.lazy_map(view), Ok(None))
    }

    /// The map of what a path sees, of which nothing is known; `None` if a segment of it has no
    /// whole footer.
    pub(super) fn lazy_map_of(&self, path: Path) -> Option<LazyMap> {
        let is_seen = |row: &&SegmentRow| path.sees_any(row.seqs[0], row.seqs[1]);
        let rows = self.segments.sealed().filter(is_seen).rev();
        let with_fences = rows.map(|row| {
            let fences = self.fences.get(&row.id)?;
            Some((row.clone(), Arc::clone(fences)))
        });
        let segments = with_fences.collect::<Option<Vec<_>>>()?;
        let mut newest = BlockMap::default();
        if let Some(open) = self.segments.open() {
            replay::apply_footer(&open.footer, &path, &mut newest);
        }
        Some(LazyMap::new(path, segments, newest))
    }

    /// The map of a view, if it is not whole.
    pub(super) fn lazy_map(&self, view: View) -> Result<Option<&LazyMap>, Failure> {
        match view {
            View::Now if self.phase == Phase::Broken(Failure::Image) => Err(Failure::Image),
            View::Now => Ok(self.newest.base()),
            View::At(view) => match self.views.get(&view) {
                Some((_, ViewMap::Lazy(map))) => Ok(Some(map)),
                Some((_, ViewMap::Whole(_))) => Ok(None),
                None => Err(Failure::NoSuchMoment),
            },
        }
    }

    fn lazy_map_mut(&mut self, view: View) -> Option<&mut LazyMap> {
        match view {
            View::Now => self.newest.base_mut(),
            View::At(view) => match self.views.get_mut(&view) {
                Some((_, ViewMap::Lazy(map))) => Some(map),
                _ => None,
            },
        }
    }

    /// The first blocks of a range that have to be found.
    fn unknown(&self, view: View, blocks: &Range<u64>) -> Result<Option<Range<u64>>, Failure> {
        let Some(map) = self.lazy_map(view)? else {
            return Ok(None);
        };
        if view == View::Now {
            return Ok(self.newest.unknown(blocks));
        }
        let known = map.known(blocks.start, blocks.end - blocks.start);
        let next = blocks.start + known;
        Ok((next < blocks.end).then_some(next..blocks.end))
    }

    /// Fences of a footer that lies on the disk as it is.
    pub(super) fn note_fences(&mut self, segment: u64, make: impl FnOnce() -> Fences) {
        self.fences
            .entry(segment)
            .or_insert_with(|| Arc::new(make()));
    }

    /// Whether a sealed segment has no fences, though it has a footer.
    pub(super) fn lacks_fences(&self, row: &SegmentRow) -> bool {
        !row.is_cut && !self.fences.contains_key(&row.id)
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
            let Some(fetch) = self.fetches.waiting.front().cloned() else {
                return;
            };
            let blocks = fetch.blocks.clone().unwrap_or(0..u64::MAX);
            match self.unknown(fetch.view, &blocks) {
                Err(why) => self.end_fetch(Err(why)),
                Ok(None) => self.end_fetch(Ok(())),
                Ok(Some(_)) if fetch.blocks.is_none() => self.wait_for_whole(fetch.view),
                Ok(Some(unknown)) => {
                    let end = unknown.end.min(unknown.start + SEARCH_BLOCKS);
                    self.search(fetch.view, unknown.start..end);
                }
            }
        }
    }

    /// The first fetch waits for the whole map of its view.
    fn wait_for_whole(&mut self, view: View) {
        if self
            .lazy_map_mut(view)
            .is_some_and(|map| map.whole == Whole::Never)
        {
            self.end_fetch(Err(Failure::Damaged));
            return;
        }
        self.begin_whole(view);
        self.fetches.search = None;
        self.fetches
            .for_whole
            .extend(self.fetches.waiting.pop_front());
    }

    /// The first fetch has ended.
    fn end_fetch(&mut self, result: Result<(), Failure>) {
        self.fetches.search = None;
        let Some(Fetch { request, view, .. }) = self.fetches.waiting.pop_front() else {
            return;
        };
        let seq = match view {
            View::Now => self.published_seq,
            View::At(view) => self.moment_of(view).unwrap_or(0),
        };
        match result {
            Ok(()) => self.notices.push_back(Notice::Done { request, seq }),
            Err(why) => self.fail_request(request, why),
        }
    }

    /// What the newest content sees. `None` while a revert is being done, and if the log broke: a
    /// branch may have begun that is not the newest content, as it is not durable.
    fn path_of_newest(&self) -> Option<Path> {
        let is_known = !self.reverting && !matches!(self.phase, Phase::Broken(_));
        is_known.then(|| self.branches.current_path())
    }

    /// Searches for blocks of the first fetch, until they are known or a page has to be read.
    fn search(&mut self, view: View, blocks: Range<u64>) {
        let of_newest = self.path_of_newest();
        let last_seq_of = |unit: Unit| {
            let slot = self.geometry.slot_of(unit);
            self.segments.last_seq_in_slot(slot)
        };
        // The newest content has most of what a moment has, and so had that before a revert.
        let (map, other) = match view {
            View::Now => match self.newest.base_and_before() {
                Some(found) => found,
                None => return,
            },
            View::At(view) => match self.views.get_mut(&view) {
                Some((_, ViewMap::Lazy(map))) => {
                    let common = of_newest.and_then(|path| path.common(map.path()));
                    let other = self.newest.whole().zip(common);
                    (&mut **map, other)
                }
                _ => return,
            },
        };
        let shortcut = other.map(|(map, common)| Shortcut {
            map,
            common,
            last_seq_of,
        });
        let search = self.fetches.search.take();
        let search = search.filter(|search| *search.blocks() == blocks);
        let mut search = search.unwrap_or_else(|| Search::begin(blocks, map));
        let Some(page) = search.advance(map, shortcut) else {
            return;
        };
        let is_dear = map.whole == Whole::Coming && search.pages_read() >= PAGES_BESIDE_BUILD;
        if map.is_read_much() {
            self.begin_whole(view);
        }
        if is_dear {
            return self.wait_for_whole(view);
        }
        self.fetches.search = Some(search);
        self.fetches.reading = Some(page);
        let io = self.start(Purpose::FetchRead);
        let (unit, units) = (page.unit, 1);
        self.steps.push_back(Step::Read { io, unit, units });
    }

    pub(super) fn fetch_read_ended(&mut self, result: Result<&[u8], IoFailed>) {
        let Some(page) = self.fetches.reading.take() else {
            return;
        };
        let view = self.fetches.waiting.front().map(|fetch| fetch.view);
        let Some((mut search, view)) = self.fetches.search.take().zip(view) else {
            return;
        };
        let entries = result.ok().and_then(|bytes| self.entries_of(page, bytes));
        let Some(map) = self.lazy_map_mut(view) else {
            return;
        };
        match entries {
            Some(entries) => {
                search.give(map, page, entries);
                self.fetches.search = Some(search);
            }
            // The batches say the same as the footer.
            None => self.wait_for_whole(view),
        }
    }

    /// What a page of a footer holds, if it is whole and all of it can be.
    fn entries_of(&self, page: WantedPage, bytes: &[u8]) -> Option<Vec<FooterEntry>> {
        let entries = decode_page(&self.checks, page.segment, page.unit, page.kind, bytes)?;
        let batches = self.geometry.slot_start(page.slot)..page.unit;
        let lie_inside = entries.iter().all(|entry| batches.contains(&entry.unit));
        lie_inside.then_some(entries)
    }

    /// The whole map of a view is built in the background, unless it is or cannot be.
    pub(super) fn begin_whole(&mut self, view: View) {
        if let Some(map) = self
            .lazy_map_mut(view)
            .filter(|map| map.whole == Whole::NotYet)
        {
            map.whole = Whole::Coming;
            self.builds.push(BuildPurpose::Whole { view });
        }
    }

    /// The whole map of a view was built, or cannot be.
    pub(super) fn whole_is_built(&mut self, view: View, map: Option<BlockMap>) {
        match (view, map) {
            (View::Now, Some(map)) => self.newest.base_is_whole(map),
            (View::At(view), Some(map)) => {
                if let Some((_, of_view)) = self.views.get_mut(&view) {
                    *of_view = ViewMap::Whole(map);
                }
            }
            (view, None) => {
                if let Some(map) = self.lazy_map_mut(view) {
                    map.whole = Whole::Never;
                }
            }
        }
        self.fetches.requeue(view);
    }

    /// Fetches that wait for the whole map of a view go on.
    pub(super) fn fetches_go_on(&mut self, view: View) {
        self.fetches.requeue(view);
    }

    /// The whole map of a view is needed no more.
    pub(super) fn abandon_whole(&mut self, view: View) {
        self.builds.abandon_whole(view);
        self.fetches.requeue(view);
    }

    /// The branch that has begun is the newest content from now on.
    pub(super) fn newest_is(&mut self, next: Next) {
        self.abandon_whole(View::Now);
        self.fetches.begin_again();
        match next {
            Next::Whole(map) => self.newest = Newest::of_whole(map),
            Next::Lazy(map) => {
                let before = self
                    .branches
                    .before_revert()
                    .map(|head| self.branches.path(head));
                self.newest
                    .begin_branch(self.branches.current(), map, before);
                self.begin_whole(View::Now);
            }
        }
    }

    /// What is known of lazy maps after a fold.
    pub(super) fn forget_folded(&mut self, folded: &BlockMap) {
        let oldest = self.segments.sealed().next().map_or(u64::MAX, |row| row.id);
        let is_kept = move |id: u64| id >= oldest;
        for (_, map) in self.views.values_mut() {
            match map {
                ViewMap::Whole(map) => map.forget(folded),
                ViewMap::Lazy(map) => map.forget(folded, is_kept),
            }
        }
        self.newest.forget(folded, self.floor, is_kept);
        if let Some(next) = self.builds.for_branch_mut() {
            next.forget(folded, is_kept);
        }
        self.fetches.begin_again();
        if self.newest.whole().is_some() {
            self.fetches.requeue(View::Now);
        }
    }

    /// Views of one moment share the whole map that one of them has: the other one is closed.
    pub fn join_views(&mut self, kept: ViewId, other: ViewId) {
        let Some((_, map)) = self.views.remove(&other) else {
            return;
        };
        if let Some((_, of_kept)) = self.views.get_mut(&kept)
            && matches!((&*of_kept, &map), (ViewMap::Lazy(_), ViewMap::Whole(_)))
        {
            *of_kept = map;
        }
        self.abandon_whole(View::At(other));
        if self.is_whole(View::At(kept)) {
            self.abandon_whole(View::At(kept));
        }
    }
}
