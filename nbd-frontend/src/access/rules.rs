//! The rules of single exports, in addition to those of all connections.

use super::control::AccessControl;
use disktime_engine::ClientCount;
use disktime_sockets::AllowList;
use std::sync::Arc;

/// The rules of one export.
#[derive(Debug, Clone, Default)]
pub struct ExportAccess {
    /// Which addresses may use it by TCP.
    pub allow: AllowList,
    /// Most connections that use it at once; `None` for no limit of its own.
    pub connections: Option<usize>,
    /// Counts the connections that use it.
    pub clients: ClientCount,
}

/// The rules of a listener's exports, which may change while it serves.
#[derive(Clone)]
pub struct ExportRules(pub(crate) Arc<AccessControl>);

impl ExportRules {
    /// Clients can choose an export of that name from now on, by these rules.
    pub fn add(&self, name: &str, access: ExportAccess) {
        self.0.add_export(name, access);
    }

    /// There is no export of that name any more. Its connections go on until they are ended.
    pub fn remove(&self, name: &str) {
        self.0.remove_export(name);
    }
}

impl std::fmt::Debug for ExportRules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ExportRules")
    }
}
