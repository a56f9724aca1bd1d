//! Workloads in real time, against a small NBD server of this file: it keeps its export in
//! memory and answers at once. Nothing here depends on how fast the machine is.

use disktime_nbd_protocol::NbdUri;
use disktime_units::{Nanos, Share};
use disktime_workloads::{
    Blocks, Client, Generated, GeneratorKind, LoadReport, Pace, Rate, RequestSource, Workload,
    WorkloadError, run_real,
};
use std::collections::BTreeMap;
use std::io::{BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const EXPORT_BYTES: u64 = 1 << 20;
const EIO: u32 = 5;

/// How the server behaves.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Right,
    FailsWrites,
    /// Fails writes that do not ask to be durable.
    WantsDurable,
    /// Cannot flush or write durably, and takes whole sectors only.
    Plain,
    /// Closes the connection after this many requests.
    Closes(u32),
}

/// Serves every connection to a socket in `directory` until the process ends.
fn serve(directory: &Path, manner: Manner) -> BTreeMap<String, NbdUri> {
    let socket = directory.join("nbd.sock");
    let listener = UnixListener::bind(&socket).expect("a socket in a fresh directory");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.expect("a connection");
            // A client that leaves ends its own connection only.
            thread::spawn(move || drop(speak(stream, manner)));
        }
    });
    BTreeMap::from([("web".to_owned(), NbdUri::unix(socket, "web"))])
}

fn take<const N: usize>(input: &mut impl Read) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn speak(mut output: UnixStream, manner: Manner) -> std::io::Result<()> {
    let mut input = BufReader::new(output.try_clone()?);
    output.write_all(b"NBDMAGICIHAVEOPT\x00\x03")?;
    take::<4>(&mut input)?;
    let header: [u8; 16] = take(&mut input)?;
    let len = u32::from_be_bytes(header[12..].try_into().expect("four bytes"));
    input.read_exact(&mut vec![0; len as usize])?;
    // The option's answers: block sizes, the export's size and flags (has flags, flush, FUA), then
    // the end.
    let (flags, least) = match manner {
        Manner::Plain => (1, 512u32),
        _ => (13, 1),
    };
    let sizes = [least, 4096, 32 << 20].map(u32::to_be_bytes).concat();
    for (kind, data) in [
        (3u32, [&[0, 3][..], &sizes].concat()),
        (
            3,
            [&[0, 0][..], &EXPORT_BYTES.to_be_bytes(), &[0, flags]].concat(),
        ),
        (1, Vec::new()),
    ] {
        output.write_all(&0x0003_e889_0455_65a9_u64.to_be_bytes())?;
        output.write_all(&header[8..12])?;
        output.write_all(&kind.to_be_bytes())?;
        output.write_all(&(data.len() as u32).to_be_bytes())?;
        output.write_all(&data)?;
    }
    let mut export = vec![0u8; EXPORT_BYTES as usize];
    for number in 0.. {
        let request: [u8; 28] = take(&mut input)?;
        let command = request[7];
        let offset = u64::from_be_bytes(request[16..24].try_into().expect("eight bytes")) as usize;
        let len = u32::from_be_bytes(request[24..].try_into().expect("four bytes")) as usize;
        if command == 2 || manner == Manner::Closes(number) {
            return Ok(());
        }
        if command == 1 {
            input.read_exact(&mut export[offset..offset + len])?;
        }
        let durable = request[5] & 1 == 1;
        let fails = match manner {
            Manner::FailsWrites => true,
            Manner::WantsDurable => !durable,
            _ => false,
        };
        let error = if command == 1 && fails { EIO } else { 0 };
        output.write_all(&0x6744_6698_u32.to_be_bytes())?;
        output.write_all(&error.to_be_bytes())?;
        output.write_all(&request[8..16])?;
        if command == 0 {
            output.write_all(&export[offset..offset + len])?;
        }
    }
    Ok(())
}

/// A client that reads and writes by halves.
fn client(name: &str, depth: u32, pace: Pace, duration: Nanos) -> Client {
    let mut client = Client::new(name, "web", duration);
    client.depth = depth;
    let blocks = Blocks {
        read: Share::from_percent(50),
        ..Blocks::RANDOM_READS
    };
    client.source = RequestSource::Generated(Generated::blocks(blocks, pace));
    client
}

fn run(manner: Manner, workload: &Workload) -> Result<LoadReport, WorkloadError> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let targets = serve(directory.path(), manner);
    run_real(&targets, workload, &AtomicBool::new(false), &mut |_| {})
}

const CLOSED: Pace = Pace::GREEDY;

#[test]
fn clients_of_every_depth_and_pace_are_served() {
    let duration = Nanos::from_millis(300);
    let rate = Pace::Constant {
        rate: Rate {
            events: 100,
            per: Nanos::from_secs(1),
        },
    };
    let clients = vec![
        client("single", 1, CLOSED, duration),
        client("deep", 32, CLOSED, duration),
        client("steady", 8, rate, duration),
    ];
    let workload = Workload {
        clients,
        ..Workload::new(duration, 1)
    };
    let report = run(Manner::Right, &workload).expect("it runs");
    let names: Vec<_> = report
        .clients
        .iter()
        .map(|client| client.name.as_str())
        .collect();
    assert_eq!(names, ["single", "deep", "steady"]);
    for client in &report.clients {
        assert!(client.requests > 0 && client.errors == 0, "{client:?}");
    }
    // 100 per second for 0.3 s; the last ones may be answered after the end on a slow machine.
    assert!(report.clients[2].requests <= 30, "{:?}", report.clients[2]);
    assert_eq!(report.clock, "real");
}

#[test]
fn progress_is_told_and_a_run_can_be_cancelled() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let targets = serve(directory.path(), Manner::Right);
    let duration = Nanos::from_secs(3600);
    let clients = vec![client("c", 4, CLOSED, duration)];
    let workload = Workload {
        clients,
        ..Workload::new(duration, 1)
    };
    let cancel = AtomicBool::new(false);
    let mut told = Vec::new();
    let report = run_real(&targets, &workload, &cancel, &mut |progress| {
        told.push(progress.clone());
        cancel.store(true, Ordering::Relaxed);
    })
    .expect("it runs");
    assert!(!told.is_empty() && told[0].clients[0].name == "c");
    assert!(report.duration >= Nanos::from_secs(1) && report.duration < duration);
    assert!(report.clients[0].requests > 0);
}

#[test]
fn errors_of_the_disk_are_counted_apart() {
    let duration = Nanos::from_millis(200);
    let workload = Workload {
        clients: vec![client("c", 4, CLOSED, duration)],
        ..Workload::new(duration, 1)
    };
    let report = run(Manner::FailsWrites, &workload).expect("it runs");
    let client = &report.clients[0];
    assert!(client.errors > 0 && client.requests > 0, "{client:?}");
}

#[test]
fn a_server_that_breaks_off_is_an_error_and_not_a_low_figure() {
    let duration = Nanos::from_secs(3600);
    for depth in [1, 16] {
        let clients = vec![
            client("c", depth, CLOSED, duration),
            client("other", 1, CLOSED, duration),
        ];
        let workload = Workload {
            clients,
            ..Workload::new(duration, 1)
        };
        let error = run(Manner::Closes(50), &workload).expect_err("the server closes");
        assert!(error.to_string().contains("client `"), "{error}");
    }
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let targets = BTreeMap::from([("web".to_owned(), NbdUri::unix("/nowhere/nbd.sock", "web"))]);
    let duration = Nanos::from_secs(1);
    let workload = Workload {
        clients: vec![client("c", 1, CLOSED, duration)],
        ..Workload::new(duration, 1)
    };
    let error = run_real(&targets, &workload, &AtomicBool::new(false), &mut |_| {})
        .expect_err("no server there");
    assert!(error.to_string().contains("/nowhere/nbd.sock"), "{error}");
}

#[test]
fn a_client_beyond_the_end_of_the_export_is_refused_before_anything_runs() {
    let duration = Nanos::from_secs(3600);
    let mut big = client("c", 1, CLOSED, duration);
    big.span_bytes = Some(EXPORT_BYTES + 1);
    let error = run(
        Manner::Right,
        &Workload {
            clients: vec![big],
            ..Workload::new(duration, 1)
        },
    );
    assert!(
        error
            .expect_err("too large")
            .to_string()
            .contains("beyond the end")
    );
}

#[test]
fn every_kind_is_served_with_its_flushes_and_durable_writes() {
    let duration = Nanos::from_millis(300);
    let kinds = GeneratorKind::ALL
        .into_iter()
        // A directory of files is larger than this server's export.
        .filter(|kind| *kind != GeneratorKind::WebServer)
        .map(|kind| Client::of_kind(kind, kind.name(), "web", duration));
    let workload = Workload {
        clients: kinds.collect(),
        ..Workload::new(duration, 1)
    };
    let report = run(Manner::WantsDurable, &workload).expect("it runs");
    for client in &report.clients {
        assert!(client.requests > 0, "{client:?}");
        let writes_plainly = client.name == GeneratorKind::Oltp.name();
        assert!(client.errors == 0 || writes_plainly, "{client:?}");
    }
}

#[test]
fn what_the_server_cannot_do_is_refused_before_anything_runs() {
    let hour = Nanos::from_secs(3600);
    let odd = Client::of_kind(GeneratorKind::Random, "c", "web", hour)
        .blocks(|blocks| blocks.block_bytes = 1000);
    let shifted = Client::of_kind(GeneratorKind::Random, "c", "web", hour).within(100, 8192);
    for (client, expected) in [
        (
            Client::of_kind(GeneratorKind::Oltp, "c", "web", hour),
            "cannot flush",
        ),
        (
            Client::of_kind(GeneratorKind::LogWriter, "c", "web", hour),
            "cannot write durably",
        ),
        (odd, "multiples of 512 bytes"),
        (shifted, "multiples of 512 bytes"),
    ] {
        let workload = Workload {
            clients: vec![client],
            ..Workload::new(hour, 1)
        };
        let error = run(Manner::Plain, &workload)
            .expect_err(expected)
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
}
