//! A driver over simulated disks: does the log's steps one by one in random order, and reads like a
//! client.

use crate::disk::Disk;
use disktime_history::{
    Expectation, Geometry, IoFailed, IoId, Log, Need, Notice, OpenError, Part, Recovery, Report,
    RequestId, SUPERBLOCK_UNITS, Seq, Settings, Source, Step, UNIT_BYTES, View, ViewId, WhenFull,
    new_log, origin_of,
};
use disktime_random::SplitMix64;
use std::collections::BTreeMap;

pub(crate) const LOG: [u8; 16] = [7; 16];
pub(crate) const VDISK: [u8; 16] = [8; 16];
pub(crate) const DISK: [u8; 16] = [9; 16];

pub(crate) fn geometry(slot_units: u32, slots: u32, vdisk_blocks: u64) -> Geometry {
    Geometry {
        log: LOG,
        vdisk: VDISK,
        disk: DISK,
        slot_units,
        slots,
        vdisk_blocks,
    }
}

pub(crate) fn settings(commits_in_flight: usize, when_full: WhenFull) -> Settings {
    Settings {
        commits_in_flight,
        when_full,
        batch_ppm: 500_000,
        // Some logs fold a segment at a time, others all at once.
        step_ppm: if commits_in_flight % 2 == 1 {
            0
        } else {
            1_000_000
        },
        gather_ns: 0,
        window_ns: 1 << 40,
        program_version: [0, 1, 0],
    }
}

/// A step that the disk works on.
enum Job {
    /// With the requests whose data it takes.
    Write(IoId, usize, Vec<u8>, Vec<RequestId>),
    Flush(IoId, usize),
    Read(IoId, usize, usize),
    /// The next run of a fold, from this block on.
    Image(IoId, u64),
}

/// A log with its disks.
pub(crate) struct Driver {
    pub(crate) log: Log,
    pub(crate) disk: Disk,
    pub(crate) image: Disk,
    pub(crate) clock_ns: u64,
    /// The image's disk takes no writes.
    pub(crate) image_fails: bool,
    /// The image's disk does not answer.
    pub(crate) image_waits: bool,
    /// Reads of more than a page of a footer are not answered, as long as something else goes on.
    pub(crate) build_waits: bool,
    /// Blocks that folds wrote to the image.
    pub(crate) folded_blocks: u64,
    /// Those of the steps before the one in flight.
    folded_before: u64,
    /// Writes of the log find no space: all of their sectors but some are written.
    pub(crate) no_space: bool,
    /// Units of the log that cannot be read by a build.
    pub(crate) bad_units: Vec<u32>,
    pub(crate) notices: Vec<Notice>,
    geometry: Geometry,
    settings: Settings,
    jobs: Vec<Job>,
    /// Writes of the log that were asked for.
    writes: usize,
    data: BTreeMap<RequestId, Vec<u8>>,
    next_request: u64,
}

/// Formats a disk.
pub(crate) fn format(geometry: Geometry) -> Disk {
    let mut disk = Disk::new(geometry.area_units() as usize * UNIT_BYTES);
    let block = new_log(geometry, [0, 1, 0]).expect("a possible geometry");
    for unit in SUPERBLOCK_UNITS {
        disk.write(unit as usize * UNIT_BYTES, &block);
        disk.end_flush(disk.begin_flush());
    }
    disk
}

/// Opens what is on a disk.
pub(crate) fn recover(
    disk: &mut Disk,
    geometry: &Geometry,
    settings: Settings,
) -> Result<(Log, Report), OpenError> {
    let expectation = Expectation {
        vdisk: geometry.vdisk,
        disk: geometry.disk,
        area_units: geometry.area_units(),
    };
    let mut recovery = match origin_of(&disk.bytes[..UNIT_BYTES]) {
        Some(origin) => Recovery::of_clone(expectation, origin),
        None => Recovery::new(expectation),
    };
    loop {
        match recovery.need() {
            Need::Flush => {
                disk.end_flush(disk.begin_flush());
                recovery.flushed(Ok(()));
            }
            Need::Read { unit, units } => {
                let from = unit as usize * UNIT_BYTES;
                recovery.give(Ok(&disk.bytes[from..from + units as usize * UNIT_BYTES]));
            }
            Need::Nothing => return recovery.finish(settings),
        }
    }
}

impl Driver {
    /// Opens a log, up to its first notice.
    pub(crate) fn open(
        disk: Disk,
        image: Disk,
        geometry: Geometry,
        settings: Settings,
    ) -> Result<(Driver, Report), OpenError> {
        let (mut driver, report) = Driver::begin(disk, image, geometry, settings)?;
        let mut random = SplitMix64::new(1);
        while !driver.notices.contains(&Notice::Opened) {
            assert!(driver.step(&mut random), "it opens");
            if driver.notices.contains(&Notice::Broken) {
                assert!(driver.log.look_up(View::Now, 0, 1).is_none());
                return Err(OpenError::Image);
            }
        }
        driver.notices.clear();
        Ok((driver, report))
    }

    /// Begins to open a log.
    pub(crate) fn begin(
        mut disk: Disk,
        image: Disk,
        geometry: Geometry,
        settings: Settings,
    ) -> Result<(Driver, Report), OpenError> {
        let (log, report) = recover(&mut disk, &geometry, settings)?;
        let driver = Driver {
            log,
            disk,
            image,
            clock_ns: 1_000_000_000,
            image_fails: false,
            image_waits: false,
            build_waits: false,
            folded_blocks: 0,
            folded_before: 0,
            no_space: false,
            bad_units: Vec::new(),
            notices: Vec::new(),
            geometry,
            settings,
            jobs: Vec::new(),
            writes: 0,
            data: BTreeMap::new(),
            next_request: 1,
        };
        Ok((driver, report))
    }

    /// A new log with an empty image.
    pub(crate) fn new(geometry: Geometry, settings: Settings) -> Driver {
        let image = Disk::new(geometry.vdisk_blocks as usize * UNIT_BYTES);
        let opened = Driver::open(format(geometry), image, geometry, settings);
        opened.expect("a new log opens").0
    }

    /// The disks have space for a vdisk of so many blocks, and for so many slots.
    pub(crate) fn make_space(&mut self, vdisk_blocks: u64, slots: u32) {
        (self.geometry.vdisk_blocks, self.geometry.slots) = (vdisk_blocks, slots);
        self.image.grow(vdisk_blocks as usize * UNIT_BYTES);
        self.disk
            .grow(self.geometry.area_units() as usize * UNIT_BYTES);
    }

    /// How many writes the log has asked for.
    pub(crate) fn writes(&self) -> usize {
        self.writes
    }

    pub(crate) fn request(&mut self) -> RequestId {
        self.next_request += 1;
        RequestId(self.next_request)
    }

    /// Writes whole blocks.
    pub(crate) fn write(
        &mut self,
        lba: u64,
        data: Vec<u8>,
        durable: bool,
    ) -> Result<RequestId, disktime_history::Failure> {
        let request = self.request();
        self.log.write(request, lba, &data, durable)?;
        self.data.insert(request, data);
        Ok(request)
    }

    /// Takes steps, and lets the disk end one of those in flight; whether there was one.
    pub(crate) fn step(&mut self, random: &mut SplitMix64) -> bool {
        self.clock_ns += random.below(2000);
        if random.below(50) == 0 {
            // A clock that jumps back.
            self.clock_ns -= random.below(1_000_000).min(self.clock_ns);
        }
        let notices = self.notices.len();
        self.take_steps();
        let waits = |job: &Job| match job {
            Job::Image(..) => self.image_waits,
            Job::Read(_, _, len) => self.build_waits && *len > UNIT_BYTES,
            Job::Write(..) | Job::Flush(..) => false,
        };
        let jobs = self.jobs.iter().enumerate();
        let can_end = jobs.filter(|(_, job)| !waits(job)).map(|(at, _)| at);
        let can_end: Vec<usize> = can_end.collect();
        if can_end.is_empty() {
            return self.notices.len() > notices;
        }
        let at = can_end[random.below(can_end.len() as u64) as usize];
        let job = self.jobs.swap_remove(at);
        self.end(job);
        self.take_notices();
        true
    }

    /// Takes what the log asks for; nothing of it ends.
    pub(crate) fn take_steps(&mut self) {
        while let Some(step) = self.log.take_step(self.clock_ns) {
            match step {
                Step::Write { io, unit, parts } => {
                    let requests = parts.iter().filter_map(|part| match part {
                        Part::Request { request, .. } => Some(*request),
                        Part::Bytes(_) => None,
                    });
                    let requests = requests.collect();
                    let bytes = self.assemble(parts);
                    let offset = unit as usize * UNIT_BYTES;
                    self.writes += 1;
                    self.jobs.push(Job::Write(io, offset, bytes, requests));
                }
                Step::Flush { io } => self.jobs.push(Job::Flush(io, self.disk.begin_flush())),
                Step::Read { io, unit, units } => {
                    let from = unit as usize * UNIT_BYTES;
                    self.jobs
                        .push(Job::Read(io, from, units as usize * UNIT_BYTES));
                }
                Step::WriteImage { io } if self.image_fails => {
                    self.log.complete(io, Err(IoFailed));
                }
                Step::WriteImage { io } => {
                    self.folded_before = self.folded_blocks;
                    self.jobs.push(Job::Image(io, 0));
                }
                Step::AwaitReads { io } => self.log.complete(io, Ok(())),
            }
        }
        self.take_notices();
    }

    fn assemble(&self, parts: Vec<Part>) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in parts {
            match part {
                Part::Bytes(more) => bytes.extend(more),
                Part::Request {
                    request,
                    from_block,
                    blocks,
                } => {
                    let from = from_block as usize * UNIT_BYTES;
                    let data = &self.data[&request];
                    bytes.extend(&data[from..from + blocks as usize * UNIT_BYTES]);
                }
            }
        }
        bytes
    }

    /// One write of a fold; `None`: there are no more.
    fn write_image(&mut self, from: u64) -> Option<u64> {
        let (lba, run) = self.log.fold_next(from)?;
        let bytes = match run.source {
            Source::Zeroes => Some(vec![0; run.blocks as usize * UNIT_BYTES]),
            Source::Log { unit, checksum } => self.read_log(unit, checksum),
            Source::Image | Source::Lost => panic!("a fold lists what is in the log"),
        };
        match bytes {
            Some(bytes) => self.image.write(lba as usize * UNIT_BYTES, &bytes),
            None => self.log.fold_lost(lba).expect("not many blocks rot"),
        }
        self.folded_blocks += run.blocks;
        let done = self.folded_blocks - self.folded_before;
        self.log.note_fold_progress(done, self.log.fold_blocks());
        Some(lba + run.blocks)
    }

    fn end(&mut self, job: Job) {
        match job {
            Job::Write(io, offset, bytes, _) if self.no_space => {
                self.end_without_space(io, offset, &bytes);
            }
            Job::Write(io, offset, bytes, _) => {
                self.disk.write(offset, &bytes);
                self.log.complete(io, Ok(()));
            }
            Job::Flush(io, covers) => {
                // A flush in flight hinders no write: what it covers was fixed when it began.
                self.disk.end_flush(covers);
                for job in &mut self.jobs {
                    if let Job::Flush(_, other) = job {
                        *other = other.saturating_sub(covers);
                    }
                }
                self.log.complete(io, Ok(()));
            }
            Job::Read(io, from, len) => {
                let bytes = self.disk.bytes[from..from + len].to_vec();
                let mut bad = self.bad_units.iter();
                let is_bad =
                    bad.any(|bad| (from..from + len).contains(&(*bad as usize * UNIT_BYTES)));
                let result = if is_bad {
                    Err(IoFailed)
                } else {
                    Ok(&bytes[..])
                };
                self.log.complete_read(io, result);
            }
            Job::Image(io, from) => {
                if let Some(next) = self.write_image(from) {
                    self.jobs.push(Job::Image(io, next));
                    return;
                }
                self.image.end_flush(self.image.begin_flush());
                self.log.complete(io, Ok(()));
            }
        }
    }

    fn take_notices(&mut self) {
        while let Some(notice) = self.log.take_notice() {
            if let Notice::Done { request, .. } | Notice::Failed { request, .. } = notice {
                let is_written =
                    |job: &Job| matches!(job, Job::Write(.., of) if of.contains(&request));
                assert!(
                    !self.jobs.iter().any(is_written),
                    "{request:?} is answered while its data is written"
                );
                self.data.remove(&request);
            }
            self.notices.push(notice);
        }
    }

    /// Runs until nothing is in flight.
    pub(crate) fn run(&mut self, random: &mut SplitMix64) {
        let mut steps = 0;
        while self.step(random) {
            steps += 1;
            assert!(steps < 100_000, "it comes to rest");
        }
    }

    /// Runs until a request is answered; its seq.
    pub(crate) fn finish(
        &mut self,
        request: RequestId,
        random: &mut SplitMix64,
    ) -> Result<Seq, disktime_history::Failure> {
        loop {
            for notice in &self.notices {
                match notice {
                    Notice::Done { request: of, seq } if *of == request => return Ok(*seq),
                    Notice::Failed { request: of, why } if *of == request => return Err(*why),
                    _ => {}
                }
            }
            let goes_on = self.step(random) || std::mem::take(&mut self.build_waits);
            assert!(goes_on, "{request:?} is answered");
        }
    }

    /// Opens a moment.
    pub(crate) fn view(
        &mut self,
        moment: Seq,
        random: &mut SplitMix64,
    ) -> Result<ViewId, disktime_history::Failure> {
        let request = self.request();
        self.log.open_view(request, moment)?;
        self.opened(request, random)
    }

    pub(crate) fn opened(
        &mut self,
        request: RequestId,
        random: &mut SplitMix64,
    ) -> Result<ViewId, disktime_history::Failure> {
        loop {
            for notice in &self.notices {
                match notice {
                    Notice::ViewOpened { request: of, view } if *of == request => {
                        return Ok(*view);
                    }
                    Notice::Failed { request: of, why } if *of == request => return Err(*why),
                    _ => {}
                }
            }
            assert!(self.step(random), "the moment opens");
        }
    }

    /// Opens a moment, of which blocks are found when they are read.
    pub(crate) fn lazy_view(
        &mut self,
        moment: Seq,
        random: &mut SplitMix64,
    ) -> Result<ViewId, disktime_history::Failure> {
        let request = self.request();
        self.log.open_view_lazily(request, moment)?;
        self.opened(request, random)
    }

    /// Headers of segments, also of those whose first write is in flight.
    pub(crate) fn segment_headers(&self) -> Vec<Vec<u8>> {
        let writes = self.jobs.iter().filter_map(|job| match job {
            Job::Write(_, _, bytes, _) => Some(&bytes[..]),
            _ => None,
        });
        let units = self.disk.bytes.chunks(UNIT_BYTES);
        let all = units.chain(writes.map(|bytes| &bytes[..UNIT_BYTES]));
        let headers = all.filter(|unit| unit.starts_with(b"DTHSEGMT"));
        headers.map(<[u8]>::to_vec).collect()
    }

    pub(crate) fn geometry(&self) -> Geometry {
        self.geometry
    }

    pub(crate) fn settings(&self) -> Settings {
        self.settings
    }
}

mod faults;
mod reads;
