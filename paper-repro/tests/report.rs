//! All experiments, shortened: that they run, that their report has what it promises, that their
//! pictures can be read, that the same program gives the same bytes.

use disktime_lab::Length;
use paper_repro::session::run_simulated;
use paper_repro::{
    Conditions, Entry, Experiment, Origin, Output, Verdict, experiments, page, report_text,
};
use serde_json::Value;
use std::collections::HashSet;
use std::sync::OnceLock;

fn conditions() -> Conditions {
    Conditions {
        clock: "virtual, shortened".to_owned(),
        stamp: None,
    }
}

/// Every experiment, run once for all tests of this file.
fn entries() -> &'static [Entry] {
    static ENTRIES: OnceLock<Vec<Entry>> = OnceLock::new();
    ENTRIES.get_or_init(|| {
        run_simulated(experiments::ALL, Length::Quick).expect("every experiment runs")
    })
}

fn report() -> Value {
    serde_json::from_str(&report_text(&conditions(), entries())).expect("the report is JSON")
}

#[test]
fn the_report_has_every_experiment_with_the_promised_fields() {
    let report = report();
    let all = report["experiments"].as_object().expect("an object");
    assert_eq!(all.len(), experiments::ALL.len(), "ids are unique");
    for experiment in experiments::ALL {
        let entry = &all[experiment.id];
        for field in ["source", "claim", "set_up", "reason", "title"] {
            let text = entry[field].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{}: no {field}", experiment.id);
        }
        let verdict = entry["verdict"].as_str().unwrap_or_default();
        let verdicts = ["reproduced", "partly", "not reproduced"];
        assert!(verdicts.contains(&verdict), "{}: {verdict}", experiment.id);
        let checks = entry["checks"].as_array().expect("checks");
        assert!(!checks.is_empty(), "{}: nothing is checked", experiment.id);
        for check in checks {
            let key = check["key"].as_str().expect("a key");
            assert!(
                entry["expected"][key].is_string(),
                "{} {key}",
                experiment.id
            );
            assert!(
                entry["measured"][key].is_number(),
                "{} {key}",
                experiment.id
            );
            assert!(
                entry["tolerance"][key].is_string(),
                "{} {key}",
                experiment.id
            );
        }
        let keys: HashSet<&str> = checks
            .iter()
            .filter_map(|check| check["key"].as_str())
            .collect();
        assert_eq!(keys.len(), checks.len(), "{}: a key twice", experiment.id);
        let figure = entry["figure"].as_str().expect("a figure");
        assert!(figure.ends_with(".svg"), "{}: {figure}", experiment.id);
    }
}

#[test]
fn our_own_experiments_are_labelled_as_such() {
    for experiment in experiments::ALL {
        let own = experiment.id.starts_with('O');
        assert_eq!(own, experiment.origin == Origin::Own, "{}", experiment.id);
        assert_eq!(
            own,
            experiment.source.contains("our own"),
            "{}",
            experiment.id
        );
    }
}

#[test]
fn every_picture_is_svg_with_labelled_axes_and_a_legend() {
    let mut names = HashSet::new();
    for entry in entries() {
        for figure in entry.finding.figures() {
            let name = figure.file_name();
            assert!(names.insert(name.clone()), "{name} twice");
            let svg = figure.to_svg().expect("it can be drawn");
            let document = roxmltree::Document::parse(&svg).expect("it is XML");
            assert_eq!(document.root_element().tag_name().name(), "svg");
            let texts = document
                .descendants()
                .filter(|node| node.has_tag_name("text"));
            let texts: Vec<&str> = texts
                .map(|node| node.text().unwrap_or_default().trim())
                .collect();
            let panels = figure.panels().iter();
            let labels: Vec<&str> = panels.flat_map(|panel| panel.labels()).collect();
            assert!(!labels.contains(&""), "{name}: an axis without a label");
            for label in labels.into_iter().chain(figure.series_names()) {
                assert!(texts.contains(&label), "{name}: {label}");
            }
        }
    }
}

#[test]
fn the_page_is_self_contained() {
    let html = page(&conditions(), entries()).expect("a page");
    for experiment in experiments::ALL {
        assert!(html.contains(&format!("id=\"{}\"", experiment.id)));
        assert!(html.contains(&format!("href=\"#{}\"", experiment.id)));
    }
    for outside in ["src=", "url(", "@import", "<script", "<link", "href=\"http"] {
        assert!(
            !html.contains(outside),
            "the page refers to something outside: {outside}"
        );
    }
    let figures: usize = entries()
        .iter()
        .map(|entry| entry.finding.figures().len())
        .sum();
    assert_eq!(html.matches("<svg").count(), figures);
}

/// Experiments that take no time.
fn fast() -> Vec<Experiment> {
    let fast = |experiment: &&Experiment| ["R1", "F1"].contains(&experiment.id);
    experiments::ALL.iter().filter(fast).copied().collect()
}

#[test]
fn the_same_program_gives_the_same_bytes() {
    let once = || {
        let entries = run_simulated(&fast(), Length::Quick).expect("they run");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let output = Output::prepare(directory.path()).expect("a place");
        output
            .write(&conditions(), &entries)
            .expect("it is written");
        let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(directory.path())
            .expect("the directory")
            .map(|file| file.expect("a file").path())
            .map(|path| {
                (
                    path.display().to_string(),
                    std::fs::read(&path).expect("content"),
                )
            })
            .map(|(path, content)| (path.rsplit('/').next().unwrap_or("").to_owned(), content))
            .collect();
        files.sort();
        files
    };
    let (first, second) = (once(), once());
    assert!(first.len() >= 3, "report, page and picture");
    assert!(first == second, "two runs differ");
}

#[test]
fn what_came_out_before_still_does() {
    // Those that hold with time to spare even when shortened.
    let firm = [
        "R1", "R2", "R3", "R4", "R5", "R6", "R7", "R8", "O2", "O3", "O6", "O8", "O12", "O14",
    ];
    for entry in entries() {
        if firm.contains(&entry.experiment.id) {
            let finding = &entry.finding;
            assert_eq!(
                finding.verdict(),
                Verdict::Reproduced,
                "{}: {}",
                entry.experiment.id,
                finding.reason()
            );
        }
    }
}
