//! A disk with the loop that schedules it, under the policy that the file names.

use super::AnyDisk;
use disktime_engine::{DiskLoop, LoopSettings, Order, PolicyKind, SwitchingAccount};
use disktime_reservations::{Admission, Disk as DiskConfig, Policy, RequestOrder, Switching};
use disktime_volumes::MAX_QUEUED_IOS;

/// The factor of the switching account (c), in per cent of a switch's mean cost.
const SWITCHING_FACTOR_PERCENT: u32 = 150;

/// The scheduler's policy, with its default parameters.
fn policy_kind(policy: Policy) -> PolicyKind {
    match policy {
        Policy::Fahrrad => PolicyKind::Fahrrad,
        Policy::FahrradDss => PolicyKind::FahrradDss,
        Policy::ZygariaUtil => PolicyKind::ZygariaUtil(Default::default()),
        Policy::ZygariaIops => PolicyKind::ZygariaIops(Default::default()),
        Policy::Mclock => PolicyKind::Mclock(Default::default()),
        Policy::SfqD => PolicyKind::SfqD(Default::default()),
        Policy::Edf => PolicyKind::Edf,
        Policy::CLook => PolicyKind::CLook,
        Policy::Fifo => PolicyKind::Fifo,
    }
}

/// A disk with the loop that schedules it.
pub(crate) fn schedule(
    disk: AnyDisk,
    admission: &Admission,
    config: &DiskConfig,
) -> DiskLoop<AnyDisk> {
    // Every stream's full queue fits, so that one vdisk's backlog never blocks another's requests.
    let max_queued = admission.streams.len() * MAX_QUEUED_IOS;
    let switching = match admission.switching {
        Switching::Served => SwitchingAccount::Served,
        Switching::Account => SwitchingAccount::Reserved {
            factor_percent: SWITCHING_FACTOR_PERCENT,
        },
    };
    DiskLoop::new(
        disk,
        LoopSettings {
            policy: policy_kind(config.policy),
            switching,
            order: match config.order {
                RequestOrder::Sweep => Order::Sweep,
                RequestOrder::LeastPositioning => Order::LeastPositioning,
            },
            max_queued,
        },
    )
}

#[cfg(test)]
mod tests;
