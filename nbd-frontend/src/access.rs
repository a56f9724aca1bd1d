//! Who may come in and what they may use: addresses, and how many at once.
//!
//! Each connection has a [`Visitor`], which shows the handshake the exports that this client may use
//! and no others, and holds what the connection counts for. Invariants: an export that an address
//! may not use looks to it like one that does not exist; a limit is counted from the choice of the
//! export to the end of the session; a client above a limit is told so before it is closed, as long
//! as not too many ask at once.
//!
//! What is not known here: the protocol, TLS, sockets.

use crate::export::{Export, ExportDirectory};
use disktime_units::Network;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Clients above the limit that are told so at once; more are closed without a word.
const TOLD: usize = 16;
/// Refusals are logged at most this often; what came between is counted.
const LOG_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What holds for one export beside what holds for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportAccess {
    /// Who may use it by TCP; everybody without.
    pub allow: Option<Vec<Network>>,
    /// Most connections that use it at once.
    pub connections: Option<usize>,
}

/// Whether an address is among these; without a list everybody is.
fn is_allowed(allow: Option<&[Network]>, address: IpAddr) -> bool {
    allow.is_none_or(|networks| networks.iter().any(|network| network.contains(address)))
}

/// What all connections are measured by.
pub(crate) struct Access {
    allow: Option<Vec<Network>>,
    limit: usize,
    permits: Arc<Semaphore>,
    told: Arc<Semaphore>,
    exports: HashMap<String, (ExportAccess, Arc<Semaphore>)>,
    full: Sparingly,
    taken: Sparingly,
    strangers: Sparingly,
    failed: Sparingly,
}

/// Counts a connection until it is dropped.
#[derive(Debug)]
pub(crate) enum Place {
    /// Among those that are served.
    Inside(#[allow(dead_code, reason = "held for its drop")] OwnedSemaphorePermit),
    /// Above the limit: it gets an answer, and no export.
    Outside(#[allow(dead_code, reason = "held for its drop")] OwnedSemaphorePermit),
}

impl Access {
    pub(crate) fn new(
        allow: Option<Vec<Network>>,
        limit: usize,
        exports: &HashMap<String, ExportAccess>,
    ) -> Access {
        let counted = |(name, access): (&String, &ExportAccess)| {
            let permits = access
                .connections
                .unwrap_or(limit)
                .min(Semaphore::MAX_PERMITS);
            (
                name.clone(),
                (access.clone(), Arc::new(Semaphore::new(permits))),
            )
        };
        Access {
            allow,
            limit,
            permits: Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS))),
            told: Arc::new(Semaphore::new(TOLD)),
            exports: exports.iter().map(counted).collect(),
            full: Sparingly::default(),
            taken: Sparingly::default(),
            strangers: Sparingly::default(),
            failed: Sparingly::default(),
        }
    }

    /// Whether a client of this address may connect at all.
    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        let allowed = is_allowed(self.allow.as_deref(), address);
        if !allowed {
            self.strangers.say(|more| {
                tracing::warn!("NBD client {address} was refused: `allow` does not name it{more}");
            });
        }
        allowed
    }

    /// Says that a connection cannot be accepted; that may be so for long.
    pub(crate) fn accept_failed(&self, error: &io::Error) {
        let too_many = matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE));
        let remedy = match too_many {
            true => ": raise LimitNOFILE= or `ulimit -n`, or lower `connections`",
            false => "",
        };
        self.failed.say(|more| {
            tracing::warn!("an NBD connection cannot be accepted: {error}{remedy}{more}");
        });
    }

    /// A place for one more connection; `None` if there is not even one to be told.
    pub(crate) fn place(&self) -> Option<Place> {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return Some(Place::Inside(permit));
        }
        let told = self.told.clone().try_acquire_owned().ok();
        self.full.say(|more| {
            let limit = self.limit;
            tracing::warn!("an NBD client was refused: {limit} connections are the limit{more}");
        });
        told.map(Place::Outside)
    }
}

/// One connection's view of the exports.
pub(crate) struct Visitor {
    directory: Arc<dyn ExportDirectory>,
    access: Arc<Access>,
    /// `None` by a unix socket.
    address: Option<IpAddr>,
    held: Mutex<(Place, Option<OwnedSemaphorePermit>)>,
}

impl Visitor {
    pub(crate) fn new(
        directory: Arc<dyn ExportDirectory>,
        access: Arc<Access>,
        address: Option<IpAddr>,
        place: Place,
    ) -> Visitor {
        Visitor {
            directory,
            access,
            address,
            held: Mutex::new((place, None)),
        }
    }

    fn sees(&self, export: &Export) -> bool {
        let rule = self.access.exports.get(&export.name);
        match (self.address, rule) {
            (Some(address), Some((rule, _))) => is_allowed(rule.allow.as_deref(), address),
            _ => true,
        }
    }
}

impl ExportDirectory for Visitor {
    fn exports(&self) -> Vec<Export> {
        let mut all = self.directory.exports();
        all.retain(|export| self.sees(export));
        all
    }

    fn find(&self, name: &str) -> Option<Export> {
        let found = self.directory.find(name)?;
        if !self.sees(&found) {
            tracing::info!("a client asked for {name:?}, which its address may not use");
            return None;
        }
        Some(found)
    }

    fn admit(&self, export: &Export) -> Result<(), String> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let (place, claimed) = &mut *held;
        if matches!(place, Place::Outside(_)) {
            let limit = self.access.limit;
            return Err(format!(
                "the server has {limit} connections, which is its limit; try again later"
            ));
        }
        let Some((rule, permits)) = self.access.exports.get(&export.name) else {
            return Ok(());
        };
        let Some(limit) = rule.connections else {
            return Ok(());
        };
        // A claim that came to nothing (its client asked again) is given back first.
        *claimed = None;
        *claimed = permits.clone().try_acquire_owned().ok();
        if claimed.is_some() {
            return Ok(());
        }
        let name = &export.name;
        self.access.taken.say(|more| {
            tracing::warn!(
                "an NBD client was refused: {limit} connections use {name:?}, its limit{more}"
            );
        });
        Err(format!(
            "{limit} connections use {name:?} already, which is its limit; try again later"
        ))
    }
}

/// Says what happens often once, and then how often.
#[derive(Debug, Default)]
pub(crate) struct Sparingly(Mutex<(Option<Instant>, u64)>);

impl Sparingly {
    /// Lets `say` speak if it is time; it is given what to add about those that were passed over.
    pub(crate) fn say(&self, say: impl FnOnce(&str)) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, passed_over) = &mut *state;
        let now = Instant::now();
        if last.is_some_and(|last| now.duration_since(last) < LOG_AGAIN_AFTER) {
            *passed_over += 1;
            return;
        }
        *last = Some(now);
        match std::mem::take(passed_over) {
            0 => say(""),
            count => say(&format!(" ({count} more were refused meanwhile)")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::{ExportHandle, find_export};
    use disktime_engine::VdiskId;

    fn exports() -> Arc<dyn ExportDirectory> {
        let export =
            |at: u64, name: &str| Export::new(ExportHandle(at), VdiskId(at as u32), name, 1 << 20);
        Arc::new(vec![export(0, "open"), export(1, "inner")])
    }

    fn access(limit: usize) -> Arc<Access> {
        let inner = ExportAccess {
            allow: Some(vec!["10.0.0.0/8".parse().expect("a range")]),
            connections: Some(1),
        };
        let rules = HashMap::from([("inner".to_owned(), inner)]);
        Arc::new(Access::new(
            Some(vec![
                "10.0.0.0/8".parse().expect("a range"),
                "192.0.2.1".parse().expect("an address"),
            ]),
            limit,
            &rules,
        ))
    }

    fn visitor(access: &Arc<Access>, address: Option<&str>) -> Visitor {
        let address = address.map(|address| address.parse().expect("an address"));
        let place = access.place().expect("a place");
        Visitor::new(exports(), access.clone(), address, place)
    }

    #[test]
    fn an_address_sees_what_it_may_use() {
        let access = access(9);
        assert!(access.allows([192, 0, 2, 1].into()) && !access.allows([192, 0, 2, 2].into()));
        for (address, seen) in [
            (Some("10.1.2.3"), 2),
            (Some("::ffff:10.1.2.3"), 2),
            (Some("192.0.2.1"), 1),
            (None, 2),
        ] {
            let visitor = visitor(&access, address);
            assert_eq!(visitor.exports().len(), seen, "{address:?}");
            assert_eq!(visitor.find("inner").is_some(), seen == 2, "{address:?}");
            // The empty name means the only export that this client sees.
            assert_eq!(find_export(&visitor, "").is_some(), seen == 1);
        }
    }

    #[test]
    fn a_limit_counts_until_the_end_and_says_so() {
        let access = access(9);
        let first = visitor(&access, None);
        let export = first.find("inner").expect("it is there");
        assert_eq!(first.admit(&export), Ok(()));
        assert_eq!(first.admit(&export), Ok(()), "its own claim is no other's");
        let second = visitor(&access, None);
        let refusal = second.admit(&export).expect_err("one is the limit");
        assert!(refusal.contains("1 connections use \"inner\""), "{refusal}");
        let open = second.find("open").expect("it is there");
        assert_eq!(second.admit(&open), Ok(()));
        drop(first);
        assert_eq!(second.admit(&export), Ok(()));
    }

    #[test]
    fn who_is_above_the_limit_is_told_until_too_many_ask() {
        let access = access(1);
        let inside = visitor(&access, None);
        let outside: Vec<Visitor> = (0..TOLD).map(|_| visitor(&access, None)).collect();
        assert!(access.place().is_none(), "nobody is left to tell it");
        let export = inside.find("open").expect("it is there");
        assert_eq!(inside.admit(&export), Ok(()));
        for visitor in &outside {
            let refusal = visitor.admit(&export).expect_err("the server is full");
            assert!(refusal.contains("1 connections"), "{refusal}");
        }
        drop((inside, outside));
        assert!(matches!(access.place(), Some(Place::Inside(_))));
    }
}
