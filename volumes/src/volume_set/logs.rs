//! The logs of histories, from the labels of their disks to vdisks that are served with them.
//!
//! Invariant: a vdisk whose log cannot be opened is served all the same and fails every request, so
//! that the other vdisks are served.

use super::{VdiskConfig, VolumeSet};
use crate::VolumeError;
use crate::driver::Driver;
use crate::histories::{
    FoldLimits, Ground, Histories, LoggedVdisk, Numbering, OpenedLog, Parts, grow_log, open_log,
};
use crate::ids::VdiskSlot;
use crate::label::{HistoryEntry, Uuid, VdiskEntry};
use crate::labelled::LabelledDisk;
use crate::layout::{Known, Layout, MappedExtent};
use crate::program_version::ProgramVersion;
use crate::space::slots_in;
use crate::target::{DiskIndex, Target};
use crate::vdisk::OpenVdisk;
use disktime_disks::Disk;
use disktime_engine::{DiskLoop, LastChange, NoSpaceCount, StreamConfig, StreamId};
use disktime_history::{Settings, UNIT_BYTES, WhenFull};
use disktime_units::{Nanos, Share, TrimHandling, format_sizes};

mod refusals;

pub use refusals::require_endable_log;
pub(crate) use refusals::{check_history, require_endable, require_untouched};

/// Batches in flight on a disk without seeks; one on a disk with seeks, where the next batch takes
/// what gathers meanwhile.
const COMMITS_WITHOUT_SEEKS: usize = 4;

/// How long a batch waits on a disk with seeks for the clients of the one before: a small part of a
/// turn, and more than clients take to come back.
const GATHER: Nanos = Nanos::from_millis(1);

/// How a history is kept.
#[derive(Debug, Clone)]
pub struct HistoryConfig {
    /// How long moments are kept, in nanoseconds.
    pub window_ns: u64,
    /// What happens to writes when the log is full.
    pub when_full: WhenFull,
    /// The part of the log that is folded at once when it is full.
    pub batch: Share,
    /// What the stream of the log gets,
    pub log: StreamConfig,
    /// that of its folds on the disk of the image,
    pub fold: StreamConfig,
    /// and that of its folds on the disk of the log, if that is another.
    pub fold_reads: StreamConfig,
}

impl HistoryConfig {
    /// Of one that is given up: it takes what time is left.
    fn of_ending() -> HistoryConfig {
        HistoryConfig {
            window_ns: 1 << 60,
            when_full: WhenFull::Shorten,
            batch: Share::WHOLE,
            log: StreamConfig::BEST_EFFORT,
            fold: StreamConfig::BEST_EFFORT,
            fold_reads: StreamConfig::BEST_EFFORT,
        }
    }
}

/// The streams of a history on one disk.
#[derive(Debug, Clone)]
pub struct HistoryStreams {
    /// The vdisk's name.
    pub vdisk: String,
    /// Pays for what the log does, if it lies there,
    pub log: Option<StreamId>,
    /// and this for folds; a clone has none.
    pub fold: Option<StreamId>,
}

/// A log that was opened, until its vdisk is served.
pub(crate) struct NewLog {
    opened: OpenedLog,
    layout: Layout,
    image_slot: VdiskSlot,
    /// The number of the set that the log lies in, if that is not the image's.
    log_set: Option<usize>,
    window_ns: u64,
    streams: LogStreams,
    entry: VdiskEntry,
    area_bytes: u64,
    fold_limits: FoldLimits,
    trims: TrimHandling,
    last_change: LastChange,
    no_space: NoSpaceCount,
    image_bytes: u64,
}

impl NewLog {
    /// The log with its layout and the stream that pays for it, and the vdisk.
    pub(super) fn parts(&mut self) -> (&mut OpenedLog, &Layout, StreamId, Uuid) {
        let vdisk = self.entry.uuid();
        (&mut self.opened, &self.layout, self.streams.log, vdisk)
    }

    /// The number of the set that the log lies in, if that is not the image's.
    pub(super) fn log_set(&self) -> Option<usize> {
        self.log_set
    }
}

/// The streams of a history on its disks.
#[derive(Debug, Clone, Copy)]
struct LogStreams {
    log: StreamId,
    /// On the disk of the image,
    fold: StreamId,
    /// and on that of the log, which may be the same.
    fold_reads: StreamId,
}

fn settings<D: Disk>(
    log_disk: &DiskLoop<D>,
    (when_full, window_ns, batch): (WhenFull, u64, Share),
) -> Settings {
    let has_seeks = log_disk.properties().has_seeks;
    Settings {
        commits_in_flight: if has_seeks { 1 } else { COMMITS_WITHOUT_SEEKS },
        when_full,
        window_ns,
        batch_ppm: batch.0,
        step_ppm: Share::WHOLE.0,
        gather_ns: if has_seeks { GATHER.0 } else { 0 },
        program_version: ProgramVersion::this().numbers(),
    }
}

/// Opens the log of a vdisk whose image is open; the vdisk fails every request if it cannot be.
/// `image`, `log`: the numbers of their disks.
pub(crate) fn open_history<D: Disk, R: Driver>(
    disks: &mut [LabelledDisk<D>],
    driver: &mut R,
    (image, log): (usize, usize),
    (vdisk, entry, image_slot): (&VdiskConfig, &VdiskEntry, VdiskSlot),
    opened: OpenVdisk,
    logged: &mut Vec<NewLog>,
) -> Result<OpenVdisk, VolumeError> {
    let record = |disk: usize| {
        let record = disks[disk].label().history_of(entry.uuid());
        // A log that was given up is not the vdisk's any more: its image is whole without it.
        record.filter(|record| !record.is_of_clone()).cloned()
    };
    let history = record(log);
    if history.is_none() && record(image).is_some() {
        let why = "its log is not on the disk on which it is looked for";
        return Ok(opened.failing(cannot_open(entry.name(), why)));
    }
    let ending = HistoryConfig::of_ending();
    let config = match vdisk.spec.history_off {
        true => Some(&ending),
        false => vdisk.history.as_ref(),
    };
    let Some((config, history)) = config.zip(history) else {
        return Ok(opened);
    };
    if opened.is_damaged() {
        return Ok(opened);
    }
    let name = entry.name();
    if disks[image].is_read_only() || disks[log].is_read_only() {
        let why = "its disk cannot be written to, which opening it needs";
        return Ok(opened.failing(cannot_open(name, why)));
    }
    let area_bytes = history.area_bytes();
    let has_seeks = |disk: usize| disks[disk].disk_loop().properties().has_seeks;
    let fold_limits = FoldLimits::of_disks(has_seeks(log), has_seeks(image), area_bytes);
    let streams = add_streams(disks, driver.now(), (image, log), config);
    let disk_loop = disks[log].disk_loop_mut();
    let settings = Settings {
        step_ppm: fold_limits.step_ppm(area_bytes),
        ..settings(
            disk_loop,
            (config.when_full, config.window_ns, config.batch),
        )
    };
    let layout = area_layout(&history, streams.log);
    let found = open_log(
        disk_loop,
        driver,
        (&history, &layout, None),
        streams.log,
        settings,
    )?;
    let log_opened = match found {
        Ok(log_opened) => log_opened,
        Err(why) => return Ok(opened.failing(cannot_open(name, &why))),
    };
    let mut log_opened = log_opened;
    let of = (&mut log_opened, &layout);
    let slots = slots_in(history.slot_units(), area_bytes);
    let grown = grow(disk_loop, driver, of, streams.log, (entry, slots))?;
    let not_grown = match grown {
        Ok(not_grown) => not_grown,
        Err(why) => return Ok(opened.failing(cannot_open(name, &why))),
    };
    let notice = log_opened.report.lost_from.map(|seq| {
        format!(
            "the history of vdisk `{name}` has lost data that was durable, from seq:{seq} on: the \
             vdisk holds what it held before that, and can be read and not written. `disktime \
             accept-loss {name}` gives up what is lost; then it can be written again"
        )
    });
    logged.push(NewLog {
        opened: log_opened,
        layout,
        image_slot,
        log_set: (image != log).then_some(log),
        window_ns: config.window_ns,
        streams,
        entry: entry.clone(),
        area_bytes,
        fold_limits,
        trims: vdisk.trims,
        last_change: opened.last_change().clone(),
        no_space: opened.no_space().clone(),
        image_bytes: opened.layout().stored().get(),
    });
    let opened = opened.with_flush_stream(streams.fold);
    Ok(opened.with_notice(notice).with_notice(not_grown))
}

/// Has the log take the sizes of vdisk and area that the label says: what a crash interrupted
/// between the two is finished. A sentence if it has not grown, and an error if the vdisk cannot be
/// served.
fn grow<D: Disk, R: Driver>(
    disk_loop: &mut DiskLoop<D>,
    driver: &mut R,
    (opened, layout): (&mut OpenedLog, &Layout),
    stream: StreamId,
    (entry, slots): (&VdiskEntry, Option<u32>),
) -> Result<Result<Option<String>, String>, VolumeError> {
    let size_bytes = opened.log.vdisk_blocks() * UNIT_BYTES as u64;
    let wanted_bytes = entry.size_bytes();
    if size_bytes > wanted_bytes {
        let [has, wanted] = format_sizes([size_bytes, wanted_bytes]);
        return Ok(Err(format!(
            "it says that the vdisk has {has}, and the label of the vdisk's disk says {wanted}: that \
             disk is an older copy of itself; bring the newer one back"
        )));
    }
    let slots = slots.unwrap_or(0).max(opened.log.slots());
    let is_grown = size_bytes == wanted_bytes && slots == opened.log.slots();
    if is_grown || opened.log.is_read_only() {
        return Ok(Ok(None));
    }
    let sizes = (wanted_bytes, slots);
    let grown = grow_log(disk_loop, driver, (opened, layout), stream, sizes)?;
    Ok(Ok(grown.err().map(|why| {
        let [has, wanted] = format_sizes([size_bytes, wanted_bytes]);
        format!(
            "vdisk `{}` and its history have not grown (it has {has}, and not {wanted}): {why}; start \
             the server again for its new size",
            entry.name()
        )
    })))
}

fn add_streams<D: Disk>(
    disks: &mut [LabelledDisk<D>],
    now: Nanos,
    (image, log): (usize, usize),
    config: &HistoryConfig,
) -> LogStreams {
    // No client waits for a single request of a fold.
    let mut add_of_fold = |disk: usize, config| {
        let disk_loop = disks[disk].disk_loop_mut();
        let stream = disk_loop.add_stream(now, config);
        disk_loop.order_by_positioning(stream);
        stream
    };
    let fold = add_of_fold(image, config.fold);
    let fold_reads = match image == log {
        true => fold,
        false => add_of_fold(log, config.fold_reads),
    };
    let of_log = disks[log].disk_loop_mut().add_stream(now, config.log);
    LogStreams {
        log: of_log,
        fold,
        fold_reads,
    }
}

/// How the log of a clone is used: it is never folded.
pub(crate) fn log_settings<D: Disk>(log_disk: &DiskLoop<D>) -> Settings {
    settings(log_disk, (WhenFull::Refuse, u64::MAX, Share::WHOLE))
}

fn cannot_open(name: &str, why: &str) -> String {
    format!(
        "the history of vdisk `{name}` cannot be opened: {why}. Every request for the vdisk fails; \
         the other vdisks are served"
    )
}

/// The area of a log, as a vdisk of the data path of its disk.
pub(crate) fn area_layout(history: &HistoryEntry, stream: StreamId) -> Layout {
    let mut at = 0;
    let extents = history.extents().iter().map(|(offset, len)| {
        let range = (at, at + len);
        at = range.1;
        let target = Target::new(DiskIndex::FIRST, *offset, stream);
        MappedExtent::new(range, target, Known::Nothing)
    });
    Layout::new(extents.collect(), history.area_bytes())
}

/// Enters the areas of the logs of the set at `number` into the data paths of their disks, and the
/// vdisks that have them into the set.
pub(crate) fn add_logs<D: Disk, R: Driver>(
    sets: &mut [VolumeSet<D>],
    number: usize,
    logged: Vec<NewLog>,
    driver: &mut R,
) {
    let now = driver.now();
    let since_1970_ns = driver.wall_clock().since_1970_ns(now);
    let numbering = Numbering {
        number,
        sets: sets.len(),
    };
    sets[number].histories = Histories::new(numbering, driver.wall_clock(), now);
    for new in logged {
        let (streams, name) = (new.streams, new.entry.name().to_owned());
        let of_log = &mut sets[new.log_set.unwrap_or(number)];
        let log_slot = of_log.catalog.reserve_slot();
        let title = format!("{name} (history)");
        let change = LastChange::default();
        let area = OpenVdisk::new(title, streams.log, new.layout, false, change);
        of_log.data_path.add(log_slot, area);
        of_log.history_streams.push(HistoryStreams {
            vdisk: name.clone(),
            log: Some(streams.log),
            fold: Some(streams.fold_reads),
        });
        if new.log_set.is_some() {
            sets[number].history_streams.push(HistoryStreams {
                vdisk: name.clone(),
                log: None,
                fold: Some(streams.fold),
            });
        }
        let size_bytes = new.opened.log.vdisk_blocks() * UNIT_BYTES as u64;
        let parts = Parts {
            name,
            log: new.opened.log,
            image_step: new.opened.image_step,
            image: Ground {
                slot: new.image_slot,
                other_stream: streams.fold,
            },
            area: Ground {
                slot: log_slot,
                other_stream: streams.fold_reads,
            },
            log_set: new.log_set,
            size_bytes,
            fold_limits: new.fold_limits,
            trims: new.trims,
            last_change: new.last_change,
            no_space: new.no_space,
            image_bytes: new.image_bytes,
            window_ns: Some(new.window_ns),
            area_bytes: new.area_bytes,
            max_bytes: new.area_bytes,
            parent: None,
        };
        let histories = &mut sets[number].histories;
        let mut logged = LoggedVdisk::new(parts, since_1970_ns);
        for notice in new.opened.said {
            logged.note(notice);
        }
        let at = histories.add(logged);
        histories.bind(at);
    }
}
