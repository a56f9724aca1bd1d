//! One connection's access: the exports that its handshake sees, and its permits.

use super::control::AccessControl;
use super::permit::{ConnectionPermit, HeldPermits};
use crate::changed::{ChangedRanges, ContextHandle};
use crate::export::{Export, ExportDirectory};
use std::net::IpAddr;
use std::sync::Arc;

/// The directory of the exports that one client may use. Dropping it releases the permits.
pub(crate) struct ConnectionAccess {
    directory: Arc<dyn ExportDirectory>,
    control: Arc<AccessControl>,
    /// `None` for a unix socket.
    address: Option<IpAddr>,
    permits: Arc<HeldPermits>,
    is_admitted: bool,
    /// Its number among the undecided connections, if it is one of them.
    undecided_number: Option<u64>,
}

impl ConnectionAccess {
    pub(crate) fn new(
        directory: Arc<dyn ExportDirectory>,
        control: Arc<AccessControl>,
        address: Option<IpAddr>,
        permit: ConnectionPermit,
    ) -> ConnectionAccess {
        let is_admitted = matches!(permit, ConnectionPermit::Admitted(_));
        let permits = Arc::new(HeldPermits::new(permit));
        let undecided_number =
            is_admitted.then(|| control.undecided().add(Arc::downgrade(&permits)));
        ConnectionAccess {
            directory,
            control,
            address,
            permits,
            is_admitted,
            undecided_number,
        }
    }

    /// Whether it was accepted within the limit of all connections.
    pub(crate) fn is_admitted(&self) -> bool {
        self.is_admitted
    }

    /// Returns when the connection is evicted for a newer one.
    pub(crate) async fn evicted(&self) {
        self.permits.evicted().await;
    }

    fn is_visible(&self, export: &Export) -> bool {
        self.control.allows_export(rules_of(export), self.address)
    }

    fn leave_undecided(&self) {
        if let Some(number) = self.undecided_number {
            self.control.undecided().remove(number);
        }
    }
}

/// The export whose rules count for an export.
fn rules_of(export: &Export) -> &str {
    export.moment_of.as_ref().unwrap_or(&export.name)
}

impl ExportDirectory for ConnectionAccess {
    fn exports(&self) -> Vec<Export> {
        let mut exports = self.directory.exports();
        exports.retain(|export| self.is_visible(export));
        exports
    }

    fn find(&self, name: &str) -> Option<Export> {
        let found = self.directory.find(name)?;
        if !self.is_visible(&found) {
            tracing::info!("a client asked for {name:?}, which its address may not use");
            return None;
        }
        Some(found)
    }

    fn why_unknown(&self, name: &str) -> Option<String> {
        // To a client that may not use an export it does not exist, nor its past.
        let of = name.split('@').next().unwrap_or(name);
        self.find(of)?;
        self.directory.why_unknown(name)
    }

    fn admit(&self, export: &Export) -> Result<(), String> {
        let client = match self.address {
            Some(address) => format!("NBD client {address}"),
            None => "an NBD client of the unix socket".to_owned(),
        };
        let client = export.moment_of.is_none().then_some(client);
        let acquire = || {
            self.control
                .acquire_export(rules_of(export), client.as_deref())
        };
        self.permits
            .choose_export(acquire, || self.control.limit_error())?;
        self.directory.admit(export)?;
        self.leave_undecided();
        Ok(())
    }

    fn contexts(&self, export: &Export) -> Vec<String> {
        self.directory.contexts(export)
    }

    fn find_context(&self, export: &Export, name: &str) -> Option<ContextHandle> {
        self.directory.find_context(export, name)
    }

    fn open_context(
        &self,
        export: &Export,
        context: ContextHandle,
    ) -> Result<ChangedRanges, String> {
        self.directory.open_context(export, context)
    }
}

impl Drop for ConnectionAccess {
    fn drop(&mut self) {
        self.leave_undecided();
    }
}
