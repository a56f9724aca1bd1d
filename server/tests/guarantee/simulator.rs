//! Runs mixes through the program: `disktime check` and `disktime simulate`, as a user would.

use crate::mix::{Client, Facts, Mix};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

/// Where the files of one test lie, and what was measured already.
pub(crate) struct Simulator {
    directory: tempfile::TempDir,
    pub facts: Facts,
    /// Requests per second of a client alone on the disk, by its slot and the window in ms.
    alone: HashMap<(usize, Client, u64), f64>,
}

impl Simulator {
    /// Asks the program what it knows of the disk.
    pub(crate) fn new() -> Simulator {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let probe = json!({
            "state_dir": "s",
            "disks": {
                "h": { "path": "h.disk", "size": "64GiB", "emulate": "desktop-7200-2008" },
            },
            "vdisks": {},
        });
        let answer = check(directory.path(), &probe);
        let disk = &answer["disks"]["h"];
        let scaled = |value: &Value, factor: f64| {
            let number = value
                .as_f64()
                .unwrap_or_else(|| panic!("a figure is missing: {answer:#}"));
            (number * factor).round() as u64
        };
        let facts = Facts {
            switch_cost: scaled(&disk["switch_cost_ms"], 1e6),
            worst_case: scaled(&disk["worst_case_ms"], 1e6),
            metadata_share_ppm: scaled(&disk["background"]["metadata"]["reserved_share"], 1e6),
            metadata_period_ms: scaled(&disk["background"]["metadata"]["period_ms"], 1.0),
        };
        Simulator {
            directory,
            facts,
            alone: HashMap::new(),
        }
    }

    /// What admission says of a mix.
    pub(crate) fn check(&self, mix: &Mix) -> Value {
        check(self.directory.path(), &mix.configuration())
    }

    /// The report of a run, as text.
    pub(crate) fn text(&self, mix: &Mix, stop_ms: u64, duration_ms: u64) -> String {
        let workload = mix.workload(stop_ms, duration_ms);
        simulate(self.directory.path(), &mix.configuration(), &workload)
    }

    /// The report of a run of `window_ms` in which all clients are there all the time.
    pub(crate) fn run(&self, mix: &Mix, window_ms: u64) -> Value {
        parse(&self.text(mix, window_ms, window_ms))
    }

    /// The same with the disk scheduled in order of arrival.
    pub(crate) fn run_under_fifo(&self, mix: &Mix, window_ms: u64) -> Value {
        let mut configuration = mix.configuration();
        configuration["disks"]["h"]["policy"] = json!("fifo");
        let workload = mix.workload(window_ms, window_ms);
        parse(&simulate(self.directory.path(), &configuration, &workload))
    }

    /// What the client of that slot would get with the disk for itself: in the same place of it,
    /// with the same seed.
    pub(crate) fn alone(&mut self, mix: &Mix, slot: usize, window_ms: u64) -> f64 {
        let client = mix.streams[slot].client;
        if let Some(known) = self.alone.get(&(slot, client, window_ms)) {
            return *known;
        }
        let mut configuration = mix.configuration();
        for vdisk in configuration["vdisks"]
            .as_object_mut()
            .into_iter()
            .flatten()
        {
            *vdisk.1 = json!({ "disk": "h", "size": "8GiB" });
        }
        let mut workload = mix.workload(window_ms, window_ms);
        let name = format!("c{slot}");
        workload["clients"]
            .as_object_mut()
            .expect("an object")
            .retain(|key, _| *key == name);
        let report = parse(&simulate(self.directory.path(), &configuration, &workload));
        let iops = report["clients"][&name]["iops"].as_f64().expect("a number");
        self.alone.insert((slot, client, window_ms), iops);
        iops
    }
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in the report {text}"))
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_disktime"))
}

fn write(directory: &Path, name: &str, content: &Value) -> std::path::PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, content.to_string()).expect("a file in the temporary directory");
    path
}

fn check(directory: &Path, configuration: &Value) -> Value {
    let file = write(directory, "check.json", configuration);
    let output = program()
        .arg("check")
        .arg(file)
        .arg("--json")
        .output()
        .expect("disktime check");
    parse(&String::from_utf8_lossy(&output.stdout))
}

fn simulate(directory: &Path, configuration: &Value, workload: &Value) -> String {
    let configuration_file = write(directory, "configuration.json", configuration);
    let workload_file = write(directory, "workload.json", workload);
    let output = program()
        .args([
            "simulate".as_ref(),
            configuration_file.as_os_str(),
            workload_file.as_os_str(),
        ])
        .arg("--json")
        .output()
        .expect("disktime simulate");
    assert!(
        output.status.success(),
        "{}\nconfiguration: {configuration}\nworkload: {workload}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("a report in UTF-8")
}
