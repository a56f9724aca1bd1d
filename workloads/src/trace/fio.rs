//! An iolog of fio. The first line says `fio version 2 iolog` or `fio version 3 iolog`; then come
//! `FILE ACTION`, for files that are added, opened and closed, and `FILE ACTION OFFSET BYTES` for
//! read, write, trim, sync and datasync. Version 3 has a time in microseconds before each; version
//! 2 has none, but `FILE wait MICROSECONDS 0`, the time since the wait before it.
//!
//! Files are numbered in the order in which they occur; their names are kept in memory, so their
//! number is bounded.

use super::fields::{column, time, words};
use super::reader::{Line, Parsed};
use disktime_engine::RequestKind;
use disktime_units::Nanos;

/// The most files of an iolog; it bounds memory.
const MAX_FILES: usize = 4096;

/// The state after the lines so far.
#[derive(Debug, Default)]
pub(super) struct FioState {
    version: Option<u8>,
    files: Vec<Box<[u8]>>,
    /// Version 2: the waits so far, added up.
    waited: Nanos,
}

impl FioState {
    pub(super) fn line(&mut self, text: &[u8]) -> Result<Parsed, String> {
        let Some(version) = self.version else {
            self.version = Some(match text {
                b"fio version 2 iolog" => 2,
                b"fio version 3 iolog" => 3,
                _ => {
                    return Err(
                        "the first line is not `fio version 2 iolog` or `fio version 3 iolog`"
                            .to_owned(),
                    );
                }
            });
            return Ok(Parsed::Nothing);
        };
        let mut found: [&[u8]; 5] = [&[]; 5];
        let mut count = words(text, &mut found);
        let mut at = self.waited;
        if version == 3 {
            at = time("time", found[0], 1_000)?;
            found.rotate_left(1);
            count -= 1;
        }
        let [file, action, offset, bytes, _] = found;
        let named = || format!("`{}`", String::from_utf8_lossy(action));
        match (action, count) {
            (b"add" | b"open" | b"close", 2) => {
                self.number(file)?;
                return Ok(Parsed::Nothing);
            }
            (b"wait", 4) if version == 2 => {
                let wait = time("microseconds", offset, 1_000)?;
                self.waited = self.waited.saturating_add(wait);
                return Ok(Parsed::Nothing);
            }
            (b"wait", _) if version == 3 => {
                return Err("an iolog of version 3 has times and no `wait`".to_owned());
            }
            _ => {}
        }
        let kind = match action {
            b"read" => RequestKind::Read,
            b"write" => RequestKind::Write,
            b"trim" => RequestKind::Trim,
            b"sync" | b"datasync" => RequestKind::Flush,
            b"" => return Err("the action is missing".to_owned()),
            _ => return Err(format!("{} is not an action of an iolog", named())),
        };
        if count != 4 {
            return Err(format!("{} needs an offset and a number of bytes", named()));
        }
        let flush = kind == RequestKind::Flush;
        Ok(Parsed::One(Line {
            at,
            dev: self.number(file)?,
            kind,
            fua: false,
            offset_bytes: if flush { 0 } else { column("offset", offset)? },
            len_bytes: if flush { 0 } else { column("bytes", bytes)? },
        }))
    }

    /// The number of a file.
    fn number(&mut self, file: &[u8]) -> Result<u64, String> {
        if let Some(number) = self.files.iter().position(|known| **known == *file) {
            return Ok(number as u64);
        }
        if self.files.len() >= MAX_FILES {
            return Err(format!(
                "there are more than {MAX_FILES} files in the iolog"
            ));
        }
        self.files.push(Box::from(file));
        Ok(self.files.len() as u64 - 1)
    }
}
