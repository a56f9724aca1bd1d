//! A trace is streamed, not loaded, and generators allocate nothing per request.

use disktime_engine::RequestKind;
use disktime_testing::allocations::{Counting, count, most_held_bytes};
use disktime_units::Nanos;
use disktime_workloads::{
    Client, ClientMachine, GeneratorKind, MixPart, Pace, RequestSource, Requests, Timing,
    TraceFormat, TraceOptions, TraceReader, TraceSource,
};
use std::io::{BufReader, Read, Write};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const LINES: u64 = 10_000_000;
/// Buffers for reading and unpacking, twice while a trace is surveyed and opened again.
const ROOM_BYTES: i64 = 1 << 20;

/// The text of a trace, made while it is read: line n is a request at n µs.
struct Endless {
    line: u64,
    lines: u64,
    text: [u8; 128],
    /// What of `text` is still to be read.
    left: std::ops::Range<usize>,
}

impl Endless {
    fn new(lines: u64) -> Endless {
        Endless {
            line: 0,
            lines,
            text: [0; 128],
            left: 0..0,
        }
    }
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            if self.left.is_empty() {
                if self.line == self.lines {
                    break;
                }
                let (at, sector) = (self.line, self.line * 7_919 % 1_000_000);
                let mut rest = &mut self.text[..];
                let room = rest.len();
                writeln!(
                    rest,
                    "  8,16   1 {at:8} {:5}.{:09}  4711  Q   R {sector} + 8 [fio]",
                    at / 1_000_000,
                    at % 1_000_000 * 1_000
                )?;
                self.left = 0..room - rest.len();
                self.line += 1;
            }
            let count = self.left.len().min(buffer.len() - done);
            let from = self.left.start;
            buffer[done..done + count].copy_from_slice(&self.text[from..from + count]);
            self.left.start += count;
            done += count;
        }
        Ok(done)
    }
}

#[test]
fn ten_million_lines_are_read_in_constant_memory() {
    let mut requests = 0;
    let mut last = Nanos::ZERO;
    let held = most_held_bytes(|| {
        let input = Box::new(BufReader::new(Endless::new(LINES)));
        let mut reader = TraceReader::from_input("endless", TraceOptions::default(), input);
        let read = |reader: &mut TraceReader| {
            reader
                .next_record()
                .unwrap_or_else(|error| panic!("{error}"))
        };
        let first = read(&mut reader).expect("a first line");
        assert_eq!(first.dev, 8 << 20 | 16);
        let allocations = count();
        while let Some(record) = read(&mut reader) {
            requests += 1;
            last = record.at;
        }
        assert_eq!(count(), allocations, "nothing is allocated per line");
    });
    assert_eq!((requests, last), (LINES - 1, Nanos::from_micros(LINES - 1)));
    assert!(held < ROOM_BYTES, "{held} bytes were held");
}

/// A compressed trace of so many lines.
fn packed_trace(lines: u64) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    std::io::copy(
        &mut BufReader::with_capacity(1 << 16, Endless::new(lines)),
        &mut packed,
    )
    .expect("writing a temporary file");
    packed.finish().expect("writing a temporary file")
}

#[test]
fn a_long_compressed_trace_is_replayed_in_constant_memory() {
    const REPLAYED: u64 = 1_000_000;
    let file = packed_trace(REPLAYED);
    for timing in [Timing::AS_RECORDED, Timing::AsFastAsPossible] {
        let mut client = Client::new("c", "v", Nanos::MAX).depth(4);
        client.source = RequestSource::Trace(TraceSource {
            options: TraceOptions {
                format: Some(TraceFormat::Blkparse),
                ..TraceOptions::default()
            },
            timing,
            ..TraceSource::new(file.path())
        });
        let mut count = 0;
        let held = most_held_bytes(|| {
            let mut machine =
                ClientMachine::new(&client, 1, 1 << 30).unwrap_or_else(|error| panic!("{error}"));
            while let Some(at) = machine.next_event() {
                let operation = machine.poll(at).expect("good lines").expect("it is due");
                assert_eq!(operation.kind, RequestKind::Read);
                machine.completed(at, &operation, true);
                count += 1;
            }
            assert_eq!(machine.delayed(), 0);
        });
        assert_eq!(count, REPLAYED);
        assert!(held < ROOM_BYTES, "{held} bytes were held");
    }
}

#[test]
fn generators_allocate_nothing_per_request() {
    let mut clients: Vec<Client> = GeneratorKind::ALL
        .into_iter()
        .map(|kind| Client::of_kind(kind, kind.name(), "v", Nanos::MAX).depth(16))
        .collect();
    let mut mix = GeneratorKind::Oltp.generated();
    mix.requests = Requests::Mix(vec![
        MixPart::new(3, GeneratorKind::Zipf.generated().requests),
        MixPart::new(1, GeneratorKind::WebServer.generated().requests),
    ]);
    clients.push(
        Client::new("mix", "v", Nanos::MAX)
            .generating(mix)
            .depth(16),
    );
    clients.push(
        Client::of_kind(GeneratorKind::Random, "bursts", "v", Nanos::MAX).pace(Pace::Bursts {
            period: GeneratorKind::BURST_PERIOD,
            rate: disktime_workloads::Rate::per_second(1_000),
        }),
    );
    for client in &clients {
        let mut machine =
            ClientMachine::new(client, 1, 1 << 40).unwrap_or_else(|error| panic!("{error}"));
        let allocations = count();
        for _ in 0..10_000 {
            let at = machine.next_event().expect("it goes on");
            let operation = machine.poll(at).expect("no trace").expect("it is due");
            machine.completed(at, &operation, true);
        }
        assert_eq!(count(), allocations, "{}", client.name);
    }
}
