//! Two vdisks in memory, served until the directory is unmounted: to try the door and to measure it alone.
//!
//! `cargo run --release -p disktime-fuse --example memory -- DIRECTORY`

use disktime_engine::{Buffer, IoError, RequestKind};
use disktime_fuse::{FuseBackend, FuseFile};
use std::path::PathBuf;
use std::sync::RwLock;

const SIZE_BYTES: u64 = 256 << 20;

struct Memory(Vec<RwLock<Vec<u8>>>);

impl FuseBackend for Memory {
    fn files(&self) -> Vec<FuseFile> {
        let name = |number| format!("memory{number}");
        let file = |number| FuseFile {
            name: name(number),
            size_bytes: SIZE_BYTES,
            read_only: false,
            optimal_io_bytes: 65_536,
        };
        (0..self.0.len()).map(file).collect()
    }

    async fn submit(
        &self,
        file: usize,
        kind: RequestKind,
        offset_bytes: u64,
        len_bytes: u64,
        _fua: bool,
        mut buffer: Option<Buffer>,
    ) -> Result<Option<Buffer>, IoError> {
        let range = offset_bytes as usize..(offset_bytes + len_bytes) as usize;
        let content = &self.0[file];
        match (kind, &mut buffer) {
            (RequestKind::Read, Some(buffer)) => {
                buffer.copy_from_slice(&content.read().map_err(|_| IoError::Io)?[range]);
            }
            (RequestKind::Write, Some(buffer)) => {
                content.write().map_err(|_| IoError::Io)?[range].copy_from_slice(buffer);
            }
            (RequestKind::WriteZeroes, _) => {
                content.write().map_err(|_| IoError::Io)?[range].fill(0)
            }
            _ => {}
        }
        Ok(buffer)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Some(directory) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err("usage: memory DIRECTORY".into());
    };
    let memory = Memory(
        (0..2)
            .map(|_| RwLock::new(vec![0; SIZE_BYTES as usize]))
            .collect(),
    );
    let handle = disktime_fuse::mount(&directory, memory).await?;
    println!("serving {}; end with Ctrl-C", handle.path().display());
    tokio::signal::ctrl_c().await?;
    handle.unmount().await?;
    Ok(())
}
