//! The checks of a drive's figures. Errors are sentences that name the field and what it may be.

use super::parameters::{HddError, HddParameters, SeekParameters, lee};
use super::presets::{preset, preset_names};
use serde::Deserialize;
use serde_json::Value;

/// The longest time that a field may name, so that a typing error is refused.
const LONGEST_MS: f64 = 10_000.0;

impl HddParameters {
    /// Reads a drive from a JSON object and checks it. With a member `"preset": NAME` the other
    /// members replace what the preset says, as in
    /// `{"preset": "desktop-7200-2008", "time_scale": 2}`.
    ///
    /// # Errors
    /// A sentence that names the field.
    pub fn from_json(value: &Value) -> Result<HddParameters, HddError> {
        let mut value = value.clone();
        if let Some(members) = value.as_object_mut()
            && !members.contains_key("write_settle_ms")
            && let Some(extra) = members.remove("write_seek_extra_ms")
        {
            // Some published parameters use this name.
            members.insert("write_settle_ms".to_owned(), extra);
        }
        if let Some(members) = value.as_object_mut()
            && let Some(name) = members.remove("preset")
        {
            let base = name.as_str().and_then(preset).ok_or_else(|| {
                HddError::new(format!(
                    "`preset` is {name}; the presets are {}",
                    preset_names().join(", ")
                ))
            })?;
            let mut whole = as_json(&base.0)?;
            for (field, replacement) in std::mem::take(members) {
                whole[field] = replacement;
            }
            value = whole;
        }
        let parameters =
            HddParameters::deserialize(&value).map_err(|error| match wrong_field(&value) {
                Some((field, error)) => HddError::new(format!("`{field}` is wrong: {error}")),
                None => HddError::new(format!("the drive's parameters are wrong: {error}")),
            })?;
        parameters.validate()?;
        Ok(parameters)
    }

    /// Checks every field.
    ///
    /// # Errors
    /// A sentence that names the first field that is wrong and what it may be.
    pub fn validate(&self) -> Result<(), HddError> {
        in_range("rpm", self.rpm, 100.0, 100_000.0)?;
        in_range("surfaces", f64::from(self.surfaces), 1.0, 64.0)?;
        in_range("cyls", f64::from(self.cyls), 1.0, 16_000_000.0)?;
        in_range("head_switch_ms", self.head_switch_ms, 0.0, LONGEST_MS)?;
        in_range("write_settle_ms", self.write_settle_ms, 0.0, LONGEST_MS)?;
        in_range(
            "track_switch_ms",
            self.track_switch_ms.unwrap_or(0.0),
            0.0,
            LONGEST_MS,
        )?;
        in_range("skew_rev", self.skew_rev, 0.0, 1.0)?;
        in_range("cache_segments", f64::from(self.cache_segments), 0.0, 256.0)?;
        in_range("seg_sectors", f64::from(self.seg_sectors), 1.0, 1_048_576.0)?;
        in_range("time_scale", self.time_scale, 0.001, 1_000.0)?;
        in_range(
            "bus_mb_per_s",
            self.bus_mb_per_s.unwrap_or(1.0),
            0.1,
            100_000.0,
        )?;
        self.validate_overheads()?;
        self.validate_zones()?;
        self.validate_seek()
    }

    fn validate_overheads(&self) -> Result<(), HddError> {
        let overheads = self.overhead_ms.unwrap_or_default();
        for (name, pair) in [
            ("overhead_ms.read_hit", overheads.read_hit),
            ("overhead_ms.read_miss", overheads.read_miss),
            ("overhead_ms.read_ready", overheads.read_ready),
            (
                "overhead_ms.read_stream",
                [overheads.read_stream.unwrap_or(0.0); 2],
            ),
            ("overhead_ms.write_hit", overheads.write_hit),
            ("overhead_ms.write_miss", overheads.write_miss),
        ] {
            in_range(name, pair[0], 0.0, LONGEST_MS)?;
            in_range(name, pair[1], 0.0, LONGEST_MS)?;
        }
        Ok(())
    }

    fn validate_zones(&self) -> Result<(), HddError> {
        if self.zones.is_empty() || self.zones.len() > 4096 {
            return Err(HddError::new("`zones` must list between 1 and 4096 zones"));
        }
        let mut next_free = 0;
        for (index, zone) in self.zones.iter().enumerate() {
            let refused = |why: String| Err(HddError::new(format!("`zones[{index}]` {why}")));
            let (first, last) = (zone.first_cylinder, zone.last_cylinder);
            // Some published parameters count the last cylinder from 0, others from 1.
            if first < next_free || last < first || last > self.cyls {
                return refused(format!(
                    "spans cylinders {first} to {last}; zones must ascend without overlap and \
                     lie within `cyls` = {}",
                    self.cyls
                ));
            }
            let sectors = zone.sectors_per_track;
            if !(1..=1_000_000).contains(&sectors) {
                return refused(format!(
                    "has {sectors} sectors per track; 1 to 1000000 are possible"
                ));
            }
            for skew in [zone.track_skew_sectors, zone.cylinder_skew_sectors] {
                if !(0.0..=f64::from(sectors)).contains(&skew) {
                    return refused(format!(
                        "has a skew of {skew} sectors; 0 to {sectors} are possible"
                    ));
                }
            }
            next_free = last + 1;
        }
        let held = self.zone_sectors();
        match self.sectors {
            Some(0) => Err(HddError::new("`sectors` must be at least 1")),
            Some(sectors) if sectors > held + held / 10 => Err(HddError::new(format!(
                "`sectors` is {sectors}, but the zones hold only {held}; correct one of them"
            ))),
            _ => Ok(()),
        }
    }

    fn validate_seek(&self) -> Result<(), HddError> {
        match &self.seek {
            SeekParameters::Table(points) => {
                if points.is_empty() || points.len() > 65_536 {
                    return Err(HddError::new("`seek` must list between 1 and 65536 points"));
                }
                let mut before = 0;
                for (distance, ms) in points {
                    in_range("seek", *ms, 0.0, LONGEST_MS)?;
                    if *distance <= before {
                        return Err(HddError::new(format!(
                            "`seek` names the distance {distance} after {before}; distances must \
                             ascend from 1 cylinder"
                        )));
                    }
                    before = *distance;
                }
                Ok(())
            }
            SeekParameters::DataSheet {
                track_to_track_ms,
                average_ms,
                full_stroke_ms,
            } => {
                in_range(
                    "seek.track_to_track_ms",
                    *track_to_track_ms,
                    0.0,
                    LONGEST_MS,
                )?;
                in_range(
                    "seek.average_ms",
                    *average_ms,
                    *track_to_track_ms,
                    LONGEST_MS,
                )?;
                in_range(
                    "seek.full_stroke_ms",
                    *full_stroke_ms,
                    *average_ms,
                    LONGEST_MS,
                )?;
                let (root, linear) = lee(*track_to_track_ms, *average_ms, *full_stroke_ms);
                if root < 0.0 || linear < 0.0 {
                    return Err(HddError::new(
                        "`seek` has three numbers that no rising curve joins; \
                         `full_stroke_ms` is usually about twice `average_ms`",
                    ));
                }
                Ok(())
            }
        }
    }
}

fn in_range(name: &str, value: f64, low: f64, high: f64) -> Result<(), HddError> {
    if value >= low && value <= high {
        return Ok(());
    }
    Err(HddError::new(format!(
        "`{name}` is {value}; it must lie between {low} and {high}"
    )))
}

fn as_json(parameters: &HddParameters) -> Result<Value, HddError> {
    serde_json::to_value(parameters)
        .map_err(|error| HddError::new(format!("the parameters cannot be written: {error}")))
}

/// The wrong field of a refused object: the one that makes a valid drive invalid. `None` where a
/// field is missing rather than wrong.
fn wrong_field(value: &Value) -> Option<(String, serde_json::Error)> {
    let good = as_json(&preset(preset_names().first()?)?.0).ok()?;
    value.as_object()?.iter().find_map(|(field, value)| {
        let mut drive = good.clone();
        drive[field] = value.clone();
        let error = HddParameters::deserialize(&drive).err()?;
        Some((field.clone(), error))
    })
}

#[cfg(test)]
mod tests;
