//! The parameters of a hard disk: the fields of a drive in JSON and their defaults.
//!
//! Invariant: parameters that pass [`HddParameters::validate`] can be built into a model. Floats
//! are allowed here, because people write milliseconds; the model itself counts nanoseconds.
//! What is not known here: how the figures are used.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Bytes of a sector; the figures of every drive are in sectors of this size.
pub(crate) const SECTOR_BYTES: u64 = 512;

/// A drive that cannot be modelled; a sentence that names the field and what it may be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct HddError {
    message: String,
}

impl HddError {
    pub(crate) fn new(message: impl Into<String>) -> HddError {
        HddError {
            message: message.into(),
        }
    }
}

/// A band of cylinders with the same number of sectors on each track. In JSON
/// `[first cylinder, last cylinder, sectors per track]`, and optionally the skew between the
/// tracks of a cylinder and the skew between cylinders, both in sectors.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f64>", into = "Vec<f64>")]
pub struct ZoneParameters {
    /// First cylinder of the zone.
    pub first_cylinder: u32,
    /// Last cylinder of the zone.
    pub last_cylinder: u32,
    /// Sectors on each of its tracks.
    pub sectors_per_track: u32,
    /// How far a track's first sector lags behind the one of the track before it in the cylinder.
    pub track_skew_sectors: f64,
    /// The same from the last track of a cylinder to the first of the next.
    pub cylinder_skew_sectors: f64,
}

impl TryFrom<Vec<f64>> for ZoneParameters {
    type Error = String;
    fn try_from(numbers: Vec<f64>) -> Result<ZoneParameters, String> {
        let whole = |value: f64| {
            let fits = value >= 0.0 && value <= f64::from(u32::MAX) && value.fract() == 0.0;
            fits.then_some(value as u32).ok_or_else(|| {
                format!("a zone's cylinders and sectors per track are whole numbers, not {value}")
            })
        };
        let (place, track_skew, cylinder_skew) = match numbers[..] {
            [first, last, sectors] => ([first, last, sectors], 0.0, 0.0),
            [first, last, sectors, track, cylinder] => ([first, last, sectors], track, cylinder),
            _ => {
                return Err(
                    "a zone is [first cylinder, last cylinder, sectors per track], and \
                            optionally track skew and cylinder skew in sectors"
                        .to_owned(),
                );
            }
        };
        Ok(ZoneParameters {
            first_cylinder: whole(place[0])?,
            last_cylinder: whole(place[1])?,
            sectors_per_track: whole(place[2])?,
            track_skew_sectors: track_skew,
            cylinder_skew_sectors: cylinder_skew,
        })
    }
}

impl From<ZoneParameters> for Vec<f64> {
    fn from(zone: ZoneParameters) -> Vec<f64> {
        let numbers = [
            f64::from(zone.first_cylinder),
            f64::from(zone.last_cylinder),
            f64::from(zone.sectors_per_track),
            zone.track_skew_sectors,
            zone.cylinder_skew_sectors,
        ];
        numbers.to_vec()
    }
}

/// How long a seek takes by its distance in cylinders.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
#[serde(
    expecting = "`seek` must be a table [[cylinders, ms], ...], or the three numbers of a \
                     data sheet {\"track_to_track_ms\", \"average_ms\", \"full_stroke_ms\"}"
)]
pub enum SeekParameters {
    /// Measured points, ascending, with straight lines between them.
    Table(Vec<(u32, f64)>),
    /// The three numbers of a data sheet, joined by Lee's curve.
    DataSheet {
        /// From a track to the next.
        track_to_track_ms: f64,
        /// The mean over random places.
        average_ms: f64,
        /// From the first cylinder to the last.
        full_stroke_ms: f64,
    },
}

/// Time from a command's arrival until the drive acts on it, in ms: `[after a read, after a
/// write]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandOverheads {
    /// A read served from the cache.
    pub read_hit: [f64; 2],
    /// A read that needs the medium: until the arm starts.
    pub read_miss: [f64; 2],
    /// The same until the medium can be read. The electronics go on working while the arm moves, so
    /// this counts where the arm need not move; a long seek hides it.
    #[serde(default)]
    pub read_ready: [f64; 2],
    /// A read that the cache serves and that continues where the read before it ended, where that
    /// differs from `read_hit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_stream: Option<f64>,
    /// A write that needs no seek.
    pub write_hit: [f64; 2],
    /// Any other write.
    pub write_miss: [f64; 2],
}

impl Default for CommandOverheads {
    /// Medium figures of the SCSI drives for which they were measured.
    fn default() -> CommandOverheads {
        CommandOverheads {
            read_hit: [0.1, 0.2],
            read_miss: [0.3, 0.3],
            read_ready: [1.0, 1.0],
            read_stream: None,
            write_hit: [0.3, 0.3],
            write_miss: [0.3, 0.3],
        }
    }
}

/// When a drive reads ahead after a read that the medium served.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadAheadPolicy {
    /// After every one.
    #[default]
    Always,
    /// Only after one that began where the read before it ended.
    Sequential,
    /// Not at all.
    Never,
}

/// Which sectors of the track before the first one asked for a drive that reads ahead keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadBefore {
    /// Nothing.
    #[default]
    Nothing,
    /// Those that pass under the head while it waits for the first sector.
    Passing,
    /// All of them; those that did not pass before pass within a turn.
    Track,
}

/// Which cached sectors a write makes stale.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteInvalidation {
    /// The sectors that it overwrites.
    Overlap,
    /// Every segment that it overlaps, as a whole.
    #[default]
    Segment,
    /// Everything.
    All,
}

/// A hard disk. Field names are those of a drive in JSON; unknown fields are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HddParameters {
    /// Turns a minute.
    pub rpm: f64,
    /// Surfaces with a head each.
    pub surfaces: u32,
    /// Cylinders.
    pub cyls: u32,
    /// Sectors that the drive offers; by default all that its zones hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sectors: Option<u64>,
    /// Zones, outermost first.
    pub zones: Vec<ZoneParameters>,
    /// Seek time by distance.
    pub seek: SeekParameters,
    /// Change of head within a cylinder.
    #[serde(default)]
    pub head_switch_ms: f64,
    /// Extra time of a seek before a write, as the head must settle more precisely.
    #[serde(default)]
    pub write_settle_ms: f64,
    /// From the end of a track to the next track while data streams, where that differs from a
    /// seek over one cylinder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track_switch_ms: Option<f64>,
    /// Skew from track to track in turns, for zones that name none.
    #[serde(default)]
    pub skew_rev: f64,
    /// Serpentine layout: a surface runs so many tracks inward, then the next surface runs back.
    /// 0: all surfaces of a cylinder, then the next cylinder.
    #[serde(default)]
    pub serpentine_cyls: u32,
    /// Segments of the cache; 0 for a drive without.
    #[serde(default = "default_segments")]
    pub cache_segments: u32,
    /// Sectors of a segment.
    #[serde(default = "default_segment_sectors")]
    pub seg_sectors: u32,
    /// When the drive reads ahead after a read that the medium served.
    #[serde(default)]
    pub read_ahead: ReadAheadPolicy,
    /// Read-ahead stops when the segment is full. Otherwise it goes on, as in a ring, over the
    /// sectors asked for, which the host has by then.
    #[serde(default)]
    pub read_ahead_keeps: bool,
    /// Which sectors of the track before the first one asked for are kept.
    #[serde(default)]
    pub read_before: ReadBefore,
    /// What a write makes stale.
    #[serde(default)]
    pub write_invalidates: WriteInvalidation,
    /// Whether written sectors can be read from the cache.
    #[serde(default)]
    pub reads_hit_writes: bool,
    /// How far the drive reads ahead after a read, in sectors; by default until the segment is
    /// full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_ahead_sectors: Option<u32>,
    /// Whether a write is reported as soon as the cache has it.
    #[serde(default)]
    pub write_cache: bool,
    /// Bound on what the write cache holds, in sectors; by default half of the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_cache_sectors: Option<u32>,
    /// Command overheads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overhead_ms: Option<CommandOverheads>,
    /// Rate of the bus in units of 10⁶ bytes a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bus_mb_per_s: Option<f64>,
    /// Multiplies every time: 2 is a drive twice as slow.
    #[serde(default = "default_time_scale")]
    pub time_scale: f64,
    /// A size below the drive's takes its outer part, with the drive's own seeks. Otherwise the
    /// geometry shrinks and seeks stay those of the whole drive.
    #[serde(default)]
    pub short_stroke: bool,
    /// Where the figures come from.
    #[serde(default)]
    pub src: String,
}

/// Bus rate of a drive that names none: that of the host on which the older drives were measured
/// is much lower, and is part of their table.
pub(crate) const DEFAULT_BUS_MB_PER_S: f64 = 300.0;

fn default_segments() -> u32 {
    16
}

fn default_segment_sectors() -> u32 {
    1024
}

fn default_time_scale() -> f64 {
    1.0
}

impl HddParameters {
    /// Sectors that the zones hold.
    pub fn zone_sectors(&self) -> u64 {
        let sectors = |zone: &ZoneParameters| {
            let cylinders = u64::from(zone.last_cylinder - zone.first_cylinder) + 1;
            cylinders * u64::from(self.surfaces) * u64::from(zone.sectors_per_track)
        };
        self.zones.iter().map(sectors).sum()
    }

    /// Size of the whole drive.
    pub fn size_bytes(&self) -> u64 {
        self.sectors.unwrap_or_else(|| self.zone_sectors()) * SECTOR_BYTES
    }
}

/// Lee's curve `root·√x + linear·x + min`, x from 0 at one cylinder to 1 at the whole stroke,
/// chosen so that its mean over random places is `average`.
pub(crate) fn lee(min: f64, average: f64, max: f64) -> (f64, f64) {
    let root = (-10.0 * min + 15.0 * average - 5.0 * max) / 3.0;
    let linear = (7.0 * min - 15.0 * average + 8.0 * max) / 3.0;
    (root, linear)
}
