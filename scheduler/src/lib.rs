//! Disk time scheduling: a pure state machine that decides which request goes to the disk next.
//!
//! Arrivals, completions and the time go in; dispatches and the next wake-up come out. There is no
//! I/O, no clock, no thread and no allocation per request in here, and no floating point in a
//! decision, so that the same code runs on a real disk and, exactly and repeatably, in virtual
//! time.
//!
//! How the parts of this crate fit together:
//!
//! ```text
//!   Scheduler ── Ledger: streams with queues, budgets, deadlines, limits (ledger.rs, queue.rs)
//!      │           │
//!      ├── BusyMeter: measured time, divided among requests in flight (meter.rs)
//!      └── Policy: which stream is served next, and which account pays
//!             fahrrad/  slack test, spare time, waiting, switching account
//!             policies/ what others do, to compare with
//! ```
//!
//! Start with `fahrrad.rs`: why, the model, the rules with a numeric example, the promise.
//!
//! What is not known here: vdisks, protocols, devices; why a request was made.
#![forbid(unsafe_code)]

mod client_estimates;
mod config;
mod fahrrad;
mod ledger;
mod meter;
mod policies;
mod policy;
mod positioning;
mod ppm_time;
mod queue;
mod report;
mod scheduler;
mod seek_curve;
mod stream_heap;
mod stream_id;

pub use config::{
    Arrival, FlightId, Limit, OverlapConfig, RequestId, RequestKind, Reservation, SchedulerConfig,
    StreamConfig, SwitchingAccount,
};
pub use policies::{
    IocostClass, IocostConfig, IocostModel, IocostQos, MclockConfig, PolicyKind, SfqConfig,
    SfqCost, ZygariaIopsConfig, ZygariaUtilConfig,
};
pub use positioning::{Positioning, RequestOrder};
pub use report::{DiskCounters, OccupancyReading, Slowdown, StreamCounters};
pub use scheduler::{Decision, MERGE_MAX, Scheduler, Settlement};
pub use seek_curve::SeekCurve;
pub use stream_id::{StreamId, StreamMap};
