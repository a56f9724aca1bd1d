//! Opening the log of a vdisk, before the vdisk is served: one I/O after the other, each waited
//! for, paid by the stream of the log.

use crate::VolumeError;
use crate::driver::{Blocking, Driver};
use crate::label::{HistoryEntry, UNIT_BYTES};
use crate::layout::Layout;
use disktime_disks::Disk;
use disktime_engine::{DiskLoop, StreamId};
use disktime_history::{
    Expectation, IoFailed, IoId, Log, Need, Notice, Origin, Part, Recovery, Report, RequestId, Seq,
    Settings, Step, ViewId,
};
use std::ops::Range;

const DOING: &str = "opening a history";

/// A log that is open.
#[derive(Debug)]
pub(crate) struct OpenedLog {
    pub log: Log,
    /// What was found.
    pub report: Report,
    /// A fold that waits for its writes to the image.
    pub image_step: Option<IoId>,
    /// What the log has said since, for the vdisk that is served with it.
    pub said: Vec<Notice>,
}

/// Opens the log in the area of `entry`, which lies on the disk as `layout` says, and which is that
/// of a clone if `origin` says what it begins with; or a sentence says why it cannot be opened.
pub(crate) fn open_log<D: Disk, R: Driver>(
    disk_loop: &mut DiskLoop<D>,
    driver: &mut R,
    (entry, layout, origin): (&HistoryEntry, &Layout, Option<Origin>),
    stream: StreamId,
    settings: Settings,
) -> Result<Result<OpenedLog, String>, VolumeError> {
    let mut area = Area::new(disk_loop, driver, stream, layout);
    let mut opened = match area.recover((entry, origin), settings)? {
        Ok((log, report)) => OpenedLog::of(log, report),
        Err(why) => return Ok(Err(why)),
    };
    let is_open = |notice: &Notice| matches!(notice, Notice::Opened).then_some(Ok(()));
    let result = area.run_until(&mut opened, is_open)?;
    Ok(result.map(|()| opened))
}

/// Has a log that is open and not served yet take a greater size of its vdisk, and more slots; or a
/// sentence says why it does not.
pub(crate) fn grow_log<D: Disk, R: Driver>(
    disk_loop: &mut DiskLoop<D>,
    driver: &mut R,
    (opened, layout): (&mut OpenedLog, &Layout),
    stream: StreamId,
    (size_bytes, slots): (u64, u32),
) -> Result<Result<(), String>, VolumeError> {
    let mut area = Area::new(disk_loop, driver, stream, layout);
    if let Err(why) = opened.log.grow(size_bytes / UNIT_BYTES as u64, slots) {
        return Ok(Err(why.to_string()));
    }
    let grown = area.run_while_it_goes_on(opened, |notice| match notice {
        Notice::Grown { .. } => Some(Ok(())),
        Notice::NotGrown { why } => Some(Err(why.to_string())),
        _ => None,
    })?;
    // It goes on when the fold has ended, which is served with the vdisk.
    let waits = || Err("its history is full, and is being folded".to_owned());
    Ok(grown.unwrap_or_else(waits))
}

/// Opens a moment of a log that is open and not served yet, for a clone; or a sentence says why it
/// cannot be opened.
pub(crate) fn open_view<D: Disk, R: Driver>(
    disk_loop: &mut DiskLoop<D>,
    driver: &mut R,
    (opened, layout): (&mut OpenedLog, &Layout),
    stream: StreamId,
    moment: Seq,
) -> Result<Result<ViewId, String>, VolumeError> {
    let mut area = Area::new(disk_loop, driver, stream, layout);
    // No request has a number yet.
    if let Err(why) = opened.log.open_view(RequestId(0), moment) {
        return Ok(Err(why.to_string()));
    }
    area.run_until(opened, |notice| match notice {
        Notice::ViewOpened { view, .. } => Some(Ok(*view)),
        Notice::Failed { why, .. } => Some(Err(why.to_string())),
        _ => None,
    })
}

/// What the log in the area of `entry` says of itself, as far as its tables go; that of a clone if
/// `origin` says what it begins with. Writes nothing. `stream` pays.
pub(crate) fn look_into_log<D: Disk, R: Driver>(
    disk_loop: &mut DiskLoop<D>,
    driver: &mut R,
    (entry, layout, origin): (&HistoryEntry, &Layout, Option<Origin>),
    stream: StreamId,
    settings: Settings,
) -> Result<Result<Log, String>, VolumeError> {
    let mut area = Area::new(disk_loop, driver, stream, layout);
    let found = area.recover((entry, origin), settings)?;
    Ok(found.map(|(log, _)| log))
}

impl OpenedLog {
    /// Nothing is in flight, and it has said nothing.
    pub(crate) fn of(log: Log, report: Report) -> OpenedLog {
        OpenedLog {
            log,
            report,
            image_step: None,
            said: Vec::new(),
        }
    }

    /// What is waited for, if the log has said it, or why it cannot be any more; what else it says
    /// is kept.
    fn hear<T>(
        &mut self,
        awaited: impl Fn(&Notice) -> Option<Result<T, String>>,
    ) -> Option<Result<T, String>> {
        while let Some(notice) = self.log.take_notice() {
            if let Some(result) = awaited(&notice) {
                return Some(result);
            }
            if matches!(notice, Notice::Broken) {
                let why = self.log.broken().map(|why| why.to_string());
                return Some(Err(why.unwrap_or_default()));
            }
            self.said.push(notice);
        }
        None
    }
}

/// The area of a log.
struct Area<'a, D: Disk, R: Driver> {
    disk: Blocking<'a, D, R>,
    layout: &'a Layout,
}

impl<'a, D: Disk, R: Driver> Area<'a, D, R> {
    /// The area that lies on the disk as `layout` says; `stream` pays.
    fn new(
        disk_loop: &'a mut DiskLoop<D>,
        driver: &'a mut R,
        stream: StreamId,
        layout: &'a Layout,
    ) -> Area<'a, D, R> {
        let disk = Blocking::new(disk_loop, driver, stream);
        Area { disk, layout }
    }

    /// Finds the log; or says why there is none.
    fn recover(
        &mut self,
        (entry, origin): (&HistoryEntry, Option<Origin>),
        settings: Settings,
    ) -> Result<Result<(Log, Report), String>, VolumeError> {
        let expectation = Expectation {
            vdisk: entry.vdisk().to_bytes(),
            disk: entry.log_disk().to_bytes(),
            area_units: u32::try_from(entry.area_bytes() / UNIT_BYTES as u64).unwrap_or(u32::MAX),
        };
        let mut recovery = match origin {
            Some(origin) => Recovery::of_clone(expectation, origin),
            None => Recovery::new(expectation),
        };
        loop {
            match recovery.need() {
                Need::Nothing => break,
                // What a killed server has left in a cache is made durable by who goes on with it.
                Need::Flush if self.disk.is_read_only() => recovery.flushed(Ok(())),
                Need::Flush => recovery.flushed(io_result(self.disk.flush(DOING))?),
                Need::Read { unit, units } => match io_result(self.read(unit, units))? {
                    Ok(bytes) => recovery.give(Ok(&bytes)),
                    Err(failed) => recovery.give(Err(failed)),
                },
            }
        }
        Ok(recovery.finish(settings).map_err(|error| error.to_string()))
    }

    /// Does what the log asks for until it says what is waited for.
    fn run_until<T>(
        &mut self,
        opened: &mut OpenedLog,
        awaited: impl Fn(&Notice) -> Option<Result<T, String>>,
    ) -> Result<Result<T, String>, VolumeError> {
        let result = self.run_while_it_goes_on(opened, awaited)?;
        result.ok_or(VolumeError::Stuck { doing: DOING })
    }

    /// The same; `None` if it waits for what is done when it is served.
    fn run_while_it_goes_on<T>(
        &mut self,
        opened: &mut OpenedLog,
        awaited: impl Fn(&Notice) -> Option<Result<T, String>>,
    ) -> Result<Option<Result<T, String>>, VolumeError> {
        loop {
            if let Some(result) = opened.hear(&awaited) {
                return Ok(Some(result));
            }
            if let Some(step) = opened.log.take_step(self.disk.since_1970_ns()) {
                self.run(opened, step)?;
                continue;
            }
            // A log that needs no I/O any more has said it just now.
            return Ok(opened.hear(&awaited));
        }
    }

    fn run(&mut self, opened: &mut OpenedLog, step: Step) -> Result<(), VolumeError> {
        match step {
            Step::Write { io, unit, parts } => {
                let bytes = parts.into_iter().flat_map(|part| match part {
                    Part::Bytes(bytes) => bytes,
                    Part::Request { .. } => Vec::new(),
                });
                let bytes: Vec<u8> = bytes.collect();
                let result = io_result(self.write(unit, &bytes))?;
                opened.log.complete(io, result);
            }
            Step::Flush { io } => {
                let result = io_result(self.disk.flush(DOING))?;
                opened.log.complete(io, result);
            }
            Step::Read { io, unit, units } => match io_result(self.read(unit, units))? {
                Ok(bytes) => opened.log.complete_read(io, Ok(&bytes)),
                Err(failed) => opened.log.complete_read(io, Err(failed)),
            },
            Step::WriteImage { io } => opened.image_step = Some(io),
            // Nothing is read yet.
            Step::AwaitReads { io } => opened.log.complete(io, Ok(())),
        }
        Ok(())
    }

    /// The pieces on the disk of a range of the area: offset, and where in the range.
    fn pieces(&self, unit: u32, len: usize) -> Vec<(u64, Range<usize>)> {
        let start = u64::from(unit) * UNIT_BYTES as u64;
        let end = (start + len as u64).min(self.layout.size_bytes());
        let mut pieces = Vec::with_capacity(1);
        let mut at = start;
        while at < end {
            let stop = end.min(self.layout.extent_end(at));
            let in_range = (at - start) as usize..(stop - start) as usize;
            pieces.push((self.layout.target(at).offset_bytes(), in_range));
            at = stop;
        }
        pieces
    }

    fn read(&mut self, unit: u32, units: u32) -> Result<Vec<u8>, VolumeError> {
        let len = units as usize * UNIT_BYTES;
        let mut bytes = Vec::with_capacity(len);
        for (place, range) in self.pieces(unit, len) {
            bytes.extend(self.disk.read(DOING, place, range.len() as u64)?);
        }
        Ok(bytes)
    }

    fn write(&mut self, unit: u32, bytes: &[u8]) -> Result<(), VolumeError> {
        for (place, range) in self.pieces(unit, bytes.len()) {
            self.disk.write(DOING, place, &bytes[range])?;
        }
        Ok(())
    }
}

/// An I/O that the disk failed is the log's to judge; all else ends the opening.
fn io_result<T>(result: Result<T, VolumeError>) -> Result<Result<T, IoFailed>, VolumeError> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error @ VolumeError::Disk { .. }) => {
            tracing::warn!("{error}");
            Ok(Err(IoFailed))
        }
        Err(error) => Err(error),
    }
}
