//! A disk's file as it was before it was opened. Opening makes a missing file and lets a short one
//! grow; when the disk is then refused, or another disk of the same file is, that is taken back, so
//! that a refusal changes nothing on disk.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Puts the file back as it was when it is dropped, unless it was told to keep what was done.
#[derive(Debug)]
#[must_use = "dropping it takes back what opening did"]
pub struct Untouched {
    path: PathBuf,
    before: Before,
}

#[derive(Debug)]
enum Before {
    Missing,
    /// A regular file of so many bytes.
    File(u64),
    /// A device, or something that cannot be opened anyway; or what was done is to be kept.
    Keep,
}

impl Untouched {
    /// Looks at the file.
    pub fn look(path: &Path) -> Untouched {
        let before = match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => Before::File(metadata.len()),
            Err(error) if error.kind() == ErrorKind::NotFound => Before::Missing,
            _ => Before::Keep,
        };
        let path = path.to_owned();
        Untouched { path, before }
    }

    /// From now on the file is a disk of ours.
    pub fn keep(mut self) {
        self.before = Before::Keep;
    }

    fn put_back(&self) -> std::io::Result<()> {
        match self.before {
            Before::Keep => Ok(()),
            Before::Missing if !self.path.exists() => Ok(()),
            Before::Missing => std::fs::remove_file(&self.path),
            Before::File(len) if std::fs::metadata(&self.path)?.len() == len => Ok(()),
            Before::File(len) => OpenOptions::new()
                .write(true)
                .open(&self.path)?
                .set_len(len),
        }
    }
}

impl Drop for Untouched {
    fn drop(&mut self) {
        if let Err(error) = self.put_back() {
            tracing::warn!(
                "{} cannot be put back as it was before it was opened: {error}",
                self.path.display()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_opening_did_is_taken_back_or_kept() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("d.disk");
        drop(Untouched::look(&path));
        let guard = Untouched::look(&path);
        std::fs::write(&path, "made").expect("a file");
        drop(guard);
        assert!(!path.exists());
        std::fs::write(&path, "short").expect("a file");
        let guard = Untouched::look(&path);
        let file = OpenOptions::new()
            .write(true)
            .open(&path)
            .expect("it is there");
        file.set_len(1 << 20).expect("it grows");
        drop(guard);
        assert_eq!(std::fs::read(&path).expect("it is there"), b"short");
        let guard = Untouched::look(&path);
        file.set_len(1 << 20).expect("it grows");
        guard.keep();
        assert_eq!(
            std::fs::metadata(&path).expect("it is there").len(),
            1 << 20
        );
    }
}
