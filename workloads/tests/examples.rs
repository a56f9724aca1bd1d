//! The example workloads read as they are, and the recorded traces replay.

use disktime_units::Nanos;
use disktime_workloads::{
    Client, ClientMachine, Fit, RequestSource, Timing, TraceOptions, TraceReader, TraceSource,
    Workload, survey,
};
use std::path::{Path, PathBuf};

fn below_the_root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The traces, unless they are not there; they are not part of the repository.
fn traces(test: &str) -> Option<PathBuf> {
    let directory = below_the_root("../shared/data/traces");
    if directory.is_dir() {
        return Some(directory);
    }
    println!("SKIPPED {test}: ../shared/data is not there");
    None
}

#[test]
fn every_example_reads_and_its_clients_fit_the_quickstart() {
    let directory = below_the_root("examples/workloads");
    let mut count = 0;
    for entry in std::fs::read_dir(&directory).expect("the examples") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let workload = Workload::read(&path).unwrap_or_else(|error| panic!("{error}"));
        for client in &workload.clients {
            ClientMachine::new(client, workload.seed, 1 << 30)
                .unwrap_or_else(|error| panic!("{error}"));
        }
        count += 1;
    }
    assert!(count >= 3, "{count} examples in {}", directory.display());
}

#[test]
fn recorded_traces_read_whole() {
    let Some(directory) = traces("recorded_traces_read_whole") else {
        return;
    };
    for (name, requests) in [
        ("cloudphysics", 113_872),
        ("msr_rw2080", 10_000),
        ("umass_websearch_small", 24_783),
        ("startup_gnometerm", 2_781),
    ] {
        let path = directory.join(format!("{name}.csv.gz"));
        let source = TraceSource {
            fit: Fit::Wrap,
            ..TraceSource::new(path)
        };
        let found = survey(&source, 64 << 30).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(found.requests, requests, "{name}");
    }
}

#[test]
fn a_recorded_trace_replays_in_its_order_at_its_times() {
    let Some(directory) = traces("a_recorded_trace_replays_in_its_order_at_its_times") else {
        return;
    };
    let path = directory.join("msr_rw2080.csv.gz");
    let mut client = Client::new("vm", "db", Nanos::MAX);
    client.depth = 1000;
    client.source = RequestSource::Trace(TraceSource {
        dev: Some(0),
        timing: Timing::Recorded {
            speed_ppm: 10_000_000,
            max_gap: None,
        },
        ..TraceSource::new(&path)
    });
    let mut machine =
        ClientMachine::new(&client, 1, 16 << 30).unwrap_or_else(|error| panic!("{error}"));
    let mut reader =
        TraceReader::open(&path, TraceOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    let mut latest = Nanos::ZERO;
    while let Some(at) = machine.next_event() {
        let operation = machine.poll(at).expect("a good trace").expect("it is due");
        let record = reader
            .next_record()
            .expect("a good trace")
            .expect("as many lines");
        assert_eq!(
            (operation.offset_bytes, operation.len_bytes),
            (record.offset_bytes, record.len_bytes)
        );
        latest = latest.max(Nanos(record.at.0 / 10));
        assert_eq!(operation.arrived_at, latest);
        machine.completed(at, &operation, true);
    }
    assert_eq!(reader.next_record(), Ok(None));
}

#[test]
fn a_trace_recorded_on_a_larger_disk_is_refused_with_its_line() {
    let Some(directory) = traces("a_trace_recorded_on_a_larger_disk_is_refused_with_its_line")
    else {
        return;
    };
    let text = format!(
        "{{ \"duration\": \"1s\", \"clients\": {{ \"vm\": {{ \"vdisk\": \"db\", \"trace\": \"{}\" }} }} }}",
        directory.join("startup_gnometerm.csv.gz").display()
    );
    let workload =
        Workload::parse(Path::new("w.json"), &text).unwrap_or_else(|error| panic!("{error}"));
    let error = ClientMachine::new(&workload.clients[0], 1, 1 << 30).expect_err("236 GB in 1 GiB");
    let shown = error.to_string();
    assert!(shown.contains("startup_gnometerm.csv.gz:2:1"), "{shown}");
}
