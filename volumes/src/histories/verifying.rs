//! A verification of a log: what it wants to read is read, one request at a time, beside everything
//! else.
//!
//! Invariants: the stream of the fold pays for its reads, and while a fold is in flight nothing is
//! read for it, so that it takes nothing that the image, the log or a fold has reserved; one
//! verification of a vdisk at a time; it ends when its client waits for it no more, and with a
//! stop.
//!
//! Not known here: what is read and how it is judged, and which client waits.

use super::controls::HistoryError;
use super::inner::Purpose;
use super::logged_vdisk::LoggedVdisk;
use disktime_engine::{IoError, Reply};
use disktime_history::{IoFailed, UNIT_BYTES, Verified, Verify, VerifyNext};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// Hears what a verification has found.
pub type VerifyDone = Box<dyn FnOnce(Result<Verified, HistoryError>) + Send>;

/// How far a verification is. Who waits for it holds this; without that it ends.
#[derive(Debug, Default)]
pub struct VerifyProgress {
    done_bytes: AtomicU64,
    all_bytes: AtomicU64,
}

impl VerifyProgress {
    /// Bytes of the log that are read or left out, and all of them; 0: it has not begun.
    pub fn bytes(&self) -> (u64, u64) {
        let done = self.done_bytes.load(Ordering::Relaxed);
        (done, self.all_bytes.load(Ordering::Relaxed))
    }

    fn set(&self, (done_units, all_units): (u64, u64)) {
        let bytes = |units| units * UNIT_BYTES as u64;
        self.all_bytes.store(bytes(all_units), Ordering::Relaxed);
        self.done_bytes.store(bytes(done_units), Ordering::Relaxed);
    }
}

/// A verification in flight.
pub(super) struct VerifyWork {
    /// So that the answer to a read of one that has ended is not taken for one of the next.
    number: u64,
    verify: Verify,
    is_reading: bool,
    progress: Weak<VerifyProgress>,
    done: VerifyDone,
}

impl LoggedVdisk {
    /// The vdisk goes, and who waits for a verification hears why it ends.
    pub(super) fn refuse_verify(&mut self, why: &str) {
        if let Some(work) = self.verify.take() {
            (work.done)(Err(why.to_owned()));
        }
    }

    /// All that the log holds is read again and judged.
    pub(crate) fn verify(&mut self, progress: &Arc<VerifyProgress>, done: VerifyDone) {
        let running = self.verify.as_ref();
        if running.is_some_and(|running| running.progress.strong_count() > 0) {
            let name = &self.parts.name;
            return done(Err(format!(
                "the history of `{name}` is being verified already; try again when that is done"
            )));
        }
        match self.parts.log.verify() {
            Ok(verify) => {
                self.verifications += 1;
                self.verify = Some(VerifyWork {
                    number: self.verifications,
                    verify,
                    is_reading: false,
                    progress: Arc::downgrade(progress),
                    done,
                });
                self.advance_verify();
            }
            Err(why) => done(Err(self.sentence(why))),
        }
    }

    /// Reads on, if there is a verification and nothing goes before it.
    pub(super) fn advance_verify(&mut self) {
        let Some(mut work) = self.verify.take() else {
            return;
        };
        if self.leaves_folds {
            return (work.done)(Err("the server stops; verify it again later".to_owned()));
        }
        let Some(progress) = work.progress.upgrade() else {
            return;
        };
        if !work.is_reading && self.fold.is_none() {
            match work.verify.next(&self.parts.log) {
                VerifyNext::Done => return (work.done)(Ok(work.verify.finish())),
                VerifyNext::Wait => {}
                VerifyNext::Read { unit, units } => {
                    let request = self.log_read(unit, u64::from(units)).of_fold();
                    self.inner.push(Purpose::VerifyRead(work.number), request);
                    work.is_reading = true;
                }
            }
        }
        progress.set(work.verify.progress());
        self.verify = Some(work);
    }

    /// A read of the verification of that number has ended.
    pub(super) fn verify_is_read(&mut self, number: u64, reply: Reply) {
        let of_number = self.verify.take_if(|work| work.number == number);
        if let Some(mut work) = of_number {
            work.is_reading = false;
            let log = &self.parts.log;
            match (&reply.buffer, reply.result) {
                (Some(bytes), Ok(())) => work.verify.take(log, Ok(bytes)),
                (_, Ok(()) | Err(IoError::Io)) => work.verify.take(log, Err(IoFailed)),
                (_, Err(why)) => {
                    return (work.done)(Err(format!("`{}`: {why}", self.parts.name)));
                }
            }
            self.verify = Some(work);
        }
        if let Some(buffer) = reply.buffer {
            self.pool.put(buffer);
        }
    }
}
