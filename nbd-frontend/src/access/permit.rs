//! What one connection counts against the limits, until it is dropped or evicted.
//!
//! Invariant: a connection that has chosen an export keeps its permit until it is dropped, or until
//! the export is refused to it after all.

use super::places::ExportPlace;
use disktime_engine::CountedClient;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, OwnedSemaphorePermit};

/// A connection's place under the limit of all connections.
#[derive(Debug)]
pub(crate) enum ConnectionPermit {
    /// Within the limit.
    Admitted(OwnedSemaphorePermit),
    /// Above the limit: the client gets an error, and no export.
    OverLimit(#[allow(dead_code, reason = "held for its drop")] OwnedSemaphorePermit),
    /// It was admitted, and then closed for a newer connection.
    Evicted,
}

/// A connection's place under the limit of an export, and among its clients.
#[derive(Debug)]
#[allow(dead_code, reason = "held for their drop")]
pub(crate) struct ExportPermit {
    limit: Option<OwnedSemaphorePermit>,
    place: ExportPlace,
    /// A client of a past moment is none of the vdisk's.
    client: Option<CountedClient>,
}

impl ExportPermit {
    pub(super) fn new(
        limit: Option<OwnedSemaphorePermit>,
        place: ExportPlace,
        client: Option<CountedClient>,
    ) -> Self {
        ExportPermit {
            limit,
            place,
            client,
        }
    }
}

/// The permits of one connection.
#[derive(Debug)]
pub(super) struct HeldPermits {
    state: Mutex<PermitState>,
    evicted: Notify,
}

#[derive(Debug)]
struct PermitState {
    connection: ConnectionPermit,
    /// Its place under the limit of the chosen export.
    export: Option<ExportPermit>,
    has_chosen: bool,
}

impl PermitState {
    fn leave_export(&mut self) {
        self.export = None;
        self.has_chosen = false;
    }
}

impl HeldPermits {
    pub(super) fn new(connection: ConnectionPermit) -> HeldPermits {
        HeldPermits {
            state: Mutex::new(PermitState {
                connection,
                export: None,
                has_chosen: false,
            }),
            evicted: Notify::new(),
        }
    }

    /// Returns when the connection is evicted.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    /// Notes that the connection has chosen an export, if it is admitted (else the error is
    /// `refusal`) and `acquire` grants a permit of the export.
    pub(super) fn choose_export(
        &self,
        acquire: impl FnOnce() -> Result<Option<ExportPermit>, String>,
        refusal: impl FnOnce() -> String,
    ) -> Result<(), String> {
        let mut state = self.lock();
        if !matches!(state.connection, ConnectionPermit::Admitted(_)) {
            return Err(refusal());
        }
        // The permit of an earlier choice must not count against this one.
        state.leave_export();
        state.export = acquire()?;
        state.has_chosen = true;
        Ok(())
    }

    /// The connection does not use the export that it has chosen.
    pub(super) fn leave_export(&self) {
        self.lock().leave_export();
    }

    /// Takes the permit away from a connection that has not chosen an export.
    pub(super) fn evict(&self) -> Option<OwnedSemaphorePermit> {
        let mut state = self.lock();
        if state.has_chosen {
            return None;
        }
        match std::mem::replace(&mut state.connection, ConnectionPermit::Evicted) {
            ConnectionPermit::Admitted(permit) => {
                self.evicted.notify_one();
                Some(permit)
            }
            other => {
                state.connection = other;
                None
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, PermitState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
