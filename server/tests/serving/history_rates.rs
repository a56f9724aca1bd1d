//! The rate of writes that `check` says a history sustains: a simulation of the same file, with
//! neighbours that take all they can, gets it.

use crate::figures::{number, simulated};
use crate::test_directory::TestDirectory;
use serde_json::Value;

const HARD_DISK: &str =
    r#""a": { "path": "a.img", "size": "16GiB", "emulate": "desktop-7200-2008" }"#;
const FLASH: &str = r#""a": { "path": "a.img", "size": "16GiB", "emulate": "sata-870" }"#;

/// A vdisk with a history, and a neighbour with the rest of the disk.
fn vdisks(log_share: u32, fold_share: u32) -> String {
    let left = 70 - log_share - fold_share;
    format!(
        r#""db": {{ "disk": "a", "size": "512MiB", "history": {{ "window": "24h", "max": "64MiB",
             "reserve": "{log_share}%", "period": "500ms",
             "fold": {{ "reserve": "{fold_share}%", "period": "1s" }} }} }},
           "hog": {{ "disk": "a", "size": "4GiB", "reserve": "{left}%", "period": "500ms" }}"#
    )
}

fn bytes_per_second(checked: &Value, kind: &str) -> f64 {
    number(&checked["histories"]["db"][kind], "bytes_per_second")
}

#[test]
fn what_check_says_is_sustained() {
    let random = r#""pattern": "random", "block": "4KiB", "read": "0%", "depth": 16"#;
    let long = r#""pattern": "sequential", "block": "512KiB", "read": "0%", "depth": 1"#;
    for (disk, shares, duration) in [(HARD_DISK, (10, 20), "60s"), (FLASH, (4, 4), "4s")] {
        let vdisks = vdisks(shares.0, shares.1);
        let place = TestDirectory::configured(disk, &vdisks, r#""nbd": {}"#);
        let checked = place.succeeds(&["check", "--json"]);
        let checked: Value = serde_json::from_str(&checked).expect("JSON");
        for (kind, writes) in [("random_4k", random), ("long_writes", long)] {
            let workload = format!(
                r#"{{ "duration": "{duration}", "clients": {{
                     "db": {{ "vdisk": "db", {writes} }},
                     "hog": {{ "vdisk": "hog", "pattern": "random", "block": "4KiB", "depth": 32 }} }} }}"#
            );
            let workload = place.write("workload.json", workload);
            let report = simulated(&place, &workload, &[]);
            let got = number(&report["vdisks"]["db"], "bytes_per_second");
            let said = bytes_per_second(&checked, kind);
            println!("{disk} {kind}: got {got:.0}, said {said:.0}");
            assert!(said > 0.0 && got >= said, "{kind}: got {got}, said {said}");
        }
    }
}
