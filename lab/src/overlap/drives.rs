//! The drives that runs are made on: each preset that overlaps requests, and the pipe.
//!
//! Invariant: what the scheduler is told of a drive is what the product tells it: the preset's
//! prices, H, σ, W and queue depth.
//!
//! What is not known here: clients.

use super::device::{DeviceRequest, OverlapDevice, Pipe};
use super::within::{Mood, Within};
use crate::oracle::disks::plain_disk;
use disktime_drive_models::{
    CostModel, LinearCost, ModelRequest, Operation, OverlapDrive, OverlapModel, OverlapParameters,
    Slowdown,
};
use disktime_scheduler::{OverlapConfig, PolicyKind, SchedulerConfig};
use disktime_units::Nanos;

/// Longest piece of a request.
pub const QUANTUM_BYTES: u32 = 128 << 10;
/// k, as the product has it.
const IDLE_FACTOR: u32 = 2;
/// W of the pipe.
const PIPE_WORST_CASE: Nanos = Nanos::from_micros(1000);
const PIPE_QUEUE: usize = 1024;

/// A drive, and what is known of it.
#[derive(Debug, Clone)]
pub struct LabDrive {
    name: &'static str,
    cost: CostModel,
    worst_case: Nanos,
    max_in_flight: usize,
    /// `None` for the pipe.
    preset: Option<OverlapDrive>,
    /// It takes any time within its prices, not that of a model.
    mood: Option<Mood>,
    slowdown: Slowdown,
}

impl LabDrive {
    /// All names.
    pub const NAMES: [&'static str; 6] = [
        "nvme-970pro",
        "sata-870",
        "cheap-qlc",
        "cheap-qlc-gc",
        "cloud-16k",
        "pipe",
    ];

    /// The preset of that name, or the pipe.
    ///
    /// # Panics
    /// If there is none.
    pub fn find(name: &str) -> LabDrive {
        if name == "pipe" {
            return LabDrive::pipe();
        }
        let preset = OverlapDrive::find(name);
        let preset = preset.unwrap_or_else(|| panic!("there is no preset {name}"));
        LabDrive {
            name: preset.name,
            cost: CostModel::Overlapping(preset.cost),
            worst_case: preset.worst_case,
            max_in_flight: preset.queue_depth() as usize,
            preset: Some(preset),
            mood: None,
            slowdown: Slowdown::NONE,
        }
    }

    /// One server behind a queue.
    pub fn pipe() -> LabDrive {
        let per_mib = Nanos((1 << 20) * 10 / 6);
        let base = Pipe::time(0);
        LabDrive {
            name: "pipe",
            cost: CostModel::Linear(LinearCost {
                read_base: base,
                read_per_mib: per_mib,
                write_base: base,
                write_per_mib: per_mib,
                flush: base,
            }),
            worst_case: PIPE_WORST_CASE,
            max_in_flight: PIPE_QUEUE,
            preset: None,
            mood: None,
            slowdown: Slowdown::NONE,
        }
    }

    /// The same, whose prices and bounds are believed to be so many per cent of what they are.
    #[must_use]
    pub fn with_prices(self, percent: u32) -> LabDrive {
        LabDrive {
            cost: self.cost.in_percent(percent),
            ..self
        }
    }

    /// The same, slower for a time. The pipe is never slow.
    #[must_use]
    pub fn with_slowdown(self, slowdown: Slowdown) -> LabDrive {
        LabDrive { slowdown, ..self }
    }

    /// The same with its fast part used up, if it has one: the state that its prices hold for.
    #[must_use]
    pub fn used_up(mut self) -> LabDrive {
        let parameters = self.preset.as_mut().map(|preset| &mut preset.parameters);
        if let Some(OverlapParameters::Flash(flash)) = parameters {
            flash.cache_bytes = flash.cache_bytes.map(|_| 0);
        }
        self
    }

    /// A drive with its prices that takes any time within them. Nothing settles in it: a write is
    /// answered when it is done.
    #[must_use]
    pub fn within_its_prices(mut self, mood: Mood) -> LabDrive {
        self.mood = Some(mood);
        if let CostModel::Overlapping(cost) = &mut self.cost {
            cost.settle = Nanos::ZERO;
        }
        self
    }

    /// The same with another W.
    #[must_use]
    pub fn with_worst_case(self, worst_case: Nanos) -> LabDrive {
        LabDrive { worst_case, ..self }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What requests are believed to take.
    pub fn cost(&self) -> CostModel {
        self.cost
    }

    /// W.
    pub fn worst_case(&self) -> Nanos {
        self.worst_case
    }

    /// H.
    pub fn occupancy_bound(&self) -> Nanos {
        self.cost.occupancy_bound(u64::from(QUANTUM_BYTES))
    }

    /// L: what a change of focus costs at most: H, the longest request alone, and with writers σ.
    pub fn change_cost(&self, writers: bool) -> Nanos {
        let bytes = u64::from(QUANTUM_BYTES);
        let longest = self.cost.quote(Operation::Read, bytes, false, false).lone;
        let settle = if writers {
            self.cost.settle()
        } else {
            Nanos::ZERO
        };
        self.occupancy_bound() + longest + settle
    }

    /// What the scheduler is told.
    pub fn config(&self, policy: PolicyKind) -> SchedulerConfig {
        SchedulerConfig {
            policy,
            max_in_flight: self.max_in_flight,
            merge_limit_bytes: u64::from(QUANTUM_BYTES),
            overlap: OverlapConfig {
                occupancy_bound: self.occupancy_bound(),
                settle: self.cost.settle(),
                fast_read_percent: self.cost.fast_read_percent(),
                idle_factor: IDLE_FACTOR,
            },
            ..plain_disk(self.worst_case)
        }
    }

    /// A new one.
    pub fn device(&self, seed: u64) -> Box<dyn OverlapDevice> {
        if let Some(mood) = self.mood {
            return Box::new(Within::new(self.cost, mood, seed));
        }
        match &self.preset {
            Some(preset) => Box::new(Modelled(preset.slowed_model(seed, self.slowdown))),
            None => Box::new(Pipe::default()),
        }
    }
}

/// A preset's model as a run's device.
struct Modelled(Box<dyn OverlapModel + Send>);

impl OverlapDevice for Modelled {
    fn submit(&mut self, now: Nanos, request: DeviceRequest) {
        let request = ModelRequest {
            tag: u64::from(request.tag),
            operation: request.operation,
            offset_bytes: request.offset_bytes,
            len_bytes: request.len_bytes,
            durable: false,
        };
        self.0.submit(now, request);
    }

    fn next_event(&self) -> Option<Nanos> {
        self.0.next_completion()
    }

    fn take_completed(&mut self, now: Nanos) -> Option<u32> {
        self.0.pop_completion(now).map(|done| done.tag as u32)
    }
}
