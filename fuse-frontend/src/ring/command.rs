//! The commands of FUSE over io_uring in the kernel's encoding.

use io_uring::{opcode, squeue, types};
use std::os::fd::RawFd;

/// A command about an entry.
#[derive(Debug, Clone, Copy)]
pub(super) enum Command<'a> {
    /// Registers the entry: the addresses of its header and of its payload, which the kernel reads
    /// during the submission.
    Register(&'a [libc::iovec; 2]),
    /// The entry holds the reply to this request and may then take the next request.
    CommitAndFetch { commit_id: u64 },
}

impl Command<'_> {
    pub(super) fn encode(self, device: RawFd, queue: u16, entry: u64) -> squeue::Entry128 {
        const REGISTER: u32 = 1;
        const COMMIT_AND_FETCH: u32 = 2;
        let (number, commit_id) = match self {
            Command::Register(_) => (REGISTER, 0),
            Command::CommitAndFetch { commit_id } => (COMMIT_AND_FETCH, commit_id),
        };
        let mut fields = [0; 80];
        fields[8..16].copy_from_slice(&commit_id.to_ne_bytes());
        fields[16..18].copy_from_slice(&queue.to_ne_bytes());
        let encoded = opcode::UringCmd80::new(types::Fd(device), number)
            .cmd(fields)
            .build()
            .user_data(entry);
        match self {
            Command::Register(addresses) => with_addresses(encoded, addresses),
            Command::CommitAndFetch { .. } => encoded,
        }
    }
}

/// The submission with an address and a length, which the crate does not offer for this operation.
fn with_addresses(encoded: squeue::Entry128, addresses: &[libc::iovec; 2]) -> squeue::Entry128 {
    const ADDRESS_AT: usize = 16;
    const LEN_AT: usize = 24;
    // SAFETY: a submission is 128 bytes in the kernel's layout without padding.
    let mut bytes: [u8; 128] = unsafe { std::mem::transmute(encoded) };
    let address = addresses.as_ptr() as u64;
    bytes[ADDRESS_AT..ADDRESS_AT + 8].copy_from_slice(&address.to_ne_bytes());
    bytes[LEN_AT..LEN_AT + 4].copy_from_slice(&(addresses.len() as u32).to_ne_bytes());
    // SAFETY: as above, and a submission has no invalid bytes.
    unsafe { std::mem::transmute(bytes) }
}

#[cfg(test)]
mod tests;
