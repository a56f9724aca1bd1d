//! The moments that were looked up, and which of them are open.
//!
//! An open moment keeps what it needs of the log, so it is closed when it was not used for some
//! seconds and no file of it is open. It is opened again when it is used again, as long as the
//! window has it. `-5m` means the same moment as long as it is used: a copy that takes minutes
//! copies one moment.
//!
//! Invariants: at most [`MOST_OPEN`] are open; the rows that are kept are bounded.

use crate::place::LAST_MOMENT;
use crate::{FoundMoment, Past};
use disktime_image_files::{FileError, Image, ImageFiles};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Most moments that are open at once. One more closes the one that was unused longest.
pub(crate) const MOST_OPEN: usize = 64;
/// How long a moment stays open unused.
pub(crate) const IDLE_TIME: Duration = Duration::from_secs(5);
/// How long a time before now means the same moment, unused.
const PIN_TIME: Duration = Duration::from_secs(60);
/// Most rows that are kept.
const MOST_ROWS: usize = 65_536;

/// A moment that is open.
pub(crate) struct Opened {
    pub(crate) image: Arc<dyn Image>,
    files: Mutex<Option<Arc<ImageFiles>>>,
}

/// The moments.
pub(crate) struct Moments {
    past: Arc<dyn Past>,
    table: Mutex<Table>,
    /// Held while one is opened.
    opening: Mutex<()>,
}

#[derive(Default)]
struct Table {
    rows: HashMap<u32, Row>,
    by_seq: HashMap<(String, u64), u32>,
    /// What times before now mean.
    pinned: HashMap<(String, String), u32>,
    last: u32,
}

struct Row {
    vdisk: String,
    found: FoundMoment,
    /// Open files and directories.
    handles: usize,
    used: Instant,
    opened: Option<Arc<Opened>>,
}

/// Why a moment cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MomentError {
    /// The window does not have it, or not any more.
    Gone,
    /// As many as may be open are in use.
    TooMany,
}

impl Opened {
    /// The file systems of the image.
    pub(crate) fn files(&self) -> Result<Arc<ImageFiles>, FileError> {
        let mut files = lock(&self.files);
        if let Some(files) = &*files {
            return Ok(files.clone());
        }
        let found = Arc::new(ImageFiles::open(&self.image)?);
        *files = Some(found.clone());
        Ok(found)
    }
}

impl Row {
    fn is_idle(&self) -> bool {
        let shared = self.opened.as_ref().map_or(0, Arc::strong_count);
        self.handles == 0 && shared <= 1
    }
}

impl Moments {
    pub(crate) fn new(past: Arc<dyn Past>) -> Moments {
        Moments {
            past,
            table: Mutex::default(),
            opening: Mutex::default(),
        }
    }

    /// The moment of a virtual disk that people write so.
    pub(crate) fn find(&self, vdisk: &str, moment: &str) -> Result<u32, MomentError> {
        let is_relative = moment.starts_with('-');
        let key = (vdisk.to_owned(), moment.to_owned());
        if is_relative && let Some(number) = lock(&self.table).pinned_row(&key) {
            return Ok(number);
        }
        let found = self.past.resolve(vdisk, moment).map_err(|why| {
            tracing::debug!("{vdisk}/{moment}: {why}");
            MomentError::Gone
        })?;
        let mut table = lock(&self.table);
        let number = table.row(vdisk, found)?;
        if is_relative {
            table.pin(key, number);
        }
        Ok(number)
    }

    /// The virtual disk of a moment, and what is known of that.
    pub(crate) fn vdisk_of(&self, number: u32) -> Result<(String, FoundMoment), MomentError> {
        let table = lock(&self.table);
        let row = table.rows.get(&number).ok_or(MomentError::Gone)?;
        Ok((row.vdisk.clone(), row.found))
    }

    /// A moment, opened if it is not.
    pub(crate) fn open(&self, number: u32) -> Result<Arc<Opened>, MomentError> {
        if let Some(opened) = lock(&self.table).use_row(number)?.opened.clone() {
            return Ok(opened);
        }
        let _one_at_a_time = lock(&self.opening);
        let (vdisk, seq) = {
            let mut table = lock(&self.table);
            let row = table.use_row(number)?;
            if let Some(opened) = row.opened.clone() {
                return Ok(opened);
            }
            let wanted = (row.vdisk.clone(), row.found.seq);
            table.make_room()?;
            wanted
        };
        let image = self.past.open(&vdisk, seq).map_err(|why| {
            tracing::debug!("{vdisk}@seq:{seq} cannot be opened: {why}");
            MomentError::Gone
        })?;
        let opened = Arc::new(Opened {
            image,
            files: Mutex::default(),
        });
        lock(&self.table).use_row(number)?.opened = Some(opened.clone());
        Ok(opened)
    }

    /// A file or directory of a moment is open from now on, and keeps it open.
    pub(crate) fn begin_use(&self, number: u32) -> Result<(), MomentError> {
        lock(&self.table).use_row(number)?.handles += 1;
        Ok(())
    }

    /// One of them is closed.
    pub(crate) fn end_use(&self, number: u32) {
        if let Ok(row) = lock(&self.table).use_row(number) {
            row.handles = row.handles.saturating_sub(1);
        }
    }

    /// Closes those that were not used for a while.
    pub(crate) fn close_idle(&self, now: Instant) {
        let mut closed = Vec::new();
        for row in lock(&self.table).rows.values_mut() {
            if row.is_idle() && now.saturating_duration_since(row.used) >= IDLE_TIME {
                closed.extend(row.opened.take());
            }
        }
        // Outside of the lock: the connection of each is closed.
        drop(closed);
    }

    /// How many are open.
    #[cfg(test)]
    pub(crate) fn open_count(&self) -> usize {
        lock(&self.table).open_rows()
    }
}

impl Table {
    fn use_row(&mut self, number: u32) -> Result<&mut Row, MomentError> {
        let row = self.rows.get_mut(&number).ok_or(MomentError::Gone)?;
        row.used = Instant::now();
        Ok(row)
    }

    /// Keeps what a time before now means, unless too many are kept: it is resolved again then.
    fn pin(&mut self, key: (String, String), number: u32) {
        if self.pinned.len() >= MOST_ROWS {
            let rows = &self.rows;
            let is_used = |number: &u32| rows.get(number).is_some_and(|row| !row.is_idle());
            self.pinned.retain(|_, number| is_used(number));
        }
        if self.pinned.len() < MOST_ROWS {
            self.pinned.insert(key, number);
        }
    }

    fn pinned_row(&mut self, key: &(String, String)) -> Option<u32> {
        let number = *self.pinned.get(key)?;
        let row = self.rows.get_mut(&number)?;
        if row.is_idle() && row.used.elapsed() >= PIN_TIME {
            return None;
        }
        row.used = Instant::now();
        Some(number)
    }

    /// The row of a moment, made if it is missing.
    fn row(&mut self, vdisk: &str, found: FoundMoment) -> Result<u32, MomentError> {
        let key = (vdisk.to_owned(), found.seq);
        if let Some(number) = self.by_seq.get(&key) {
            return Ok(*number);
        }
        if self.rows.len() >= MOST_ROWS {
            self.forget_unused();
        }
        // Numbers are used again only when all were used once.
        let mut number = self.last;
        loop {
            number = if number >= LAST_MOMENT { 1 } else { number + 1 };
            if !self.rows.contains_key(&number) {
                break;
            }
            if self.rows.len() >= MOST_ROWS {
                return Err(MomentError::TooMany);
            }
        }
        self.last = number;
        self.by_seq.insert(key, number);
        let row = Row {
            vdisk: vdisk.to_owned(),
            found,
            handles: 0,
            used: Instant::now(),
            opened: None,
        };
        self.rows.insert(number, row);
        Ok(number)
    }

    /// Files of these moments that a program still knows are stale from now on.
    fn forget_unused(&mut self) {
        self.rows
            .retain(|_, row| row.opened.is_some() || row.handles > 0);
        let rows = &self.rows;
        self.by_seq.retain(|_, number| rows.contains_key(number));
        self.pinned.retain(|_, number| rows.contains_key(number));
    }

    fn open_rows(&self) -> usize {
        let rows = self.rows.values();
        rows.filter(|row| row.opened.is_some()).count()
    }

    /// Closes the one that was unused longest, if as many as may be are open.
    fn make_room(&mut self) -> Result<(), MomentError> {
        if self.open_rows() < MOST_OPEN {
            return Ok(());
        }
        let rows = self.rows.values_mut();
        let idle = rows.filter(|row| row.opened.is_some() && row.is_idle());
        let oldest = idle.min_by_key(|row| row.used);
        oldest.ok_or(MomentError::TooMany)?.opened = None;
        Ok(())
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(|broken| broken.into_inner())
}

#[cfg(test)]
mod tests;
