//! Other policies than ours, behind the same trait: what the papers did, what peers do, and what a
//! disk does without a scheduler. They are there to be compared with.
//!
//! All of them share one ledger: a stream pays its measured time, from its budget while it has one
//! and from spare time otherwise, whatever the policy itself counts in. So received time, lag and
//! missed deadlines mean the same under every policy. A policy's own state (tokens, tags) lives
//! in the policy. None of them waits for a stream, and none uses the switching account: the stream
//! that is served pays for the seek that led to it.
//!
//! What policies ask of the ledger is in this file, or one query of a stream; decisions go through
//! every stream that has requests.

mod c_look;
mod edf;
mod fahrrad_dss;
mod fifo;
mod iocost;
mod kind;
mod mclock;
mod sfq_d;
mod tokens;
mod usage;
mod zygaria_iops;
mod zygaria_util;

pub use kind::{
    IocostClass, IocostConfig, IocostModel, IocostQos, MclockConfig, PolicyKind, SfqConfig,
    SfqCost, ZygariaIopsConfig, ZygariaUtilConfig,
};

use crate::config::SchedulerConfig;
use crate::fahrrad::{Fahrrad, Overlapping};
use crate::ledger::{Account, Ledger};
use crate::policy::{Pick, Policy};
use crate::queue::QueueOrder;
use crate::stream_id::{StreamId, StreamMap};

/// The policy that a configuration asks for.
pub(crate) fn build(config: &SchedulerConfig) -> Box<dyn Policy> {
    let iops = |nominal: Option<u32>| nominal.unwrap_or_else(|| PolicyKind::random_iops(config));
    match config.policy {
        PolicyKind::Fahrrad if config.overlaps() => Box::new(Overlapping::new()),
        PolicyKind::Fahrrad => Box::new(Fahrrad::new(config)),
        PolicyKind::FahrradDss => Box::new(fahrrad_dss::FahrradDss::default()),
        PolicyKind::ZygariaUtil(own) => Box::new(zygaria_util::ZygariaUtil::new(own)),
        PolicyKind::ZygariaIops(own) => {
            Box::new(zygaria_iops::ZygariaIops::new(own, iops(own.nominal_iops)))
        }
        PolicyKind::Mclock(own) => Box::new(mclock::Mclock::new(iops(own.nominal_iops))),
        PolicyKind::SfqD(own) => Box::new(sfq_d::SfqD::new(own)),
        PolicyKind::Iocost(own) => Box::new(iocost::Iocost::new(own, config)),
        PolicyKind::Edf => Box::new(edf::Edf),
        PolicyKind::CLook => Box::new(c_look::CLook::default()),
        PolicyKind::Fifo => Box::new(fifo::Fifo),
    }
}

/// In which order the requests of one stream leave under a policy.
pub(crate) fn queue_order(kind: PolicyKind, has_seeks: bool) -> QueueOrder {
    match kind {
        PolicyKind::CLook => QueueOrder::Elevator,
        PolicyKind::Fahrrad | PolicyKind::Edf if has_seeks => QueueOrder::Sweep,
        _ => QueueOrder::Arrival,
    }
}

/// Streams with requests waiting, whatever a limit of disk time says of them.
fn with_requests(ledger: &Ledger) -> impl Iterator<Item = StreamId> + '_ {
    ledger
        .active()
        .iter()
        .chain(ledger.limited())
        .copied()
        .filter(|id| ledger.stream(*id).has_queue())
}

/// Streams with requests waiting that no limit of disk time holds back.
fn unlimited_with_requests(ledger: &Ledger) -> impl Iterator<Item = StreamId> + '_ {
    let active = ledger.active().iter().copied();
    active.filter(|id| ledger.stream(*id).has_queue())
}

/// Serves a stream on the account that the ledger says: its budget while it has one.
fn serve(ledger: &Ledger, stream: StreamId) -> Pick {
    let account = ledger.account(stream);
    Pick::Serve { stream, account }
}

/// The stream with requests and budget left that is due first.
fn earliest_due(ledger: &Ledger) -> Option<StreamId> {
    unlimited_with_requests(ledger)
        .filter(|id| ledger.account(*id) == Account::Reserved)
        .min_by_key(|id| (ledger.stream(*id).deadline(), *id))
}

/// From spare time: the stream that has had least of it for its weight.
fn least_spare(ledger: &mut Ledger) -> Option<StreamId> {
    let tags = unlimited_with_requests(ledger).map(|id| (ledger.stream(id).tag(), id));
    let (tag, stream) = tags.min()?;
    ledger.advance_spare_clock(tag);
    Some(stream)
}

/// Budgets by deadline, then spare time; nothing else can become due but by the end of a limit.
fn due_or_spare(ledger: &mut Ledger) -> Pick {
    if let Some(stream) = earliest_due(ledger) {
        let account = Account::Reserved;
        return Pick::Serve { stream, account };
    }
    if let Some(stream) = least_spare(ledger) {
        let account = Account::Spare;
        return Pick::Serve { stream, account };
    }
    Pick::Sleep {
        until: ledger.next_limit_end(),
    }
}

/// The smaller, if there is one yet.
fn min_of<T: Ord>(least: Option<T>, other: T) -> Option<T> {
    Some(match least {
        Some(least) => least.min(other),
        None => other,
    })
}

/// Counts the requests of each dispatch, of which a policy is told only the stream.
#[derive(Debug, Default)]
struct RequestCount {
    seen: StreamMap<u64>,
}

impl RequestCount {
    /// How many requests went with the dispatch of `id` that was just made.
    fn of_dispatch(&mut self, ledger: &Ledger, id: StreamId) -> u64 {
        let requests = ledger.stream(id).counters().requests;
        let seen = self.seen.get_or_insert_with(id, || 0);
        requests - std::mem::replace(seen, requests)
    }
}
