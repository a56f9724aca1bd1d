//! The entries of the directories of the tree.

use super::{Answer, FILES, IMAGE, Tree, Unread, node_attr, not_found, partition_name};
use crate::attributes;
use crate::place::Place;
use disktime_image_files::{FileSystem, Node};
use fuse3::raw::reply::FileAttr;
use fuse3::{Errno, FileType};
use std::ops::ControlFlow;

/// Most entries of a directory that are answered at once.
const PAGE: usize = 256;
/// The number of an entry that is known when it is looked up.
const UNKNOWN: u64 = 0xFFFF_FFFF;
/// Places of `.` and `..`, before those of entries.
const DOTS: u64 = 2;

/// An entry of a directory.
pub(crate) struct Listed {
    pub(crate) name: Vec<u8>,
    pub(crate) kind: FileType,
    /// Of the inode; of what has no number yet, another one.
    pub(crate) number: u64,
    /// Where the next one is.
    pub(crate) next: u64,
    /// Its attributes, where they were asked for and are known.
    pub(crate) attr: Option<FileAttr>,
}

impl Tree {
    /// Entries of a directory from a place on.
    pub(crate) fn list(&self, place: Place, from: u64, with_attr: bool) -> Answer<Vec<Listed>> {
        let mut page = Vec::new();
        for (name, at) in [(&b"."[..], 0), (b"..", 1)] {
            if from <= at {
                let number = place.number();
                page.push(listed(name, FileType::Directory, number, at + 1));
            }
        }
        let from = from.saturating_sub(DOTS);
        if let Place::File { tree, inode, .. } = place {
            self.with_tree(place, tree, |of| {
                list_files(place, of, &of.node(inode)?, from, with_attr, &mut page)
            })?;
            return Ok(page);
        }
        let names = self.own_names(place)?;
        let rest = names.into_iter().zip(DOTS + 1..).skip(from as usize);
        page.extend(
            rest.take(PAGE)
                .map(|((name, kind), next)| listed(&name, kind, UNKNOWN, next)),
        );
        Ok(page)
    }

    /// The names in a directory of this crate.
    fn own_names(&self, place: Place) -> Answer<Vec<(Vec<u8>, FileType)>> {
        let directory = |name: &[u8]| (name.to_vec(), FileType::Directory);
        Ok(match place {
            Place::Root => {
                let vdisks = self.vdisks.iter();
                vdisks
                    .map(|vdisk| directory(vdisk.name.as_bytes()))
                    .collect()
            }
            Place::Vdisk(at) => {
                let marks = self.past.marks(&self.vdisk(at)?.name);
                marks
                    .iter()
                    .map(|mark| directory(mark.name.as_bytes()))
                    .collect()
            }
            Place::Moment(moment) => {
                let mut names = vec![(IMAGE.to_vec(), FileType::RegularFile)];
                if self.files_place(moment)?.is_some() {
                    names.push(directory(FILES));
                }
                names
            }
            Place::Partitions(moment) => {
                let files = self.files(moment)?.1;
                let trees = files.trees().iter();
                trees.map(|tree| directory(&partition_name(tree))).collect()
            }
            Place::Image(_) | Place::File { .. } => return Err(Errno::from(libc::ENOTDIR)),
        })
    }
}

fn list_files(
    place: Place,
    of: &FileSystem,
    directory: &Node,
    from: u64,
    with_attr: bool,
    page: &mut Vec<Listed>,
) -> Result<(), Unread> {
    let Place::File { moment, tree, .. } = place else {
        return Err(not_found().into());
    };
    of.entries(directory, from, |entry, next| {
        let inode = entry.inode;
        let at = Place::File {
            moment,
            tree,
            inode,
        };
        // An entry whose inode is damaged is listed; looking it up fails.
        let attr = match with_attr || entry.kind.is_none() {
            true => node_attr(at, of, inode).ok(),
            false => None,
        };
        let of_attr = attr.as_ref().map(|attr| attr.kind);
        let kind = of_attr.or(entry.kind.map(attributes::file_type));
        let kind = kind.unwrap_or(FileType::RegularFile);
        page.push(Listed {
            attr: attr.filter(|_| with_attr),
            ..listed(&entry.name, kind, at.number(), next + DOTS)
        });
        match page.len() < PAGE {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    })?;
    Ok(())
}

fn listed(name: &[u8], kind: FileType, number: u64, next: u64) -> Listed {
    Listed {
        name: name.to_vec(),
        kind,
        number,
        next,
        attr: None,
    }
}
