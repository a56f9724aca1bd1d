//! The places of the tree, and their numbers.
//!
//! ```text
//!   bits 63..38     37..32                                31..0
//!   moment, from 1  0: a directory or file of this crate  which one
//!                   n: the tree n - 1 of the image        inode
//! ```
//! Without a moment: 1 is the root, 2 and more are the virtual disks.

/// A place of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// The directory of the virtual disks.
    Root,
    /// That of the moments of one of them.
    Vdisk(u32),
    /// That of a moment.
    Moment(u32),
    /// The image at a moment.
    Image(u32),
    /// The directory of its partitions.
    Partitions(u32),
    /// A file in a file system of an image.
    File { moment: u32, tree: u32, inode: u32 },
}

const MOMENT_SHIFT: u32 = 38;
const TREE_SHIFT: u32 = 32;
const TREE_MASK: u64 = (1 << (MOMENT_SHIFT - TREE_SHIFT)) - 1;

/// The greatest number of a moment.
pub(crate) const LAST_MOMENT: u32 = (1 << (64 - MOMENT_SHIFT)) - 1;

impl Place {
    /// Its number.
    pub(crate) fn number(self) -> u64 {
        let of = |moment: u32, tree: u32, rest: u32| {
            u64::from(moment) << MOMENT_SHIFT | u64::from(tree) << TREE_SHIFT | u64::from(rest)
        };
        match self {
            Place::Root => 1,
            Place::Vdisk(at) => of(0, 0, at + 2),
            Place::Moment(moment) => of(moment, 0, 1),
            Place::Image(moment) => of(moment, 0, 2),
            Place::Partitions(moment) => of(moment, 0, 3),
            Place::File {
                moment,
                tree,
                inode,
            } => of(moment, tree + 1, inode),
        }
    }

    /// The place of a number; `None` if it is that of none.
    pub(crate) fn of(number: u64) -> Option<Place> {
        let moment = (number >> MOMENT_SHIFT) as u32;
        let tree = (number >> TREE_SHIFT & TREE_MASK) as u32;
        let rest = number as u32;
        Some(match (moment, tree, rest) {
            (0, 0, 1) => Place::Root,
            (0, 0, 2..) => Place::Vdisk(rest - 2),
            (1.., 0, 1) => Place::Moment(moment),
            (1.., 0, 2) => Place::Image(moment),
            (1.., 0, 3) => Place::Partitions(moment),
            (1.., 1.., _) => Place::File {
                moment,
                tree: tree - 1,
                inode: rest,
            },
            _ => return None,
        })
    }

    /// The moment that it belongs to.
    pub(crate) fn moment(self) -> Option<u32> {
        match self {
            Place::Root | Place::Vdisk(_) => None,
            Place::Moment(moment) | Place::Image(moment) | Place::Partitions(moment) => {
                Some(moment)
            }
            Place::File { moment, .. } => Some(moment),
        }
    }
}

#[cfg(test)]
mod tests;
