//! One connection's access: the exports that its handshake sees, and its permits.

use super::control::AccessControl;
use super::permit::{ConnectionPermit, HeldPermits};
use super::undecided::UndecidedAge;
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
    /// Its age among the undecided connections, if it was admitted.
    age: Option<UndecidedAge>,
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
        let age = is_admitted.then(|| control.undecided().add(&permits));
        ConnectionAccess {
            directory,
            control,
            address,
            permits,
            is_admitted,
            age,
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
        // Who may use a vdisk may use its past.
        let rules = export.vdisk_name();
        self.control.allows_export(rules, self.address)
    }

    fn acquire(&self, export: &Export) -> Result<(), String> {
        let client = match self.address {
            Some(address) => format!("NBD client {address}"),
            None => "an NBD client of the unix socket".to_owned(),
        };
        let client = export.moment_of.is_none().then_some(client);
        let acquire = || {
            self.control
                .acquire_export(export.vdisk_name(), client.as_deref())
        };
        self.permits
            .choose_export(acquire, || self.control.limit_error())
    }

    fn leave_undecided(&self) {
        if let Some(age) = self.age {
            self.control.undecided().remove(age);
        }
    }

    /// The export that it has chosen is refused: it holds nothing of it, and may choose another.
    fn refuse(&self) {
        self.permits.leave_export();
        if let Some(age) = self.age {
            self.control.undecided().add_again(age, &self.permits);
        }
    }
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
        self.acquire(export)
            .and_then(|()| self.directory.admit(export))
            .inspect(|()| self.leave_undecided())
            .inspect_err(|_| self.refuse())
    }

    fn contexts(&self, export: &Export) -> Vec<String> {
        self.directory.contexts(export)
    }

    fn find_context(&self, export: &Export, name: &str) -> Option<ContextHandle> {
        self.directory.find_context(export, name)
    }

    fn open_contexts(
        &self,
        export: &Export,
        contexts: &[ContextHandle],
    ) -> Result<Vec<ChangedRanges>, String> {
        self.directory
            .open_contexts(export, contexts)
            .inspect_err(|_| self.refuse())
    }
}

impl Drop for ConnectionAccess {
    fn drop(&mut self) {
        self.leave_undecided();
    }
}
