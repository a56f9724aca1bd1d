//! The client: as little as can be asked of one, so that what is measured is the server. Per
//! connection a thread that keeps its requests in flight, takes whatever replies one `read` brings,
//! and sends what replaces them with one `writev`. Simple replies, no checks of the data.
//!
//! What is not known here: which server it is.

use disktime_benches::BenchResult;
use disktime_benches::load::Load;
use hdrhistogram::Histogram;
use std::io::{IoSlice, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const REQUEST_BYTES: usize = 28;
const REPLY_BYTES: usize = 16;
const RECEIVE_BYTES: usize = 256 << 10;
/// A server that answers nothing for this long hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a run gave; times in nanoseconds.
pub(crate) struct Measured {
    pub(crate) requests: u64,
    pub(crate) elapsed: Duration,
    pub(crate) latency: Histogram<u64>,
}

/// Three digits, up to a minute.
pub(crate) fn histogram() -> BenchResult<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000_000, 3)?)
}

/// The state that the threads of a run share.
struct Run {
    load: Load,
    size_bytes: u64,
    /// Replies are counted and timed.
    counting: AtomicBool,
    stop: AtomicBool,
    requests: AtomicU64,
    latency: Mutex<Histogram<u64>>,
}

/// Runs `load` for `warm_up`, then measures for `time`. `mark` is called where measuring begins and
/// where it ends, on this thread.
///
/// # Errors
/// If the server does not answer or answers with an error.
pub(crate) fn run(
    socket: &Path,
    export: &str,
    load: Load,
    (warm_up, time): (Duration, Duration),
    mut mark: impl FnMut(),
) -> BenchResult<Measured> {
    let mut connections = Vec::with_capacity(load.connections as usize);
    let mut size_bytes = 0;
    for _ in 0..load.connections {
        let (stream, size) = connect(socket, export)?;
        connections.push(stream);
        size_bytes = size;
    }
    let run = Run {
        load,
        size_bytes,
        counting: AtomicBool::new(false),
        stop: AtomicBool::new(false),
        requests: AtomicU64::new(0),
        latency: Mutex::new(histogram()?),
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = connections
            .into_iter()
            .enumerate()
            .map(|(index, stream)| {
                let run = &run;
                scope.spawn(move || Connection::new(stream, index, run).serve())
            })
            .collect();
        std::thread::sleep(warm_up);
        run.counting.store(true, Ordering::Relaxed);
        mark();
        let (start, before) = (Instant::now(), run.requests.load(Ordering::Relaxed));
        std::thread::sleep(time);
        let requests = run.requests.load(Ordering::Relaxed) - before;
        let elapsed = start.elapsed();
        mark();
        run.counting.store(false, Ordering::Relaxed);
        run.stop.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().map_err(|_| "the client panicked")??;
        }
        let latency = run
            .latency
            .lock()
            .map_err(|_| "the client panicked")?
            .clone();
        Ok(Measured {
            requests,
            elapsed,
            latency,
        })
    })
}

/// Writes the whole export once, so that neither side has anything left to allocate.
///
/// # Errors
/// If the server does not take it.
pub(crate) fn fill(socket: &Path, export: &str) -> BenchResult {
    let (mut stream, size_bytes) = connect(socket, export)?;
    let data = pattern(1 << 20);
    for offset in (0..size_bytes).step_by(data.len()) {
        let len = (size_bytes - offset).min(data.len() as u64) as usize;
        write(&mut stream, offset, &data[..len])?;
    }
    stream.write_all(&disconnect())?;
    Ok(())
}

/// Writes `first` at the start of the export, and `last` at its end.
///
/// # Errors
/// If the server does not take it.
pub(crate) fn write_ends(socket: &Path, export: &str, first: &[u8], last: &[u8]) -> BenchResult {
    let (mut stream, size_bytes) = connect(socket, export)?;
    write(&mut stream, 0, first)?;
    write(&mut stream, size_bytes - last.len() as u64, last)?;
    stream.write_all(&disconnect())?;
    Ok(())
}

fn write(stream: &mut UnixStream, offset: u64, data: &[u8]) -> BenchResult {
    let mut reply = [0; REPLY_BYTES];
    stream.write_all(&request(true, 0, offset, data.len() as u32))?;
    stream.write_all(data)?;
    stream.read_exact(&mut reply)?;
    check(&reply)?;
    Ok(())
}

/// Whether a server answers there.
pub(crate) fn answers(socket: &Path, export: &str) -> bool {
    connect(socket, export).is_ok_and(|(mut stream, _)| stream.write_all(&disconnect()).is_ok())
}

/// The handshake, by the oldest way that every server knows: gives simple replies.
fn connect(socket: &Path, export: &str) -> BenchResult<(UnixStream, u64)> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut greeting = [0; 18];
    stream.read_exact(&mut greeting)?;
    if !greeting.starts_with(b"NBDMAGICIHAVEOPT") {
        return Err("the server does not speak NBD".into());
    }
    // Fixed newstyle, no zeroes; option 1 names the export and ends the handshake.
    let mut answer = vec![0, 0, 0, 3];
    answer.extend_from_slice(b"IHAVEOPT");
    answer.extend_from_slice(&1_u32.to_be_bytes());
    answer.extend_from_slice(&(export.len() as u32).to_be_bytes());
    answer.extend_from_slice(export.as_bytes());
    stream.write_all(&answer)?;
    let mut size = [0; 8];
    stream.read_exact(&mut size)?;
    stream.read_exact(&mut [0; 2])?;
    Ok((stream, u64::from_be_bytes(size)))
}

fn request(write: bool, cookie: u64, offset: u64, len: u32) -> [u8; REQUEST_BYTES] {
    let mut bytes = [0; REQUEST_BYTES];
    bytes[..4].copy_from_slice(&0x2560_9513_u32.to_be_bytes());
    bytes[6..8].copy_from_slice(&u16::from(write).to_be_bytes());
    bytes[8..16].copy_from_slice(&cookie.to_be_bytes());
    bytes[16..24].copy_from_slice(&offset.to_be_bytes());
    bytes[24..].copy_from_slice(&len.to_be_bytes());
    bytes
}

fn disconnect() -> [u8; REQUEST_BYTES] {
    let mut bytes = request(false, 0, 0, 0);
    bytes[7] = 2;
    bytes
}

/// The cookie of a reply that says that all is well.
fn check(reply: &[u8; REPLY_BYTES]) -> BenchResult<u64> {
    let (magic, rest) = reply.split_at(4);
    let (error, cookie) = rest.split_at(4);
    if magic != 0x6744_6698_u32.to_be_bytes() {
        return Err("the server broke the protocol".into());
    }
    if error != [0; 4] {
        return Err(format!("the server answered with the error {error:?}").into());
    }
    Ok(cookie
        .iter()
        .fold(0, |cookie, byte| cookie << 8 | u64::from(*byte)))
}

/// Bytes that are not zero.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8 + 1).collect()
}

/// One connection with its requests.
struct Connection<'a> {
    stream: UnixStream,
    run: &'a Run,
    headers: Vec<[u8; REQUEST_BYTES]>,
    sent_at: Vec<Instant>,
    data: Vec<u8>,
    /// Blocks from `first_block` on are this connection's when it goes through them in order.
    first_block: u64,
    blocks: u64,
    next_block: u64,
    random: u64,
    latency: Histogram<u64>,
}

impl<'a> Connection<'a> {
    fn new(stream: UnixStream, index: usize, run: &'a Run) -> Connection<'a> {
        let load = run.load;
        let all = run.size_bytes / u64::from(load.block_bytes);
        let depth = load.depth_each() as usize;
        let blocks = if load.sequential {
            (all / u64::from(load.connections)).max(1)
        } else {
            all
        };
        Connection {
            stream,
            run,
            headers: vec![[0; REQUEST_BYTES]; depth],
            sent_at: vec![Instant::now(); depth],
            data: pattern(if load.write {
                load.block_bytes as usize
            } else {
                0
            }),
            first_block: if load.sequential {
                blocks * index as u64
            } else {
                0
            },
            blocks,
            next_block: 0,
            random: 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(2 * index as u64 + 1),
            latency: histogram().expect("valid bounds"),
        }
    }

    fn serve(mut self) -> BenchResult {
        let mut due: Vec<usize> = (0..self.headers.len()).collect();
        let mut in_flight = 0;
        let mut receive = vec![0; RECEIVE_BYTES];
        let mut partial: Vec<u8> = Vec::with_capacity(REPLY_BYTES);
        let mut skip = 0;
        loop {
            if !self.run.stop.load(Ordering::Relaxed) {
                in_flight += due.len();
                self.send(&due)?;
            } else if in_flight == 0 {
                break;
            }
            due.clear();
            let count = self.stream.read(&mut receive)?;
            if count == 0 {
                return Err("the server closed the connection".into());
            }
            self.take(&receive[..count], &mut partial, &mut skip, &mut due)?;
            in_flight -= due.len();
            self.count(&due);
        }
        self.stream.write_all(&disconnect())?;
        let mut latency = self.run.latency.lock().map_err(|_| "the client panicked")?;
        latency.add(&self.latency)?;
        Ok(())
    }

    fn send(&mut self, due: &[usize]) -> BenchResult {
        let now = Instant::now();
        for slot in due {
            let offset = self.next_offset();
            let load = &self.run.load;
            self.headers[*slot] = request(load.write, *slot as u64, offset, load.block_bytes);
            self.sent_at[*slot] = now;
        }
        let mut slices = Vec::with_capacity(due.len() * 2);
        for slot in due {
            slices.push(IoSlice::new(&self.headers[*slot]));
            if self.run.load.write {
                slices.push(IoSlice::new(&self.data));
            }
        }
        let mut rest = &mut slices[..];
        while !rest.is_empty() {
            let sent = self.stream.write_vectored(rest)?;
            IoSlice::advance_slices(&mut rest, sent);
        }
        Ok(())
    }

    fn next_offset(&mut self) -> u64 {
        let block = if self.run.load.sequential {
            self.next_block = (self.next_block + 1) % self.blocks;
            self.next_block
        } else {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            self.random % self.blocks
        };
        (self.first_block + block) * u64::from(self.run.load.block_bytes)
    }

    /// Finds the replies that end in `bytes`; `partial` and `skip` carry on what is cut in two.
    fn take(
        &self,
        mut bytes: &[u8],
        partial: &mut Vec<u8>,
        skip: &mut usize,
        done: &mut Vec<usize>,
    ) -> BenchResult {
        loop {
            let skipped = bytes.len().min(*skip);
            bytes = &bytes[skipped..];
            *skip -= skipped;
            if *skip == 0 && partial.len() == REPLY_BYTES {
                let header = partial.first_chunk().ok_or("a whole header")?;
                done.push(check(header)? as usize);
                partial.clear();
            }
            if bytes.is_empty() {
                return Ok(());
            }
            let here = bytes.len().min(REPLY_BYTES - partial.len());
            partial.extend_from_slice(&bytes[..here]);
            bytes = &bytes[here..];
            if partial.len() == REPLY_BYTES && !self.run.load.write {
                *skip = self.run.load.block_bytes as usize;
            }
        }
    }

    fn count(&mut self, done: &[usize]) {
        if done.is_empty() {
            return;
        }
        self.run
            .requests
            .fetch_add(done.len() as u64, Ordering::Relaxed);
        if self.run.counting.load(Ordering::Relaxed) {
            let now = Instant::now();
            for slot in done {
                let took = now.duration_since(self.sent_at[*slot]).as_nanos();
                self.latency
                    .saturating_record(u64::try_from(took).unwrap_or(u64::MAX));
            }
        }
    }
}
