//! The histories of a set: how one is configured, opened and asked.
//!
//! Invariant: a vdisk whose log cannot be opened is served all the same and fails every request, so
//! that the other vdisks are served.

use super::{VdiskConfig, VolumeSet};
use crate::VolumeError;
use crate::catalog::Catalog;
use crate::data_path::DataPath;
use crate::driver::Driver;
use crate::histories::{
    Histories, HistoryReport, LoggedVdisk, MomentDone, OpenedLog, Parts, SeqDone, open_log,
};
use crate::ids::VdiskSlot;
use crate::label::{HistoryEntry, VdiskEntry};
use crate::labelled::LabelledDisk;
use crate::layout::{Known, Layout, MappedExtent};
use crate::program_version::ProgramVersion;
use crate::target::{DiskIndex, Target};
use crate::vdisk::OpenVdisk;
use disktime_disks::Disk;
use disktime_engine::{
    IoError, LastChange, NoSpaceCount, Request, StreamConfig, StreamId, VdiskId,
};
use disktime_history::{Moment, Settings, WhenFull};
use disktime_units::{Nanos, TrimHandling};

/// Batches in flight on a disk without seeks; one on a disk with seeks, where the next batch takes
/// what gathers meanwhile.
const COMMITS_WITHOUT_SEEKS: usize = 4;

const NO_HISTORY: &str = "the vdisk has no history, or it could not be opened (`disktime status` \
    says why); give it a `history` in the file and start the server again";

/// How long closing may take; a log that is not closed is opened as after a crash.
const CLOSE_TIME: Nanos = Nanos::from_secs(10);

/// How a history is kept.
#[derive(Debug, Clone)]
pub struct HistoryConfig {
    /// How long moments are kept, in nanoseconds.
    pub window_ns: u64,
    /// What happens to writes when the log is full.
    pub when_full: WhenFull,
    /// What the stream of the log gets,
    pub log: StreamConfig,
    /// and that of its folds.
    pub fold: StreamConfig,
}

/// A log that was opened, until its vdisk is served.
pub(super) struct NewLog {
    opened: OpenedLog,
    layout: Layout,
    image_slot: VdiskSlot,
    config: HistoryConfig,
    streams: (StreamId, StreamId),
    entry: VdiskEntry,
    area_bytes: u64,
    trims: TrimHandling,
    last_change: LastChange,
    no_space: NoSpaceCount,
    image_bytes: u64,
}

/// Refuses a history that cannot be kept.
pub(super) fn check_history(vdisk: &VdiskConfig, holds_data: bool) -> Result<(), VolumeError> {
    let refuse = |problem: &str| {
        Err(VolumeError::History {
            name: vdisk.spec.name.clone(),
            problem: problem.to_owned(),
        })
    };
    if vdisk.history.is_some() != vdisk.spec.history_bytes.is_some() {
        return refuse("its space and how it is kept are given together");
    }
    if vdisk.history.is_none() {
        return Ok(());
    }
    if !holds_data {
        return refuse(
            "its disk keeps no data (a `null` disk, or a model in virtual time), and a history is \
             made of data; `simulate` does not run histories yet: leave `history` out there",
        );
    }
    if vdisk.trims == TrimHandling::Hold {
        return refuse("its trims go to the log, so they cannot be held; use \"trim\": \"pass\"");
    }
    Ok(())
}

/// Opens the log of a vdisk whose image is open; the vdisk fails every request if it cannot be.
pub(super) fn open_history<D: Disk, R: Driver>(
    disk: &mut LabelledDisk<D>,
    driver: &mut R,
    (vdisk, history): (&VdiskConfig, &HistoryEntry),
    (entry, image_slot): (&VdiskEntry, VdiskSlot),
    image: OpenVdisk,
    logged: &mut Vec<NewLog>,
) -> Result<OpenVdisk, VolumeError> {
    let Some(config) = vdisk.history.clone().filter(|_| !image.is_damaged()) else {
        return Ok(image);
    };
    let name = entry.name();
    if disk.is_read_only() {
        let why = "its disk cannot be written to, which opening it needs";
        return Ok(image.failing(cannot_open(name, why)));
    }
    let now = driver.now();
    let disk_loop = disk.disk_loop_mut();
    let streams = (
        disk_loop.add_stream(now, config.log),
        disk_loop.add_stream(now, config.fold),
    );
    let has_seeks = disk_loop.properties().has_seeks;
    let settings = Settings {
        commits_in_flight: if has_seeks { 1 } else { COMMITS_WITHOUT_SEEKS },
        when_full: config.when_full,
        window_ns: config.window_ns,
        program_version: ProgramVersion::this().numbers(),
    };
    let layout = area_layout(history, streams.0);
    let opened = match open_log(disk_loop, driver, (history, &layout), streams.0, settings)? {
        Ok(opened) => opened,
        Err(why) => return Ok(image.failing(cannot_open(name, &why))),
    };
    let notice = opened.report.lost_from.map(|seq| {
        format!(
            "the history of vdisk `{name}` has lost data that was durable, from seq:{seq} on: the \
             vdisk holds what it held before that, and can be read and not written"
        )
    });
    logged.push(NewLog {
        opened,
        layout,
        image_slot,
        config,
        streams,
        entry: entry.clone(),
        area_bytes: history.area_bytes(),
        trims: vdisk.trims,
        last_change: image.last_change().clone(),
        no_space: image.no_space().clone(),
        image_bytes: image.layout().stored().get(),
    });
    Ok(image.with_flush_stream(streams.1).with_notice(notice))
}

fn cannot_open(name: &str, why: &str) -> String {
    format!(
        "the history of vdisk `{name}` cannot be opened: {why}. Every request for the vdisk fails; \
         the other vdisks are served"
    )
}

/// The area of a log, as a vdisk of the data path.
fn area_layout(history: &HistoryEntry, stream: StreamId) -> Layout {
    let mut at = 0;
    let extents = history.extents().iter().map(|(offset, len)| {
        let range = (at, at + len);
        at = range.1;
        let target = Target::new(DiskIndex::FIRST, *offset, stream);
        MappedExtent::new(range, target, Known::Nothing)
    });
    Layout::new(extents.collect(), history.area_bytes())
}

/// Enters the areas of the logs into the data path, beside their images.
pub(super) fn add_logs<D: Disk, R: Driver>(
    logged: Vec<NewLog>,
    catalog: &mut Catalog,
    data_path: &mut DataPath<D>,
    driver: &mut R,
) -> Histories {
    let now = driver.now();
    let since_1970_ns = driver.wall_clock().since_1970_ns(now);
    let vdisks = logged.into_iter().map(|new| {
        let log_slot = catalog.reserve_slot();
        let name = format!("{} (history)", new.entry.name());
        let stream = new.streams.0;
        let area = OpenVdisk::new(name, stream, new.layout, false, LastChange::default());
        data_path.add(log_slot, area);
        let parts = Parts {
            name: new.entry.name().to_owned(),
            log: new.opened.log,
            image_step: new.opened.image_step,
            image_slot: new.image_slot,
            log_slot,
            size_bytes: new.entry.size_bytes(),
            log_stream: new.streams.0,
            fold_stream: new.streams.1,
            trims: new.trims,
            last_change: new.last_change,
            no_space: new.no_space,
            image_bytes: new.image_bytes,
            window_ns: new.config.window_ns,
            area_bytes: new.area_bytes,
        };
        LoggedVdisk::new(parts, since_1970_ns)
    });
    let vdisks = vdisks.collect();
    Histories::new(vdisks, driver.wall_clock(), now)
}

impl<D: Disk> VolumeSet<D> {
    /// How the history of a vdisk stands; `None` if it has none.
    pub fn history(&self, vdisk: VdiskId) -> Option<HistoryReport> {
        let slot = self.catalog.resolve(vdisk)?;
        Some(self.histories.of(slot)?.report())
    }

    /// The streams of the log and of the fold of a vdisk with a history.
    pub fn history_streams(&self, vdisk: VdiskId) -> Option<(StreamId, StreamId)> {
        let slot = self.catalog.resolve(vdisk)?;
        Some(self.histories.of(slot)?.streams())
    }

    /// Gives the newest content a name; `done` hears of the moment when the mark is durable.
    pub fn mark(&mut self, vdisk: VdiskId, name: &str, done: SeqDone) {
        match self.logged(vdisk) {
            Ok(logged) => logged.mark(name, done),
            Err(why) => done(Err(why)),
        }
    }

    /// Gives a mark up; `done` hears when that is durable. What only the mark kept can be folded.
    pub fn drop_mark(&mut self, vdisk: VdiskId, name: &str, done: SeqDone) {
        match self.logged(vdisk) {
            Ok(logged) => logged.drop_mark(name, done),
            Err(why) => done(Err(why)),
        }
    }

    /// Gives up what a revert left behind; `done` hears when that is durable.
    pub fn drop_branch(&mut self, vdisk: VdiskId, branch: u64, done: SeqDone) {
        match self.logged(vdisk) {
            Ok(logged) => logged.drop_branch(branch, done),
            Err(why) => done(Err(why)),
        }
    }

    /// Makes the content of a moment the newest; `done` hears when that is durable. The caller has
    /// made sure that no client uses the vdisk.
    pub fn revert(&mut self, vdisk: VdiskId, moment: &Moment, done: SeqDone) {
        match self.logged(vdisk) {
            Ok(logged) => logged.revert(moment, done),
            Err(why) => done(Err(why)),
        }
    }

    /// Makes what was the newest content before the last revert the newest again.
    pub fn undo_revert(&mut self, vdisk: VdiskId, done: SeqDone) {
        match self.logged(vdisk) {
            Ok(logged) => logged.undo_revert(done),
            Err(why) => done(Err(why)),
        }
    }

    /// Opens a moment for reading; `done` hears of the handle that requests for it carry, from
    /// within a turn.
    pub fn open_moment(&mut self, vdisk: VdiskId, moment: &Moment, done: MomentDone) {
        match self.logged_slot(vdisk) {
            Ok(slot) => self.histories.open_moment(slot, moment, done),
            Err(why) => done(Err(why)),
        }
    }

    /// Finds the handle and the seq that a moment has when it is open; `done` hears of them.
    pub fn find_moment(&mut self, vdisk: VdiskId, moment: &Moment, done: MomentDone) {
        match self.logged_slot(vdisk) {
            Ok(slot) => self.histories.find_moment(slot, moment, done),
            Err(why) => done(Err(why)),
        }
    }

    /// Closes a moment as often as it was opened; then requests with its handle fail.
    pub fn close_moment(&mut self, moment: VdiskId) {
        self.histories.close_moment(moment);
    }

    fn logged(&mut self, vdisk: VdiskId) -> Result<&mut LoggedVdisk, String> {
        let slot = self.catalog.resolve(vdisk);
        let logged = slot.and_then(|slot| self.histories.of_mut(slot));
        logged.ok_or_else(|| NO_HISTORY.to_owned())
    }

    fn logged_slot(&self, vdisk: VdiskId) -> Result<VdiskSlot, String> {
        let slot = self.catalog.resolve(vdisk);
        let logged = slot.filter(|slot| self.histories.of(*slot).is_some());
        logged.ok_or_else(|| NO_HISTORY.to_owned())
    }

    pub(super) fn submit_to_moment(&mut self, now: Nanos, request: Request) -> Result<(), Request> {
        let path = &mut self.data_path;
        match self.histories.submit_to_moment(now, request, path) {
            Ok(taken) => taken,
            Err(request) => {
                self.data_path.refuse(now, request, IoError::Shutdown);
                Ok(())
            }
        }
    }

    /// Closes every log in good order, so that the next opening finds nothing to repeat. No request
    /// is in flight any more.
    ///
    /// # Errors
    /// When the disk gives nothing to wait for.
    pub fn close_histories<R: Driver>(&mut self, driver: &mut R) -> Result<(), VolumeError> {
        if self.histories.is_empty() {
            return Ok(());
        }
        self.histories.close();
        let mut replies = Vec::new();
        let until = driver.now() + CLOSE_TIME;
        loop {
            let now = driver.now();
            self.histories.turn(now, &mut self.data_path, &mut replies);
            if self.histories.are_closed() {
                return Ok(());
            }
            if now > until {
                tracing::warn!("a history was not closed in time; the next start repairs that");
                return Ok(());
            }
            let wakes = [
                self.data_path.next_wake(),
                self.histories.next_wake(self.data_path.now()),
            ];
            let wake = wakes.into_iter().flatten().min();
            driver.wait(wake, self.data_path.disk_loop().wake_fd())?;
        }
    }
}
