//! Ranges of network addresses in text form: `10.0.0.0/8`, `::1`.
//!
//! Invariant: an IPv4 address that is written as IPv6 (`::ffff:10.0.0.1`) is the same address, both
//! in a range and in an address that is tested; so the kind of socket makes no difference.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use thiserror::Error;

/// All addresses with the same leading bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

/// Why a text is not a range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NetworkError {
    /// No address, or no number after the `/`.
    #[error("expected an address or a range as in 10.0.0.0/8, found `{0}`")]
    Unreadable(String),
    /// The address has bits set after its prefix, so it may be meant as a range or as one address.
    #[error("`{text}` has bits set after its first {prefix_bits}: write `{meant}` for the range")]
    Overhanging {
        /// The text.
        text: String,
        /// The length of its prefix.
        prefix_bits: u8,
        /// The range that the address is in.
        meant: Network,
    },
}

impl Network {
    /// Whether the address is in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4()
            && masked(address, self.prefix_bits) == self.address
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address with all bits after the prefix cleared.
fn masked(address: IpAddr, prefix_bits: u8) -> IpAddr {
    let behind = u32::from(width(address) - prefix_bits);
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(behind).unwrap_or(0);
            IpAddr::V4((u32::from(address) & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(behind).unwrap_or(0);
            IpAddr::V6((u128::from(address) & mask).into())
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Network, NetworkError> {
        let unreadable = || NetworkError::Unreadable(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let written: IpAddr = address.parse().map_err(|_| unreadable())?;
        let address = written.to_canonical();
        let prefix_bits = match prefix {
            None => width(address),
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                let bits: u8 = digits.parse().map_err(|_| unreadable())?;
                // The prefix of `::ffff:10.0.0.0/104` counts the 96 bits before the IPv4 address.
                let before = width(written) - width(address);
                bits.checked_sub(before)
                    .filter(|bits| *bits <= width(address))
                    .ok_or_else(unreadable)?
            }
            Some(_) => return Err(unreadable()),
        };
        let meant = Network {
            address: masked(address, prefix_bits),
            prefix_bits,
        };
        if meant.address != address {
            return Err(NetworkError::Overhanging {
                text: text.to_owned(),
                prefix_bits,
                meant,
            });
        }
        Ok(meant)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        if self.prefix_bits < width(self.address) {
            write!(f, "/{}", self.prefix_bits)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
