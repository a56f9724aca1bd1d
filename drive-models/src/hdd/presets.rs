//! Hard disks by name.
//!
//! What is not claimed: that a preset without measured service times matches any one drive.
//! [`Provenance`] says what each preset is based on.

use super::parameters::{
    CommandOverheads, HddParameters, ReadAheadPolicy, ReadBefore, SeekParameters,
    WriteInvalidation, ZoneParameters,
};
use serde::Serialize;

/// What a drive's figures are based on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provenance {
    /// Service times measured on the drive were compared with the model's.
    ValidatedOnHardware,
    /// Parameters were extracted from a drive, but no measured service times were compared.
    ExtractedFromHardware,
    /// Put together from data sheets and published figures.
    AssembledFromDataSheets,
    /// Given by the user.
    GivenByUser,
}

impl Provenance {
    /// A phrase for reports.
    pub fn describe(self) -> &'static str {
        match self {
            Provenance::ValidatedOnHardware => {
                "validated against service times measured on the drive"
            }
            Provenance::ExtractedFromHardware => {
                "parameters extracted from the drive; not validated against measured service times"
            }
            Provenance::AssembledFromDataSheets => {
                "assembled from data sheets; not validated against hardware"
            }
            Provenance::GivenByUser => "given by the user; not validated here",
        }
    }
}

struct Preset {
    name: &'static str,
    build: fn() -> HddParameters,
    provenance: Provenance,
}

const PRESETS: [Preset; 4] = [
    Preset {
        name: "desktop-7200-2008",
        build: desktop_7200_2008,
        provenance: Provenance::AssembledFromDataSheets,
    },
    Preset {
        name: "enterprise-15k",
        build: enterprise_15k,
        provenance: Provenance::ExtractedFromHardware,
    },
    Preset {
        name: "nearline-7200-4tb",
        build: nearline_7200_4tb,
        provenance: Provenance::AssembledFromDataSheets,
    },
    Preset {
        name: "nearline-7200-18tb",
        build: nearline_7200_18tb,
        provenance: Provenance::AssembledFromDataSheets,
    },
];

/// The names of all presets.
pub fn preset_names() -> Vec<&'static str> {
    PRESETS.iter().map(|preset| preset.name).collect()
}

/// A preset and what it is based on.
pub fn preset(name: &str) -> Option<(HddParameters, Provenance)> {
    let preset = PRESETS.iter().find(|preset| preset.name == name)?;
    Some(((preset.build)(), preset.provenance))
}

/// The figures that a preset must name; defaults fill in the others.
fn drive(
    rpm: f64,
    surfaces: u32,
    zones: Vec<ZoneParameters>,
    seek: SeekParameters,
) -> HddParameters {
    HddParameters {
        rpm,
        surfaces,
        cyls: zones.last().map_or(1, |zone| zone.last_cylinder + 1),
        sectors: None,
        zones,
        seek,
        head_switch_ms: 0.0,
        write_settle_ms: 0.0,
        track_switch_ms: None,
        skew_rev: 0.0,
        serpentine_cyls: 0,
        cache_segments: 32,
        seg_sectors: 2048,
        read_ahead: ReadAheadPolicy::Always,
        read_ahead_keeps: false,
        read_before: ReadBefore::Nothing,
        write_invalidates: WriteInvalidation::Segment,
        reads_hit_writes: false,
        read_ahead_sectors: None,
        write_cache: false,
        write_cache_sectors: None,
        overhead_ms: None,
        bus_mb_per_s: None,
        time_scale: 1.0,
        short_stroke: false,
        src: String::new(),
    }
}

fn zone(first: u32, last: u32, sectors: u32) -> ZoneParameters {
    ZoneParameters {
        first_cylinder: first,
        last_cylinder: last,
        sectors_per_track: sectors,
        track_skew_sectors: 0.0,
        cylinder_skew_sectors: 0.0,
    }
}

/// `count` zones of equal width with sectors per track falling evenly from `outer` to `inner`.
fn even_zones(count: u32, cylinders: u32, outer: u32, inner: u32) -> Vec<ZoneParameters> {
    let border = |index: u32| (u64::from(cylinders) * u64::from(index) / u64::from(count)) as u32;
    let sectors = |index: u32| outer - (outer - inner) * index / (count - 1);
    (0..count)
        .map(|index| zone(border(index), border(index + 1) - 1, sectors(index)))
        .collect()
}

/// Zones by last cylinder and sectors per track.
fn zones_by_end(ends: &[(u32, u32)]) -> Vec<ZoneParameters> {
    let mut first = 0;
    let mut zones = Vec::with_capacity(ends.len());
    for (last, sectors) in ends {
        zones.push(zone(first, *last, *sectors));
        first = last + 1;
    }
    zones
}

/// A desktop drive of 2008: 105 MB/s outside, 55 MB/s inside, mean seek 8.5 ms. The overheads are
/// chosen so that runs of 4 KiB requests take the times of Fig. 2 of Povzner et al. (RTAS 2008):
/// 14.1 ms for the first and 0.22 ms for each that follows.
fn desktop_7200_2008() -> HddParameters {
    HddParameters {
        head_switch_ms: 0.8,
        write_settle_ms: 1.0,
        skew_rev: 0.12,
        overhead_ms: Some(CommandOverheads {
            read_hit: [0.2, 0.2],
            read_miss: [1.2, 1.2],
            read_ready: [0.0, 0.0],
            read_stream: None,
            write_hit: [0.3, 0.3],
            write_miss: [0.3, 0.3],
        }),
        bus_mb_per_s: Some(300.0),
        src: "data-sheet figures of 7200 rpm desktop drives of 2008; overheads by Fig. 2 of \
              Povzner et al., RTAS 2008"
            .to_owned(),
        ..drive(
            7200.0,
            8,
            even_zones(16, 143_000, 1910, 1000),
            SeekParameters::DataSheet {
                track_to_track_ms: 0.8,
                average_ms: 8.6,
                full_stroke_ms: 18.0,
            },
        )
    }
}

/// Command overheads of a Seagate Cheetah 15K.5 in ms, from its DiskSim parameters.
pub(super) const CHEETAH_15K5_OVERHEADS: CommandOverheads = CommandOverheads {
    read_hit: [0.162, 0.158],
    read_miss: [0.0, 0.106],
    read_ready: [0.0, 0.0],
    read_stream: None,
    write_hit: [0.276, 0.456],
    write_miss: [0.629, 0.228],
};

/// Seagate Cheetah 15K.5, 146 GB, as extracted from the drive by CMU's Parallel Data Laboratory.
fn enterprise_15k() -> HddParameters {
    HddParameters {
        sectors: Some(286_749_487),
        serpentine_cyls: 65,
        skew_rev: 0.1417,
        cache_segments: 32,
        seg_sectors: 1200,
        overhead_ms: Some(CHEETAH_15K5_OVERHEADS),
        src: "Seagate Cheetah 15K.5 146 GB, extracted with DIXtrac (CMU PDL) for DiskSim"
            .to_owned(),
        ..drive(
            15_000.0,
            4,
            zones_by_end(&[
                (7800, 1200),
                (14_200, 1160),
                (20_200, 1120),
                (25_900, 1104),
                (31_300, 1080),
                (36_400, 1020),
                (41_300, 994),
                (46_000, 960),
                (50_500, 920),
                (54_900, 880),
                (59_100, 840),
                (63_200, 816),
                (67_200, 780),
                (72_169, 720),
            ]),
            SeekParameters::Table(vec![
                (1, 0.552),
                (2, 0.57),
                (3, 0.597),
                (5, 0.768),
                (8, 0.789),
                (16, 0.804),
                (41, 0.824),
                (65, 1.131),
                (165, 1.155),
                (264, 1.247),
                (421, 1.495),
                (672, 1.509),
                (1073, 1.648),
                (1713, 1.932),
                (2734, 2.038),
                (4364, 2.269),
                (6966, 2.607),
                (11_119, 2.94),
                (17_748, 3.528),
                (28_328, 4.174),
                (45_215, 5.233),
                (72_169, 6.614),
            ]),
        )
    }
}

/// A 4 TB nearline drive, after the drive that Western Digital published with its DiskSim fork.
fn nearline_7200_4tb() -> HddParameters {
    HddParameters {
        head_switch_ms: 0.001,
        write_settle_ms: 0.5,
        serpentine_cyls: 128,
        skew_rev: 0.141_669,
        cache_segments: 32,
        seg_sectors: 3072,
        overhead_ms: Some(CommandOverheads {
            read_hit: [0.1, 0.1],
            read_miss: [0.1, 0.1],
            read_ready: [0.0, 0.0],
            read_stream: None,
            write_hit: [0.1, 0.1],
            write_miss: [0.1, 0.1],
        }),
        bus_mb_per_s: Some(550.0),
        src: "seek curve and layout of the 7200 rpm 4 TB drive in Western Digital's DiskSim fork, \
              zones joined; overheads assumed"
            .to_owned(),
        ..drive(
            7200.0,
            10,
            zones_by_end(&[
                (41_727, 3072),
                (65_791, 2998),
                (86_271, 2920),
                (107_775, 2807),
                (129_791, 2698),
                (152_063, 2606),
                (174_591, 2536),
                (190_975, 2432),
                (212_479, 2278),
                (233_983, 2136),
                (254_463, 1973),
                (274_431, 1832),
                (293_887, 1695),
                (310_193, 1580),
            ]),
            SeekParameters::Table(vec![
                (1, 1.4),
                (152, 1.5),
                (262, 1.55),
                (452, 1.61),
                (778, 1.778),
                (1342, 2.226),
                (2312, 2.4),
                (3985, 2.8),
                (6868, 3.0),
                (11_836, 3.6),
                (20_400, 4.2),
                (35_158, 5.05),
                (60_594, 6.25),
                (104_431, 7.8),
                (179_983, 10.15),
                (310_193, 14.3),
            ]),
        )
    }
}

/// An 18 TB nearline drive by its data sheet: 270 MB/s outside, mean seek 7.4 ms (writes 8.2),
/// track to track 0.23 ms (writes 0.32), 256 MB of cache. 18 surfaces; zones fall to half.
fn nearline_7200_18tb() -> HddParameters {
    HddParameters {
        head_switch_ms: 0.3,
        write_settle_ms: 0.8,
        skew_rev: 0.05,
        cache_segments: 64,
        seg_sectors: 8192,
        overhead_ms: Some(CommandOverheads {
            read_hit: [0.08, 0.08],
            read_miss: [0.1, 0.1],
            read_ready: [0.0, 0.0],
            read_stream: None,
            write_hit: [0.08, 0.08],
            write_miss: [0.1, 0.1],
        }),
        bus_mb_per_s: Some(550.0),
        src: "data-sheet figures of 7200 rpm 18 TB nearline drives; full stroke, surfaces and \
              overheads assumed"
            .to_owned(),
        ..drive(
            7200.0,
            18,
            even_zones(24, 576_000, 4614, 2170),
            SeekParameters::DataSheet {
                track_to_track_ms: 0.23,
                average_ms: 7.4,
                full_stroke_ms: 15.0,
            },
        )
    }
}
