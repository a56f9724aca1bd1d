//! Vdisks whose logs lie on another disk, served together, and what is asked about their clones.

use super::common::histories::{Heard, clone_config, listener, wait, with_history};
use super::common::pairs::{Pair, after_crash, handles, new_pair, open_pair};
use super::common::{BLANK, MIB, TestDisk};
use disktime_disks::{FaultDisk, FaultHandle};
use disktime_engine::{IoError, StreamId, VdiskId};
use disktime_history::{Moment, WhenFull};
use disktime_units::Nanos;
use disktime_volumes::label::HistoryEntry;
use disktime_volumes::{Format, OpenReport, VdiskConfig, VolumeSet};

pub(crate) const QUANTUM: u32 = 128 << 10;
pub(crate) const SIZE: u64 = 2 * MIB;
pub(crate) const DISK: u64 = 480 * MIB;
/// The disk of the image of `db`, and that of its log.
pub(crate) const IMAGE: usize = 0;
pub(crate) const LOG: usize = 1;

/// `log`: the disk of its log, if that is another than its own.
pub(crate) fn logged(name: &str, log: Option<usize>) -> VdiskConfig {
    let mut config = with_history(SIZE, 1 << 50, WhenFull::Shorten);
    name.clone_into(&mut config.spec.name);
    config.spec.log_disk = log;
    config
}

/// Each disk has a vdisk whose log lies on the other one; the second one, one that lies there
/// altogether, too.
pub(crate) fn vdisks() -> [Vec<VdiskConfig>; 2] {
    [
        vec![logged("db", Some(LOG))],
        vec![logged("logs", Some(IMAGE)), logged("own", None)],
    ]
}

/// A pair of disks that is served, and what they hold.
pub(crate) struct Served {
    pub(crate) pair: Pair,
    pub(crate) handles: [FaultHandle; 2],
    pub(crate) reports: Vec<OpenReport>,
}

impl Served {
    pub(crate) fn new(seed: u64) -> Served {
        Served::open(new_pair(DISK, seed), &vdisks(), BLANK, Nanos::ZERO)
    }

    /// What a power failure of both disks leaves, opened again.
    pub(crate) fn reopened(self, seed: u64) -> Served {
        self.reopened_with(seed, &vdisks())
    }

    pub(crate) fn reopened_with(self, seed: u64, vdisks: &[Vec<VdiskConfig>; 2]) -> Served {
        let now = self.pair.now;
        self.pair.set.abandon();
        Served::open(
            after_crash(&self.handles, seed),
            vdisks,
            Format::Refuse,
            now,
        )
    }

    pub(crate) fn open(
        disks: [FaultDisk; 2],
        vdisks: &[Vec<VdiskConfig>; 2],
        format: Format,
        now: Nanos,
    ) -> Served {
        let handles = handles(&disks);
        let disks = disks.map(|disk| TestDisk::around(disk, QUANTUM));
        let opened = open_pair(disks, vdisks, format, now);
        let (pair, reports) = opened.expect("it opens");
        Served {
            pair,
            handles,
            reports,
        }
    }

    pub(crate) fn set(&self, at: usize) -> &VolumeSet<TestDisk> {
        &self.pair.set.sets()[at]
    }

    pub(crate) fn id(&self, name: &str) -> Option<VdiskId> {
        let mut sets = self.pair.set.sets().iter();
        sets.find_map(|set| set.vdisk_id(name))
    }

    /// The position of a vdisk among those that are served.
    pub(crate) fn nth(&self, name: &str) -> u32 {
        let sets = self.pair.set.sets().iter();
        let mut names = sets.flat_map(VolumeSet::vdisks);
        let at = names.position(|(one, _)| one == name);
        at.unwrap_or_else(|| panic!("`{name}` is served")) as u32
    }

    pub(crate) fn begin(&mut self, parent: &str, name: &str) -> Heard<(VdiskId, u64)> {
        let parent = self.id(parent).expect("it is served");
        let (heard, done) = listener();
        let set = self.pair.set.set_of_mut(parent);
        set.clone_vdisk(parent, &Moment::Ago(0), clone_config(name), done);
        heard
    }

    pub(crate) fn make(&mut self, parent: &str, name: &str) -> Result<VdiskId, String> {
        let heard = self.begin(parent, name);
        wait(&mut self.pair, &heard).map(|(vdisk, _)| vdisk)
    }

    pub(crate) fn begin_drop(&mut self, name: &str) -> Heard<()> {
        let (heard, done) = listener();
        match self.id(name) {
            Some(vdisk) => self.pair.set.set_of_mut(vdisk).drop_clone(vdisk, done),
            None => self.pair.set.sets_mut()[IMAGE].drop_recorded_clone(name, done),
        }
        heard
    }

    pub(crate) fn give_up(&mut self, name: &str) -> Result<(), String> {
        let heard = self.begin_drop(name);
        let dropped = wait(&mut self.pair, &heard);
        self.pair.settle();
        dropped
    }

    pub(crate) fn write(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), IoError> {
        let vdisk = self.nth(name);
        self.pair.write(vdisk, offset, bytes)
    }

    pub(crate) fn read(&mut self, name: &str, offset: u64, len: u64) -> Vec<u8> {
        let vdisk = self.nth(name);
        let read = self.pair.read(vdisk, offset, len);
        read.unwrap_or_else(|error| panic!("`{name}`: {error}"))
    }

    pub(crate) fn flush(&mut self, name: &str) {
        let vdisk = self.nth(name);
        self.pair.flush(vdisk).expect("a flush");
    }

    /// One step more, if any is left.
    pub(crate) fn steps(&mut self, left: &mut u64) -> bool {
        let goes_on = *left > 0;
        *left = left.saturating_sub(1);
        goes_on && self.pair.step()
    }

    /// Logs that each disk's label names; of images elsewhere, too.
    pub(crate) fn logs(&self) -> [usize; 2] {
        [IMAGE, LOG].map(|at| {
            let label = self.set(at).label();
            let histories = label.histories().iter();
            let here = |one: &&HistoryEntry| one.log_disk() == label.disk_uuid();
            histories.filter(here).count()
        })
    }

    /// By stream: what was charged.
    pub(crate) fn charged(&self, at: usize) -> Vec<(StreamId, u64)> {
        let report = self.set(at).report(self.pair.now);
        let streams = report.streams.iter();
        let charged = streams.map(|(id, stream)| {
            let counters = stream.windows.total.counters;
            (*id, (counters.reserved + counters.spare).0)
        });
        charged.collect()
    }

    pub(crate) fn says(&self, words: &[&str]) -> bool {
        let messages = self.reports.iter().flat_map(|one| &one.messages);
        let mut messages = messages.filter(|one| words.iter().all(|word| one.contains(word)));
        messages.next().is_some()
    }
}
