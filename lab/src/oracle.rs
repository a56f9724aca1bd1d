//! The oracle: a disk and its clients in virtual time that drive a `Scheduler` as its documentation
//! says, and keep books of their own, so that the scheduler's counters are checked against
//! something.
//!
//! [`World`] is the loop: requests in, decisions out, service on a [`Device`]. [`clients`] says
//! what asks for service and [`mixes`] makes random sets of streams at the limit of admission. The
//! books of one stream are in `books` and [`Windows`]; `audit` compares them with what was
//! promised. Tests of the scheduler and the soak run the same world.
//!
//! Invariant: everything is derived from seeds; a seed gives the same run every time.
//!
//! What is not known here: how the scheduler decides. It is asked only what every caller may ask.

mod audit;
mod books;
pub mod clients;
pub mod devices;
pub mod disks;
pub mod mixes;
mod rng;
mod windows;
mod world;

pub use audit::StreamAudit;
pub use books::{Segment, any_window, received};
pub use clients::{Behaviour, ClientConfig, Pattern, Presence, Think};
pub use devices::{Adversary, Device, Linear, Overlapping, ServiceTimes, ToyHdd};
pub use rng::SharedRng;
pub use windows::{Shortfall, Windows};
pub use world::{Dispatched, Turns, World};
