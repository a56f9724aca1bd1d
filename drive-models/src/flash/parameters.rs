//! The figures of a flash drive.

use disktime_units::Nanos;

/// Figures of a flash drive. Rates are times for each MiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlashParameters {
    /// Channels between the controller and the dies.
    pub channels: u32,
    /// Dies (LUNs) on each channel; each does one read or program at a time.
    pub luns_per_channel: u32,
    /// Bytes that a die reads or programs at once, and after which addresses go to the next die.
    pub stripe_bytes: u32,
    /// A read at the die.
    pub read: Nanos,
    /// A program at the die, while the cache has room or without one.
    pub program: Nanos,
    /// A program at the die once the cache is full.
    pub slow_program: Nanos,
    /// Bytes that are programmed fast before the programs become slow; `None` without a cache.
    pub cache_bytes: Option<u64>,
    /// The share of an erase that each program brings.
    pub erase_share: Nanos,
    /// Programs of garbage collection for a thousand programs of the host: (write amplification
    /// − 1) × 1000. Each comes with a read, on a die taken at random.
    pub collected_per_thousand: u32,
    /// The controller's time for a read or a flush, during which it takes no other command.
    pub command: Nanos,
    /// The controller's time for a write.
    pub write_command: Nanos,
    /// The controller's time for a discard of no bytes.
    pub discard_command: Nanos,
    /// The controller's time that a MiB adds to a discard.
    pub discard_per_mib: Nanos,
    /// Latency that the firmware adds to a read; it does not occupy anything.
    pub read_latency: Nanos,
    /// Latency that the firmware adds to a write, a discard and a flush.
    pub write_latency: Nanos,
    /// A flush with nothing to wait for, after its command.
    pub flush: Nanos,
    /// Time of a MiB on a channel.
    pub channel_per_mib: Nanos,
    /// Time of a MiB on the link, in each direction.
    pub link_per_mib: Nanos,
    /// Bytes of writes that are held between their answer and their program. At least two stripes.
    pub buffer_bytes: u64,
    /// Requests that the drive takes at once.
    pub queue_depth: u32,
    /// How much the time of a read at the die varies, in per cent up and down, evenly.
    pub variation_percent: u32,
}

impl FlashParameters {
    /// Dies of the drive.
    pub fn luns(&self) -> usize {
        self.channels as usize * self.luns_per_channel as usize
    }
}
