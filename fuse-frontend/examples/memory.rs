//! Two vdisks in memory, served until Ctrl-C: to try the frontend and to measure it alone, without
//! a scheduler and without a disk.
//!
//! `cargo run --release -p disktime-fuse --example memory -- DIRECTORY`

use disktime_engine::{LastChange, Reactor, Reply, Request, Service, VdiskId};
use disktime_fuse::{FileIdentity, FuseFile, Transport};
use disktime_testing::memory::perform;
use disktime_units::Nanos;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

const VDISKS: u32 = 2;
const SIZE_BYTES: u64 = 256 << 20;

/// Does each request when it comes, and answers in the next turn.
struct Memory {
    contents: Vec<Vec<u8>>,
    done: Vec<Reply>,
}

impl Service for Memory {
    fn submit(&mut self, _now: Nanos, request: Request) -> Result<(), Request> {
        let content = &mut self.contents[request.vdisk.0 as usize];
        self.done.push(perform(content, request));
        Ok(())
    }

    fn turn(&mut self, _now: Nanos, replies: &mut Vec<Reply>) {
        replies.append(&mut self.done);
    }

    fn next_wake(&self) -> Option<Nanos> {
        None
    }

    fn wake_fds(&self) -> Vec<RawFd> {
        Vec::new()
    }

    fn is_idle(&self) -> bool {
        self.done.is_empty()
    }
}

fn files() -> Vec<FuseFile> {
    let file = |number: u32| FuseFile {
        identity: FileIdentity(u128::from(number)),
        name: format!("memory{number}"),
        size_bytes: SIZE_BYTES,
        stored: None,
        last_change: LastChange::default(),
        clients: Default::default(),
        read_only: false,
        punches_holes: true,
        optimal_io_bytes: 65_536,
        disk: 0,
        vdisk: VdiskId(u64::from(number)),
    };
    (0..VDISKS).map(file).collect()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Some(directory) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err("usage: memory DIRECTORY".into());
    };
    // Touched, so that nothing is measured that the first touch costs.
    let content = || vec![1; SIZE_BYTES as usize];
    let memory = Memory {
        contents: (0..VDISKS).map(|_| content()).collect(),
        done: Vec::new(),
    };
    let (reactor, host) = Reactor::new(memory, Instant::now())?;
    let thread = std::thread::spawn(move || reactor.run().map(drop));
    let hosts = vec![Arc::new(host.clone()) as _];
    let handle = disktime_fuse::mount(&directory, files(), hosts, 0, Transport::Best).await?;
    println!("serving {}; end with Ctrl-C", handle.path().display());
    tokio::signal::ctrl_c().await?;
    handle.unmount().await?;
    host.stop()?;
    thread.join().map_err(|_| "the reactor panicked")??;
    Ok(())
}
