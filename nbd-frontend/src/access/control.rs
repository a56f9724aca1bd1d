//! The rules and limits of all connections of a listener.

use super::permit::{ConnectionPermit, ExportPermit};
use super::places::ExportPlaces;
use super::rules::ExportAccess;
use super::undecided::UndecidedConnections;
use disktime_sockets::AllowList;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Clients above the limit that get an error at once; further ones are closed without one.
pub(super) const OVER_LIMIT_MAX: usize = 16;

/// The rules of an export, and what is left of its own limit.
type ExportRule = (ExportAccess, Arc<Semaphore>);

/// Decides about every connection.
pub(crate) struct AccessControl {
    allow: AllowList,
    limit: usize,
    permits: Arc<Semaphore>,
    over_limit_permits: Arc<Semaphore>,
    exports: RwLock<HashMap<String, ExportRule>>,
    places: Arc<ExportPlaces>,
    undecided: UndecidedConnections,
}

impl AccessControl {
    pub(crate) fn new(
        allow: AllowList,
        limit: usize,
        exports: &HashMap<String, ExportAccess>,
    ) -> AccessControl {
        let rules = exports.iter();
        let rules = rules.map(|(name, access)| (name.clone(), rule_of(access.clone(), limit)));
        AccessControl {
            allow,
            limit,
            permits: Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS))),
            over_limit_permits: Arc::new(Semaphore::new(OVER_LIMIT_MAX)),
            exports: RwLock::new(rules.collect()),
            places: ExportPlaces::new(limit, exports),
            undecided: UndecidedConnections::default(),
        }
    }

    /// The rules of an export that clients can choose from now on.
    pub(super) fn add_export(&self, name: &str, access: ExportAccess) {
        self.places.add(name, access.connections);
        let rule = rule_of(access, self.limit);
        let mut exports = self.exports.write().unwrap_or_else(PoisonError::into_inner);
        exports.insert(name.to_owned(), rule);
    }

    /// An export has no rules any more, as it is gone.
    pub(super) fn remove_export(&self, name: &str) {
        let mut exports = self.exports.write().unwrap_or_else(PoisonError::into_inner);
        exports.remove(name);
        drop(exports);
        self.places.remove(name);
    }

    fn rule(&self, name: &str) -> Option<ExportRule> {
        let exports = self.exports.read().unwrap_or_else(PoisonError::into_inner);
        exports.get(name).cloned()
    }

    /// The most connections that the export `name` gets of `limit`, by what is kept for the others
    /// and by its own limit.
    pub(crate) fn most_of(
        limit: usize,
        exports: &HashMap<String, ExportAccess>,
        name: &str,
    ) -> usize {
        let own = exports.get(name).and_then(|access| access.connections);
        let most = ExportPlaces::new(limit, exports).most_of(name);
        own.map_or(most, |own| own.min(most))
    }

    /// Whether a client of this address may connect at all.
    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        let allowed = self.allow.allows(address);
        if !allowed {
            tracing::warn!("NBD client {address} refused: `allow` does not list it");
        }
        allowed
    }

    /// Logs that a connection cannot be accepted, which may last.
    pub(crate) fn accept_failed(&self, error: &io::Error) {
        let too_many = matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE));
        let remedy = match too_many {
            true => ": raise LimitNOFILE= or `ulimit -n`, or lower `connections`",
            false => "",
        };
        tracing::warn!("an NBD connection cannot be accepted: {error}{remedy}");
    }

    /// A permit for one more connection: within the limit, if need be by evicting the oldest
    /// connection without an export; else above it. `None` if too many are above it already.
    pub(crate) fn acquire(&self) -> Option<ConnectionPermit> {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return Some(ConnectionPermit::Admitted(permit));
        }
        let limit = self.limit;
        if let Some(permit) = self.undecided.evict_oldest() {
            tracing::warn!(
                "an NBD client that chose no export was closed for a newer one: the limit is \
                     {limit} connections"
            );
            return Some(ConnectionPermit::Admitted(permit));
        }
        let permit = self.over_limit_permits.clone().try_acquire_owned().ok();
        tracing::warn!("an NBD client was refused: the limit is {limit} connections");
        permit.map(ConnectionPermit::OverLimit)
    }

    /// The connections that have not chosen an export.
    pub(super) fn undecided(&self) -> &UndecidedConnections {
        &self.undecided
    }

    /// Whether a client may use the export `name`; `address` is `None` for a unix socket.
    pub(super) fn allows_export(&self, name: &str, address: Option<IpAddr>) -> bool {
        match (address, self.rule(name)) {
            (Some(address), Some((rule, _))) => rule.allow.allows(address),
            _ => true,
        }
    }

    /// A permit for one more connection to the export `name`; `None` if it has no rules.
    /// `client` names one that is counted among the vdisk's, for people.
    pub(super) fn acquire_export(
        &self,
        name: &str,
        client: Option<&str>,
    ) -> Result<Option<ExportPermit>, String> {
        let Some((rule, permits)) = self.rule(name) else {
            return Ok(None);
        };
        let Some(limit) = rule.connections else {
            return self.with_place(name, client, &rule, None).map(Some);
        };
        if let Ok(permit) = permits.try_acquire_owned() {
            return self.with_place(name, client, &rule, Some(permit)).map(Some);
        }
        tracing::warn!("an NBD client was refused: {limit} connections use {name:?}, its limit");
        Err(format!(
            "{limit} connections use {name:?} already, which is its limit; try again later"
        ))
    }

    fn with_place(
        &self,
        name: &str,
        client: Option<&str>,
        rule: &ExportAccess,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<ExportPermit, String> {
        let place = self.places.take(name).map_err(|used| {
            let limit = self.limit;
            tracing::warn!(
                "an NBD client was refused: {used} connections use {name:?}, and the other \
                     places of {limit} are in use or kept for other vdisks"
            );
            format!(
                "{used} connections use {name:?}, and the other places of the server's {limit} are \
                 in use or kept for other vdisks; try again later"
            )
        })?;
        let client = client.map(|client| rule.clients.enter(client.to_owned()));
        let client = client
            .transpose()
            .map_err(|closed| format!("{name:?}: {closed}"))?;
        Ok(ExportPermit::new(permit, place, client))
    }

    /// The error for a client above the limit.
    pub(super) fn limit_error(&self) -> String {
        let limit = self.limit;
        format!("the server has {limit} connections, which is its limit; try again later")
    }
}

fn rule_of(access: ExportAccess, limit: usize) -> ExportRule {
    let permits = access.connections.unwrap_or(limit);
    let permits = Semaphore::new(permits.min(Semaphore::MAX_PERMITS));
    (access, Arc::new(permits))
}
