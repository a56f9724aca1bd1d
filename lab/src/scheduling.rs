//! Ways of scheduling a disk that experiments compare: a policy, and who pays for switches.

use disktime_engine::{PolicyKind, SwitchingAccount};

/// c of the switching account, in per cent, as the product has it.
pub const FACTOR_PERCENT: u32 = 150;

/// A way of scheduling, with its name in tables and pictures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scheduling {
    name: &'static str,
    policy: PolicyKind,
    switching: SwitchingAccount,
}

impl Scheduling {
    /// Fahrrad; the stream that is served pays for the seek to it.
    pub const SERVED: Scheduling = Scheduling::new("fahrrad, served pays", PolicyKind::Fahrrad);
    /// Fahrrad; seeks between streams are paid by an account that admission sets aside.
    pub const ACCOUNT: Scheduling =
        Scheduling::with_account("fahrrad, switching account", FACTOR_PERCENT);
    /// The papers' committed set.
    pub const COMMITTED_SET: Scheduling = Scheduling::new("fahrrad-dss", PolicyKind::FahrradDss);
    /// By deadline.
    pub const EDF: Scheduling = Scheduling::new("edf", PolicyKind::Edf);
    /// The elevator.
    pub const C_LOOK: Scheduling = Scheduling::new("c-look", PolicyKind::CLook);
    /// In order of arrival.
    pub const FIFO: Scheduling = Scheduling::new("order of arrival", PolicyKind::Fifo);

    /// A policy under which the stream that is served pays.
    pub const fn new(name: &'static str, policy: PolicyKind) -> Scheduling {
        Scheduling {
            name,
            policy,
            switching: SwitchingAccount::Served,
        }
    }

    /// Fahrrad with the switching account, with factor c in per cent.
    pub const fn with_account(name: &'static str, factor_percent: u32) -> Scheduling {
        Scheduling {
            name,
            policy: PolicyKind::Fahrrad,
            switching: SwitchingAccount::Reserved { factor_percent },
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Which request goes next.
    pub const fn policy(&self) -> PolicyKind {
        self.policy
    }

    /// Who pays for switches.
    pub const fn switching(&self) -> SwitchingAccount {
        self.switching
    }
}

impl From<PolicyKind> for Scheduling {
    fn from(policy: PolicyKind) -> Scheduling {
        Scheduling::new(policy.name(), policy)
    }
}
