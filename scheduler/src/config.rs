//! What the scheduler is given: streams with their reservations, and the disk in a few numbers.
//!
//! Nothing here is checked against the sum of a disk; admission happened before (the
//! `reservations` room), and the promise holds for sets that it admits.

pub(crate) use crate::policies::PolicyKind;

use crate::{RequestOrder, SeekCurve};
use disktime_units::{Nanos, Share};

/// Which queued request; chosen by the caller, unique among requests not yet completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u32);

/// Which dispatch in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlightId(pub u32);

/// A share of the disk's time, delivered in every period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reservation {
    /// u.
    pub share: Share,
    /// p.
    pub period: Nanos,
}

/// Never more than `share` in any period, reserved and spare time together; an overrun of one
/// request is a debt to the next period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// l.
    pub share: Share,
    /// The limit's period.
    pub period: Nanos,
}

/// What one stream is entitled to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamConfig {
    /// `None`: best effort, which lives on spare time alone.
    pub reservation: Option<Reservation>,
    /// `None`: as much as there is.
    pub limit: Option<Limit>,
    /// w: the weight by which spare time is divided, at least 1.
    pub weight: u32,
}

impl StreamConfig {
    /// Best effort with the usual weight of 100.
    pub const BEST_EFFORT: StreamConfig = StreamConfig {
        reservation: None,
        limit: None,
        weight: 100,
    };
}

/// Which account pays for the seeks between streams (docs/design/switching-account.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwitchingAccount {
    /// The served stream pays its measured time, the seek to it included.
    Served,
    /// The switching account pays: the first request after a switch pays what it would have cost
    /// alone, and the rest is paid by an account that is filled at the rate `Σ factor · s / p` over
    /// the reserved streams.
    Reserved {
        /// c in per cent: 150 is 1.5.
        factor_percent: u32,
    },
}

/// The disk, as far as scheduling needs to know it.
#[derive(Debug, Clone)]
pub struct SchedulerConfig {
    /// The policy.
    pub policy: PolicyKind,
    /// W: bound on the service time of one dispatch.
    pub worst_case: Nanos,
    /// s: mean cost of a switch (mean seek + half a turn); zero without seeks.
    pub switch_cost: Nanos,
    /// R: cost of the worst return seek; zero without seeks.
    pub worst_seek: Nanos,
    /// Seek time by distance.
    pub seek_curve: SeekCurve,
    /// Whether a change of place costs a seek.
    pub has_seeks: bool,
    /// Which account pays for switches.
    pub switching: SwitchingAccount,
    /// In which order a stream's requests go, on a disk with seeks; the other policies have orders
    /// of their own.
    pub order: RequestOrder,
    /// Bound on dispatches in flight, at least 1.
    pub max_in_flight: usize,
    /// Adjacent requests of a stream are merged into one dispatch up to this size.
    pub merge_limit_bytes: u64,
    /// What is known of a disk that overlaps requests; not read with one in flight.
    pub overlap: OverlapConfig,
}

impl SchedulerConfig {
    /// Whether streams pay in solo time: several requests are in the disk at once. With seeks the
    /// order of the disk's own queue decides what a request takes, and measured time is divided.
    pub(crate) fn overlaps(&self) -> bool {
        self.max_in_flight > 1 && !self.has_seeks
    }

    /// Whether requests without data wait at the gate (`ledger/dataless.rs`). The other policies
    /// are compared as they are.
    pub(crate) fn has_gate(&self) -> bool {
        self.policy == PolicyKind::Fahrrad
    }

    /// Whether a stream's next request is chosen by what was learnt of positioning times.
    pub(crate) fn learns_positioning(&self) -> bool {
        let has_no_map = matches!(self.order, RequestOrder::LeastPositioning { map: None });
        has_no_map && self.policy == PolicyKind::Fahrrad && self.has_seeks
    }
}

/// A disk that overlaps requests, in numbers (docs/design/overlapping-devices.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverlapConfig {
    /// H: occupancy in the disk beyond which no request is sent to it. `MAX`: no bound.
    pub occupancy_bound: Nanos,
    /// σ: how long reads are slower after the last write has left the occupancy.
    pub settle: Nanos,
    /// A tenth of reads alone takes at most so many per cent of the lone latency, which is a mean:
    /// less than 100 where latency varies. At least 1.
    pub fast_read_percent: u32,
    /// k: H is this many times as much while no stream with a reservation is active and all that
    /// is queued gains by more in flight. At least 1.
    pub idle_factor: u32,
}

impl OverlapConfig {
    /// No bound on the occupancy, and no settling.
    pub const NONE: OverlapConfig = OverlapConfig {
        occupancy_bound: Nanos::MAX,
        settle: Nanos::ZERO,
        fast_read_percent: 100,
        idle_factor: 1,
    };
}

/// What a request does, as far as its time depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// Reads.
    Read,
    /// Writes data: settles longer, and can be acknowledged before the work is done.
    Write,
    /// Has the disk write zeroes: no data is sent, and the disk works as for a write.
    Zero,
    /// Makes what was written durable.
    Flush,
    /// Gives a range up.
    Discard,
}

impl RequestKind {
    /// Whether it changes the disk: such a request settles longer.
    pub(crate) const fn changes(self) -> bool {
        !matches!(self, RequestKind::Read)
    }

    /// Whether it can be acknowledged before the disk has done the work.
    pub(crate) const fn writes(self) -> bool {
        matches!(self, RequestKind::Write | RequestKind::Zero)
    }

    /// Whether it sends no data and asks for none, so that its length says little about its time.
    pub(crate) const fn is_dataless(self) -> bool {
        !matches!(self, RequestKind::Read | RequestKind::Write)
    }
}

/// A request that arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// The caller's number for it.
    pub id: RequestId,
    /// Start of the range on the disk; `None` for a request without an offset (a flush).
    pub offset_bytes: Option<u64>,
    /// Length of the range.
    pub len_bytes: u64,
    /// What it takes of the disk's time by the cost model, without seeks; at least 1 ns. Where
    /// requests overlap: its occupancy, what it takes of the throughput at the sustained rate.
    pub price: Nanos,
    /// How long it takes alone on the idle disk, at least `price`. Read only where requests
    /// overlap.
    pub lone: Nanos,
    /// What it does.
    pub kind: RequestKind,
    /// Requests of the same class whose ranges touch may be merged; `None`: never merged.
    pub merge_class: Option<u8>,
}
