//! An image, and the file systems in it.

use crate::error::FileError;
use crate::ext4::FileSystem;
use crate::partitions::{self, Partition};
use std::io;
use std::sync::Arc;

/// Bytes that can be read at any place.
pub trait Image: Send + Sync {
    /// How many there are.
    fn size_bytes(&self) -> u64;

    /// Reads `into.len()` bytes.
    ///
    /// # Errors
    /// When they cannot all be read.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()>;
}

impl Image for Vec<u8> {
    fn size_bytes(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let from = self.get(start..).and_then(|rest| rest.get(..into.len()));
        into.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// A file system of an image.
#[derive(Debug)]
pub struct Tree {
    /// The number of its partition; `None` if it is the whole image.
    pub partition: Option<u32>,
    /// The file system; its error, if it is one that cannot be read.
    pub file_system: Result<FileSystem, FileError>,
}

/// The file systems of an image.
#[derive(Debug)]
pub struct ImageFiles {
    trees: Vec<Tree>,
}

impl ImageFiles {
    /// Finds the file systems: on the whole image, else in its first partitions.
    ///
    /// # Errors
    /// When the image cannot be read.
    pub fn open(image: &Arc<dyn Image>) -> Result<ImageFiles, FileError> {
        let whole = Partition::whole(image.size_bytes());
        if let Some(file_system) = open_at(image, whole)? {
            let partition = None;
            return Ok(ImageFiles {
                trees: vec![Tree {
                    partition,
                    file_system,
                }],
            });
        }
        let mut trees = Vec::new();
        for found in partitions::find(image.as_ref())? {
            // One that cannot be read hides no other.
            let opened = open_at(image, found);
            if let Some(file_system) = opened.unwrap_or_else(|error| Some(Err(error))) {
                trees.push(Tree {
                    partition: Some(found.number),
                    file_system,
                });
            }
        }
        Ok(ImageFiles { trees })
    }

    /// The file systems, in the order of their partitions.
    pub fn trees(&self) -> &[Tree] {
        &self.trees
    }
}

/// The file system at a place; `None` if there is none.
fn open_at(
    image: &Arc<dyn Image>,
    place: Partition,
) -> Result<Option<Result<FileSystem, FileError>>, FileError> {
    match FileSystem::open(image.clone(), place.offset, place.len_bytes) {
        Ok(found) => Ok(found.map(Ok)),
        Err(FileError::Io(error)) => Err(FileError::Io(error)),
        Err(error) => Ok(Some(Err(error))),
    }
}
