//! Why a file cannot be read.

use std::io;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file system is damaged here.
    #[error("the file system is damaged: {0}")]
    Damaged(&'static str),
    /// It uses something that is not supported.
    #[error("the file system uses {0}, which is not supported")]
    Unsupported(&'static str),
    /// It is no directory.
    #[error("not a directory")]
    NotADirectory,
    /// It is no symbolic link.
    #[error("not a symbolic link")]
    NotALink,
    /// The image cannot be read.
    #[error("the image cannot be read: {0}")]
    Io(#[from] io::Error),
}
