//! The vdisks of one disk: requests in, pieces to the disk's loop, replies out.
//!
//! Invariants (I1, I4, I5, I7 of the house): the disk is reached through its loop only; a reply is
//! sent after the disk said so, a FLUSH or FUA reply when data and zero map are durable; requests
//! per vdisk and pieces in the loop are bounded; an error fails the request whose piece it was.
//! Each request is answered exactly once: a debug build panics when a set with unanswered requests
//! is dropped. Nothing is allocated per request once slabs, queues and pool have grown.
//!
//! The way of a request: taken in (`intake.rs`), cut into pieces as room appears and put together
//! again (`parts.rs`), made durable where that is asked for (`sync.rs`).

use crate::VolumeError;
use crate::below::{DiskLoop, IoDone, StreamConfig, StreamId};
use crate::driver::Driver;
use crate::label::{Label, VdiskEntry};
use crate::labelled::{LabelledDisk, OpenOptions};
use crate::layout::{Grain, Layout, MappedExtent};
use crate::parts::Part;
use crate::slab::Slab;
use crate::space::{VdiskSpec, reconcile};
use crate::status::{PRESENCE_SEEKS, read_presence};
use crate::vdisk::{RequestState, Vdisk};
use crate::zero_map::{MapKey, ZeroMap, pairs_bytes};
use disktime_disks::{BufferPool, Disk};
use disktime_engine::{
    IoError, LogThrottle, LoopReport, Reply, Request, RequestKind, Service, StoredBytes, VdiskId,
};
use disktime_units::Nanos;
use std::collections::VecDeque;
use std::os::fd::RawFd;

/// Unused memory that a set keeps for its pieces.
const POOL_BYTES: usize = 32 << 20;

/// A vdisk to be served.
#[derive(Debug, Clone)]
pub struct VdiskConfig {
    /// Name and size.
    pub spec: VdiskSpec,
    /// What its stream gets; in a group only its weight counts.
    pub stream: StreamConfig,
    /// The group whose account pays for it.
    pub group: Option<GroupConfig>,
}

/// A group: one account for several vdisks. Those that name the same group mean the same account.
#[derive(Debug, Clone)]
pub struct GroupConfig {
    /// Its name.
    pub name: String,
    /// What its members get together.
    pub stream: StreamConfig,
}

/// What opening did.
#[derive(Debug, Clone, Default)]
pub struct OpenReport {
    /// Vdisks that were made.
    pub created: Vec<String>,
    /// Vdisks that grew: name, size before, size now.
    pub grown: Vec<(String, u64, u64)>,
    /// Vdisks on the disk that are not configured: name and size. They are kept.
    pub orphans: Vec<(String, u64)>,
    /// What people should be told, as sentences.
    pub messages: Vec<String>,
}

/// The vdisks of one disk.
pub struct VolumeSet<D: Disk> {
    pub(crate) disk_loop: DiskLoop<D>,
    pub(crate) system: StreamId,
    pub(crate) grain: Grain,
    pub(crate) holds_data: bool,
    pub(crate) discards: bool,
    /// What was discarded reads as zeroes.
    pub(crate) discard_zeroes: bool,
    pub(crate) has_seeks: bool,
    /// Reading something makes the next read of it cheaper.
    pub(crate) caches_reads: bool,
    pub(crate) vdisks: Vec<Vdisk>,
    groups: Vec<(String, StreamId)>,
    pub(crate) requests: Slab<RequestState>,
    pub(crate) parts: Slab<Part>,
    pub(crate) pool: BufferPool,
    pub(crate) replies: Vec<Reply>,
    /// Vdisks with something to send, each in turn.
    pub(crate) ready: VecDeque<usize>,
    /// A flush failed: what is durable is not known any more.
    pub(crate) flush_failed: bool,
    pub(crate) failures: LogThrottle,
    /// The server stops: nothing new is begun.
    pub(crate) gave_up: bool,
    /// The device does not zero; zeroes are written.
    pub(crate) zero_by_writing: bool,
    /// Requests whose claim has just been granted.
    pub(crate) granted: Vec<u32>,
    done: Vec<IoDone>,
    /// The latest time that was named.
    pub(crate) now: Nanos,
    /// Something was submitted since the last turn.
    pub(crate) turn_due: bool,
    /// Something was handed to the loop since its last turn.
    pub(crate) sent: bool,
    label: Label,
    abandoned: bool,
}

impl<D: Disk> VolumeSet<D> {
    /// Opens a disk's label, brings it to what is configured, and serves the vdisks, numbered as
    /// in `vdisks`. Nothing is written if anything is refused.
    ///
    /// # Errors
    /// A foreign or damaged disk, sizes that do not fit, the disk's failures.
    pub fn open<R: Driver>(
        disk_loop: DiskLoop<D>,
        driver: &mut R,
        vdisks: &[VdiskConfig],
        options: OpenOptions,
    ) -> Result<(VolumeSet<D>, OpenReport), VolumeError> {
        let disk = LabelledDisk::open(disk_loop, driver, options)?;
        Self::from_labelled(disk, driver, vdisks)
    }

    /// As [`VolumeSet::open`], with a disk whose label is known.
    ///
    /// # Errors
    /// As there.
    pub fn from_labelled<R: Driver>(
        mut disk: LabelledDisk<D>,
        driver: &mut R,
        vdisks: &[VdiskConfig],
    ) -> Result<(VolumeSet<D>, OpenReport), VolumeError> {
        let specs: Vec<VdiskSpec> = vdisks.iter().map(|vdisk| vdisk.spec.clone()).collect();
        let plan = reconcile(disk.label(), &specs)?;
        let mut report = OpenReport {
            created: plan.create.clone(),
            grown: plan.grow.clone(),
            orphans: plan.orphans.clone(),
            messages: Vec::new(),
        };
        disk.apply(driver, plan)?;
        disk.settle(driver)?;
        let mut open = Vec::with_capacity(vdisks.len());
        let mut groups = Vec::new();
        for vdisk in vdisks {
            let name = vdisk.spec.name.clone();
            let present = Vec::new();
            let entry = disk.label.find(&name).cloned();
            let entry = entry.ok_or(VolumeError::Unknown {
                name: name.clone(),
                present,
            })?;
            let (layout, damaged) = read_layout(&mut disk, driver, &entry)?;
            if damaged {
                report.messages.push(format!(
                    "the zero map of vdisk `{name}` is damaged, so what it holds cannot be told \
                     from what the disk held before; every request for it fails until it is \
                     restored, or freed with `disktime remove CONFIG {name}`"
                ));
            }
            let stream = add_stream(&mut disk.disk_loop, driver.now(), vdisk, &mut groups);
            let mut state = Vdisk::new(name, entry.size_bytes, stream, layout);
            state.damaged = damaged;
            open.push(state);
        }
        report.messages.append(&mut disk.messages);
        let mut set = Self::new(disk, open, driver.now());
        set.groups = groups;
        Ok((set, report))
    }

    fn new(disk: LabelledDisk<D>, vdisks: Vec<Vdisk>, now: Nanos) -> VolumeSet<D> {
        let properties = disk.disk_loop.properties();
        let capabilities = properties.capabilities;
        let grain = Grain {
            block_bytes: u64::from(properties.block_bytes),
            quantum_bytes: u64::from(properties.quantum_bytes),
        };
        VolumeSet {
            system: disk.system,
            grain,
            holds_data: capabilities.holds_data,
            discards: capabilities.discards(),
            discard_zeroes: capabilities.discard_zeroes(),
            has_seeks: properties.has_seeks,
            caches_reads: capabilities.caches_reads,
            ready: VecDeque::with_capacity(vdisks.len()),
            vdisks,
            groups: Vec::new(),
            requests: Slab::new(),
            parts: Slab::new(),
            pool: BufferPool::new(POOL_BYTES),
            replies: Vec::new(),
            flush_failed: false,
            failures: LogThrottle::default(),
            gave_up: false,
            zero_by_writing: false,
            granted: Vec::new(),
            done: Vec::new(),
            now,
            turn_due: false,
            sent: false,
            label: disk.label,
            abandoned: false,
            disk_loop: disk.disk_loop,
        }
    }

    /// The number of a vdisk.
    pub fn vdisk_id(&self, name: &str) -> Option<VdiskId> {
        let position = self.vdisks.iter().position(|vdisk| vdisk.name == name)?;
        Some(VdiskId(position as u32))
    }

    /// Names and sizes, in the order of their numbers.
    pub fn vdisks(&self) -> impl Iterator<Item = (&str, u64)> {
        self.vdisks
            .iter()
            .map(|vdisk| (vdisk.name.as_str(), vdisk.size_bytes))
    }

    /// How much of a vdisk is stored: what it does not know to be a hole.
    pub fn stored(&self, vdisk: VdiskId) -> Option<StoredBytes> {
        let vdisk = self.vdisks.get(vdisk.0 as usize)?;
        Some(vdisk.layout.stored.clone())
    }

    /// The stream that pays for a vdisk.
    pub fn stream(&self, vdisk: VdiskId) -> Option<StreamId> {
        self.vdisks.get(vdisk.0 as usize).map(|vdisk| vdisk.stream)
    }

    /// The stream that is a group's account.
    pub fn group_stream(&self, name: &str) -> Option<StreamId> {
        let group = self.groups.iter().find(|(group, _)| group == name);
        group.map(|(_, stream)| *stream)
    }

    /// The stream that pays for label and zero maps.
    pub fn system_stream(&self) -> StreamId {
        self.system
    }

    /// Whether a flush failed, after which no FLUSH and no FUA succeeds until a restart.
    pub fn flush_failed(&self) -> bool {
        self.flush_failed
    }

    /// The table on the disk.
    pub fn label(&self) -> &Label {
        &self.label
    }

    /// What the disk's loop counted.
    pub fn report(&self, now: Nanos) -> LoopReport {
        self.disk_loop.report(now)
    }

    /// The disk's loop, for its properties and counters.
    pub fn disk_loop(&self) -> &DiskLoop<D> {
        &self.disk_loop
    }

    /// The disk's loop, for tests that break the disk. Requests submitted there get lost.
    pub fn disk_loop_mut(&mut self) -> &mut DiskLoop<D> {
        &mut self.disk_loop
    }

    /// The set stops here, whatever is under way, as at a crash; its requests are never answered.
    pub fn abandon(mut self) {
        self.abandoned = true;
    }

    pub(crate) fn finish(&mut self, id: u32, result: Result<(), IoError>) {
        let request = self.requests.remove(id);
        debug_assert!(
            request.outstanding == 0,
            "a request was answered with pieces on the disk"
        );
        if let Some(vdisk) = self.vdisks.get_mut(request.vdisk) {
            vdisk.taken_requests -= 1;
            vdisk.taken_bytes -= request.held_bytes();
        }
        let detail = self.detail(&request, result);
        self.replies.push(Reply {
            origin: request.origin,
            handle: request.handle,
            kind: request.kind,
            result,
            buffer: request.buffer,
            detail,
        });
    }

    /// Puts a vdisk into the queue of those with something to send, if it has and is not there.
    pub(crate) fn schedule(&mut self, vdisk: usize) {
        let state = &mut self.vdisks[vdisk];
        if !state.in_ready && state.has_work() {
            state.in_ready = true;
            self.ready.push_back(vdisk);
        }
    }

    /// Sends pieces while the loop has room, a vdisk after the other and within a vdisk a request
    /// after the other.
    fn feed(&mut self, now: Nanos) {
        while self.disk_loop.has_room() {
            let Some(vdisk) = self.ready.pop_front() else {
                break;
            };
            self.vdisks[vdisk].in_ready = false;
            if !self.send_sync_step(now, vdisk) {
                self.send_next_piece(now, vdisk);
            }
            self.schedule(vdisk);
        }
    }
}

impl<D: Disk> Service for VolumeSet<D> {
    fn submit(&mut self, now: Nanos, request: Request) -> Result<(), Request> {
        self.now = self.now.max(now);
        self.take_in(request)
    }

    fn turn(&mut self, now: Nanos, replies: &mut Vec<Reply>) {
        self.now = self.now.max(now);
        self.turn_due = false;
        self.feed(now);
        loop {
            self.sent = false;
            let mut done = std::mem::take(&mut self.done);
            self.disk_loop.turn(now, &mut done);
            for io in done.drain(..) {
                self.complete(now, io);
            }
            self.done = done;
            self.feed(now);
            if !self.sent {
                break;
            }
        }
        replies.append(&mut self.replies);
    }

    fn next_wake(&self) -> Option<Nanos> {
        if self.turn_due {
            return Some(self.now);
        }
        self.disk_loop.next_wake()
    }

    fn wake_fd(&self) -> Option<RawFd> {
        self.disk_loop.wake_fd()
    }

    fn is_punctual(&self) -> bool {
        self.disk_loop.is_paced()
    }

    fn give_up(&mut self) {
        self.gave_up = true;
        self.turn_due = true;
        for request in self.requests.iter_mut() {
            if request.kind != RequestKind::Flush && !request.is_all_sent() {
                request.error.get_or_insert(IoError::Shutdown);
                request.cursor = request.range.1;
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.requests.len() == 0 && self.replies.is_empty() && self.disk_loop.is_idle()
    }
}

impl<D: Disk> Drop for VolumeSet<D> {
    fn drop(&mut self) {
        debug_assert!(
            self.abandoned || std::thread::panicking() || self.requests.len() == 0,
            "{} requests were never answered",
            self.requests.len()
        );
    }
}

/// The stream of a vdisk; its group is added before the first of its members.
fn add_stream<D: Disk>(
    disk_loop: &mut DiskLoop<D>,
    now: Nanos,
    vdisk: &VdiskConfig,
    groups: &mut Vec<(String, StreamId)>,
) -> StreamId {
    let Some(group) = &vdisk.group else {
        return disk_loop.add_stream(now, vdisk.stream);
    };
    let known = groups.iter().find(|(name, _)| *name == group.name);
    let account = match known {
        Some((_, account)) => *account,
        None => {
            let account = disk_loop.add_group(now, group.stream);
            groups.push((group.name.clone(), account));
            account
        }
    };
    disk_loop.add_member(now, account, vdisk.stream.weight)
}

/// The extents of a vdisk with their maps, and whether a map is damaged.
fn read_layout<D: Disk, R: Driver>(
    disk: &mut LabelledDisk<D>,
    driver: &mut R,
    entry: &VdiskEntry,
) -> Result<(Layout, bool), VolumeError> {
    let mut extents = Vec::with_capacity(entry.extents.len());
    let mut start_bytes = 0;
    let mut damaged = false;
    let mut seeks_left = PRESENCE_SEEKS;
    for extent in &entry.extents {
        let mut map = None;
        if let Some(map_offset_bytes) = extent.map_offset_bytes {
            let (vdisk_uuid, disk_uuid) = (entry.uuid, disk.label.disk_uuid);
            let key = MapKey {
                vdisk_uuid,
                disk_uuid,
                map_offset_bytes,
            };
            let found = if disk.holds_data() {
                let len_bytes = pairs_bytes(extent.len_bytes);
                let mut blocking = disk.blocking(driver);
                let bytes = blocking.read("reading a zero map", map_offset_bytes, len_bytes)?;
                ZeroMap::decode(key, extent.len_bytes, &bytes)
            } else {
                Some(ZeroMap::fresh(key, extent.len_bytes))
            };
            damaged |= found.is_none();
            map = Some(found.unwrap_or_else(|| ZeroMap::fresh(key, extent.len_bytes)));
        }
        let end_bytes = start_bytes + extent.len_bytes;
        let disk_offset_bytes = extent.offset_bytes;
        let presence = (map.is_none() && disk.holds_data()).then(|| {
            let range = (disk_offset_bytes, disk_offset_bytes + extent.len_bytes);
            read_presence(disk.disk_loop.disk(), range, &mut seeks_left)
        });
        extents.push(MappedExtent {
            start_bytes,
            end_bytes,
            disk_offset_bytes,
            map,
            presence,
        });
        start_bytes = end_bytes;
    }
    Ok((Layout::new(extents), damaged))
}
