//! Taking back a file that was made for a disk which was then refused, without ever taking one that
//! somebody uses: it goes only while it is locked, while the path still names it, and while nothing
//! was written to it.

use crate::image_lock::{LockOutcome, lock_image};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Removes the file at `path` if it is the one of that device and inode, nobody has it locked, and
/// not a byte of it was ever written. Returns whether it did.
///
/// # Errors
/// What the system said.
pub fn remove_unused(path: &Path, device: u64, inode: u64) -> io::Result<bool> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    match lock_image(&file, path) {
        Ok(LockOutcome::Held) => {}
        // Used by somebody, or on a file system without locks, where nobody can tell.
        Ok(LockOutcome::Unsupported(_)) | Err(_) => return Ok(false),
    }
    let (locked, named) = (file.metadata()?, std::fs::metadata(path)?);
    let is_it = |metadata: &std::fs::Metadata| (metadata.dev(), metadata.ino()) == (device, inode);
    if !is_it(&locked) || !is_it(&named) || locked.blocks() != 0 {
        return Ok(false);
    }
    std::fs::remove_file(path)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Backing, BackingOptions};

    #[test]
    fn only_an_unused_file_goes() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("d.disk");
        let options = BackingOptions {
            path: path.clone(),
            size_bytes: Some(1 << 20),
            create: true,
            direct: false,
        };
        let used = Backing::open(&options).expect("a new file");
        let made = std::fs::metadata(&path).expect("it is there");
        let remove = || remove_unused(&path, made.dev(), made.ino()).expect("it can be looked at");
        assert!(!remove(), "a file in use was removed");
        drop(used);
        let other = remove_unused(&path, made.dev(), made.ino() + 1).expect("as above");
        assert!(!other, "another file was removed");
        assert!(remove() && !path.exists());
        std::fs::write(&path, "something").expect("a file");
        let written = std::fs::metadata(&path).expect("it is there");
        let removed = remove_unused(&path, written.dev(), written.ino()).expect("as above");
        assert!(!removed && path.exists(), "a file with content was removed");
    }
}
