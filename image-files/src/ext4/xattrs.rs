//! Extended attributes: in the inode, in a block of their own, values in inodes of their own. ACLs
//! are given as system calls have them.

use super::FileSystem;
use super::inode::Node;
use super::superblock::sum;
use crate::error::FileError;
use disktime_units::little_endian::{u16_at, u32_at};

const MAGIC: u32 = 0xEA02_0000;
const BLOCK_HEAD_BYTES: usize = 32;
const CHECKSUM_AT: usize = 16;
const ENTRY_BYTES: usize = 16;
/// The kernel takes no longer ones.
const MOST_VALUE_BYTES: u64 = 64 << 10;

const ACL: u8 = 2;
const DEFAULT_ACL: u8 = 3;
const SYSTEM: u8 = 7;
/// The rest of content that lies in the inode.
const INLINE_NAME: &[u8] = b"data";

/// An extended attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Xattr {
    /// Its whole name, as in `user.origin`.
    pub name: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

/// An attribute as it is stored.
struct Stored {
    index: u8,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl FileSystem {
    /// The extended attributes of a file.
    ///
    /// # Errors
    /// When they are damaged.
    pub fn xattrs(&self, node: &Node) -> Result<Vec<Xattr>, FileError> {
        let mut stored = self.in_inode(node)?;
        if node.xattr_block != 0 {
            stored.extend(self.in_block(node)?);
        }
        Ok(stored.into_iter().filter_map(Stored::shown).collect())
    }

    /// What of the content of a file lies in the inode.
    pub(super) fn inline_content(&self, node: &Node) -> Result<Vec<u8>, FileError> {
        let mut content = node.places.to_vec();
        let of_content = |one: &Stored| one.index == SYSTEM && one.name == INLINE_NAME;
        if let Some(rest) = self.in_inode(node)?.into_iter().find(of_content) {
            content.extend(rest.value);
        }
        content.truncate(usize::try_from(node.size_bytes()).unwrap_or(usize::MAX));
        Ok(content)
    }

    fn in_inode(&self, node: &Node) -> Result<Vec<Stored>, FileError> {
        match node.extra.len() > 4 && u32_at(&node.extra, 0) == MAGIC {
            true => self.list(&node.extra[4..], 0),
            false => Ok(Vec::new()),
        }
    }

    fn in_block(&self, node: &Node) -> Result<Vec<Stored>, FileError> {
        let bytes = self.blocks.block(node.xattr_block)?;
        let is_whole = !self.superblock.has_checksums || {
            let seed = sum(self.superblock.seed, &node.xattr_block.to_le_bytes());
            let head = sum(sum(seed, &bytes[..CHECKSUM_AT]), &[0; 4]);
            sum(head, &bytes[CHECKSUM_AT + 4..]) == u32_at(&bytes, CHECKSUM_AT)
        };
        match is_whole && u32_at(&bytes, 0) == MAGIC {
            true => self.list(&bytes, BLOCK_HEAD_BYTES),
            false => Err(FileError::Damaged("extended attributes do not verify")),
        }
    }

    /// The attributes whose entries begin at a place of `bytes`, in which their values lie.
    fn list(&self, bytes: &[u8], mut at: usize) -> Result<Vec<Stored>, FileError> {
        const BROKEN: FileError = FileError::Damaged("an extended attribute is impossible");
        let mut found = Vec::new();
        while at + 4 <= bytes.len() && u32_at(bytes, at) != 0 {
            let entry = bytes.get(at..at + ENTRY_BYTES).ok_or(BROKEN)?;
            let name_len = usize::from(entry[0]);
            let name = bytes.get(at + ENTRY_BYTES..at + ENTRY_BYTES + name_len);
            let (inode, len) = (u32_at(entry, 4), u64::from(u32_at(entry, 8)));
            if len > MOST_VALUE_BYTES {
                return Err(BROKEN);
            }
            let value = match inode {
                0 => {
                    let start = usize::from(u16_at(entry, 2));
                    let value = bytes.get(start..start + len as usize);
                    value.ok_or(BROKEN)?.to_vec()
                }
                inode => self.value_in(inode, len)?,
            };
            found.push(Stored {
                index: entry[1],
                name: name.ok_or(BROKEN)?.to_vec(),
                value,
            });
            at += (ENTRY_BYTES + name_len).next_multiple_of(4);
        }
        Ok(found)
    }

    fn value_in(&self, inode: u32, len: u64) -> Result<Vec<u8>, FileError> {
        let node = self.node(inode)?;
        // Content inside of an inode is found by its attributes: one that leads to itself would
        // have no end.
        if !node.is_file() || node.has_inline_content() {
            return Err(FileError::Damaged("an extended attribute is impossible"));
        }
        let mut value = vec![0; len as usize];
        match self.read(&node, 0, &mut value)? == value.len() {
            true => Ok(value),
            false => Err(FileError::Damaged("an extended attribute is impossible")),
        }
    }
}

impl Stored {
    /// As system calls have it; `None` if they do not.
    fn shown(self) -> Option<Xattr> {
        let with_prefix = |prefix: &[u8]| [prefix, &self.name].concat();
        let (name, value) = match self.index {
            1 => (with_prefix(b"user."), self.value),
            ACL => (b"system.posix_acl_access".to_vec(), acl(&self.value)?),
            DEFAULT_ACL => (b"system.posix_acl_default".to_vec(), acl(&self.value)?),
            4 => (with_prefix(b"trusted."), self.value),
            6 => (with_prefix(b"security."), self.value),
            SYSTEM if self.name != INLINE_NAME => (with_prefix(b"system."), self.value),
            _ => return None,
        };
        Some(Xattr { name, value })
    }
}

/// An ACL of version 1, which leaves out what has no number, as one of version 2.
fn acl(stored: &[u8]) -> Option<Vec<u8>> {
    const USER: u16 = 0x2;
    const GROUP: u16 = 0x8;
    if stored.len() < 4 || u32_at(stored, 0) != 1 {
        return None;
    }
    let mut rest = &stored[4..];
    let mut shown = 2u32.to_le_bytes().to_vec();
    while !rest.is_empty() {
        let (head, behind) = rest.split_at_checked(4)?;
        let number: [u8; 4];
        (number, rest) = match u16_at(head, 0) {
            USER | GROUP => {
                let (number, behind) = behind.split_at_checked(4)?;
                (number.try_into().ok()?, behind)
            }
            _ => ([0xFF; 4], behind),
        };
        shown.extend(head);
        shown.extend(number);
    }
    Some(shown)
}
