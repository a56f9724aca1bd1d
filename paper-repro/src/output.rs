//! The directory that the report goes to.
//!
//! Invariants: a file that this program did not make is never overwritten, and that is found out
//! before anything is run; a file is there whole or not at all.

use crate::page;
use crate::report::{Conditions, Entry, GENERATOR, report_text};
use disktime_lab::{LabError, LabResult};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// By this a picture is known as ours.
const SVG_MARK: &str = "<!-- made by disktime paper-repro -->";
/// How far into a file the mark is looked for.
const HEAD_BYTES: u64 = 4096;

/// A directory that can be written to.
#[derive(Debug)]
pub struct Output {
    directory: PathBuf,
}

impl Output {
    /// Makes the directory if it is not there, and tries to write in it.
    ///
    /// # Errors
    /// If that is not possible, as a sentence.
    pub fn prepare(directory: &Path) -> LabResult<Output> {
        let failed = |error: std::io::Error| {
            LabError::new(format!(
                "the report cannot be written to {}: {error}; name another directory with --out DIR",
                directory.display()
            ))
        };
        std::fs::create_dir_all(directory).map_err(failed)?;
        tempfile::tempfile_in(directory).map_err(failed)?;
        let output = Output {
            directory: directory.to_owned(),
        };
        output.refuse_foreign("report.json")?;
        output.refuse_foreign("report.html")?;
        Ok(output)
    }

    /// Where a file goes.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Writes the report, the page and the pictures.
    ///
    /// # Errors
    /// If a figure cannot be drawn or a file not be written, or a file was not made by this
    /// program.
    pub fn write(&self, conditions: &Conditions, entries: &[Entry]) -> LabResult {
        let mut files = vec![("report.json".to_owned(), report_text(conditions, entries))];
        for figure in entries.iter().flat_map(|entry| entry.finding.figures()) {
            files.push((
                figure.file_name(),
                format!("{}\n{SVG_MARK}\n", figure.to_svg()?),
            ));
        }
        files.push(("report.html".to_owned(), page::page(conditions, entries)?));
        for (name, _) in &files {
            self.refuse_foreign(name)?;
        }
        files
            .iter()
            .try_for_each(|(name, content)| self.put(name, content))
    }

    /// Fails if there is a file of that name that is not ours.
    fn refuse_foreign(&self, name: &str) -> LabResult {
        let path = self.path(name);
        match is_ours(&path) {
            Ok(true) => Ok(()),
            Ok(false) => Err(LabError::new(format!(
                "{} was not made by this program and is not overwritten; move it away, or name \
                 another directory with --out DIR",
                path.display()
            ))),
            Err(error) => Err(LabError::new(format!(
                "{} cannot be read, so it is not known whether it may be overwritten: {error}; \
                 name another directory with --out DIR",
                path.display()
            ))),
        }
    }

    fn put(&self, name: &str, content: &str) -> LabResult {
        let path = self.path(name);
        let written = tempfile::NamedTempFile::new_in(&self.directory).and_then(|mut file| {
            file.write_all(content.as_bytes())?;
            allow_reading(file.as_file())?;
            file.persist(&path)?;
            Ok(())
        });
        written.map_err(|error| {
            LabError::new(format!(
                "{} cannot be written: {error}; make room, or name another directory with --out DIR",
                path.display()
            ))
        })
    }
}

/// A temporary file is its owner's alone; a report is for everyone.
fn allow_reading(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

/// Whether there is nothing at `path`, or a file that this program made.
fn is_ours(path: &Path) -> std::io::Result<bool> {
    let metadata = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
        other => other?,
    };
    if !metadata.is_file() {
        return Ok(false);
    }
    let is_picture = path.extension().is_some_and(|extension| extension == "svg");
    let mut text = Vec::new();
    let mut file = File::open(path)?;
    if is_picture {
        // The mark of a picture is at its end.
        let skip = metadata.len().saturating_sub(HEAD_BYTES);
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(skip))?;
        file.read_to_end(&mut text)?;
        return Ok(String::from_utf8_lossy(&text).contains(SVG_MARK));
    }
    file.read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).contains(GENERATOR))
}

#[cfg(test)]
mod tests;
