//! The kernel's end of a port's connection: sends messages, and takes the answers.

use super::{Answer, FSYNC, HERE, READ, SEEK, WRITE};
use std::os::fd::{AsRawFd, OwnedFd};

/// The kernel's end.
pub(super) struct Kernel(pub(super) OwnedFd);

impl Kernel {
    pub(super) fn send(&self, (opcode, unique, inode): (u32, u64, u64), body: &[&[u8]]) {
        let body = body.concat();
        let mut message = Vec::new();
        message.extend(((40 + body.len()) as u32).to_ne_bytes());
        message.extend(opcode.to_ne_bytes());
        message.extend(unique.to_ne_bytes());
        message.extend(inode.to_ne_bytes());
        message.extend([0; 16]);
        message.extend(body);
        self.send_bytes(&message);
    }

    pub(super) fn send_bytes(&self, bytes: &[u8]) {
        // SAFETY: the bytes are valid for a read of their length.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
        assert_eq!(sent, bytes.len() as isize);
    }

    pub(super) fn read(&self, unique: u64, inode: u64, offset: u64, len: u32) {
        let fields = [
            offset.to_ne_bytes(),
            u64::from(len).to_ne_bytes(),
            [0; 8],
            [0; 8],
        ];
        self.send((READ, unique, inode), &[&[0; 8], &fields.concat()]);
    }

    pub(super) fn write(&self, unique: u64, (inode, handle): (u64, u64), offset: u64, data: &[u8]) {
        let fields = [
            handle.to_ne_bytes(),
            offset.to_ne_bytes(),
            (data.len() as u64).to_ne_bytes(),
            [0; 8],
            [0; 8],
        ];
        self.send((WRITE, unique, inode), &[&fields.concat(), data]);
    }

    pub(super) fn fsync(&self, unique: u64, inode: u64) {
        self.send((FSYNC, unique, inode), &[&[0; 16]]);
    }

    pub(super) fn seek(&self, unique: u64, offset: u64, whence: i32) {
        let fields = [[0; 8], offset.to_ne_bytes(), (whence as u64).to_ne_bytes()];
        self.send((SEEK, unique, HERE), &[&fields.concat()]);
    }

    /// All answers so far.
    pub(super) fn answers(&self) -> Vec<Answer> {
        let mut answers = Vec::new();
        let mut bytes = vec![0; 2 << 20];
        loop {
            let (fd, flags) = (self.0.as_raw_fd(), libc::MSG_DONTWAIT);
            // SAFETY: the bytes are valid for a write of their length.
            let count = unsafe { libc::recv(fd, bytes.as_mut_ptr().cast(), bytes.len(), flags) };
            let Ok(count @ 16..) = usize::try_from(count) else {
                return answers;
            };
            let u32_at = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("4"));
            assert_eq!(u32_at(0) as usize, count);
            let unique = u64::from_ne_bytes(bytes[8..16].try_into().expect("8"));
            answers.push((unique, -(u32_at(4) as i32), bytes[16..count].to_vec()));
        }
    }

    pub(super) fn errors(&self) -> Vec<(u64, i32)> {
        let answers = self.answers().into_iter();
        answers.map(|(unique, error, _)| (unique, error)).collect()
    }
}
