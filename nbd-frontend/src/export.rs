//! Exports: what clients can choose in the handshake, by name.
//!
//! The server owns the list and provides it through [`ExportDirectory`]; the list may change
//! between two handshakes. A session keeps the copy of the export that it was negotiated with.

use crate::changed::{ChangedRanges, ContextHandle};
use disktime_engine::VdiskId;
use disktime_nbd_protocol::{ExportFlags, MAXIMUM_BLOCK_BYTES};
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// The server's identity for an export: of a vdisk, the uuid in its label. It has no meaning in
/// this crate. Unlike a position in a list, it means the same export after the list has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExportHandle(pub u128);

/// What the server keeps for an export as long as a session uses it; dropped with the last copy of
/// the export. Two exports are the same whatever they keep.
#[derive(Clone, Default)]
pub struct Kept(Option<Arc<dyn Any + Send + Sync>>);

impl Kept {
    /// Keeps this.
    pub fn new(kept: Arc<dyn Any + Send + Sync>) -> Kept {
        Kept(Some(kept))
    }

    /// What is kept, if it is of that type.
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.as_ref()?.downcast_ref()
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Kept" } else { "nothing" })
    }
}

impl PartialEq for Kept {
    fn eq(&self, _: &Kept) -> bool {
        true
    }
}

impl Eq for Kept {}

/// One export, as clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// The server's identity for it.
    pub handle: ExportHandle,
    /// What the session's requests carry: the vdisk's handle, resolved when the export was opened.
    pub vdisk: VdiskId,
    /// The name by which clients choose it; at most 4096 bytes.
    pub name: String,
    /// A text for people, shown by `nbdinfo --list`; at most 4096 bytes are sent.
    pub description: String,
    /// Its size.
    pub size_bytes: u64,
    /// The smallest request that needs no additional I/O; smaller requests are served too.
    pub minimum_block: u32,
    /// The smallest request that is efficient.
    pub preferred_block: u32,
    /// The longest read or write; at most 32 MiB.
    pub maximum_block: u32,
    /// What it can do.
    pub flags: ExportFlags,
    /// TRIM, which `flags` does not have, is answered and changes nothing, in place of an error.
    pub ignores_trims: bool,
    /// The export that it is a past moment of: who may use that one may use this one, and a client
    /// that names no export does not mean it.
    pub moment_of: Option<String>,
    /// What the server keeps for it.
    pub kept: Kept,
}

impl Export {
    /// A writable export that supports every command, with block sizes 1, 4096 and 32 MiB.
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
            ignores_trims: false,
            moment_of: None,
            kept: Kept::default(),
        }
    }

    /// The name of the vdisk that it is, or is a past moment of.
    pub fn vdisk_name(&self) -> &str {
        self.moment_of.as_ref().unwrap_or(&self.name)
    }
}

/// Provides the exports. Called during handshakes only, from several threads.
pub trait ExportDirectory: Send + Sync {
    /// All exports, in the order in which clients see them.
    fn exports(&self) -> Vec<Export>;

    /// The export of that name.
    fn find(&self, name: &str) -> Option<Export> {
        self.exports()
            .into_iter()
            .find(|export| export.name == name)
    }

    /// Why there is no export of that name, where there is more to say than that.
    fn why_unknown(&self, name: &str) -> Option<String> {
        let _ = name;
        None
    }

    /// Admits the client to an export that it has chosen.
    ///
    /// # Errors
    /// A text for the client, such as that the export's limit of connections is reached.
    fn admit(&self, export: &Export) -> Result<(), String> {
        let _ = export;
        Ok(())
    }

    /// The names of an export's metadata contexts `qemu:dirty-bitmap:…`, as clients see them
    /// listed.
    fn contexts(&self, export: &Export) -> Vec<String> {
        let _ = export;
        Vec::new()
    }

    /// The context of that name, whether it is listed or not.
    fn find_context(&self, export: &Export, name: &str) -> Option<ContextHandle> {
        let _ = (export, name);
        None
    }

    /// What the contexts that a client has chosen say, in their order, once it was admitted to
    /// their export.
    ///
    /// # Errors
    /// A text for the client, which is not admitted then.
    fn open_contexts(
        &self,
        export: &Export,
        contexts: &[ContextHandle],
    ) -> Result<Vec<ChangedRanges>, String> {
        match contexts {
            [] => Ok(Vec::new()),
            _ => Err(format!(
                "the export {:?} does not have these metadata contexts",
                export.name
            )),
        }
    }
}

impl ExportDirectory for Vec<Export> {
    fn exports(&self) -> Vec<Export> {
        self.clone()
    }
}

/// The export that a client means by `name`: the export of that name; for the empty name the only
/// export. If there are several, the empty name means none, because a guess could give a client
/// that forgot the name a disk to overwrite.
pub(crate) fn find_export(directory: &dyn ExportDirectory, name: &str) -> Option<Export> {
    if let Some(export) = directory.find(name) {
        return Some(export);
    }
    if !name.is_empty() {
        return None;
    }
    let mut all = directory.exports();
    all.retain(|export| export.moment_of.is_none());
    if all.len() == 1 { all.pop() } else { None }
}

#[cfg(test)]
mod tests;
