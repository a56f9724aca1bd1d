//! What an export supports, as the protocol's transmission flags.

use crate::constants::transmission_flag;

/// What an export supports. The default is a writable disk without seeks that supports every
/// command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportFlags {
    /// Writes, zeroes and trims are refused with EPERM.
    pub read_only: bool,
    /// Seeks cost time; clients may sort their requests.
    pub rotational: bool,
    /// A flush on one connection covers all of them.
    pub can_multi_conn: bool,
    /// FLUSH is served.
    pub flush: bool,
    /// FUA is served.
    pub fua: bool,
    /// TRIM is served.
    pub trim: bool,
    /// WRITE_ZEROES is served.
    pub write_zeroes: bool,
    /// WRITE_ZEROES with FAST_ZERO is served, or refused at once with ENOTSUP.
    pub fast_zero: bool,
    /// CACHE is served.
    pub cache: bool,
}

impl Default for ExportFlags {
    fn default() -> ExportFlags {
        ExportFlags {
            read_only: false,
            rotational: false,
            can_multi_conn: true,
            flush: true,
            fua: true,
            trim: true,
            write_zeroes: true,
            fast_zero: true,
            cache: true,
        }
    }
}

impl ExportFlags {
    /// As the protocol's transmission flags.
    pub fn encode(self) -> u16 {
        let pairs = [
            (true, transmission_flag::HAS_FLAGS),
            (self.read_only, transmission_flag::READ_ONLY),
            (self.flush, transmission_flag::SEND_FLUSH),
            (self.fua, transmission_flag::SEND_FUA),
            (self.rotational, transmission_flag::ROTATIONAL),
            (self.trim && !self.read_only, transmission_flag::SEND_TRIM),
            (
                self.write_zeroes && !self.read_only,
                transmission_flag::SEND_WRITE_ZEROES,
            ),
            (self.can_multi_conn, transmission_flag::CAN_MULTI_CONN),
            (self.cache, transmission_flag::SEND_CACHE),
            (
                self.fast_zero && self.write_zeroes && !self.read_only,
                transmission_flag::SEND_FAST_ZERO,
            ),
        ];
        pairs
            .iter()
            .filter(|(set, _)| *set)
            .fold(0, |flags, (_, flag)| flags | flag)
    }

    /// From the protocol's transmission flags; those without a field here are dropped.
    pub fn decode(flags: u16) -> ExportFlags {
        let has = |flag| flags & flag != 0;
        ExportFlags {
            read_only: has(transmission_flag::READ_ONLY),
            rotational: has(transmission_flag::ROTATIONAL),
            can_multi_conn: has(transmission_flag::CAN_MULTI_CONN),
            flush: has(transmission_flag::SEND_FLUSH),
            fua: has(transmission_flag::SEND_FUA),
            trim: has(transmission_flag::SEND_TRIM),
            write_zeroes: has(transmission_flag::SEND_WRITE_ZEROES),
            fast_zero: has(transmission_flag::SEND_FAST_ZERO),
            cache: has(transmission_flag::SEND_CACHE),
        }
    }
}

#[cfg(test)]
mod tests;
