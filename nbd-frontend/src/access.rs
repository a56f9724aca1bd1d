//! Who may come in and what they may use: addresses, and how many at once.
//!
//! Each connection has a [`Visitor`], which shows the handshake the exports that this client may use
//! and no others, and holds what the connection counts for. Invariants: an export that an address
//! may not use looks to it like one that does not exist; a limit is counted from the choice of the
//! export to the end of the session; a client above a limit is told so before it is closed, as long
//! as not too many ask at once; who has a place and does not choose keeps nobody out who comes later.
//!
//! What is not known here: the protocol, TLS, sockets.

use crate::export::{Export, ExportDirectory};
use disktime_engine::LogThrottle;
use disktime_units::{Nanos, Network};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Clients above the limit that are told so at once; more are closed without a word.
const TOLD: usize = 16;
/// Who has not chosen an export after that long gives the place to another if there is no other left. A
/// client that means it needs some milliseconds.
const UNDISTURBED: Duration = Duration::from_millis(100);

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
    full: Once,
    taken: Once,
    strangers: Once,
    failed: Once,
    undecided: Once,
    /// Who has a place and has not chosen yet, in the order in which they came.
    choosing: Mutex<Choosing>,
}

#[derive(Debug, Default)]
struct Choosing {
    next: u64,
    visitors: BTreeMap<u64, (Instant, Weak<Visitor>)>,
}

/// Counts a connection until it is dropped.
#[derive(Debug)]
pub(crate) enum Place {
    /// Among those that are served.
    Inside(OwnedSemaphorePermit),
    /// Above the limit: it gets an answer, and no export.
    Outside(#[allow(dead_code, reason = "held for its drop")] OwnedSemaphorePermit),
    /// It had one and took its time.
    Given,
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
            full: Once::default(),
            taken: Once::default(),
            strangers: Once::default(),
            failed: Once::default(),
            undecided: Once::default(),
            choosing: Mutex::default(),
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
        if let Some(permit) = self.place_of_one_who_takes_time() {
            return Some(Place::Inside(permit));
        }
        let told = self.told.clone().try_acquire_owned().ok();
        self.full.say(|more| {
            let limit = self.limit;
            tracing::warn!("an NBD client was refused: {limit} connections are the limit{more}");
        });
        told.map(Place::Outside)
    }

    /// The oldest who has not chosen leaves, unless that one has just come, too.
    fn place_of_one_who_takes_time(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            let oldest = {
                let mut choosing = lock(&self.choosing);
                let oldest = choosing.visitors.first_entry()?;
                if oldest.get().0.elapsed() < UNDISTURBED {
                    return None;
                }
                oldest.remove().1
            };
            // The lock is free: the end of a visitor takes it.
            let permit = oldest.upgrade().and_then(|visitor| visitor.leave());
            if permit.is_some() {
                self.undecided.say(|more| {
                    let limit = self.limit;
                    tracing::warn!(
                        "an NBD client that chose no export was dropped for another one's sake: {limit} \
                         connections are the limit{more}"
                    );
                });
                return permit;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One connection's view of the exports.
pub(crate) struct Visitor {
    directory: Arc<dyn ExportDirectory>,
    access: Arc<Access>,
    /// `None` by a unix socket.
    address: Option<IpAddr>,
    held: Mutex<Held>,
    /// Its number among those who choose.
    number: u64,
    left: Notify,
}

#[derive(Debug)]
struct Held {
    place: Place,
    /// Its place at the export.
    claimed: Option<OwnedSemaphorePermit>,
    /// It has chosen.
    settled: bool,
}

impl Visitor {
    pub(crate) fn new(
        directory: Arc<dyn ExportDirectory>,
        access: Arc<Access>,
        address: Option<IpAddr>,
        place: Place,
    ) -> Arc<Visitor> {
        let held = Held {
            place,
            claimed: None,
            settled: false,
        };
        Arc::new_cyclic(|visitor| {
            let number = {
                let mut choosing = lock(&access.choosing);
                choosing.next += 1;
                let number = choosing.next;
                let entry = (Instant::now(), Weak::clone(visitor));
                if matches!(held.place, Place::Inside(_)) {
                    choosing.visitors.insert(number, entry);
                }
                number
            };
            Visitor {
                directory,
                access,
                address,
                held: Mutex::new(held),
                number,
                left: Notify::new(),
            }
        })
    }

    /// Returns when its place went to another.
    pub(crate) async fn until_it_has_to_leave(&self) {
        self.left.notified().await;
    }

    /// Gives its place away, if it has not chosen yet.
    fn leave(&self) -> Option<OwnedSemaphorePermit> {
        let mut held = lock(&self.held);
        if held.settled {
            return None;
        }
        match std::mem::replace(&mut held.place, Place::Given) {
            Place::Inside(permit) => {
                self.left.notify_one();
                Some(permit)
            }
            other => {
                held.place = other;
                None
            }
        }
    }

    fn claim(&self, held: &mut Held, export: &Export) -> Result<(), String> {
        let Some((rule, permits)) = self.access.exports.get(&export.name) else {
            return Ok(());
        };
        let Some(limit) = rule.connections else {
            return Ok(());
        };
        // A claim that came to nothing (its client asked again) is given back first.
        held.claimed = None;
        held.claimed = permits.clone().try_acquire_owned().ok();
        if held.claimed.is_some() {
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
        let mut held = lock(&self.held);
        if !matches!(held.place, Place::Inside(_)) {
            let limit = self.access.limit;
            return Err(format!(
                "the server has {limit} connections, which is its limit; try again later"
            ));
        }
        self.claim(&mut held, export)?;
        held.settled = true;
        drop(held);
        lock(&self.access.choosing).visitors.remove(&self.number);
        Ok(())
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        lock(&self.access.choosing).visitors.remove(&self.number);
    }
}

/// Says what happens often once, and then how often.
#[derive(Debug)]
pub(crate) struct Once {
    since: Instant,
    throttle: Mutex<LogThrottle>,
}

impl Default for Once {
    fn default() -> Once {
        Once {
            since: Instant::now(),
            throttle: Mutex::new(LogThrottle::with_burst(1)),
        }
    }
}

impl Once {
    /// Lets `say` speak if it is time; it is given what to add about those that were passed over.
    pub(crate) fn say(&self, say: impl FnOnce(&str)) {
        let mut throttle = lock(&self.throttle);
        match throttle.allow(Nanos::from(self.since.elapsed())) {
            None => {}
            Some(0) => say(""),
            Some(count) => say(&format!(" ({count} more were refused meanwhile)")),
        }
    }
}

#[cfg(test)]
mod tests;
