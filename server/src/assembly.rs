//! From the reservation file to scheduled disks, in real or virtual time: a topic per file.
//!
//! `emulation` reads the file and finds a disk's model; `admission` decides on the reservations;
//! `profile` finds what was measured of a disk, `first_probe` what a few seconds of reads tell of
//! one that was not; `disks` opens it, after `foreign_content` judged what its file holds;
//! `scheduling` gives it its loop; `streams` says what each vdisk, group and background work is
//! entitled to, `clones` what clones get, `history_rates` what a history sustains.

mod admission;
mod clones;
mod disks;
pub(crate) mod emulation;
mod first_probe;
mod foreign_content;
mod history_rates;
mod profile;
mod scheduling;
mod streams;

use disktime_disks::Disk;
use disktime_volumes::{JoinedSets, VolumeSet};

pub(crate) use admission::{admit_all, admit_disk, require_admitted};
pub(crate) use clones::{CloneAdmission, CloneSettings};
pub(crate) use disks::{open_as_it_is, open_real, open_to_read, open_virtual, size_if_empty};
pub(crate) use first_probe::{assumptions, findings, probe_unknown_disks};
pub(crate) use foreign_content::{has_label, refuse_to_grow};
pub(crate) use history_rates::{Sustained, sustained};
pub(crate) use scheduling::schedule;
pub(crate) use streams::{background_streams, entitlement, vdisk_configs, vdisk_specs};

/// Any disk.
pub(crate) type AnyDisk = Box<dyn Disk + Send>;
/// The vdisks of one disk.
pub(crate) type DiskService = VolumeSet<AnyDisk>;
/// The vdisks of the disks that one thread serves.
pub(crate) type ThreadService = JoinedSets<AnyDisk>;
