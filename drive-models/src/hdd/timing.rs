//! Overheads, switches and rates of a drive, in integers and with its `time_scale` applied.

use super::parameters::{CommandOverheads, DEFAULT_BUS_MB_PER_S, HddParameters, SECTOR_BYTES};
use disktime_units::Nanos;

/// Overheads, switches and rates in nanoseconds.
#[derive(Debug, Clone)]
pub(crate) struct Timing {
    pub read_hit: [Nanos; 2],
    pub read_miss: [Nanos; 2],
    /// The medium can be read no earlier than this after the command.
    pub read_ready: [Nanos; 2],
    /// A cached read that continues where the one before it ended.
    pub read_stream: Nanos,
    pub write_hit: [Nanos; 2],
    pub write_miss: [Nanos; 2],
    pub head_switch: Nanos,
    pub write_settle: Nanos,
    /// From a track to the next one while data streams, where that differs from a seek over a
    /// cylinder.
    pub track_switch: Option<Nanos>,
    bus_ps_per_byte: u64,
}

impl Timing {
    pub(crate) fn new(parameters: &HddParameters) -> Timing {
        let scale = parameters.time_scale;
        let nanos = |ms: f64| Nanos((ms * scale * 1e6).round() as u64);
        let pair = |ms: [f64; 2]| ms.map(nanos);
        let overheads: CommandOverheads = parameters.overhead_ms.unwrap_or_default();
        let rate = parameters.bus_mb_per_s.unwrap_or(DEFAULT_BUS_MB_PER_S);
        Timing {
            read_hit: pair(overheads.read_hit),
            read_miss: pair(overheads.read_miss),
            read_ready: pair(overheads.read_ready),
            read_stream: nanos(overheads.read_stream.unwrap_or(overheads.read_hit[0])),
            write_hit: pair(overheads.write_hit),
            write_miss: pair(overheads.write_miss),
            head_switch: nanos(parameters.head_switch_ms),
            write_settle: nanos(parameters.write_settle_ms),
            track_switch: parameters.track_switch_ms.map(nanos),
            bus_ps_per_byte: (1e6 / rate * scale).round() as u64,
        }
    }

    /// Time of `sectors` on the bus.
    #[inline]
    pub(crate) fn bus(&self, sectors: u64) -> Nanos {
        Nanos(sectors * SECTOR_BYTES * self.bus_ps_per_byte / 1000)
    }

    /// The largest overhead of any command.
    pub(crate) fn worst_overhead(&self) -> Nanos {
        let all = [
            self.read_hit,
            self.read_miss,
            self.read_ready,
            [self.read_stream; 2],
            self.write_hit,
            self.write_miss,
        ];
        all.into_iter().flatten().max().unwrap_or(Nanos::ZERO)
    }
}
