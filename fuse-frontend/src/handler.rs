//! What to do for each message: reply at once, or send a request to a vdisk.
//!
//! Every operation that would change the directory (create, remove, rename, resize, owner, mode)
//! is refused with EPERM, and the log says why. An operation that is not supported (locks, extended
//! attributes, interrupts) gets ENOSYS once; the kernel then does it itself or does without, and
//! does not send it again. Without interrupts, a program that is killed ends when its request is
//! completed, as with a disk.

use crate::directory::{DIRECTORY_INODE, Directory, NAME_BYTES_MAX};
use crate::protocol::{
    Header, Listing, Operation, SetAttributes, encode_attributes, encode_entry, encode_open,
    encode_statistics, encode_written,
};
use crate::refusal_log::log_refusal;
use crate::vdisk_request::{self, VdiskRequest};
use disktime_engine::OpenedFile;
use std::borrow::Cow;

/// Flags of an `open` reply: no page cache, and parallel writes. Without the second the kernel
/// holds the inode's lock during each synchronous write, so there is one writer at a time.
const OPEN_DIRECT_IO: u32 = 1 << 0;
const OPEN_PARALLEL_DIRECT_WRITES: u32 = 1 << 6;

/// What to do for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handled {
    /// Send a reply with the body that was encoded.
    Reply,
    /// Send a reply without a body: 0 for success, or an errno.
    Error(i32),
    /// Send no reply.
    NoReply,
    /// Send a request to a vdisk; the reply follows when it is completed.
    Request(VdiskRequest),
}

/// What an `open` said and got, kept in the file handle, so that no table of open files is needed.
#[derive(Debug, Clone, Copy)]
struct Handle {
    durable: bool,
    writes: bool,
    opened: OpenedFile,
}

impl Handle {
    fn from_open_flags(flags: u32, opened: OpenedFile) -> Handle {
        let flags = flags as i32;
        Handle {
            // O_SYNC contains O_DSYNC.
            durable: flags & libc::O_DSYNC != 0,
            writes: writes(flags),
            opened,
        }
    }

    fn encode(self) -> u64 {
        u64::from(self.durable) | u64::from(self.writes) << 1 | self.opened.0 << 2
    }

    fn decode(handle: u64) -> Handle {
        Handle {
            durable: handle & 1 != 0,
            writes: handle & 2 != 0,
            opened: OpenedFile(handle >> 2),
        }
    }
}

fn writes(open_flags: i32) -> bool {
    open_flags & libc::O_ACCMODE != libc::O_RDONLY
}

/// The open file that a handle means.
pub(crate) fn opened_file(handle: u64) -> OpenedFile {
    Handle::decode(handle).opened
}

/// Handles the messages about a directory.
#[derive(Debug)]
pub(crate) struct OperationHandler {
    directory: Directory,
}

impl OperationHandler {
    pub(crate) fn new(directory: Directory) -> OperationHandler {
        OperationHandler { directory }
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Changes what the directory has.
    pub(crate) fn directory_mut(&mut self) -> &mut Directory {
        &mut self.directory
    }

    /// What to do for a message; the body of a reply is put into `out`, which is empty.
    pub(crate) fn handle(
        &mut self,
        header: &Header,
        operation: &Operation<'_>,
        out: &mut Vec<u8>,
    ) -> Handled {
        self.try_handle(header, operation, out)
            .unwrap_or_else(Handled::Error)
    }

    fn try_handle(
        &mut self,
        header: &Header,
        operation: &Operation<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Handled, i32> {
        let inode = header.inode;
        if let Some(handle) = operation.handle() {
            self.refuse_ended(inode, handle)?;
        }
        match *operation {
            Operation::Read {
                offset_bytes,
                len_bytes,
                ..
            } => {
                let position = self.position(inode)?;
                let file = self.directory.file(position);
                let request = vdisk_request::read(position, file, offset_bytes, len_bytes);
                // Without a request nothing is read, and the reply has a header only.
                return Ok(request_or_success(request));
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
                match vdisk_request::write(position, file, offset_bytes, len_bytes, durable)? {
                    Some(request) => return Ok(Handled::Request(request)),
                    None => encode_written(out, 0),
                }
            }
            Operation::Fsync { .. } => {
                let request = vdisk_request::flush(self.position(inode)?);
                return Ok(Handled::Request(request));
            }
            // The program closes the file. A reader has nothing to make durable.
            Operation::Flush { handle } => {
                let position = self.position(inode)?;
                return Ok(match Handle::decode(handle).writes {
                    true => Handled::Request(vdisk_request::flush(position)),
                    false => Handled::Error(0),
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
                let request = vdisk_request::allocate(
                    position,
                    file,
                    offset_bytes,
                    len_bytes,
                    mode,
                    durable,
                )?;
                return Ok(request_or_success(request));
            }
            Operation::Seek {
                offset_bytes,
                whence,
                ..
            } => {
                let position = self.position(inode)?;
                let file = self.directory.file(position);
                let request = vdisk_request::seek(position, file, offset_bytes, whence)?;
                return Ok(request_or_success(request));
            }
            Operation::Open { flags } => self.open(header, flags, out)?,
            Operation::Lookup { name } if inode == DIRECTORY_INODE => {
                if is_too_long(name) {
                    return Err(libc::ENAMETOOLONG);
                }
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
                return self.access(inode, mask).map(|()| Handled::Error(0));
            }
            Operation::Change { name, .. } if is_too_long(name) => return Err(libc::ENAMETOOLONG),
            Operation::Change { verb, name } => {
                log_refusal(verb, &String::from_utf8_lossy(name), header.process);
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
            Operation::Release { handle } => {
                // Of a file that is not served any more nothing is counted.
                if let Some(position) = self.directory.position(inode) {
                    let clients = &self.directory.file(position).clients;
                    clients.close_file(opened_file(handle));
                }
                return Ok(Handled::Error(0));
            }
            Operation::ReleaseDirectory | Operation::FsyncDirectory | Operation::Destroy => {
                return Ok(Handled::Error(0));
            }
            Operation::Forget => return Ok(Handled::NoReply),
            // The kernel sends this once, before any other message.
            Operation::Init { .. } => return Err(libc::EINVAL),
            Operation::Unknown => return Err(libc::ENOSYS),
        }
        Ok(Handled::Reply)
    }

    fn position(&self, inode: u64) -> Result<usize, i32> {
        let error = match inode {
            DIRECTORY_INODE => libc::EISDIR,
            // A removed file that a program still has open.
            _ => libc::ESTALE,
        };
        self.directory.position(inode).ok_or(error)
    }

    /// What a program does with a file that was ended fails: the content below it is another one.
    fn refuse_ended(&self, inode: u64, handle: u64) -> Result<(), i32> {
        let file = self.directory.file(self.position(inode)?);
        match file.clients.is_open(opened_file(handle)) {
            true => Ok(()),
            false => Err(libc::EIO),
        }
    }

    fn open(&mut self, header: &Header, flags: u32, out: &mut Vec<u8>) -> Result<(), i32> {
        let file = self.directory.file(self.position(header.inode)?);
        if file.read_only && writes(flags as i32) {
            return Err(libc::EROFS);
        }
        if flags as i32 & libc::O_TRUNC != 0 && file.size_bytes != 0 {
            log_refusal("truncate", &file.name, header.process);
            return Err(libc::EPERM);
        }
        let opened = file.clients.open_file().map_err(|_| libc::EBUSY)?;
        let handle = Handle::from_open_flags(flags, opened);
        let flags = OPEN_DIRECT_IO | OPEN_PARALLEL_DIRECT_WRITES;
        encode_open(out, handle.encode(), flags);
        Ok(())
    }

    /// Nothing is changed. The times are those of the content: a time that a program could set
    /// could hide a change from a backup.
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
        let changes_times = wanted.times;
        if changes_size || changes_owner || changes_mode || changes_times {
            let verb = match (changes_size, changes_owner || changes_mode) {
                (true, _) => "change the size of",
                (_, true) => "change owner or mode of",
                (false, false) => "set the times of",
            };
            let position = self.directory.position(header.inode);
            let name: Cow<'_, str> = match position {
                Some(position) => self.directory.file(position).name.as_str().into(),
                None => ".".into(),
            };
            log_refusal(verb, &name, header.process);
            return Err(libc::EPERM);
        }
        encode_attributes(out, &own);
        Ok(())
    }

    fn access(&self, inode: u64, mask: u32) -> Result<(), i32> {
        let own = self.directory.attributes(inode).ok_or(libc::ENOENT)?;
        // Only the user who mounted the directory has access to it, and owns all files; so the
        // owner's permission bits decide.
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

/// Whether no file can have that name. The kernel leaves names of up to 1,024 bytes to the server.
fn is_too_long(name: &[u8]) -> bool {
    name.len() > NAME_BYTES_MAX as usize
}

/// A request, or success at once where there is none.
fn request_or_success(request: Option<VdiskRequest>) -> Handled {
    request.map_or(Handled::Error(0), Handled::Request)
}
