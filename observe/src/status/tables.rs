//! The status as tables for people: disks, then vdisks under their groups and background work.

use super::{Account, Grouped, ServerStatus, StreamStatus, grouped};
use crate::text::percent;
use crate::{Percentiles, Table};
use std::fmt;

impl fmt::Display for ServerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.disk_table(), self.stream_table())?;
        for table in [self.overlap_table(), self.solo_table()].iter().flatten() {
            write!(f, "\n{table}")?;
        }
        for (name, disk) in &self.disks {
            if disk.pauses > 0 {
                let (times, seconds) = (disk.pauses, disk.paused_ms / 1e3);
                writeln!(
                    f,
                    "\n{name}: pauses of the server: {times}, {seconds:.1} s together; no vdisk was \
                     charged, and periods that ended meanwhile count as missed"
                )?;
            }
            for notice in disk.notices.iter().chain(&disk.file_problem) {
                writeln!(f, "\n{name}: {notice}")?;
            }
        }
        for sentence in self.slower_disks() {
            writeln!(f, "\n{sentence}")?;
        }
        if let Some(files) = &self.files {
            let transport = if files.over_io_uring {
                "over io_uring"
            } else {
                "by /dev/fuse"
            };
            let mount = files.mount.display();
            writeln!(f, "\nfiles in {mount}, served {transport}")?;
        }
        Ok(())
    }
}

impl ServerStatus {
    fn disk_table(&self) -> Table {
        let mut table = Table::new(&[
            "disk",
            "window",
            "busy",
            "charged",
            "waiting",
            "switching",
            "idle",
            "switches",
            "W ms",
            "overruns",
        ]);
        for (name, disk) in &self.disks {
            for (window, figures) in disk.windows.by_name() {
                table.row(vec![
                    name.clone(),
                    window.to_owned(),
                    percent(figures.busy_share),
                    percent(figures.charged_share),
                    percent(figures.waiting_share),
                    percent(figures.switching_share),
                    percent(figures.idle_share),
                    figures.switches.to_string(),
                    format!("{:.1}", disk.worst_case_ms),
                    disk.overruns.to_string(),
                ]);
            }
        }
        table
    }

    fn stream_table(&self) -> Table {
        let mut table = Table::new(&[
            "vdisk",
            "reserved",
            "1s: received",
            "spare",
            "10s: received",
            "spare",
            "total: received",
            "spare",
            "met",
            "missed",
            "queue p50/p99 ms",
            "service p50/p99 ms",
        ]);
        for (name, line) in grouped(&self.groups, &self.vdisks, |vdisk| vdisk.group.as_deref()) {
            table.row(match line {
                // Its members' times are not of one distribution.
                Grouped::Group(group) => row(name, &group.account, None),
                Grouped::Vdisk(vdisk) => stream_row(name, &vdisk.stream),
            });
        }
        for (disk, works) in &self.background {
            for (work, stream) in works {
                table.row(stream_row(format!("({disk}: {work})"), stream));
            }
        }
        table
    }
}

fn stream_row(name: String, stream: &StreamStatus) -> Vec<String> {
    let times = [stream.queue_time_us, stream.service_time_us];
    row(name, &stream.account, Some(times))
}

fn row(name: String, account: &Account, times: Option<[Percentiles; 2]>) -> Vec<String> {
    let mut row = vec![name, percent(account.entitlement.reserved_share)];
    for (_, window) in account.windows.by_name() {
        row.push(percent(window.received_share));
        row.push(percent(window.spare_share));
    }
    let total = account.windows.total;
    row.push(total.deadlines_met.to_string());
    row.push(total.deadlines_missed.to_string());
    match times {
        Some(times) => row.extend(times.map(|time| {
            let millis = |micros: f64| format!("{:.1}", micros / 1e3);
            format!("{} / {}", millis(time.p50), millis(time.p99))
        })),
        None => row.extend(["- / -", "- / -"].map(str::to_owned)),
    }
    row
}
