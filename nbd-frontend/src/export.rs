//! What is offered to clients: exports with a name, a size and what they can do.
//!
//! The caller owns the list and answers for it through [`ExportDirectory`]; it may change between
//! two handshakes. A session keeps the copy that it was negotiated with.

use crate::protocol::{MAXIMUM_BLOCK_BYTES, transmission_flag};
use disktime_engine::VdiskId;

/// The caller's own number for an export; this crate only carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExportHandle(pub u64);

/// One export, as clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// The caller's number for it.
    pub handle: ExportHandle,
    /// What the session writes into its requests.
    pub vdisk: VdiskId,
    /// By which clients ask for it: at most 4096 bytes.
    pub name: String,
    /// For people, shown by `nbdinfo --list`: at most 4096 bytes are sent.
    pub description: String,
    /// How large it is.
    pub size_bytes: u64,
    /// Smallest request that is served without extra work; smaller ones are still right.
    pub minimum_block: u32,
    /// Smallest request that is served well.
    pub preferred_block: u32,
    /// Longest read or write; at most 32 MiB.
    pub maximum_block: u32,
    /// What it can do.
    pub flags: ExportFlags,
}

impl Export {
    /// A writable export that can do everything, with block sizes 1, 4096 and 32 MiB.
    pub fn new(handle: ExportHandle, vdisk: VdiskId, name: &str, size_bytes: u64) -> Export {
        Export {
            handle,
            vdisk,
            name: name.to_owned(),
            description: String::new(),
            size_bytes,
            minimum_block: 1,
            preferred_block: 4096,
            maximum_block: MAXIMUM_BLOCK_BYTES,
            flags: ExportFlags::default(),
        }
    }
}

/// What an export can do. The default is a writable disk without seeks that can do everything.
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

/// Who knows which exports there are. Called during handshakes only, from several threads.
pub trait ExportDirectory: Send + Sync {
    /// All of them, in the order in which clients see them.
    fn exports(&self) -> Vec<Export>;

    /// The one of that name.
    fn find(&self, name: &str) -> Option<Export> {
        self.exports()
            .into_iter()
            .find(|export| export.name == name)
    }

    /// Whether the client that asked may begin to use it now; asked once it is found.
    ///
    /// # Errors
    /// A sentence for the client, such as that too many use it already.
    fn admit(&self, export: &Export) -> Result<(), String> {
        let _ = export;
        Ok(())
    }
}

impl ExportDirectory for Vec<Export> {
    fn exports(&self) -> Vec<Export> {
        self.clone()
    }
}

/// What a client means by `name`: the export of that name, and by the empty name the only export
/// if there is only one. With several, an empty name means none: guessing would hand a client
/// that forgot the name a disk to overwrite.
pub fn find_export(directory: &dyn ExportDirectory, name: &str) -> Option<Export> {
    if let Some(export) = directory.find(name) {
        return Some(export);
    }
    if !name.is_empty() {
        return None;
    }
    let mut all = directory.exports();
    if all.len() == 1 { all.pop() } else { None }
}

#[cfg(test)]
mod tests;
