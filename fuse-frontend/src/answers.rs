//! What becomes of each message: answered at once, or something that is asked of a vdisk.
//!
//! Everything that would change the directory (create, remove, rename, resize, owner, mode) is
//! refused with EPERM, and the log says why. What is not known here (locks, extended attributes,
//! interrupts) is answered ENOSYS once; the kernel then does it itself or
//! without it, and does not ask again. Without interrupts, a program that is killed ends when its
//! request is answered, as with a disk.

use crate::directory::{DIRECTORY_INODE, Directory};
use crate::protocol::{
    Header, Listing, Operation, SetAttributes, encode_attributes, encode_entry, encode_open,
    encode_statistics, encode_written,
};
use crate::refusals::Refusals;
use crate::transfer::{self, Transfer, Wish};
use std::borrow::Cow;

/// Flags of an `open` reply: no page cache in between, and writers side by side. Without the second
/// the kernel holds the inode's lock during each synchronous write, one writer at a time.
const OPEN_DIRECT_IO: u32 = 1 << 0;
const OPEN_PARALLEL_DIRECT_WRITES: u32 = 1 << 6;

/// What a message comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A reply with the body that was encoded.
    Body,
    /// A reply without a body, which says how it went: 0, or the system's number of an error.
    Error(i32),
    /// No reply.
    Silence,
    /// Something for a vdisk; its reply comes later.
    Transfer(Transfer),
}

/// What `open` was asked for, kept in the file handle, so that no table of open files is needed.
#[derive(Debug, Clone, Copy)]
struct Handle {
    durable: bool,
    writes: bool,
}

impl Handle {
    fn from_open_flags(flags: u32) -> Handle {
        let flags = flags as i32;
        Handle {
            // O_SYNC contains O_DSYNC.
            durable: flags & libc::O_DSYNC != 0,
            writes: flags & libc::O_ACCMODE != libc::O_RDONLY,
        }
    }

    fn encode(self) -> u64 {
        u64::from(self.durable) | u64::from(self.writes) << 1
    }

    fn decode(handle: u64) -> Handle {
        Handle {
            durable: handle & 1 != 0,
            writes: handle & 2 != 0,
        }
    }
}

/// Answers for a directory.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) directory: Directory,
    refusals: Refusals,
}

impl Answers {
    pub(crate) fn new(directory: Directory) -> Answers {
        Answers {
            directory,
            refusals: Refusals::new(),
        }
    }

    /// What a message comes to; the body of a reply is put into `out`, which is empty.
    pub(crate) fn answer(
        &mut self,
        header: &Header,
        operation: &Operation<'_>,
        out: &mut Vec<u8>,
    ) -> Answer {
        self.try_answer(header, operation, out)
            .unwrap_or_else(Answer::Error)
    }

    fn try_answer(
        &mut self,
        header: &Header,
        operation: &Operation<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Answer, i32> {
        let inode = header.inode;
        match *operation {
            Operation::Read {
                offset_bytes,
                len_bytes,
            } => {
                let position = self.position(inode)?;
                let file = self.directory.file(position);
                let wish = transfer::read(position, file, offset_bytes, len_bytes);
                // A reply that is all header: nothing was read.
                return Ok(granted(wish));
            }
            Operation::Write {
                handle,
                offset_bytes,
                len_bytes,
                flags,
            } => {
                let position = self.position(inode)?;
                let file = self.directory.file(position);
                let durable = Handle::decode(handle).durable || flags as i32 & libc::O_DSYNC != 0;
                let wish = transfer::write(position, file, offset_bytes, len_bytes, durable)?;
                if wish != Wish::Nothing {
                    return Ok(granted(wish));
                }
                encode_written(out, 0);
            }
            Operation::Fsync => return Ok(granted(transfer::flush(self.position(inode)?))),
            // The program closes the file. Readers have nothing to make durable.
            Operation::Flush { handle } => {
                let position = self.position(inode)?;
                return Ok(match Handle::decode(handle).writes {
                    true => granted(transfer::flush(position)),
                    false => Answer::Error(0),
                });
            }
            Operation::Allocate {
                handle,
                offset_bytes,
                len_bytes,
                mode,
            } => {
                let position = self.position(inode)?;
                let file = self.directory.file(position);
                let durable = Handle::decode(handle).durable;
                let wish =
                    transfer::allocate(position, file, offset_bytes, len_bytes, mode, durable)?;
                return Ok(granted(wish));
            }
            Operation::Seek {
                offset_bytes,
                whence,
            } => {
                let position = self.position(inode)?;
                let file = self.directory.file(position);
                let wish = transfer::seek(position, file, offset_bytes, whence)?;
                return Ok(granted(wish));
            }
            Operation::Open { flags } => self.open(header, flags, out)?,
            Operation::Lookup { name } if inode == DIRECTORY_INODE => {
                let found = self.directory.inode_of(name);
                let attributes = found.and_then(|inode| self.directory.attributes(inode));
                encode_entry(out, &attributes.ok_or(libc::ENOENT)?);
            }
            Operation::Lookup { .. } => return Err(libc::ENOTDIR),
            Operation::GetAttributes => {
                let attributes = self.directory.attributes(inode).ok_or(libc::ENOENT)?;
                encode_attributes(out, &attributes);
            }
            Operation::SetAttributes(wanted) => self.set_attributes(header, wanted, out)?,
            Operation::Access { mask } => {
                return self.access(inode, mask).map(|()| Answer::Error(0));
            }
            Operation::Change { verb, name } => {
                self.refusals
                    .say(verb, &String::from_utf8_lossy(name), header.process);
                return Err(libc::EPERM);
            }
            Operation::OpenDirectory if inode == DIRECTORY_INODE => encode_open(out, 0, 0),
            Operation::OpenDirectory => return Err(libc::ENOTDIR),
            Operation::ReadDirectory {
                from,
                room_bytes,
                with_attributes,
            } => self.list(from, room_bytes, with_attributes, out),
            Operation::Statistics => encode_statistics(out, &self.directory.statistics()),
            Operation::Release
            | Operation::ReleaseDirectory
            | Operation::FsyncDirectory
            | Operation::Destroy => return Ok(Answer::Error(0)),
            Operation::Forget => return Ok(Answer::Silence),
            // The kernel says this once, before anything else.
            Operation::Init { .. } => return Err(libc::EINVAL),
            Operation::Unknown => return Err(libc::ENOSYS),
        }
        Ok(Answer::Body)
    }

    fn position(&self, inode: u64) -> Result<usize, i32> {
        self.directory.position(inode).ok_or(libc::EISDIR)
    }

    fn open(&mut self, header: &Header, flags: u32, out: &mut Vec<u8>) -> Result<(), i32> {
        let file = self.directory.file(self.position(header.inode)?);
        let handle = Handle::from_open_flags(flags);
        if file.read_only && handle.writes {
            return Err(libc::EROFS);
        }
        if flags as i32 & libc::O_TRUNC != 0 && file.size_bytes != 0 {
            self.refusals.say("truncate", &file.name, header.process);
            return Err(libc::EPERM);
        }
        let flags = OPEN_DIRECT_IO | OPEN_PARALLEL_DIRECT_WRITES;
        encode_open(out, handle.encode(), flags);
        Ok(())
    }

    /// Times are accepted and not kept, as `cp -p` and `touch` set them in passing.
    fn set_attributes(
        &mut self,
        header: &Header,
        wanted: SetAttributes,
        out: &mut Vec<u8>,
    ) -> Result<(), i32> {
        let own = self
            .directory
            .attributes(header.inode)
            .ok_or(libc::ENOENT)?;
        let changes_size = wanted.size_bytes.is_some_and(|size| size != own.size_bytes);
        let changes_owner = wanted.user.is_some_and(|user| user != own.user)
            || wanted.group.is_some_and(|group| group != own.group);
        let changes_mode = wanted.mode.is_some_and(|mode| mode & 0o7777 != own.mode);
        if changes_size || changes_owner || changes_mode {
            let verb = match changes_size {
                true => "change the size of",
                false => "change owner or mode of",
            };
            let position = self.directory.position(header.inode);
            let name: Cow<'_, str> = match position {
                Some(position) => self.directory.file(position).name.as_str().into(),
                None => ".".into(),
            };
            self.refusals.say(verb, &name, header.process);
            return Err(libc::EPERM);
        }
        encode_attributes(out, &own);
        Ok(())
    }

    fn access(&self, inode: u64, mask: u32) -> Result<(), i32> {
        let own = self.directory.attributes(inode).ok_or(libc::ENOENT)?;
        // Only the user who mounted gets this far, and owns everything; so the owner's bits decide.
        let refused = mask & !(own.mode >> 6);
        match refused & (libc::R_OK | libc::W_OK | libc::X_OK) as u32 {
            0 => Ok(()),
            bits if bits == libc::W_OK as u32 => Err(libc::EROFS),
            _ => Err(libc::EACCES),
        }
    }

    fn list(&self, from: u64, room_bytes: u32, with_attributes: bool, out: &mut Vec<u8>) {
        let mut listing = Listing::new(out, room_bytes as usize, with_attributes);
        for line in self.directory.list(from) {
            let Some(attributes) = self.directory.attributes(line.inode) else {
                continue;
            };
            if !listing.add(line.name.as_bytes(), &attributes, line.next) {
                return;
            }
        }
    }
}

fn granted(wish: Wish) -> Answer {
    match wish {
        Wish::Nothing => Answer::Error(0),
        Wish::Transfer(transfer) => Answer::Transfer(transfer),
    }
}
