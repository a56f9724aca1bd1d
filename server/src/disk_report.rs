//! From what the loop of a disk has counted, by the number of a stream, to the status by name.
//!
//! What is not known here: where the counters came from (a running server, a simulation).

mod groups;
mod overlap;

use disktime_engine::{
    DiskCounters, LoopReport, Percentiles as LoopPercentiles, StreamConfig, StreamCounters,
    StreamId, StreamReport, Window, Windows as LoopWindows,
};
use disktime_observe::{
    Account, DiskStatus, DiskTimes, DiskWindow, Entitlement, GroupStatus, Pacing, Percentiles,
    ServerStatus, StreamCounts, StreamStatus, StreamTimes, StreamWindow, VdiskStatus, Windows,
};
use disktime_reservations::{Configuration, HistoryStream, Policy};
use disktime_units::{BackgroundWork, Nanos};
use disktime_volumes::VolumeSet;
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) use groups::GroupStreams;
pub(crate) use overlap::{disk_overlap, solo_time};

/// The streams of a disk, by the names of what they pay for.
#[derive(Debug, Clone, Default)]
pub(crate) struct DiskStreams {
    /// Its vdisks: those of the file in file order, and clones.
    vdisks: Vec<(String, StreamId)>,
    /// Its groups, in file order.
    groups: Vec<GroupStreams>,
    /// Its background work.
    background: Vec<(BackgroundWork, StreamId)>,
    /// Logs and folds of histories, by name.
    histories: Vec<(String, StreamId)>,
}

/// A disk's counters, with the names of what pays.
#[derive(Debug, Clone)]
pub(crate) struct DiskReport {
    /// The disk's name.
    name: String,
    /// What serves it.
    description: String,
    /// Its policy.
    policy: Policy,
    /// Whose streams were counted.
    streams: DiskStreams,
    /// The counters.
    counted: LoopReport,
    /// What people should know of how the disk was found, as sentences.
    notices: Vec<String>,
    /// How old the counters are, of a disk whose thread does not answer.
    silence: Option<Duration>,
}

impl DiskStreams {
    /// The streams of a disk whose vdisks are open.
    pub(crate) fn of<D: disktime_disks::Disk>(
        configuration: &Configuration,
        disk: &str,
        service: &VolumeSet<D>,
    ) -> DiskStreams {
        let vdisks = service.vdisk_ids().filter_map(|vdisk| {
            let name = service.name(vdisk)?.to_owned();
            Some((name, service.stream(vdisk)?))
        });
        let works = BackgroundWork::ALL.iter();
        let background = works.map(|work| (*work, service.background_stream(*work)));
        let histories = service.history_streams().iter().flat_map(|of| {
            let log = of
                .log
                .map(|log| (HistoryStream::Log.name_of(&of.vdisk), log));
            let fold = of
                .fold
                .map(|fold| (HistoryStream::Fold.name_of(&of.vdisk), fold));
            log.into_iter().chain(fold)
        });
        let histories = histories.collect();
        DiskStreams {
            vdisks: vdisks.collect(),
            groups: groups::groups(configuration, disk, service),
            background: background.collect(),
            histories,
        }
    }

    /// The vdisks with their streams: those of the file in file order, and clones.
    pub(crate) fn vdisks(&self) -> &[(String, StreamId)] {
        &self.vdisks
    }

    /// The groups, in file order.
    pub(crate) fn groups(&self) -> &[GroupStreams] {
        &self.groups
    }

    /// The streams of background work.
    pub(crate) fn background(&self) -> impl Iterator<Item = (BackgroundWork, StreamId)> {
        self.background.iter().copied()
    }

    /// The streams of logs and folds, by name.
    pub(crate) fn histories(&self) -> &[(String, StreamId)] {
        &self.histories
    }

    /// The name of the group that a vdisk is in.
    pub(crate) fn group_of(&self, vdisk: &str) -> Option<&str> {
        let is_member = |group: &&GroupStreams| group.has_member(vdisk);
        self.groups.iter().find(is_member).map(GroupStreams::name)
    }
}

impl DiskReport {
    /// What a disk's loop has `counted`, with what the reader has to know of the disk.
    pub(crate) fn new(
        name: String,
        description: String,
        policy: Policy,
        streams: DiskStreams,
        counted: LoopReport,
    ) -> DiskReport {
        DiskReport {
            name,
            description,
            policy,
            streams,
            counted,
            notices: Vec::new(),
            silence: None,
        }
    }

    /// With what people should know of how the disk was found, as sentences.
    pub(crate) fn with_notices(self, notices: Vec<String>) -> DiskReport {
        DiskReport { notices, ..self }
    }

    /// Under another name, for a picture of several runs.
    pub(crate) fn with_name(self, name: &str) -> DiskReport {
        let name = name.to_owned();
        DiskReport { name, ..self }
    }

    /// How old the counters are, of a disk whose thread does not answer.
    pub(crate) fn with_silence(self, silence: Option<Duration>) -> DiskReport {
        DiskReport { silence, ..self }
    }

    /// The disk's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The name of its policy.
    pub(crate) fn policy(&self) -> &'static str {
        self.policy.name()
    }

    /// Whose streams were counted.
    pub(crate) fn streams(&self) -> &DiskStreams {
        &self.streams
    }

    /// What the loop counted.
    pub(crate) fn counted(&self) -> &LoopReport {
        &self.counted
    }

    /// What was counted of one of its streams.
    pub(crate) fn stream(&self, id: StreamId) -> &StreamReport {
        &self.counted.streams[&id]
    }

    /// What the disk's time was used for since the start.
    pub(crate) fn total(&self) -> DiskWindow {
        disk_window(self.counted.windows.total)
    }

    /// What a stream or group with that configuration is entitled to.
    pub(crate) fn entitlement(&self, config: &StreamConfig) -> Entitlement {
        let reservation = config.reservation;
        Entitlement {
            disk: self.name.clone(),
            reserved_share: reservation.map_or(0.0, |reservation| reservation.share.as_f64()),
            period_ms: reservation.map(|reservation| reservation.period.as_millis_f64()),
            limit_share: config.limit.map(|limit| limit.share.as_f64()),
            weight: config.weight,
        }
    }

    fn account(&self, stream: &StreamReport, counted: &LoopWindows<StreamCounters>) -> Account {
        let total = counted.total.counters;
        let millis = |nanos: i64| nanos as f64 / 1e6;
        Account {
            entitlement: self.entitlement(&stream.config),
            windows: each(counted, stream_window),
            unspent_last_ms: millis(total.unspent_last),
            unspent_max_ms: total.unspent_max.map(millis),
            solo: solo_time(stream),
        }
    }
}

/// What a server reports of its disks; of its frontends nothing is known here.
pub(crate) fn status(disks: &[DiskReport]) -> ServerStatus {
    let mut status = ServerStatus::default();
    for disk in disks {
        let streams = &disk.streams;
        status.disks.insert(disk.name.clone(), disk_status(disk));
        for (name, id) in streams.vdisks() {
            let vdisk = VdiskStatus {
                stream: stream_status(disk, *id),
                group: streams.group_of(name).map(str::to_owned),
                ..VdiskStatus::default()
            };
            status.vdisks.insert(name.clone(), vdisk);
        }
        for group in streams.groups() {
            let stream = disk.stream(group.account());
            let windows = group.windows(&disk.counted);
            let group_status = GroupStatus {
                account: disk.account(stream, &windows),
                members: group.member_names().map(str::to_owned).collect(),
            };
            status.groups.insert(group.name().to_owned(), group_status);
        }
        // Without a reservation, work that was never done is not shown.
        let is_shown = |id: &StreamId| {
            let stream = disk.stream(*id);
            stream.config.reservation.is_some() || stream.windows.total.counters.requests > 0
        };
        let works = streams.background().filter(|(_, id)| is_shown(id));
        let works = works.map(|(work, id)| (work.name().to_owned(), stream_status(disk, id)));
        let histories = streams.histories().iter();
        let histories = histories.map(|(name, id)| (name.clone(), stream_status(disk, *id)));
        let works: BTreeMap<_, _> = works.chain(histories).collect();
        status.background.insert(disk.name.clone(), works);
    }
    status
}

fn disk_status(disk: &DiskReport) -> DiskStatus {
    let counted = &disk.counted;
    let total = counted.windows.total.counters;
    let pacing = counted.pacing.unwrap_or_default();
    DiskStatus {
        description: disk.description.clone(),
        policy: disk.policy().to_owned(),
        worst_case_ms: counted.worst_case.as_millis_f64(),
        longest_ms: total.longest.as_millis_f64(),
        overruns: total.overruns,
        unspent_bound_ms: counted.unspent_bound.as_millis_f64(),
        switching_reserved_share: counted.switching_share.as_f64(),
        overlap: disk_overlap(counted),
        pauses: total.pauses,
        paused_ms: total.paused.as_millis_f64(),
        notices: disk.notices.clone(),
        silent_ms: disk.silence.map(|silence| silence.as_secs_f64() * 1e3),
        // Known to the server, not to the disk's loop.
        file_problem: None,
        space: None,
        space_problem: None,
        pacing: Pacing {
            requests: pacing.served,
            overruns: pacing.overruns,
        },
        windows: each(&counted.windows, disk_window),
    }
}

fn stream_status(disk: &DiskReport, id: StreamId) -> StreamStatus {
    let stream = disk.stream(id);
    StreamStatus {
        account: disk.account(stream, &stream.windows),
        queue_time_us: percentiles(&stream.queue_time),
        service_time_us: percentiles(&stream.service_time),
    }
}

fn each<C: Copy, W>(counted: &LoopWindows<C>, window: impl Fn(Window<C>) -> W) -> Windows<W> {
    Windows {
        last_1s: window(counted.last_1s),
        last_10s: window(counted.last_10s),
        total: window(counted.total),
    }
}

/// One window of a disk.
fn disk_window(window: Window<DiskCounters>) -> DiskWindow {
    let counters = window.counters;
    let times = DiskTimes {
        busy: counters.busy,
        charged: counters.charged,
        waiting: counters.waiting,
        switching: counters.switching,
    };
    DiskWindow::new(
        window.elapsed,
        times,
        counters.switches,
        counters.dispatches,
    )
}

/// One window of a stream.
pub(crate) fn stream_window(window: Window<StreamCounters>) -> StreamWindow {
    let counters = window.counters;
    let times = StreamTimes {
        reserved: counters.reserved,
        spare: counters.spare,
        waited: counters.waited,
    };
    let counts = StreamCounts {
        deadlines_met: counters.deadlines_met,
        deadlines_missed: counters.deadlines_missed,
        requests: counters.requests,
    };
    StreamWindow::new(window.elapsed, times, counts)
}

/// Percentiles in microseconds.
pub(crate) fn percentiles(times: &LoopPercentiles) -> Percentiles {
    let micros = |time: Nanos| time.0 as f64 / 1e3;
    Percentiles {
        count: times.count,
        p50: micros(times.p50),
        p90: micros(times.p90),
        p99: micros(times.p99),
        p99_9: micros(times.p99_9),
        max: micros(times.max),
    }
}
