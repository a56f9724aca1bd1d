//! The trait of a drive's model: the time of each request, without its data.

use crate::Operation;
use disktime_units::Nanos;

/// A drive's time without its data. A paced disk and a disk in virtual time are both driven by it.
pub trait ServiceModel {
    /// Serves a request that starts at `start`, which is never before the end of the previous one.
    /// Returns the time at which it ends, on the same clock (not the length of the service).
    fn serve(
        &mut self,
        start: Nanos,
        operation: Operation,
        offset_bytes: u64,
        len_bytes: u64,
    ) -> Nanos;
}

impl<M: ServiceModel + ?Sized> ServiceModel for Box<M> {
    fn serve(
        &mut self,
        start: Nanos,
        operation: Operation,
        offset_bytes: u64,
        len_bytes: u64,
    ) -> Nanos {
        (**self).serve(start, operation, offset_bytes, len_bytes)
    }
}
