//! What an experiment runs: a modelled disk, a policy, and streams with their reservations and
//! clients. Values only; `run` runs them.
//!
//! Every stream has a part of the disk of its own: the disk is cut into as many equal slots as
//! there are streams, and a stream lies at the start of its slot. Leaving out the clients of the
//! others ([`Setup::alone`]) does not move it.

use crate::{LabError, LabResult, Scheduling};
use disktime_drive_models::{HddModel, HddParameters, preset};
use disktime_engine::{Limit, Reservation, StreamConfig};
use disktime_units::{Nanos, Share};
use disktime_workloads::{
    Blocks, Client, Generated, GeneratorKind, OPEN_DEPTH, Pace, Pattern, Rate, Times,
};

/// The papers' drive: a 7200 rpm desktop disk of 2008.
pub const PAPER_DRIVE: &str = "desktop-7200-2008";

/// A modelled drive.
#[derive(Debug, Clone, PartialEq)]
pub struct DriveSetup {
    /// The name of the preset.
    pub preset: &'static str,
    /// How much of it is served; all of it if `None`.
    pub size_bytes: Option<u64>,
    /// What is served is its outer part, with that part's short seeks.
    pub short_stroke: bool,
    /// Writes are answered as soon as the drive's cache has them.
    pub write_cache: bool,
    /// Segments of the drive's cache; the preset's if `None`.
    pub cache_segments: Option<u32>,
}

impl DriveSetup {
    /// The whole of the papers' drive.
    pub fn papers() -> DriveSetup {
        DriveSetup {
            preset: PAPER_DRIVE,
            size_bytes: None,
            short_stroke: false,
            write_cache: false,
            cache_segments: None,
        }
    }

    /// The drive's parameters.
    ///
    /// # Errors
    /// If there is no such preset.
    pub fn parameters(&self) -> LabResult<HddParameters> {
        let (mut parameters, _) = preset(self.preset)
            .ok_or_else(|| LabError::new(format!("there is no drive `{}`", self.preset)))?;
        parameters.short_stroke = self.short_stroke;
        parameters.write_cache |= self.write_cache;
        parameters.cache_segments = self.cache_segments.unwrap_or(parameters.cache_segments);
        Ok(parameters)
    }

    /// The model.
    ///
    /// # Errors
    /// If there is no such preset, or it has no such size.
    pub fn model(&self) -> LabResult<HddModel> {
        let parameters = self.parameters()?;
        let whole = parameters.size_bytes();
        let size_bytes = self.size_bytes.unwrap_or(whole - whole % 4096);
        Ok(HddModel::scaled_to(&parameters, size_bytes)?)
    }
}

/// One stream: a virtual disk, what it is entitled to, and who uses it.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamSetup {
    /// Its name in reports.
    pub name: String,
    /// What it is entitled to.
    pub config: StreamConfig,
    /// Its clients; their `vdisk` is set by [`Setup::stream`].
    pub clients: Vec<Client>,
}

/// A change of what a stream is entitled to, in the middle of a run in virtual time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// When: a multiple of the sampling interval.
    pub at: Nanos,
    /// The stream's index.
    pub stream: usize,
    /// What it is entitled to from then on.
    pub config: StreamConfig,
}

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub struct Setup {
    /// The disk.
    pub drive: DriveSetup,
    /// Which request goes next, and who pays for switches.
    pub scheduling: Scheduling,
    /// What the scheduler is told of W; the drive's own bound if `None`.
    pub worst_case: Option<Nanos>,
    /// What the scheduler is told of seeks, switches and costs without seeks, in per cent of what
    /// the drive really takes; W and R stay what they are.
    pub estimates_percent: u32,
    /// The largest request, and the limit to which adjacent requests are merged into one; the
    /// product's if `None`. As large as a block: nothing is merged.
    pub quantum_bytes: Option<u32>,
    /// The streams.
    pub streams: Vec<StreamSetup>,
    /// Changes in the middle of the run.
    pub changes: Vec<Change>,
    /// Time before the figures are taken; a multiple of `sample_every`.
    pub warm_up: Nanos,
    /// Time in which they are taken.
    pub duration: Nanos,
    /// How often counters are read.
    pub sample_every: Nanos,
    /// Where random choices come from.
    pub seed: u64,
}

impl Setup {
    /// A run on the papers' drive without streams yet: 2 s of warm-up, counters every 100 ms.
    pub fn new(scheduling: impl Into<Scheduling>, duration: Nanos) -> Setup {
        Setup {
            drive: DriveSetup::papers(),
            scheduling: scheduling.into(),
            worst_case: None,
            estimates_percent: 100,
            quantum_bytes: None,
            streams: Vec::new(),
            changes: Vec::new(),
            warm_up: Nanos::from_secs(2),
            duration,
            sample_every: Nanos::from_millis(100),
            seed: 1,
        }
    }

    /// The same with requests of at most that length, and none merged beyond it.
    #[must_use]
    pub fn quantum(self, bytes: u32) -> Setup {
        Setup {
            quantum_bytes: Some(bytes),
            ..self
        }
    }

    /// The same with another warm-up, a multiple of the sampling interval.
    #[must_use]
    pub fn warm_up(self, warm_up: Nanos) -> Setup {
        Setup { warm_up, ..self }
    }

    /// Adds a stream with one client.
    #[must_use]
    pub fn stream(self, name: &str, config: StreamConfig, client: Client) -> Setup {
        self.shared_stream(name, config, vec![client])
    }

    /// Adds a stream with some clients.
    #[must_use]
    pub fn shared_stream(
        mut self,
        name: &str,
        config: StreamConfig,
        mut clients: Vec<Client>,
    ) -> Setup {
        for (number, client) in clients.iter_mut().enumerate() {
            client.vdisk = name.to_owned();
            client.name = if number == 0 {
                name.to_owned()
            } else {
                format!("{name} {}", number + 1)
            };
        }
        self.streams.push(StreamSetup {
            name: name.to_owned(),
            config,
            clients,
        });
        self
    }

    /// The same run with the clients of one stream only: the disk for itself.
    #[must_use]
    pub fn alone(&self, index: usize) -> Setup {
        let mut alone = self.clone();
        alone.scheduling = Scheduling::SERVED;
        alone.estimates_percent = 100;
        alone.changes.clear();
        for (other, stream) in alone.streams.iter_mut().enumerate() {
            stream.config = StreamConfig::BEST_EFFORT;
            if other != index {
                stream.clients.clear();
            }
        }
        alone
    }

    /// Warm-up and measured time together.
    pub fn end(&self) -> Nanos {
        self.warm_up + self.duration
    }
}

/// A share of disk time in every period, as a fraction, with the usual weight and no limit.
pub fn reserved(fraction: f64, period: Nanos) -> StreamConfig {
    let share = share(fraction);
    StreamConfig {
        reservation: Some(Reservation { share, period }),
        ..StreamConfig::BEST_EFFORT
    }
}

/// The same with a limit.
pub fn limited(config: StreamConfig, fraction: f64, period: Nanos) -> StreamConfig {
    let share = share(fraction);
    StreamConfig {
        limit: Some(Limit { share, period }),
        ..config
    }
}

/// The same with another weight.
pub fn weighted(weight: u32, config: StreamConfig) -> StreamConfig {
    StreamConfig { weight, ..config }
}

/// A share given as a fraction, to the nearest part per million.
fn share(fraction: f64) -> Share {
    Share((fraction.clamp(0.0, 1.0) * 1e6).round() as u32)
}

/// A client in a closed loop without think time: reads of `block_bytes`, `depth` in flight. It
/// goes on as long as the run does.
pub fn reader(pattern: Pattern, block_bytes: u64, depth: u32) -> Client {
    let blocks = Blocks {
        pattern,
        block_bytes,
        ..Blocks::RANDOM_READS
    };
    Client::new("", "", Nanos::MAX)
        .generating(Generated::blocks(blocks, Pace::GREEDY))
        .depth(depth)
}

/// The same client, writing.
#[must_use]
pub fn writing(client: Client) -> Client {
    client.blocks(|blocks| blocks.read = Share::ZERO)
}

/// The same client with a constant think time between answer and next request.
#[must_use]
pub fn thinking(client: Client, think: Nanos) -> Client {
    let think = Times::Constant(think);
    client.pace(Pace::Closed { think })
}

/// The same client in an open loop at a constant rate, with space for what waits.
#[must_use]
pub fn at_rate(client: Client, per_second: u64) -> Client {
    let rate = Rate::per_second(per_second);
    client.pace(Pace::Constant { rate }).depth(OPEN_DEPTH)
}

/// Bursts of random 4 KiB reads, with the named kind's defaults.
pub fn bursts() -> Client {
    Client::of_kind(GeneratorKind::Bursts, "", "", Nanos::MAX)
}
