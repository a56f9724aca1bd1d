//! A client of one vdisk that writes stamps: after a power failure each tells what was promised.

use super::{MachineOf, Serves};
use disktime_engine::{Buffer, IoError, Request, RequestKind};
use disktime_workloads::{FlushTicket, StampAction, StampChecker, StampLoad, WriteTicket};
use std::collections::HashMap;

/// Blocks of 4 KiB that it uses.
pub(crate) const BLOCKS: usize = 384;

/// What it waits for.
enum Waiting {
    Write(WriteTicket, bool),
    Flush(FlushTicket),
}

/// The client of the vdisk at a position of the configuration, which is the origin of its requests.
pub(crate) struct StampClient {
    vdisk: u32,
    depth: usize,
    checker: StampChecker,
    load: StampLoad,
    waiting: HashMap<u64, Waiting>,
}

impl StampClient {
    /// `depth`: how many requests it has in flight.
    pub(crate) fn new(vdisk: u32, depth: usize, load: StampLoad) -> StampClient {
        StampClient {
            vdisk,
            depth,
            checker: StampChecker::new(u64::from(vdisk) + 1, BLOCKS),
            load,
            waiting: HashMap::new(),
        }
    }

    /// Submits until it has as much in flight as it may. `next`: the handle of the next request.
    pub(crate) fn submit_some<S: Serves>(&mut self, machine: &mut MachineOf<S>, next: &mut u64) {
        while self.waiting.len() < self.depth {
            let Some(action) = self.load.next_action(&mut self.checker) else {
                return;
            };
            let mut request = Request {
                origin: u64::from(self.vdisk),
                handle: *next,
                vdisk: machine.handle(self.vdisk),
                kind: RequestKind::Flush,
                offset_bytes: 0,
                len_bytes: 0,
                fua: false,
                buffer: None,
            };
            let waiting = match action {
                StampAction::Flush(ticket) => Waiting::Flush(ticket),
                StampAction::Write { ticket, fua } => {
                    let mut buffer = Buffer::zeroed(ticket.len_bytes());
                    self.checker.fill(&ticket, &mut buffer);
                    request.kind = RequestKind::Write;
                    request.offset_bytes = ticket.offset_bytes();
                    request.len_bytes = buffer.len() as u64;
                    request.fua = fua;
                    request.buffer = Some(buffer);
                    Waiting::Write(ticket, fua)
                }
            };
            self.waiting.insert(*next, waiting);
            *next += 1;
            let taken = machine.set.submit(machine.now, request);
            assert!(taken.is_ok(), "the queue is large enough");
        }
    }

    pub(crate) fn answered(&mut self, handle: u64) {
        match self.waiting.remove(&handle) {
            Some(Waiting::Write(ticket, fua)) => self.checker.write_done(ticket, fua),
            Some(Waiting::Flush(ticket)) => self.checker.flush_done(ticket),
            None => panic!("an answer to nothing"),
        }
    }

    /// After a power failure: holds what is found against what was promised.
    ///
    /// # Errors
    /// What the vdisk answers where it cannot be read.
    pub(crate) fn recover<S: Serves>(
        &mut self,
        machine: &mut MachineOf<S>,
        when: &str,
    ) -> Result<(), IoError> {
        self.checker.crashed();
        self.waiting.clear();
        let bytes = machine.read(self.vdisk, 0, (BLOCKS * 4096) as u64)?;
        for (block, bytes) in bytes.chunks_exact(4096).enumerate() {
            if let Err(violation) = self.checker.recover(block as u64, bytes) {
                panic!("{when}, vdisk {}: {violation}", self.vdisk);
            }
        }
        Ok(())
    }
}
