//! What a server is asked for in a cell of a table.

use crate::process::Processors;

/// Reads or writes of one length, in a closed loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Whether it writes.
    pub write: bool,
    /// One after the other instead of at random places.
    pub sequential: bool,
    /// The length of a request.
    pub block_bytes: u32,
    /// Requests in flight, over all connections.
    pub depth: u32,
    /// Connections that they are spread over.
    pub connections: u32,
}

impl Load {
    /// Random 4 KiB, so many in flight over so many connections; reads.
    pub const fn random(depth: u32, connections: u32) -> Load {
        Load {
            write: false,
            sequential: false,
            block_bytes: 4 << 10,
            depth,
            connections,
        }
    }

    /// Sequential requests of that length over one connection; reads.
    pub const fn sequential(block_bytes: u32, depth: u32) -> Load {
        Load {
            sequential: true,
            block_bytes,
            ..Load::random(depth, 1)
        }
    }

    /// Each of these as reads, then as writes.
    pub fn both_ways(loads: impl IntoIterator<Item = Load>) -> Vec<Load> {
        let both = |load| [false, true].map(|write| Load { write, ..load });
        loads.into_iter().flat_map(both).collect()
    }

    /// As in `4K randread d32`.
    pub fn name(&self) -> String {
        let block = match self.block_bytes {
            bytes if bytes >= 1 << 20 => format!("{}M", bytes >> 20),
            bytes => format!("{}K", bytes >> 10),
        };
        let pattern = if self.sequential { "seq" } else { "rand" };
        let direction = if self.write { "write" } else { "read" };
        format!("{block} {pattern}{direction} d{}", self.depth)
    }

    /// Requests of each connection in flight.
    pub fn depth_each(&self) -> u32 {
        (self.depth / self.connections).max(1)
    }

    /// Where client and server run. With one request at a time they share one processor, on all
    /// sides: waking another processor costs more than a request does, and varies most.
    pub fn processors(&self) -> Processors {
        match self.depth {
            1 => Processors::One,
            _ => Processors::All,
        }
    }

    /// As arguments of a job of fio.
    pub fn fio(&self) -> Vec<String> {
        let mode = match (self.sequential, self.write) {
            (true, false) => "read",
            (true, true) => "write",
            (false, false) => "randread",
            (false, true) => "randwrite",
        };
        vec![
            format!("--rw={mode}"),
            format!("--bs={}", self.block_bytes),
            format!("--iodepth={}", self.depth_each()),
        ]
    }
}
