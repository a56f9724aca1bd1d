//! Encoding of replies to the kernel. Each function appends the part after the header to a vector,
//! which is reused from reply to reply.

use super::wire::Put;

/// Length of a reply's header.
pub(crate) const REPLY_HEADER_BYTES: usize = 16;

/// How long the kernel may cache names, and attributes of the directory: they never change. The
/// attributes of files are not cached: other frontends change them.
const REMEMBER_SECONDS: u64 = 3600;

/// The header of a reply with `body_bytes` after it; an error, which has no body, is an errno.
pub(crate) fn reply_header(unique: u64, error: i32, body_bytes: usize) -> [u8; REPLY_HEADER_BYTES] {
    let len = (REPLY_HEADER_BYTES + body_bytes) as u32;
    let mut header = [0; REPLY_HEADER_BYTES];
    header[..4].copy_from_slice(&len.to_ne_bytes());
    header[4..8].copy_from_slice(&(-error).to_ne_bytes());
    header[8..].copy_from_slice(&unique.to_ne_bytes());
    header
}

/// What an inode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    Directory,
    File,
}

impl EntryKind {
    fn mode(self) -> u32 {
        match self {
            EntryKind::Directory => libc::S_IFDIR,
            EntryKind::File => libc::S_IFREG,
        }
    }
}

/// What `stat` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) inode: u64,
    pub(crate) kind: EntryKind,
    /// The permission bits.
    pub(crate) mode: u32,
    pub(crate) size_bytes: u64,
    pub(crate) stored_bytes: u64,
    /// Of access, change and modification, in nanoseconds since 1970.
    pub(crate) time_ns: u64,
    pub(crate) user: u32,
    pub(crate) group: u32,
    pub(crate) block_bytes: u32,
}

impl Attributes {
    fn remember_seconds(&self) -> u64 {
        match self.kind {
            EntryKind::Directory => REMEMBER_SECONDS,
            EntryKind::File => 0,
        }
    }
}

/// What `statfs` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Statistics {
    pub(crate) blocks: u64,
    pub(crate) block_bytes: u32,
    pub(crate) files: u64,
    pub(crate) name_bytes_max: u32,
}

/// The reply to the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InitReply {
    pub(crate) readahead_bytes: u32,
    pub(crate) flags: u64,
    pub(crate) background_max: u16,
    pub(crate) request_bytes_max: u32,
}

/// The version of the protocol that these replies follow.
const MAJOR: u32 = 7;
const MINOR: u32 = 36;
const PAGE_BYTES: u32 = 4096;

pub(crate) fn encode_init(out: &mut Vec<u8>, init: &InitReply) {
    out.put_u32(MAJOR);
    out.put_u32(MINOR);
    out.put_u32(init.readahead_bytes);
    out.put_u32(init.flags as u32);
    out.put_u16(init.background_max);
    // Above this the kernel calls the file system congested, which slows writers down.
    out.put_u16(init.background_max / 4 * 3);
    out.put_u32(init.request_bytes_max);
    // Granularity of times, in nanoseconds.
    out.put_u32(1);
    out.put_u16((init.request_bytes_max / PAGE_BYTES) as u16);
    out.put_u16(0);
    out.put_u32((init.flags >> 32) as u32);
    out.put_zeroes(7 * 4);
}

fn put_attributes(out: &mut Vec<u8>, of: &Attributes) {
    out.put_u64(of.inode);
    out.put_u64(of.size_bytes);
    // The unit is 512 bytes, whatever a block is.
    out.put_u64(of.stored_bytes.div_ceil(512));
    (0..3).for_each(|_| out.put_u64(of.time_ns / 1_000_000_000));
    (0..3).for_each(|_| out.put_u32((of.time_ns % 1_000_000_000) as u32));
    out.put_u32(of.kind.mode() | of.mode);
    out.put_u32(if of.kind == EntryKind::Directory {
        2
    } else {
        1
    });
    out.put_u32(of.user);
    out.put_u32(of.group);
    out.put_u32(0);
    out.put_u32(of.block_bytes);
    out.put_u32(0);
}

/// The reply to a lookup.
pub(crate) fn encode_entry(out: &mut Vec<u8>, of: &Attributes) {
    out.put_u64(of.inode);
    out.put_u64(0);
    out.put_u64(REMEMBER_SECONDS);
    out.put_u64(of.remember_seconds());
    out.put_zeroes(2 * 4);
    put_attributes(out, of);
}

/// The reply to a request to read or to change attributes.
pub(crate) fn encode_attributes(out: &mut Vec<u8>, of: &Attributes) {
    out.put_u64(of.remember_seconds());
    out.put_zeroes(2 * 4);
    put_attributes(out, of);
}

pub(crate) fn encode_open(out: &mut Vec<u8>, handle: u64, flags: u32) {
    out.put_u64(handle);
    out.put_u32(flags);
    out.put_zeroes(4);
}

pub(crate) fn encode_written(out: &mut Vec<u8>, len_bytes: u32) {
    out.put_u32(len_bytes);
    out.put_zeroes(4);
}

pub(crate) fn encode_found(out: &mut Vec<u8>, offset_bytes: u64) {
    out.put_u64(offset_bytes);
}

/// What is there is as large as its files together, and full.
pub(crate) fn encode_statistics(out: &mut Vec<u8>, of: &Statistics) {
    out.put_u64(of.blocks);
    out.put_zeroes(2 * 8);
    out.put_u64(of.files);
    out.put_u64(0);
    out.put_u32(of.block_bytes);
    out.put_u32(of.name_bytes_max);
    out.put_u32(of.block_bytes);
    out.put_zeroes(7 * 4);
}

/// A part of a listing, as long as it fits.
#[derive(Debug)]
pub(crate) struct Listing<'a> {
    out: &'a mut Vec<u8>,
    end: usize,
    with_attributes: bool,
}

impl<'a> Listing<'a> {
    pub(crate) fn new(
        out: &'a mut Vec<u8>,
        room_bytes: usize,
        with_attributes: bool,
    ) -> Listing<'a> {
        let end = out.len().saturating_add(room_bytes);
        Listing {
            out,
            end,
            with_attributes,
        }
    }

    /// Adds a line, if there is space for it; a listing that starts at `next` continues after it.
    pub(crate) fn add(&mut self, name: &[u8], of: &Attributes, next: u64) -> bool {
        const ENTRY_BYTES: usize = 40 + 88;
        const LINE_BYTES: usize = 24;
        let front = if self.with_attributes { ENTRY_BYTES } else { 0 };
        let padding = name.len().next_multiple_of(8) - name.len();
        if self.out.len() + front + LINE_BYTES + name.len() + padding > self.end {
            return false;
        }
        if self.with_attributes {
            // A listing does not look up `.` and `..`; an inode of 0 says so.
            let is_dots = matches!(name, b"." | b"..");
            let at = self.out.len();
            encode_entry(self.out, of);
            if is_dots {
                self.out[at..at + 8].fill(0);
            }
        }
        self.out.put_u64(of.inode);
        self.out.put_u64(next);
        self.out.put_u32(name.len() as u32);
        self.out.put_u32(of.kind.mode() >> 12);
        self.out.extend_from_slice(name);
        self.out.put_zeroes(padding);
        true
    }
}
