//! H4: the versions of a file through time and on branches, each of which can be read.

mod small_ext2;

use super::history_bed::{BLOCK, Bed, LogPlace, VDISK_BYTES};
use crate::{Experiment, Finding, Origin, Real};
use disktime_engine::VdiskId;
use disktime_history::Seq;
use disktime_image_files::{FileError, Image, ImageFiles, ROOT};
use disktime_lab::figure::{Axis, Figure, Panel, Series};
use disktime_lab::measures::{greatest, least, mean};
use disktime_lab::{Lab, LabError, LabResult, Table, cells, number};
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// The experiment.
pub(super) const EXPERIMENT: Experiment = Experiment {
    id: "H4",
    title: "the versions of a file, on branches too",
    origin: Origin::Paper,
    source: "Pfaff, Garfinkel, Rosenblum: Virtualization Aware File Systems: Getting Beyond the \
             Limitations of Virtual Disks (Ventana), NSDI 2006",
    claim: "Each version of a file can be read by itself beside the newest one, without a rollback of \
            the whole disk; branches are private: what is written on one is seen on no other; making one \
            copies no data.",
    real: Real::No("histories are measured in virtual time"),
    run,
};

/// Versions on the main branch; after this one others branch off.
const VERSIONS: usize = 16;
const FORK: usize = 8;
/// Versions on each branch beside it.
const BRANCHED: usize = 4;
/// Writes elsewhere in the vdisk before each version.
const OTHER_WRITES: usize = 500;
const FILE_BYTES: usize = 8 * small_ext2::BLOCK;
/// Where other data begins.
const OTHERS_FROM: u64 = 1 << 20;
/// Where the first version is written, in seconds since 1970.
const BEGIN: u32 = 1_150_000_000;

/// A file at a moment.
#[derive(Debug, Clone)]
struct Version {
    /// The vdisk or the clone, and the moment.
    of: VdiskId,
    moment: Seq,
    content: Vec<u8>,
    time: u32,
}

/// What a vdisk's file system holds now.
#[derive(Clone)]
struct Editor {
    blocks: BTreeMap<u64, Vec<u8>>,
    content: Vec<u8>,
    /// Bytes that versions changed on the disk.
    changed_bytes: u64,
}

impl Editor {
    fn new() -> Editor {
        Editor {
            blocks: BTreeMap::new(),
            content: vec![0; FILE_BYTES],
            changed_bytes: 0,
        }
    }

    /// Writes a version: a part of the file changes, and its time.
    fn write(&mut self, bed: &mut Bed, of: VdiskId, number: u32) -> LabResult<Version> {
        let line = format!("version {number} of the report\n");
        let from = number as usize * 2_711 % (FILE_BYTES - 4_000);
        let place = &mut self.content[from..from + 3_000];
        for (byte, new) in place.iter_mut().zip(line.bytes().cycle()) {
            *byte = new;
        }
        let time = BEGIN + number;
        for (block, bytes) in small_ext2::blocks(&self.content, time) {
            if self.blocks.get(&block) != Some(&bytes) {
                bed.write_to(of, block * BLOCK, &bytes)?;
                self.changed_bytes += BLOCK;
                self.blocks.insert(block, bytes);
            }
        }
        Ok(Version {
            of,
            moment: bed.newest(of)?,
            content: self.content.clone(),
            time,
        })
    }
}

/// The versions that were written.
struct Written {
    main: Vec<Version>,
    reverted: Vec<Version>,
    cloned: Vec<Version>,
    /// How long the two branches took to make.
    revert: Nanos,
    clone: Nanos,
    /// Bytes of the log for each byte that a version changed, other writes apart.
    space: f64,
}

fn write_versions(bed: &mut Bed, other_writes: usize) -> LabResult<Written> {
    let vdisk = bed.vdisk;
    let mut random = SplitMix64::new(1);
    let mut editor = Editor::new();
    let mut others = |bed: &mut Bed| -> LabResult<u64> {
        let before = bed.used_bytes();
        let places = (VDISK_BYTES - OTHERS_FROM) / BLOCK;
        bed.write(other_writes, 16, 7, || {
            OTHERS_FROM + random.below(places) * BLOCK
        })?;
        Ok(bed.used_bytes() - before)
    };
    let mut main = Vec::new();
    let (used_before, mut used_by_others) = (bed.used_bytes(), 0);
    for number in 0..FORK as u32 {
        used_by_others += others(bed)?;
        main.push(editor.write(bed, vdisk, number)?);
    }
    let used = bed.used_bytes() - used_before - used_by_others;
    let space = used as f64 / editor.changed_bytes as f64;
    let fork = main[FORK - 1].moment;

    // A private branch of another user: a clone.
    let name = ["private".to_owned()];
    let (private, clone) = bed.clones_at(vdisk, fork, name, 128 << 20)?;
    let private = private[0];
    let mut of_private = editor.clone();
    let numbers = (100..).take(BRANCHED);
    let cloned = numbers.map(|number| of_private.write(bed, private, number));
    let cloned = cloned.collect::<LabResult<Vec<_>>>()?;

    for number in FORK..VERSIONS {
        others(bed)?;
        main.push(editor.write(bed, vdisk, number as u32)?);
    }
    // What an undone revert leaves behind.
    let mut of_reverted = editor_of(&main[FORK - 1]);
    let revert = bed.revert(&format!("seq:{fork}"))?;
    let numbers = (200..).take(BRANCHED);
    let reverted = numbers.map(|number| of_reverted.write(bed, vdisk, number));
    let reverted = reverted.collect::<LabResult<Vec<_>>>()?;
    bed.undo()?;
    Ok(Written {
        main,
        reverted,
        cloned,
        revert,
        clone,
        space,
    })
}

/// An editor of a file system that holds this version.
fn editor_of(version: &Version) -> Editor {
    Editor {
        blocks: small_ext2::blocks(&version.content, version.time)
            .into_iter()
            .collect(),
        content: version.content.clone(),
        changed_bytes: 0,
    }
}

/// What was read of a moment so far; what is missing is read in virtual time, between two tries.
#[derive(Default)]
struct Seen {
    blocks: Mutex<BTreeMap<u64, Vec<u8>>>,
    missing: Mutex<Option<u64>>,
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Image for Seen {
    fn size_bytes(&self) -> u64 {
        VDISK_BYTES
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let blocks = lock(&self.blocks);
        for (at, byte) in (offset..).zip(into) {
            let Some(block) = blocks.get(&(at / BLOCK)) else {
                *lock(&self.missing) = Some(at / BLOCK);
                return Err(io::ErrorKind::WouldBlock.into());
            };
            *byte = block[(at % BLOCK) as usize];
        }
        Ok(())
    }
}

/// The file's content and time, read as `past/` and `restore` do.
fn read_file(image: &Arc<dyn Image>) -> Result<(Vec<u8>, i64), FileError> {
    let files = ImageFiles::open(image)?;
    let tree = files.trees().first();
    let tree = tree.ok_or(FileError::Damaged("it holds no file system"))?;
    let file_system = tree.file_system.as_ref();
    let file_system = file_system.map_err(|_| FileError::Damaged("its file system"))?;
    let root = file_system.node(ROOT)?;
    let found = file_system.look_up(&root, small_ext2::NAME.as_bytes())?;
    let file = file_system.node(found.ok_or(FileError::Damaged("the file is not there"))?)?;
    let mut content = vec![0; file.size_bytes() as usize];
    let len = file_system.read(&file, 0, &mut content)?;
    content.truncate(len);
    Ok((content, file.modified().seconds))
}

/// Whether a version is found as it was written, and how long that took.
fn check(bed: &mut Bed, version: &Version) -> LabResult<(bool, Nanos)> {
    let began = bed.now;
    let moment = bed.open(version.of, version.moment)?;
    let seen = Arc::new(Seen::default());
    let image: Arc<dyn Image> = seen.clone();
    let found = loop {
        let found = read_file(&image);
        let Some(missing) = lock(&seen.missing).take() else {
            break found;
        };
        let block = bed.read_of(moment, missing * BLOCK, BLOCK)?;
        lock(&seen.blocks).insert(missing, block);
    };
    let took = bed.now - began;
    bed.close(moment);
    let is_right = match found {
        Ok((content, time)) => content == version.content && time == i64::from(version.time),
        Err(error) => {
            return Err(LabError::new(format!(
                "a version cannot be read: {error:?}"
            )));
        }
    };
    Ok((is_right, took))
}

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let other_writes = lab.count(OTHER_WRITES);
    let mut finding = Finding::new(format!(
        "An ext2 with a file of {} KiB on a vdisk of 1 GiB on `desktop-7200-2008`, its log on the same disk. The \
         file gets {VERSIONS} versions with {other_writes} random writes of 4 KiB elsewhere before each; from version {FORK} \
         on {BRANCHED} more on a clone and {BRANCHED} on a branch that an undone revert leaves. Then each is read in the file \
         system of its moment.",
        FILE_BYTES >> 10
    ));
    let mut bed = Bed::new(LogPlace::SameDisk)?;
    let written = write_versions(&mut bed, other_writes)?;
    let mut table =
        Table::headed("branch | versions | wrong | shortest read (ms) | longest read (ms)");
    let (mut wrong, mut points) = (0, Vec::new());
    for (name, versions) in [
        ("main", &written.main),
        ("left by a revert", &written.reverted),
        ("private (a clone)", &written.cloned),
    ] {
        let (mut times, mut wrong_here) = (Vec::new(), 0);
        for version in versions {
            let (is_right, took) = check(&mut bed, version)?;
            wrong_here += u32::from(!is_right);
            times.push(took.as_millis_f64());
        }
        let mut row = cells![name, versions.len(), wrong_here];
        row.extend([least(&times), greatest(&times)].map(number));
        table.row(row);
        wrong += wrong_here;
        points.push((name, times));
    }
    bed.end();
    finding.table(table);
    let all = written.main.len() + written.reverted.len() + written.cloned.len();
    let what = format!(
        "versions of {all} that are not what was written, other branches' changes included"
    );
    finding
        .check("wrong", what, f64::from(wrong))
        .at_most(0.0, "")
        .decisive();
    let main = &points[0].1;
    let ages = mean(&main[..4]) / mean(&main[VERSIONS - 4..]);
    let what = "time to read one of the four oldest versions ÷ one of the four newest";
    finding.check("age", what, ages).at_most(2.0, "").decisive();
    let what = "bytes of the log for each byte that a version changes";
    finding.check("space", what, written.space).at_most(2.1, "");
    let what = "a private branch is made (a clone)";
    let clone = written.clone.as_millis_f64();
    finding.check("clone", what, clone).at_most(1000.0, "ms");
    let what = "the disk goes to another branch (a revert)";
    let revert = written.revert.as_millis_f64();
    finding.check("revert", what, revert).at_most(100.0, "ms");
    finding.figure(figure(&points));
    finding.note(
        "The paper reports no figures of time or space for this; the bounds on both are ours. Its versions are made by \
         a file server that knows files. Here every write of the disk below is a version, and files are found \
         in it afterwards.",
    );
    finding.note(
        "Not shown here: Ventana shares single files between machines, and gives each version rights of its own. Here \
         who may read the past is one key of a vdisk (`allow_gid`), with the owners and modes of that time.",
    );
    Ok(finding)
}

fn figure(points: &[(&'static str, Vec<f64>)]) -> Figure {
    let longest = greatest(points.iter().flat_map(|(_, times)| times));
    let x = Axis::linear("versions that came before", 0.0, VERSIONS as f64);
    let mut panel = Panel::new(
        "",
        x,
        Axis::linear("time to read the file (ms)", 0.0, 1.2 * longest),
    );
    for (name, times) in points {
        let first = if times.len() == VERSIONS { 0 } else { FORK };
        let line = times.iter().enumerate();
        let line = line.map(|(at, time)| ((first + at) as f64, *time));
        panel = panel.with(Series::line(*name, line));
    }
    Figure::new(
        "h4-ventana",
        "What reading a version of a file takes",
        [panel],
    )
}
