//! What was counted between two readings, as tables for people: vdisks, groups if there are any,
//! disks.

use super::{ServerDifference, StreamDifference};
use crate::Table;
use crate::text::percent;
use std::collections::BTreeMap;
use std::fmt;

impl fmt::Display for ServerDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", stream_table("vdisk", &self.vdisks))?;
        if !self.groups.is_empty() {
            write!(f, "\n{}", stream_table("group", &self.groups))?;
        }
        let mut table = Table::new(&["disk", "busy", "charged", "waiting", "switching"]);
        for (name, disk) in &self.disks {
            let window = disk.window;
            table.row(vec![
                name.clone(),
                percent(window.busy_share),
                percent(window.charged_share),
                percent(window.waiting_share),
                percent(window.switching_share),
            ]);
        }
        write!(f, "\n{table}")
    }
}

fn stream_table(what: &str, streams: &BTreeMap<String, StreamDifference>) -> Table {
    let mut table = Table::new(&[
        what,
        "reserved",
        "received",
        "of it spare",
        "deadlines met",
        "missed",
    ]);
    for (name, stream) in streams {
        table.row(vec![
            name.clone(),
            percent(stream.reserved_share),
            percent(stream.window.received_share),
            percent(stream.window.spare_share),
            stream.window.deadlines_met.to_string(),
            stream.window.deadlines_missed.to_string(),
        ]);
    }
    table
}
