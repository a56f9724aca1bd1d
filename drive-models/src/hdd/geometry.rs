//! The place of a sector: cylinder, surface and angle, by zone.
//!
//! Angles are times: how long after the platter's mark a point passes under the head, from 0 to
//! one turn. Tracks are shifted against each other (skew), so that after a switch to the next track
//! its first sector passes without a further turn.
//!
//! Invariants: the geometry holds at least the size that is served; sector numbers rise with
//! cylinders from zone to zone. Defects are not modelled: spare tracks are treated as if they were
//! at the end.

use super::parameters::{HddError, HddParameters, SECTOR_BYTES, ZoneParameters};

/// A zone in the geometry served.
#[derive(Debug, Clone)]
pub(crate) struct Zone {
    /// Number of its first sector.
    pub first_sector: u64,
    pub first_cylinder: u32,
    pub cylinders: u32,
    pub sectors_per_track: u32,
    /// Shift from a track to the next of its cylinder.
    pub track_skew_ns: u64,
    /// Shift from the last track of a cylinder to the first of the next.
    pub cylinder_skew_ns: u64,
    /// Angle of its first track.
    phase_ns: u64,
    /// Shift of the first track of a serpentine group in addition to the skew.
    pub group_shift_ns: u64,
    /// Shift between the first tracks of two cylinders, modulo a turn.
    cylinder_step_ns: u64,
}

/// The part of a track from a sector to the track's end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SectorPlace {
    pub cylinder: u32,
    pub surface: u32,
    pub sectors_per_track: u32,
    /// The sector's number on the track.
    pub sector: u32,
    /// Angle of the track's first sector.
    pub phase_ns: u64,
}

/// All zones.
#[derive(Debug, Clone)]
pub(crate) struct Geometry {
    pub zones: Vec<Zone>,
    pub surfaces: u32,
    pub cylinders: u32,
    pub turn_ns: u64,
    pub serpentine: u32,
    sectors: u64,
    /// Whether the number of cylinders was changed, so that seeks are scaled by the fraction of the
    /// stroke.
    pub scaled: bool,
}

impl Geometry {
    /// The geometry that serves `size_bytes` of the drive.
    ///
    /// # Errors
    /// If the size is 0, or more than a short-stroked drive has.
    pub(crate) fn new(parameters: &HddParameters, size_bytes: u64) -> Result<Geometry, HddError> {
        let wanted = size_bytes.div_ceil(SECTOR_BYTES);
        if wanted == 0 {
            return Err(HddError::new(
                "a disk of 0 bytes cannot be modelled; give it a size",
            ));
        }
        let whole = size_bytes == parameters.size_bytes();
        if parameters.short_stroke && size_bytes > parameters.size_bytes() {
            return Err(HddError::new(format!(
                "`short_stroke` takes a part of the drive, which has {} bytes; {size_bytes} were \
                 asked for",
                parameters.size_bytes()
            )));
        }
        let scaled = !whole && !parameters.short_stroke;
        let turn_ns = (60e9 / parameters.rpm * parameters.time_scale).round() as u64;
        let mut geometry = Geometry {
            zones: Vec::new(),
            surfaces: parameters.surfaces,
            cylinders: 0,
            turn_ns: turn_ns.max(1),
            serpentine: parameters.serpentine_cyls,
            sectors: 0,
            scaled,
        };
        let part = wanted as f64 / (parameters.size_bytes() / SECTOR_BYTES).max(1) as f64;
        let mut last = None;
        for zone in &parameters.zones {
            let (first, cylinders) = if scaled {
                let first = scale(zone.first_cylinder, part);
                (
                    first,
                    scale(zone.last_cylinder + 1, part).saturating_sub(first),
                )
            } else {
                (
                    zone.first_cylinder,
                    zone.last_cylinder + 1 - zone.first_cylinder,
                )
            };
            last = Some(zone);
            geometry.add_zone(zone, first, cylinders, parameters.skew_rev);
            if geometry.sectors >= wanted && !whole {
                break;
            }
        }
        if let Some(zone) = last {
            geometry.fit_last_zone(zone, wanted, parameters.skew_rev)?;
        }
        let end = geometry
            .zones
            .last()
            .map_or(1, |zone| zone.first_cylinder + zone.cylinders);
        geometry.cylinders = if whole { end.max(parameters.cyls) } else { end };
        assert!(
            geometry.sectors >= wanted,
            "the geometry must hold what it serves"
        );
        Ok(geometry)
    }

    fn add_zone(&mut self, zone: &ZoneParameters, first: u32, cylinders: u32, skew_rev: f64) {
        if cylinders == 0 {
            return;
        }
        let skewless = zone.track_skew_sectors == 0.0 && zone.cylinder_skew_sectors == 0.0;
        let shift = |sectors: f64| {
            let turns = sectors / f64::from(zone.sectors_per_track);
            let turns = if skewless { skew_rev } else { turns };
            (turns * self.turn_ns as f64).round() as u64 % self.turn_ns
        };
        let track_skew_ns = shift(zone.track_skew_sectors);
        let cylinder_skew_ns = shift(zone.cylinder_skew_sectors);
        let step = track_skew_ns * u64::from(self.surfaces - 1) + cylinder_skew_ns;
        self.zones.push(Zone {
            phase_ns: 0,
            group_shift_ns: 0,
            first_sector: self.sectors,
            first_cylinder: first,
            cylinders,
            sectors_per_track: zone.sectors_per_track,
            track_skew_ns,
            cylinder_skew_ns,
            cylinder_step_ns: step % self.turn_ns,
        });
        self.sectors += u64::from(cylinders) * self.sectors_per_cylinder(zone.sectors_per_track);
    }

    /// Adds missing cylinders to the last zone, or removes those that are too many.
    fn fit_last_zone(
        &mut self,
        zone: &ZoneParameters,
        wanted: u64,
        skew_rev: f64,
    ) -> Result<(), HddError> {
        if self.zones.is_empty() {
            self.add_zone(zone, 0, 1, skew_rev);
        }
        let surfaces = u64::from(self.surfaces);
        let Some(last) = self.zones.last_mut() else {
            return Ok(());
        };
        let per_cylinder = surfaces * u64::from(last.sectors_per_track);
        let needed = wanted
            .saturating_sub(last.first_sector)
            .div_ceil(per_cylinder)
            .max(1);
        let cylinders = u32::try_from(needed)
            .ok()
            .filter(|cylinders| last.first_cylinder.checked_add(*cylinders).is_some())
            .ok_or_else(|| HddError::new("the size is too large for this drive's geometry"))?;
        // A whole drive keeps the spare cylinders that its zones name.
        last.cylinders = if self.scaled {
            cylinders
        } else {
            cylinders.max(last.cylinders)
        };
        self.sectors = last.first_sector + u64::from(last.cylinders) * per_cylinder;
        Ok(())
    }

    fn sectors_per_cylinder(&self, sectors_per_track: u32) -> u64 {
        u64::from(self.surfaces) * u64::from(sectors_per_track)
    }

    /// Shifts groups and zones against those before them by the time that the arm needs between
    /// them, so that streaming over such a border costs no turn. Drives do so; published parameters
    /// do not say by how much.
    pub(crate) fn align_borders(&mut self, move_ns: impl Fn(u32) -> u64) {
        for index in 0..self.zones.len() {
            if self.serpentine > 0 && self.surfaces.is_multiple_of(2) {
                // After an even number of surfaces the arm is back at the group's first cylinder.
                let zone = &mut self.zones[index];
                zone.group_shift_ns =
                    move_ns(self.serpentine).saturating_sub(zone.track_skew_ns) % self.turn_ns;
            }
            let Some(before) = index.checked_sub(1).map(|before| &self.zones[before]) else {
                continue;
            };
            let serpentine = self.serpentine > 0;
            let skew_ns = if serpentine {
                before.track_skew_ns
            } else {
                before.cylinder_skew_ns
            };
            let first = self.zones[index].first_sector;
            let (from, to) = (self.locate(first - 1), self.locate(first));
            let shift_ns = skew_ns.max(move_ns(from.cylinder.abs_diff(to.cylinder)));
            self.zones[index].phase_ns = (from.phase_ns + shift_ns) % self.turn_ns;
        }
    }

    /// Sectors that the geometry holds.
    pub(crate) fn sectors(&self) -> u64 {
        self.sectors
    }

    /// The place of `sector`; of the last sector for numbers beyond the end.
    #[inline]
    pub(crate) fn locate(&self, sector: u64) -> SectorPlace {
        let sector = sector.min(self.sectors - 1);
        let index = self
            .zones
            .partition_point(|zone| zone.first_sector <= sector)
            - 1;
        let zone = &self.zones[index];
        let inside = sector - zone.first_sector;
        let track = inside / u64::from(zone.sectors_per_track);
        let in_track = (inside - track * u64::from(zone.sectors_per_track)) as u32;
        let (cylinder, surface, phase_ns) = if self.serpentine > 0 {
            let (group, cylinder, surface) = self.serpentine_place(zone, track);
            let shift = zone.phase_ns + track * zone.track_skew_ns + group * zone.group_shift_ns;
            (cylinder, surface, shift % self.turn_ns)
        } else {
            let cylinder = (track / u64::from(self.surfaces)) as u32;
            let surface = (track % u64::from(self.surfaces)) as u32;
            let shift = zone.phase_ns
                + u64::from(cylinder) * zone.cylinder_step_ns
                + u64::from(surface) * zone.track_skew_ns;
            (cylinder, surface, shift % self.turn_ns)
        };
        SectorPlace {
            cylinder: zone.first_cylinder + cylinder,
            surface,
            sectors_per_track: zone.sectors_per_track,
            sector: in_track,
            phase_ns,
        }
    }

    /// Group, cylinder within the zone, and surface of a track in a serpentine layout. The last
    /// group of a zone may be narrower than the others.
    fn serpentine_place(&self, zone: &Zone, track: u64) -> (u64, u32, u32) {
        let surfaces = u64::from(self.surfaces);
        let group = track / (u64::from(self.serpentine) * surfaces);
        let group_start = group * u64::from(self.serpentine);
        let width = u64::from(self.serpentine).min(u64::from(zone.cylinders) - group_start);
        let inside = track - group_start * surfaces;
        let (surface, run) = (inside / width, inside % width);
        let run = if surface % 2 == 1 {
            width - 1 - run
        } else {
            run
        };
        (group, (group_start + run) as u32, surface as u32)
    }
}

fn scale(cylinder: u32, part: f64) -> u32 {
    (f64::from(cylinder) * part).round() as u32
}

impl SectorPlace {
    /// Angle at which this sector begins.
    #[inline]
    pub(crate) fn angle_ns(&self, turn_ns: u64) -> u64 {
        let angle = self.phase_ns + self.sector_ns(self.sector, turn_ns);
        if angle >= turn_ns {
            angle - turn_ns
        } else {
            angle
        }
    }

    /// Time from the track's first sector to the start of sector `sector`.
    #[inline]
    pub(crate) fn sector_ns(&self, sector: u32, turn_ns: u64) -> u64 {
        u64::from(sector) * turn_ns / u64::from(self.sectors_per_track)
    }
}
