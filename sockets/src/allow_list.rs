//! Which addresses may use something: a list of networks, or every address.

use disktime_units::Network;
use std::net::IpAddr;

/// The addresses that are allowed. The default allows every address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowList {
    /// `None` allows every address.
    networks: Option<Vec<Network>>,
}

impl AllowList {
    /// Allows the addresses of `networks`; an empty list allows none.
    pub fn of(networks: Vec<Network>) -> AllowList {
        let networks = Some(networks);
        AllowList { networks }
    }

    /// Whether `address` is allowed.
    pub fn allows(&self, address: IpAddr) -> bool {
        self.networks
            .as_ref()
            .is_none_or(|networks| networks.iter().any(|network| network.contains(address)))
    }
}

impl From<Option<Vec<Network>>> for AllowList {
    fn from(networks: Option<Vec<Network>>) -> AllowList {
        AllowList { networks }
    }
}

#[cfg(test)]
mod tests;
