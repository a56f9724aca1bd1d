//! The status for people: for each disk how its time was used, what its vdisks have reserved and
//! received under their groups, their latencies, and sentences about what is out of order.
//!
//! Invariant: no line is longer than [`COLUMNS`], whatever names there are.

use super::{Account, DiskStatus, Grouped, ServerStatus, StreamStatus, grouped};
use crate::text::{percent, short_percent, wrapped};
use crate::{Percentiles, SoloTime, Table};
use disktime_units::Nanos;
use std::fmt::{self, Write};

/// The longest line.
const COLUMNS: usize = 100;
/// The column of the table of shares that counts missed deadlines.
const MISSED: usize = 9;

impl fmt::Display for ServerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, false)
    }
}

impl ServerStatus {
    /// The same text with colours, for a terminal.
    pub fn coloured(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut text, true);
        text
    }

    fn write(&self, f: &mut impl Write, with_colour: bool) -> fmt::Result {
        for (index, (name, disk)) in self.disks.iter().enumerate() {
            if index > 0 {
                writeln!(f, "\n")?;
            }
            self.write_disk(f, name, disk, with_colour)?;
        }
        if let Some(files) = &self.files {
            let transport = if files.over_io_uring {
                "over io_uring"
            } else {
                "by /dev/fuse"
            };
            let mount = files.mount.display();
            match files.unmounted {
                false => writeln!(f, "\nfiles in {mount}, served {transport}")?,
                true => writeln!(
                    f,
                    "\n{mount} was unmounted by another program, so no files are served but those \
                     that are still open; restart the server to mount it again"
                )?,
            }
        }
        if let Some(past) = &self.past {
            let mount = past.mount.display();
            match past.unmounted {
                false => writeln!(f, "files of the past in {mount}")?,
                true => writeln!(
                    f,
                    "{mount} was unmounted by another program, so no files of the past are served \
                     but those that are still open; restart the server to mount it again"
                )?,
            }
        }
        Ok(())
    }

    fn write_disk(
        &self,
        f: &mut impl Write,
        name: &str,
        disk: &DiskStatus,
        with_colour: bool,
    ) -> fmt::Result {
        let shown = |table: Table| table.within(COLUMNS).with_colour(with_colour);
        let heading = format!("{name}: {}, policy {}", disk.description, disk.policy);
        writeln!(f, "{}", in_bold(&wrapped(&heading, COLUMNS), with_colour))?;
        write!(f, "{}", shown(disk_table(disk)))?;
        for sentence in figures_of(disk) {
            writeln!(f, "{}", wrapped(&sentence, COLUMNS))?;
        }
        let lines = self.lines_of(name);
        write!(f, "\n{}", shown(share_table(&lines)))?;
        write!(f, "\n{}", shown(latency_table(self, &lines)))?;
        if let Some(table) = solo_table(&lines) {
            write!(f, "\n{}", shown(table))?;
        }
        for sentence in self.sentences_of(name) {
            writeln!(f, "\n{}", wrapped(&format!("{name}: {sentence}"), COLUMNS))?;
        }
        Ok(())
    }

    /// The streams of a disk: each group with its members beneath it, vdisks in no group, then
    /// background work.
    fn lines_of(&self, disk: &str) -> Vec<Line<'_>> {
        let mut lines = Vec::new();
        for (name, line) in grouped(&self.groups, &self.vdisks, |vdisk| vdisk.group.as_deref()) {
            let line = match line {
                // Its members' times are not of one distribution.
                Grouped::Group(group) => Line::new(name, &group.account, None),
                Grouped::Vdisk(vdisk) => Line::of(name, &vdisk.stream),
            };
            if line.account.entitlement.disk == disk {
                lines.push(line);
            }
        }
        for (work, stream) in self.background.get(disk).into_iter().flatten() {
            lines.push(Line::of(format!("({work})"), stream));
        }
        lines
    }
}

/// A line of a disk's tables.
struct Line<'s> {
    name: String,
    account: &'s Account,
    stream: Option<&'s StreamStatus>,
}

impl<'s> Line<'s> {
    fn new(name: String, account: &'s Account, stream: Option<&'s StreamStatus>) -> Line<'s> {
        Line {
            name,
            account,
            stream,
        }
    }

    fn of(name: String, stream: &'s StreamStatus) -> Line<'s> {
        Line::new(name, &stream.account, Some(stream))
    }
}

fn in_bold(text: &str, with_colour: bool) -> String {
    if with_colour {
        format!("\x1b[1m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

fn figures_of(disk: &DiskStatus) -> Vec<String> {
    let mut sentences = vec![format!(
        "W {:.1} ms, longest request {:.1} ms, longer than W: {}; unspent at a period's end at \
         most {:.1} ms",
        disk.worst_case_ms, disk.longest_ms, disk.overruns, disk.unspent_bound_ms
    )];
    sentences.extend(disk.overlap.as_ref().map(|overlap| overlap.sentence()));
    sentences.extend(disk.space.map(|space| space.to_string()));
    sentences
}

fn disk_table(disk: &DiskStatus) -> Table {
    let mut table = Table::new(&[
        "window",
        "busy",
        "waiting",
        "idle",
        "charged",
        "switching",
        "switches",
        "requests",
    ]);
    for (window, figures) in disk.windows.by_name() {
        table.row(vec![
            window.to_owned(),
            percent(figures.busy_share),
            percent(figures.waiting_share),
            percent(figures.idle_share),
            percent(figures.charged_share),
            percent(figures.switching_share),
            figures.switches.to_string(),
            figures.requests_dispatched.to_string(),
        ]);
    }
    table
}

fn share_table(lines: &[Line<'_>]) -> Table {
    let mut table = Table::new(&[
        "received", "reserved", "period", "limit", "1s", "10s", "total", "spare", "met", "missed",
    ]);
    for line in lines {
        let entitlement = &line.account.entitlement;
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let is_reserved = entitlement.reserved_share > 0.0;
        let total = line.account.windows.total;
        let mut row = vec![
            line.name.clone(),
            or_dash(is_reserved.then(|| short_percent(entitlement.reserved_share))),
            or_dash(entitlement.period_ms.map(period)),
            or_dash(entitlement.limit_share.map(short_percent)),
        ];
        let windows = line.account.windows.by_name();
        row.extend(windows.map(|(_, window)| percent(window.received_share)));
        row.push(percent(total.spare_share));
        row.push(total.deadlines_met.to_string());
        row.push(total.deadlines_missed.to_string());
        table.row(row);
        if total.deadlines_missed > 0 {
            table.mark(MISSED);
        }
    }
    table
}

fn period(millis: f64) -> String {
    Nanos((millis * 1e6).round() as u64).to_string()
}

fn latency_table(status: &ServerStatus, lines: &[Line<'_>]) -> Table {
    let mut table = Table::new(&[
        "times in ms",
        "queue p50",
        "p99",
        "max",
        "service p50",
        "p99",
        "max",
        "requests",
        "clients",
    ]);
    for line in lines {
        let Some(stream) = line.stream else {
            continue;
        };
        let mut row = vec![line.name.clone()];
        row.extend(millis(stream.queue_time_us));
        row.extend(millis(stream.service_time_us));
        row.push(line.account.windows.total.requests.to_string());
        let vdisk = status.vdisks.get(line.name.trim_start());
        row.push(vdisk.map_or_else(|| "-".to_owned(), |vdisk| vdisk.clients.to_string()));
        table.row(row);
    }
    table
}

fn millis(times: Percentiles) -> [String; 3] {
    [times.p50, times.p99, times.max].map(|micros| format!("{:.1}", micros / 1e3))
}

/// Of a disk that overlaps requests; `None` for others.
fn solo_table(lines: &[Line<'_>]) -> Option<Table> {
    let mut table = Table::new(&SoloTime::HEADING);
    let mut any = false;
    for line in lines {
        if let Some(solo) = line.account.solo.filter(|_| !line.name.starts_with('(')) {
            table.row(solo.row(line.name.clone()));
            any = true;
        }
    }
    any.then_some(table)
}
