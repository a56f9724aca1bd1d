//! docs/workloads.md is true: every example in it parses, and it names every kind, key and format.
//! Its example in Rust is a documentation test of the crate.

use disktime_units::Nanos;
use disktime_workloads::{
    ClientMachine, GeneratorKind, TraceFormat, TraceOptions, TraceReader, Workload, help,
    reference_tables,
};
use std::path::{Path, PathBuf};

fn below_the_root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn page() -> String {
    let path = below_the_root("docs/workloads.md");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The texts between ```` ```label ```` and ```` ``` ````.
fn blocks(page: &str, label: &str) -> Vec<String> {
    let start = format!("```{label}\n");
    page.split(start.as_str())
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or("").to_owned())
        .collect()
}

#[test]
fn every_workload_on_the_page_runs() {
    // As if the page lay beside the example trace that it uses.
    let path = below_the_root("examples/workloads/page.json");
    let examples = blocks(&page(), "json");
    assert!(examples.len() >= 4, "{} examples", examples.len());
    for text in examples {
        let workload = Workload::parse(&path, &text).unwrap_or_else(|error| panic!("{error}"));
        for client in &workload.clients {
            let mut machine = ClientMachine::new(client, workload.seed, 8 << 30)
                .unwrap_or_else(|error| panic!("{error}"));
            let at = machine.next_event().expect("it asks for something");
            assert!(at < Nanos::from_secs(10));
            let operation = machine.poll(at).unwrap_or_else(|error| panic!("{error}"));
            assert!(operation.is_some(), "{}", client.name);
        }
    }
}

#[test]
fn every_trace_on_the_page_reads() {
    for format in TraceFormat::ALL {
        let examples = blocks(&page(), &format!("trace-{}", format.name()));
        assert_eq!(examples.len(), 1, "{}", format.name());
        for text in examples {
            for options in [
                TraceOptions::default(),
                TraceOptions {
                    format: Some(format),
                    ..TraceOptions::default()
                },
            ] {
                let input = Box::new(std::io::Cursor::new(text.clone()));
                let mut reader = TraceReader::from_input(format.name(), options, input);
                let mut count = 0;
                while reader
                    .next_record()
                    .unwrap_or_else(|error| panic!("{error}"))
                    .is_some()
                {
                    count += 1;
                }
                assert!(count >= 1, "{}", format.name());
            }
        }
    }
}

#[test]
fn every_client_of_a_command_line_on_the_page_reads() {
    let page = page();
    let commands = blocks(&page, "sh").concat();
    let mut count = 0;
    for rest in commands.split("--client ").skip(1) {
        let text = match rest.strip_prefix('\'') {
            Some(quoted) => quoted.split('\'').next(),
            None => rest.split_whitespace().next(),
        };
        let clients = [text.unwrap_or("").to_owned()];
        Workload::from_command_line(&clients, "10s", 1).unwrap_or_else(|error| panic!("{error}"));
        count += 1;
    }
    assert_eq!(count, 2);
}

/// The tables between `<!-- table: NAME -->` and `<!-- end -->` are those of the code.
/// `DISKTIME_UPDATE=1` writes them anew.
#[test]
fn the_tables_are_up_to_date() {
    let mut wanted = page();
    for (name, table) in reference_tables() {
        let start = format!("<!-- table: {name} -->\n");
        let parts = wanted.split_once(&start);
        let (before, rest) = parts.unwrap_or_else(|| panic!("there is no place for {name}"));
        let (_, after) = rest.split_once("<!-- end -->").expect("the table ends");
        wanted = format!("{before}{start}\n{table}\n<!-- end -->{after}");
    }
    if std::env::var_os("DISKTIME_UPDATE").is_some() {
        std::fs::write(below_the_root("docs/workloads.md"), &wanted).expect("a page");
    }
    assert!(
        page() == wanted,
        "docs/workloads.md is out of date; write it anew with\n    DISKTIME_UPDATE=1 cargo test \
         -p disktime-workloads --test documentation"
    );
}

/// The names that `disktime workloads` lists, which come from the lists that the reader uses.
#[test]
fn every_kind_and_key_is_on_the_page() {
    let page = page();
    let help = help();
    let names: Vec<&str> = help
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.len() > GeneratorKind::ALL.len() + 30, "{help}");
    for name in names {
        assert!(page.contains(&format!("`{name}`")), "{name} is missing");
    }
}
