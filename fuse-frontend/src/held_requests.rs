//! Requests that wait here because their vdisk has as many in flight as it may.
//!
//! Invariants: requests of a file are submitted in the order in which they came, those that are
//! given back included; a full file keeps no other file's requests from being submitted.
//!
//! What is not known here: how a request is submitted.

use disktime_engine::Request;
use std::collections::VecDeque;

/// The held requests of all files, by the file's position.
#[derive(Debug, Default)]
pub(crate) struct HeldRequests {
    queued: Vec<VecDeque<Request>>,
    /// The positions of the files that have some.
    positions: Vec<usize>,
}

impl HeldRequests {
    /// Submits a request, or holds it if earlier ones of its file are held or if `submit` gives it
    /// back. Whether it was submitted.
    pub(crate) fn submit_or_hold(
        &mut self,
        position: usize,
        request: Request,
        submit: impl FnOnce(Request) -> Result<(), Request>,
    ) -> bool {
        if self.queued.len() <= position {
            self.queued.resize_with(position + 1, VecDeque::new);
        }
        let queued = &mut self.queued[position];
        if !queued.is_empty() {
            queued.push_back(request);
            return false;
        }
        match submit(request) {
            Ok(()) => true,
            Err(request) => {
                self.positions.push(position);
                queued.push_back(request);
                false
            }
        }
    }

    /// Submits held requests, of each file until one is given back. Whether any went.
    pub(crate) fn retry(
        &mut self,
        mut submit: impl FnMut(usize, Request) -> Result<(), Request>,
    ) -> bool {
        let mut any = false;
        let queued = &mut self.queued;
        self.positions.retain(|position| {
            let queued = &mut queued[*position];
            while let Some(request) = queued.pop_front() {
                if let Err(request) = submit(*position, request) {
                    queued.push_front(request);
                    break;
                }
                any = true;
            }
            !queued.is_empty()
        });
        any
    }

    /// Whether a file that is `meant` has some.
    pub(crate) fn has_some(&self, meant: impl Fn(usize) -> bool) -> bool {
        self.positions.iter().any(|position| meant(*position))
    }
}

#[cfg(test)]
mod tests;
