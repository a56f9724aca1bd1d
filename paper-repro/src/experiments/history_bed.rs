//! A vdisk with or without a history, in virtual time, for experiments about histories: one caller
//! that writes, waits, and goes back in time.
//!
//! Invariant: the same calls give the same times and content.

use disktime_disks::{Buffer, Disk, Preparation, Store, VirtualDisk, VirtualOverlapDisk};
use disktime_drive_models::{OverlapDrive, preset};
use disktime_engine::{
    DiskLoop, LoopSettings, Order, PolicyKind, Reply, Request, RequestKind, Service, StreamConfig,
    SwitchingAccount, VdiskId,
};
use disktime_history::{Moment, Seq, WhenFull};
use disktime_lab::{LabError, LabResult};
use disktime_units::{ByBackgroundWork, Nanos, Share, TrimHandling};
use disktime_volumes::{
    CloneConfig, Format, HistoryConfig, HistoryError, JoinedSets, LabelledDisk, OpenOptions,
    SeqDone, VdiskConfig, VdiskSpec, VirtualDriver, VolumeSet,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

type AnyDisk = Box<dyn Disk>;

const DRIVE: &str = "desktop-7200-2008";
const SSD: &str = "sata-870";
const DISK_BYTES: u64 = 8 << 30;
/// The size of the vdisk,
pub(super) const VDISK_BYTES: u64 = 1 << 30;
/// that of its log,
pub(super) const LOG_BYTES: u64 = 512 << 20;
/// and that of a request.
pub(super) const BLOCK: u64 = 4096;

/// Where the log of the vdisk is, which lies on a hard disk if nothing else is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogPlace {
    /// It has none.
    Nowhere,
    /// On the same hard disk.
    SameDisk,
    /// On a hard disk that has nothing else.
    OwnHardDisk,
    /// On an SSD.
    Ssd,
    /// On an SSD, where the vdisk lies too.
    AllOnSsd,
}

impl LogPlace {
    /// For people.
    pub(super) fn name(self) -> &'static str {
        match self {
            LogPlace::Nowhere => "no history",
            LogPlace::SameDisk => "log on the same disk",
            LogPlace::OwnHardDisk => "log on its own hard disk",
            LogPlace::Ssd => "log on an SSD",
            LogPlace::AllOnSsd => "all on an SSD",
        }
    }
}

/// The vdisk and its clock.
pub(super) struct Bed {
    sets: JoinedSets<AnyDisk>,
    /// The vdisk.
    pub(super) vdisk: VdiskId,
    /// The time.
    pub(super) now: Nanos,
    replies: Vec<Reply>,
    requests: u64,
}

fn hard_disk(preparation: &Preparation) -> LabResult<AnyDisk> {
    let (parameters, _) = preset(DRIVE).ok_or_else(gone)?;
    let disk = VirtualDisk::hard_disk(&parameters, DISK_BYTES, DRIVE, Store::Sparse);
    Ok(Box::new(disk.map_err(sentence)?.prepared_in(preparation)))
}

fn ssd(preparation: &Preparation) -> LabResult<AnyDisk> {
    let drive = OverlapDrive::find(SSD).ok_or_else(gone)?;
    let disk = VirtualOverlapDisk::of_drive(&drive, DISK_BYTES, 1, Store::Sparse);
    Ok(Box::new(disk.prepared_in(preparation)))
}

fn gone() -> LabError {
    LabError::new("a preset of the experiment is gone")
}

fn sentence(error: impl ToString) -> LabError {
    LabError::new(error.to_string())
}

/// Hears what came of something.
type Done<T> = Box<dyn FnOnce(Result<T, HistoryError>) + Send>;

fn config(log: LogPlace) -> VdiskConfig {
    let best_effort = StreamConfig::BEST_EFFORT;
    let has_history = log != LogPlace::Nowhere;
    VdiskConfig {
        spec: VdiskSpec {
            name: "db".to_owned(),
            size_bytes: VDISK_BYTES,
            maps_holes: false,
            history_bytes: has_history.then_some(LOG_BYTES),
            history_off: false,
            log_disk: matches!(log, LogPlace::OwnHardDisk | LogPlace::Ssd).then_some(1),
        },
        stream: best_effort,
        group: None,
        trims: TrimHandling::Pass,
        history: has_history.then_some(HistoryConfig {
            window_ns: u64::MAX >> 1,
            when_full: WhenFull::Shorten,
            batch: Share::from_percent(50),
            log: best_effort,
            fold: best_effort,
            fold_reads: best_effort,
        }),
    }
}

impl Bed {
    /// A vdisk of which nothing was written, with an empty log there.
    pub(super) fn new(log: LogPlace) -> LabResult<Bed> {
        let preparation = Preparation::begin();
        let mut disks = vec![match log {
            LogPlace::AllOnSsd => ssd(&preparation)?,
            _ => hard_disk(&preparation)?,
        }];
        match log {
            LogPlace::OwnHardDisk => disks.push(hard_disk(&preparation)?),
            LogPlace::Ssd => disks.push(ssd(&preparation)?),
            LogPlace::Nowhere | LogPlace::SameDisk | LogPlace::AllOnSsd => {}
        }
        let mut driver = VirtualDriver::default();
        let mut labelled = Vec::new();
        for (uuid_seed, disk) in (1..).zip(disks) {
            let switching = match disk.properties().has_seeks {
                true => SwitchingAccount::Reserved {
                    factor_percent: 150,
                },
                false => SwitchingAccount::Served,
            };
            let settings = LoopSettings {
                policy: PolicyKind::Fahrrad,
                switching,
                order: Order::Sweep,
                max_queued: 1024,
            };
            let options = OpenOptions {
                format: Format::IfBlank { known_zero: true },
                uuid_seed,
                background: ByBackgroundWork::from_fn(|_| StreamConfig::BEST_EFFORT),
            };
            let disk_loop = DiskLoop::new(disk, settings);
            let disk = LabelledDisk::open(disk_loop, &mut driver, options);
            labelled.push(disk.map_err(sentence)?);
        }
        let mut vdisks = vec![Vec::new(); labelled.len()];
        vdisks[0].push(config(log));
        let opened = JoinedSets::from_labelled(labelled, &mut driver, &vdisks);
        let (sets, _) = opened.map_err(|misfit| sentence(misfit.error))?;
        preparation.end();
        let vdisk = sets.sets()[0].vdisk_id("db");
        Ok(Bed {
            vdisk: vdisk.ok_or_else(|| LabError::new("the vdisk is not served"))?,
            sets,
            now: driver.now,
            replies: Vec::new(),
            requests: 0,
        })
    }

    fn turn(&mut self) -> Vec<Reply> {
        self.sets.turn(self.now, &mut self.replies);
        std::mem::take(&mut self.replies)
    }

    /// Lets time pass until something is due.
    fn wait(&mut self) -> LabResult {
        let wake = self.sets.next_wake();
        let wake = wake.ok_or_else(|| LabError::new("nothing is to come"))?;
        self.now = self.now.max(wake);
        Ok(())
    }

    /// The next replies.
    fn replies(&mut self) -> LabResult<Vec<Reply>> {
        loop {
            let replies = self.turn();
            if !replies.is_empty() {
                return Ok(replies);
            }
            self.wait()?;
        }
    }

    fn submit(
        &mut self,
        vdisk: VdiskId,
        kind: RequestKind,
        at: u64,
        buffer: Buffer,
    ) -> LabResult<u64> {
        let handle = self.requests;
        self.requests += 1;
        let request = Request {
            origin: 0,
            handle,
            vdisk,
            kind,
            offset_bytes: at,
            len_bytes: buffer.len() as u64,
            fua: false,
            buffer: Some(buffer),
        };
        let taken = self.sets.submit(self.now, request);
        taken.map_err(|_| LabError::new("the queue of the vdisk is full"))?;
        Ok(handle)
    }

    /// Writes so many blocks at those places, `depth` at a time; how long each took.
    pub(super) fn write(
        &mut self,
        writes: usize,
        depth: usize,
        byte: u8,
        mut place: impl FnMut() -> u64,
    ) -> LabResult<Vec<Nanos>> {
        let mut since = HashMap::new();
        let mut times = Vec::with_capacity(writes);
        let mut sent = 0;
        while times.len() < writes {
            while since.len() < depth && sent < writes {
                let data = Buffer::copy_of(&[byte; BLOCK as usize]);
                let handle = self.submit(self.vdisk, RequestKind::Write, place(), data)?;
                since.insert(handle, self.now);
                sent += 1;
            }
            for reply in self.replies()? {
                reply
                    .result
                    .map_err(|error| sentence(format!("{error:?}")))?;
                let began = since.remove(&reply.handle).unwrap_or(self.now);
                times.push(self.now - began);
            }
        }
        Ok(times)
    }

    /// The first byte of a block.
    pub(super) fn read(&mut self, at: u64) -> LabResult<u8> {
        Ok(self.read_of(self.vdisk, at, BLOCK)?[0])
    }

    /// What a vdisk, a clone or a moment holds there.
    pub(super) fn read_of(&mut self, of: VdiskId, at: u64, len: u64) -> LabResult<Vec<u8>> {
        self.submit(of, RequestKind::Read, at, Buffer::zeroed(len as usize))?;
        let reply = self.reply()?;
        let data = reply.buffer.map(|buffer| buffer.to_vec());
        data.ok_or_else(|| LabError::new("a read without its data"))
    }

    /// Writes that to the vdisk or to a clone.
    pub(super) fn write_to(&mut self, to: VdiskId, at: u64, data: &[u8]) -> LabResult {
        self.submit(to, RequestKind::Write, at, Buffer::copy_of(data))?;
        self.reply().map(drop)
    }

    /// The reply to the only request that is in flight.
    fn reply(&mut self) -> LabResult<Reply> {
        let reply = self.replies()?.pop();
        let reply = reply.ok_or_else(|| LabError::new("no reply"))?;
        let result = reply.result.as_ref();
        result.map_err(|error| sentence(format!("{error:?}")))?;
        Ok(reply)
    }

    /// Asks the history of a vdisk for something; what came of it, and how long that took.
    fn control<T: Send + 'static>(
        &mut self,
        of: VdiskId,
        ask: impl FnOnce(&mut VolumeSet<AnyDisk>, VdiskId, Done<T>),
    ) -> LabResult<(T, Nanos)> {
        let heard: Arc<Mutex<Option<Result<T, HistoryError>>>> = Arc::default();
        let of_callback = Arc::clone(&heard);
        let done = Box::new(move |result| {
            *of_callback.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        });
        let began = self.now;
        ask(self.sets.set_of_mut(self.vdisk), of, done);
        loop {
            // No request is in flight.
            self.turn();
            let answer = heard.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(answer) = answer {
                let answer = answer.map_err(LabError::new)?;
                return Ok((answer, self.now - began));
            }
            self.wait()?;
        }
    }

    /// Names the present content; how long that took.
    pub(super) fn mark(&mut self, name: &str) -> LabResult<Nanos> {
        let marked = self.control(self.vdisk, |set, vdisk, done| set.mark(vdisk, name, done));
        marked.map(|(_, took)| took)
    }

    /// Goes back to a moment; how long that took.
    pub(super) fn revert(&mut self, moment: &str) -> LabResult<Nanos> {
        let moment = Moment::parse(moment).map_err(sentence)?;
        let ask = |set: &mut VolumeSet<AnyDisk>, vdisk, done: SeqDone| {
            set.revert(vdisk, &moment, done);
        };
        self.control(self.vdisk, ask).map(|(_, took)| took)
    }

    /// Undoes the last revert; how long that took.
    pub(super) fn undo(&mut self) -> LabResult<Nanos> {
        let undone = self.control(self.vdisk, |set, vdisk, done| set.undo_revert(vdisk, done));
        undone.map(|(_, took)| took)
    }

    /// Opens a moment of the vdisk or of a clone.
    pub(super) fn open(&mut self, of: VdiskId, moment: Seq) -> LabResult<VdiskId> {
        let moment = Moment::Seq(moment);
        let ask = |set: &mut VolumeSet<AnyDisk>, vdisk, done| {
            set.open_moment(vdisk, &moment, done);
        };
        let ((opened, _), _) = self.control(of, ask)?;
        Ok(opened)
    }

    /// Closes a moment.
    pub(super) fn close(&mut self, moment: VdiskId) {
        self.sets.set_of_mut(self.vdisk).close_moment(moment);
    }

    /// Makes clones of one moment of the vdisk or of a clone, all at once; how long that took.
    pub(super) fn clones_at(
        &mut self,
        of: VdiskId,
        moment: Seq,
        names: impl IntoIterator<Item = String>,
        max_bytes: u64,
    ) -> LabResult<(Vec<VdiskId>, Nanos)> {
        let moment = Moment::Seq(moment);
        let config = |name| CloneConfig {
            name,
            stream: StreamConfig::BEST_EFFORT,
            max_bytes,
            settings: String::new(),
        };
        let configs = names.into_iter().map(config).collect();
        let ask = |set: &mut VolumeSet<AnyDisk>, vdisk, done| {
            set.clone_vdisks(vdisk, &moment, configs, done);
        };
        let ((made, _), took) = self.control(of, ask)?;
        Ok((made, took))
    }

    /// Drops a clone; how long that took.
    pub(super) fn drop_clone(&mut self, clone: VdiskId) -> LabResult<Nanos> {
        let dropped = self.control(clone, |set, clone, done| set.drop_clone(clone, done));
        dropped.map(|((), took)| took)
    }

    /// The newest moment of the vdisk or of a clone.
    pub(super) fn newest(&self, of: VdiskId) -> LabResult<Seq> {
        let report = self.sets.sets()[0].history(of);
        let report = report.ok_or_else(|| LabError::new("it has no history"))?;
        Ok(report.status.newest)
    }

    /// Bytes of the first disk that belong to nothing.
    pub(super) fn free_bytes(&self) -> u64 {
        disktime_volumes::free_bytes(self.sets.sets()[0].label())
    }

    /// Bytes of the log that are in use.
    pub(super) fn used_bytes(&self) -> u64 {
        let report = self.sets.sets()[0].history(self.vdisk);
        report.map_or(0, |report| report.status.used_units * BLOCK)
    }

    /// It stops here, whatever is in flight.
    pub(super) fn end(self) {
        self.sets.abandon();
    }
}
