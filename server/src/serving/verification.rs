//! A verification of a history, from the control socket to the disk's thread and back, and its
//! findings as sentences.
//!
//! Invariant: it ends with the one who asked: dropping it is all that is needed.

use crate::failure::{CommandResult, Failure};
use crate::serving::catalog::Vdisk;
use crate::serving::history_control;
use disktime_history::{Damage, DamagedPart, UNIT_BYTES, Verified, time_text};
use disktime_units::format_size;
use disktime_volumes::{VerifyDone, VerifyProgress};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Ranges of a finding that a sentence names.
const RANGES_NAMED: usize = 3;
const BLOCK: u64 = UNIT_BYTES as u64;

/// A verification that was begun.
pub(crate) struct Verification {
    vdisk: String,
    progress: Arc<VerifyProgress>,
    found: oneshot::Receiver<Result<Verified, String>>,
}

/// Begins to verify the history of the vdisk of that name.
///
/// # Errors
/// There is no such vdisk, or its disk is stopping.
pub(crate) fn begin(vdisks: &[Vdisk], name: &str) -> CommandResult<Verification> {
    let vdisk = history_control::found(vdisks, name)?;
    let (id, progress) = (vdisk.id(), Arc::<VerifyProgress>::default());
    let (sender, found) = oneshot::channel();
    let done: VerifyDone = Box::new(move |result| {
        // It fails when the client that asked is gone.
        let _ = sender.send(result);
    });
    let of_thread = Arc::clone(&progress);
    vdisk.reactor().visit(Box::new(move |sets, _| {
        sets.set_of_mut(id).verify(id, &of_thread, done);
    }))?;
    Ok(Verification {
        vdisk: name.to_owned(),
        progress,
        found,
    })
}

impl Verification {
    /// How far it is.
    pub(crate) fn progress(&self) -> Value {
        let (done_bytes, all_bytes) = self.progress.bytes();
        json!({ "progress": { "done_bytes": done_bytes, "all_bytes": all_bytes } })
    }

    /// What it has found, when it is done; may be given up and asked again.
    ///
    /// # Errors
    /// A sentence: no history, or one runs already.
    pub(crate) async fn found(&mut self) -> CommandResult<Value> {
        let found = (&mut self.found).await?.map_err(Failure::new)?;
        Ok(answer(&self.vdisk, &found))
    }
}

fn answer(vdisk: &str, found: &Verified) -> Value {
    let damages = found.damages.iter().map(|damage| {
        let ranges = damage.blocks.iter();
        let ranges = ranges
            .map(|(first, blocks)| json!({ "offset": first * BLOCK, "length": blocks * BLOCK }));
        json!({
            "part": part(damage.part),
            "log_offset": u64::from(damage.unit) * BLOCK,
            "log_length": u64::from(damage.units) * BLOCK,
            "unreadable": damage.is_unreadable,
            "first_seq": damage.seqs.map(|seqs| seqs.0),
            "last_seq": damage.seqs.map(|seqs| seqs.1),
            "time": damage.time_ns.map(time_text),
            "ranges": ranges.collect::<Vec<Value>>(),
            "newest": damage.is_newest,
            "loses_data": damage.loses_data(),
            "sentence": sentence(damage),
        })
    });
    json!({
        "vdisk": vdisk,
        "segments": found.segments,
        "log_bytes": found.units * BLOCK,
        "damages": damages.collect::<Vec<Value>>(),
        "unlisted": found.unlisted,
    })
}

fn part(part: DamagedPart) -> &'static str {
    match part {
        DamagedPart::Superblock => "superblock",
        DamagedPart::SegmentHeader => "segment header",
        DamagedPart::BatchHeader { .. } => "header",
        DamagedPart::Data => "data",
        DamagedPart::Checkpoint => "checkpoint",
        DamagedPart::Footer => "footer",
        DamagedPart::LostBlocks => "lost blocks",
    }
}

/// A finding for people: what it is, where in the vdisk, and which moments it concerns.
fn sentence(damage: &Damage) -> String {
    let is = match damage.is_unreadable {
        true => "cannot be read",
        false => "does not match its checksum",
    };
    let ranges = ranges(damage);
    let seqs = match damage.seqs {
        None => "changes that are not known".to_owned(),
        Some((first, last)) if first == last => format!("seq:{first}"),
        Some((first, last)) => format!("seq:{first} to seq:{last}"),
    };
    let first = damage.seqs.map_or(0, |seqs| seqs.0);
    let at = damage
        .time_ns
        .map(|time_ns| format!(" ({})", time_text(time_ns)));
    let at = at.unwrap_or_default();
    let in_log = format!("at {} of the log", u64::from(damage.unit) * BLOCK);
    match damage.part {
        DamagedPart::Data if damage.is_newest => format!(
            "what {seqs}{at} wrote to {ranges} {is}: reads of it fail in moments from seq:{first} \
             on, and now, until it is written again"
        ),
        DamagedPart::Data => format!(
            "what {seqs}{at} wrote to {ranges} {is}: reads of it fail in moments from seq:{first} \
             on, up to the one that wrote it again"
        ),
        DamagedPart::BatchHeader { is_listed: true } => format!(
            "the header of {seqs}{at}, which changed {ranges}, {is} {in_log}: no moment is lost as \
             long as the footer of its segment is whole, which says the same"
        ),
        DamagedPart::BatchHeader { is_listed: false } => format!(
            "the header of {seqs}{at}, which changed {ranges}, {is} {in_log}, and no footer says \
             the same: moments from seq:{first} on are lost with the next start, or when they are \
             to be folded; take a backup now"
        ),
        DamagedPart::LostBlocks => format!(
            "{ranges} of the oldest moment is lost since a fold: reads of it fail in each moment \
             before the one that writes it again"
        ),
        DamagedPart::SegmentHeader => format!(
            "the header of a segment {is} {in_log}: no moment is lost, its neighbours say the same"
        ),
        DamagedPart::Footer => format!(
            "a part of the footer of a segment {is} {in_log}: no moment is lost, the footer is \
             made anew from what it lists, which takes longer"
        ),
        DamagedPart::Checkpoint => format!(
            "the tables of the checkpoint of {seqs}{at} {is} {in_log}: no moment is lost, as \
             another checkpoint and the changes behind it say the same"
        ),
        DamagedPart::Superblock => format!(
            "a superblock {is} {in_log}: no moment is lost, the other one says the same, and both \
             are written again with the next checkpoint"
        ),
    }
}

fn ranges(damage: &Damage) -> String {
    let named = damage.blocks.iter().take(RANGES_NAMED);
    let named = named.map(|(first, blocks)| {
        let (offset, length) = (first * BLOCK, blocks * BLOCK);
        format!("{} at {offset}", format_size(length))
    });
    let named: Vec<String> = named.collect();
    match damage.blocks.len() {
        0 => "ranges that are not known".to_owned(),
        all if all > RANGES_NAMED => {
            format!(
                "{} and {} other ranges",
                named.join(", "),
                all - RANGES_NAMED
            )
        }
        _ => named.join(", "),
    }
}
