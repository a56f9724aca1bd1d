//! What the reservations of a history sustain: a rate of writes, and the window that is kept then.
//!
//! ```text
//!   a batch of 16 blocks ─ one write of 17 units ─────────────── the log's share of its disk
//!   a block that is folded ─ its part of a long read of the log ─ the fold's share of that disk
//!                          └ a write of the image ─────────────── the fold's share of the image's
//! ```
//!
//! A fold writes blocks at random places in the order in which they lie there: a block takes its
//! price alone, or its part of one pass over the whole image if that is less. What disks have to
//! spare comes on top.
//!
//! What is not known here: what clients write. A block that is written again before it is folded is
//! folded once.

use super::admission::disk_prices;
use crate::failure::CommandResult;
use disktime_disks::{CostModel, Operation};
use disktime_reservations::{AdmissionReport, Configuration, Disk, HistoryStream, Vdisk};
use disktime_units::{Nanos, format_size};
use serde_json::{Value, json};

const BLOCK_BYTES: u64 = 4096;
/// Blocks of a batch of random writes: as many clients write at once.
const RANDOM_BATCH_BLOCKS: u64 = 16;
/// Blocks of a batch of long writes. The largest batch has 255.
const LONG_BATCH_BLOCKS: u64 = 128;
/// What a fold reads at once at least; its long writes are as long.
const FOLD_BLOCKS: u64 = 128;
/// Footers and checkpoints take this part of the log, in thousandths.
const TABLES_PERMILLE: u64 = 10;

/// Writes of one kind that are sustained.
#[derive(Debug, Clone, Copy)]
struct Rate {
    bytes_per_second: f64,
    /// How long what is kept of the log lasts at that rate, at most the window that was asked for.
    window: Nanos,
    limited_by: HistoryStream,
}

/// What the history of a vdisk sustains with its reservations alone.
#[derive(Debug, Clone)]
pub(crate) struct Sustained {
    vdisk: String,
    /// Of 4 KiB, at random places, sixteen at once.
    random: Rate,
    /// One after the other in the vdisk, 512 KiB at once.
    long: Rate,
}

/// What all histories of a file sustain that is admitted, in file order.
///
/// # Errors
/// A disk that cannot be asked for its prices.
pub(crate) fn sustained(
    configuration: &Configuration,
    report: &AdmissionReport<'_>,
) -> CommandResult<Vec<Sustained>> {
    let mut all = Vec::new();
    for vdisk in &configuration.vdisks {
        let (Some(_), Some(log_disk)) = (&vdisk.history, vdisk.log_disk()) else {
            continue;
        };
        let prices = |name: &str| {
            let mut disks = configuration.disks.iter();
            let disk = disks.find(|disk| disk.name.value == name);
            disk.map(|disk| Prices::of(configuration, disk)).transpose()
        };
        let (Some(log), Some(image)) = (prices(log_disk)?, prices(&vdisk.disk.value)?) else {
            continue;
        };
        all.extend(of_vdisk(vdisk, report, &log, &image));
    }
    Ok(all)
}

fn of_vdisk(
    vdisk: &Vdisk,
    report: &AdmissionReport<'_>,
    log: &Prices,
    image: &Prices,
) -> Option<Sustained> {
    let history = vdisk.history.as_ref()?;
    let (log_disk, name) = (vdisk.log_disk()?, vdisk.name.value.as_str());
    let share = |disk: &str, stream| {
        let mut disks = report.disks.iter();
        let admission = disks.find(|one| one.disk == disk)?;
        Some(admission.history(name, stream)?.reserve.as_f64())
    };
    let log_share = share(log_disk, HistoryStream::Log)?;
    let fold_shares = [
        share(log_disk, HistoryStream::Fold)?,
        share(&vdisk.disk.value, HistoryStream::Fold)?,
    ];
    let is_one_disk = log_disk == vdisk.disk.value;
    let kept_share = 1.0 - history.batch.as_f64();
    let kept_bytes = history.max_bytes.value as f64 * kept_share;
    let folded_blocks =
        history.max_bytes.value as f64 * history.batch.as_f64() / BLOCK_BYTES as f64;
    let image_blocks = vdisk.size_bytes.value / BLOCK_BYTES;
    let rate = |batch_blocks: u64, write_blocks: u64| {
        let batch = log.seconds(Operation::Write, batch_blocks + 1);
        let by_log = log_share * batch_blocks as f64 / batch;
        let read = log.seconds(Operation::Read, FOLD_BLOCKS) / FOLD_BLOCKS as f64;
        let write = image.seconds(Operation::Write, write_blocks) / write_blocks as f64;
        let in_order = image.pass_seconds(image_blocks) / folded_blocks.min(image_blocks as f64);
        let write = write.min(in_order);
        let by_fold = match is_one_disk {
            true => fold_shares[0] / (read + write),
            false => (fold_shares[0] / read).min(fold_shares[1] / write),
        };
        let (blocks_per_second, limited_by) = match by_log <= by_fold {
            true => (by_log, HistoryStream::Log),
            false => (by_fold, HistoryStream::Fold),
        };
        let bytes_per_second = blocks_per_second * BLOCK_BYTES as f64;
        let units = (batch_blocks + 1) as f64 / batch_blocks as f64;
        let log_bytes_per_second = bytes_per_second * units * log_factor();
        let window = Nanos((kept_bytes / log_bytes_per_second * 1e9) as u64);
        Rate {
            bytes_per_second,
            window: window.min(history.window),
            limited_by,
        }
    };
    Some(Sustained {
        vdisk: name.to_owned(),
        random: rate(RANDOM_BATCH_BLOCKS, 1),
        long: rate(LONG_BATCH_BLOCKS, FOLD_BLOCKS),
    })
}

fn log_factor() -> f64 {
    1.0 + TABLES_PERMILLE as f64 / 1e3
}

/// What requests of a disk take.
struct Prices {
    cost: CostModel,
    /// The longest that is sent as one.
    quantum_bytes: u64,
}

impl Prices {
    fn of(configuration: &Configuration, disk: &Disk) -> CommandResult<Prices> {
        let (cost, quantum_bytes) = disk_prices(configuration, disk)?;
        Ok(Prices {
            cost,
            quantum_bytes: u64::from(quantum_bytes).max(BLOCK_BYTES),
        })
    }

    /// Blocks that follow each other, in as few requests as can be.
    fn seconds(&self, operation: Operation, blocks: u64) -> f64 {
        let bytes = blocks * BLOCK_BYTES;
        let price = |bytes| self.cost.price(operation, bytes, false).as_millis_f64() / 1e3;
        let whole = (bytes / self.quantum_bytes) as f64 * price(self.quantum_bytes);
        match bytes % self.quantum_bytes {
            0 => whole,
            rest => whole + price(rest),
        }
    }

    /// All of an image, written in order without a seek.
    fn pass_seconds(&self, blocks: u64) -> f64 {
        let [one, two] = [1, 2].map(|blocks| self.seconds(Operation::Write, blocks));
        (two - one) * blocks as f64
    }
}

impl Sustained {
    /// For people.
    pub(crate) fn sentence(&self) -> String {
        let Sustained {
            vdisk,
            random,
            long,
        } = self;
        let writes = random.bytes_per_second / BLOCK_BYTES as f64;
        let long_rate = format_size(long.bytes_per_second as u64);
        let limits = match random.limited_by {
            HistoryStream::Log => "its log",
            HistoryStream::Fold => "its fold",
        };
        let (of_random, of_long) = (seconds_of(random.window), seconds_of(long.window));
        format!(
            "{vdisk}: with what {limits} reserves the history sustains at least about {writes:.0} writes \
             of 4 KiB a second at random places, 16 at once, and then keeps {of_random}; of long \
             writes {long_rate} a second and {of_long}"
        )
    }

    /// The name of the vdisk, and the figures: bytes a second, seconds.
    pub(crate) fn to_json(&self) -> (String, Value) {
        let value = json!({
            "random_4k": self.random.to_json(),
            "long_writes": self.long.to_json(),
        });
        (self.vdisk.clone(), value)
    }
}

/// Whole seconds: it is an estimate.
fn seconds_of(time: Nanos) -> Nanos {
    Nanos::from_secs(time.0 / 1_000_000_000)
}

impl Rate {
    fn to_json(self) -> Value {
        json!({
            "bytes_per_second": self.bytes_per_second.floor(),
            "window_s": self.window.as_millis_f64() / 1e3,
            "limited_by": match self.limited_by {
                HistoryStream::Log => "log",
                HistoryStream::Fold => "fold",
            },
        })
    }
}
