//! The rules of single exports, in addition to those of all connections.

use disktime_engine::ClientCount;
use disktime_sockets::AllowList;

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
