//! A test's control over a fault-injecting disk that the code under test owns.

use super::content::SECTOR_BYTES;
use super::state::FaultState;
use super::{Fault, FaultDisk, RandomFaults, ServiceTime};
use crate::DiskProperties;
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Injects faults into a [`FaultDisk`], reads its content, and crashes it.
#[derive(Clone)]
pub struct FaultHandle {
    properties: DiskProperties,
    state: Arc<Mutex<FaultState>>,
}

impl FaultHandle {
    pub(super) fn new(properties: DiskProperties, state: Arc<Mutex<FaultState>>) -> FaultHandle {
        FaultHandle { properties, state }
    }

    fn lock(&self) -> MutexGuard<'_, FaultState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a fault to the script.
    pub fn inject(&self, fault: Fault) {
        self.lock().inject(fault);
    }

    /// Ends all scripted faults.
    pub fn clear_faults(&self) {
        self.lock().clear_faults();
    }

    /// Ends the requests that are stuck at `now`.
    pub fn release_stuck(&self, now: Nanos) {
        self.lock().release_stuck(now);
    }

    /// How many writes, zeroings, discards and flushes were submitted so far: the crash points.
    pub fn operations(&self) -> u64 {
        self.lock().operations()
    }

    /// Freezes the disk at the operation of this number, counted from 0 as `operations` counts: it
    /// and all requests in flight then never complete, and those submitted later are lost.
    pub fn freeze_at(&self, operation: u64) {
        self.lock().freeze_at(operation);
    }

    /// Whether the disk has reached its crash point.
    pub fn is_frozen(&self) -> bool {
        self.lock().is_frozen()
    }

    /// How many sectors a crash could change now, requests in flight aside.
    pub fn pending_sectors(&self) -> usize {
        self.lock().content().pending_sectors()
    }

    /// Reads what a completed read would see, without a request.
    ///
    /// # Panics
    /// If the offset is not a multiple of the sector size.
    pub fn peek(&self, offset_bytes: u64, bytes: &mut [u8]) {
        assert_eq!(
            offset_bytes % SECTOR_BYTES as u64,
            0,
            "a peek starts at a sector"
        );
        self.lock()
            .content()
            .read(offset_bytes / SECTOR_BYTES as u64, bytes);
    }

    /// Power is lost and comes back: the disk freezes for ever, and a new one, without faults,
    /// holds the content that survived. `service` is the new one's service time.
    pub fn crash(&self, random: &mut SplitMix64, service: ServiceTime) -> FaultDisk {
        let content = self.lock().crash(random);
        let seed = random.next_u64();
        let mut state = FaultState::new(service, RandomFaults::default(), seed, &self.properties);
        state.set_content(content);
        FaultDisk {
            properties: self.properties.clone(),
            state: Arc::new(Mutex::new(state)),
        }
    }
}
