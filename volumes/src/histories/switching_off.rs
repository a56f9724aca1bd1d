//! A history is given up: its log is folded into the image altogether, then closed.
//!
//! Not known here: the label, which has the log until then.

use super::logged_vdisk::LoggedVdisk;

/// How far a history is folded that is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ending {
    /// Blocks that the log still has.
    pub blocks_left: u64,
    /// How much of the step in flight is done, in millionths.
    pub step_ppm: u32,
}

impl LoggedVdisk {
    /// Goes on with it; `None` when the image has everything.
    ///
    /// # Errors
    /// Why the history stays.
    pub(crate) fn advance_ending(&mut self) -> Result<Option<Ending>, String> {
        let log = &mut self.parts.log;
        if let Some(why) = log.broken() {
            return Err(why.to_string());
        }
        if log.is_all_folded() {
            return Ok(None);
        }
        if let Some(retry) = self.fold_retry {
            return Err(retry.problem());
        }
        if !log.status().is_folding {
            log.fold_all().map_err(|why| why.to_string())?;
        }
        let step_ppm = log.fold_progress_ppm();
        let of_step = log.fold_blocks() * u64::from(step_ppm) / 1_000_000;
        let ending = Ending {
            blocks_left: log.index_blocks().saturating_sub(of_step),
            step_ppm,
        };
        self.pump();
        Ok(Some(ending))
    }

    /// Closes the log; whether it is closed in good order.
    ///
    /// # Errors
    /// Why it cannot be.
    pub(crate) fn advance_closing(&mut self) -> Result<bool, String> {
        if let Some(why) = self.parts.log.broken() {
            return Err(why.to_string());
        }
        if !self.is_closed {
            self.close();
        }
        Ok(self.is_closed && self.is_idle())
    }
}
