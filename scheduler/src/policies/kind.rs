//! Which policies there are, what they are called, and the numbers that experiments turn.
//!
//! The defaults are the papers' where the papers say them. What is not known of a paper, and what
//! was chosen instead, is said in the documentation of the policy's module.

use crate::config::SchedulerConfig;
use disktime_units::Nanos;

/// Which policy decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PolicyKind {
    /// Slack-stealing EDF over disk time: ours.
    #[default]
    Fahrrad,
    /// The papers' committed set.
    FahrradDss,
    /// Token buckets in disk time.
    ZygariaUtil(ZygariaUtilConfig),
    /// Token buckets in I/Os.
    ZygariaIops(ZygariaIopsConfig),
    /// Reservation, limit and weight tags in I/Os.
    Mclock(MclockConfig),
    /// Start-time fair queueing with several requests outstanding.
    SfqD(SfqConfig),
    /// Weights over the price of requests, at a rate that follows the device's latency.
    Iocost(IocostConfig),
    /// Earliest deadline first over the budgets, and nothing else.
    Edf,
    /// Upwards over all streams, and around.
    CLook,
    /// In order of arrival.
    Fifo,
}

/// Numbers of `zygaria-util`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZygariaUtilConfig {
    /// What a sequential request is charged on dispatch.
    pub sequential: Nanos,
    /// What any other request is charged on dispatch.
    pub random: Nanos,
    /// A request is sequential if it starts less than this after the end of its stream's last.
    pub sequential_gap_bytes: u64,
    /// How long a bucket takes to fill: the saved tokens are capped at the rate times this.
    pub saved: Nanos,
    /// Length of one of the 20 slots of the moving average of usage.
    pub usage_slot: Nanos,
    /// How long a stream that has tokens keeps the disk once it has it. Zero: the choice is made
    /// anew for each request.
    pub stay: Nanos,
}

impl Default for ZygariaUtilConfig {
    fn default() -> ZygariaUtilConfig {
        ZygariaUtilConfig {
            sequential: Nanos::from_micros(300),
            random: Nanos::from_millis(20),
            sequential_gap_bytes: 100 * 512,
            saved: Nanos::from_secs(1),
            usage_slot: Nanos::from_millis(50),
            stay: Nanos::ZERO,
        }
    }
}

/// Numbers of `zygaria-iops`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZygariaIopsConfig {
    /// I/Os per second that are said to be there to reserve: a share u is a rate of u times this.
    /// `None`: what the disk does at random places (see [`PolicyKind::random_iops`]).
    pub nominal_iops: Option<u32>,
    /// How long a bucket takes to fill: the saved tokens are capped at the rate times this.
    pub saved: Nanos,
    /// Length of one of the 20 slots of the moving average of usage.
    pub usage_slot: Nanos,
    /// How long a stream that has tokens keeps the disk once it has it. Zero: the choice is made
    /// anew for each request.
    pub stay: Nanos,
}

impl Default for ZygariaIopsConfig {
    fn default() -> ZygariaIopsConfig {
        ZygariaIopsConfig {
            nominal_iops: None,
            saved: Nanos::from_secs(1),
            usage_slot: Nanos::from_millis(50),
            stay: Nanos::ZERO,
        }
    }
}

/// Numbers of `mclock`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MclockConfig {
    /// I/Os per second that are said to be there: R is u times this, L is the limit times this.
    /// `None`: what the disk does at random places (see [`PolicyKind::random_iops`]).
    pub nominal_iops: Option<u32>,
}

/// What a request costs under `sfq-d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SfqCost {
    /// Every request the same.
    Requests,
    /// As many bytes as it has.
    Bytes,
}

/// Numbers of `sfq-d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SfqConfig {
    /// D: most dispatches outstanding; the disk's own bound holds as well.
    pub depth: u32,
    /// c.
    pub cost: SfqCost,
}

impl Default for SfqConfig {
    fn default() -> SfqConfig {
        SfqConfig {
            depth: 8,
            cost: SfqCost::Requests,
        }
    }
}

/// What a request of a kind costs under `iocost`, of the device's time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IocostClass {
    /// One that is far from the end of its stream's last.
    pub random: Nanos,
    /// One that is near.
    pub sequential: Nanos,
    /// Each MiB of it, besides.
    pub per_mib: Nanos,
}

/// The linear model of costs of `iocost`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IocostModel {
    /// Reads.
    pub read: IocostClass,
    /// Writes.
    pub write: IocostClass,
}

/// What `iocost` holds a device to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IocostQos {
    /// So many of a million requests are to take no longer than the latencies below, besides their
    /// cost. 0: latencies are not measured.
    pub percentile_ppm: u32,
    /// Latency of reads,
    pub read_latency: Nanos,
    /// and of writes.
    pub write_latency: Nanos,
    /// The device's time passes at least so fast,
    pub vrate_min_percent: u32,
    /// and at most so fast.
    pub vrate_max_percent: u32,
}

/// Numbers of `iocost`. They are a device's, so there are no usual ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IocostConfig {
    /// What requests cost.
    pub model: IocostModel,
    /// What the device is held to.
    pub qos: IocostQos,
}

impl PolicyKind {
    /// Every policy that needs no numbers of the device, with its usual ones; ours first. `iocost`
    /// needs some, and is not among them.
    pub fn all() -> [PolicyKind; 9] {
        [
            PolicyKind::Fahrrad,
            PolicyKind::FahrradDss,
            PolicyKind::ZygariaUtil(ZygariaUtilConfig::default()),
            PolicyKind::ZygariaIops(ZygariaIopsConfig::default()),
            PolicyKind::Mclock(MclockConfig::default()),
            PolicyKind::SfqD(SfqConfig::default()),
            PolicyKind::Edf,
            PolicyKind::CLook,
            PolicyKind::Fifo,
        ]
    }

    /// The policy of that name, with its usual numbers.
    pub fn from_name(name: &str) -> Option<PolicyKind> {
        PolicyKind::all()
            .into_iter()
            .find(|kind| kind.name() == name)
    }

    /// Its name in files, on the command line and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            PolicyKind::Fahrrad => "fahrrad",
            PolicyKind::FahrradDss => "fahrrad-dss",
            PolicyKind::ZygariaUtil(_) => "zygaria-util",
            PolicyKind::ZygariaIops(_) => "zygaria-iops",
            PolicyKind::Mclock(_) => "mclock",
            PolicyKind::SfqD(_) => "sfq-d",
            PolicyKind::Iocost(_) => "iocost",
            PolicyKind::Edf => "edf",
            PolicyKind::CLook => "c-look",
            PolicyKind::Fifo => "fifo",
        }
    }

    /// I/Os per second that a disk does at random places: one per mean seek and half a turn. On a
    /// disk without seeks one per W, which is what a promise in I/Os has to assume.
    pub fn random_iops(config: &SchedulerConfig) -> u32 {
        let each = if config.has_seeks && config.switch_cost > Nanos::ZERO {
            config.switch_cost
        } else {
            config.worst_case
        };
        u32::try_from(1_000_000_000 / each.0.max(1)).map_or(u32::MAX, |iops| iops.max(1))
    }

    /// Whether limits of disk time are kept by the ledger. The others have limits of their own, in
    /// their own currency, or none.
    pub(crate) const fn keeps_limits_of_time(self) -> bool {
        matches!(
            self,
            PolicyKind::Fahrrad | PolicyKind::FahrradDss | PolicyKind::Edf
        )
    }
}
