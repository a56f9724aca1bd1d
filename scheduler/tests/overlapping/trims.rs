//! Discards that take far longer than their prices say: a hole punched into a file of a file system
//! that tells its device of it takes 10 to 50 ms, and the file is locked meanwhile.
//!
//! A storm of them, 64 outstanding, leaves a stream what it reserved, on every kind of drive, with
//! one request in flight and with many, and is done all the same.

use super::{TURNAROUND, ms};
use disktime_drive_models::{CostModel, HddModel, Operation, ServiceModel, preset};
use disktime_lab::oracle::disks::RESERVED;
use disktime_lab::overlap::cases::{R4, T1M};
use disktime_lab::overlap::{
    Class, DiscardTimes, LabDrive, LockedFile, OneAtATime, OverlapClient, OverlapDevice, OverlapRun,
};
use disktime_scheduler::{PolicyKind, SchedulerConfig, SeekCurve};
use disktime_units::Nanos;

/// What a stream got.
struct Outcome {
    /// Of its reservation, what it would have had alone.
    isolation: f64,
    /// Discards that were done in a second.
    discards: f64,
    unspent: Nanos,
}

/// A kind of drive: what the scheduler is told, and a new one.
struct Kind {
    name: String,
    config: Box<dyn Fn(PolicyKind) -> SchedulerConfig>,
    cost: CostModel,
    device: Box<dyn Fn() -> Box<dyn OverlapDevice>>,
}

fn kinds() -> Vec<Kind> {
    let mut kinds = vec![hard_disk()];
    for name in LabDrive::NAMES {
        let drive = LabDrive::find(name).used_up();
        for one in [false, true] {
            let (told, made) = (drive.clone(), drive.clone());
            let in_flight = if one { "one" } else { "many" };
            kinds.push(Kind {
                name: format!("{name}, {in_flight} in flight"),
                config: Box::new(move |policy| {
                    let config = told.config(policy);
                    let most = if one { 1 } else { config.max_in_flight };
                    SchedulerConfig {
                        max_in_flight: most,
                        ..config
                    }
                }),
                cost: drive.cost(),
                device: Box::new(move || made.device(1)),
            });
        }
    }
    kinds
}

/// Its clients' zones, which are far apart, side by side.
struct Folded(HddModel);

impl ServiceModel for Folded {
    fn serve(&mut self, start: Nanos, operation: Operation, offset: u64, len: u64) -> Nanos {
        let zone_bytes = self.0.size_bytes() / 8;
        let zone_bytes = zone_bytes - zone_bytes % (1 << 20);
        let within = offset % zone_bytes;
        let offset = (offset >> 38) % 8 * zone_bytes + within.min(zone_bytes - len);
        self.0.serve(start, operation, offset, len)
    }
}

fn hard_disk() -> Kind {
    let (parameters, _) = preset("desktop-7200-2008").unwrap();
    let model = HddModel::new(&parameters).unwrap();
    let told = model.properties();
    let points = told.seek_curve.iter();
    let points: Vec<_> = points
        .map(|point| (point.distance_bytes, point.seek))
        .collect();
    let (worst_case, switch_cost, worst_seek) =
        (told.worst_case, told.switch_cost, told.worst_seek);
    Kind {
        name: "a hard disk".to_owned(),
        config: Box::new(move |policy| SchedulerConfig {
            policy,
            worst_case,
            switch_cost,
            worst_seek,
            has_seeks: true,
            switching: RESERVED,
            seek_curve: SeekCurve::new(points.clone()),
            ..disktime_lab::oracle::disks::plain_disk(worst_case)
        }),
        cost: told.cost,
        device: Box::new(move || Box::new(OneAtATime::new(Folded(model.clone())))),
    }
}

/// A reader with half of the drive beside a storm, for so long.
fn beside(kind: &Kind, storm: OverlapClient, times: DiscardTimes, period: Nanos) -> Outcome {
    let victim = OverlapClient::new("v", 1, R4).reserved(500_000, period);
    let run = |policy, clients| {
        let device = LockedFile::new((kind.device)(), times, 1);
        let config = (kind.config)(policy);
        let mut run = OverlapRun::new(config, device, kind.cost, clients, TURNAROUND, 1);
        run.run(ms(500), ms(6000));
        run.results()
    };
    let alone = run(PolicyKind::Fifo, vec![victim.clone()])[0].requests as f64;
    let results = run(PolicyKind::Fahrrad, vec![victim, storm]);
    let unspent = results[0].counters.unspent_max.unwrap_or(0);
    Outcome {
        isolation: results[0].requests as f64 / alone / 0.5,
        discards: results[1].requests as f64 / 6.0,
        unspent: Nanos(unspent.max(0) as u64),
    }
}

const JOURNAL: DiscardTimes = DiscardTimes {
    least: Nanos::from_millis(10),
    most: Nanos::from_millis(50),
    per_mib: Nanos::ZERO,
};

fn storm() -> OverlapClient {
    OverlapClient::new("storm", 64, T1M)
}

#[test]
fn a_storm_of_slow_discards_leaves_a_stream_its_half() {
    for kind in kinds() {
        let worst_case = (kind.config)(PolicyKind::Fahrrad).worst_case;
        let outcome = beside(&kind, storm(), JOURNAL, ms(150));
        let Outcome {
            isolation,
            discards,
            unspent,
        } = outcome;
        assert!(isolation >= 0.97, "{}: {isolation:.3}", kind.name);
        assert!(discards >= 5.0, "{}: {discards:.1} a second", kind.name);
        // The first one is started before it was measured what it takes.
        let most = worst_case + JOURNAL.most;
        assert!(unspent <= most, "{}: {unspent} unspent", kind.name);
    }
}

/// Half of the period is less than a discard takes: there is never space for one, so one goes now
/// and then, for a hundredth of the time.
#[test]
fn discards_that_never_fit_beside_a_reservation_are_done_at_last() {
    for kind in kinds() {
        if kind.name == "a hard disk" {
            continue;
        }
        let outcome = beside(&kind, storm(), JOURNAL, ms(40));
        let (isolation, discards) = (outcome.isolation, outcome.discards);
        assert!(isolation >= 0.96, "{}: {isolation:.3}", kind.name);
        assert!(discards > 0.0, "{}: {discards:.2} a second", kind.name);
    }
}

/// Who discards pays for it, from its own reservation as well.
#[test]
fn a_reservation_for_discards_is_used_up_by_them() {
    let reserved = storm().reserved(200_000, ms(500));
    for kind in kinds() {
        let outcome = beside(&kind, reserved.clone(), JOURNAL, ms(200));
        let (isolation, discards) = (outcome.isolation, outcome.discards);
        assert!(isolation >= 0.97, "{}: {isolation:.3}", kind.name);
        // A fifth of the time is 200 ms of a second: 6 of 30 ms.
        assert!(discards >= 5.0, "{}: {discards:.1} a second", kind.name);
    }
}

/// Where no stream with a reservation is active, nothing holds short discards back.
#[test]
fn discards_on_a_disk_that_is_not_reserved_go_side_by_side() {
    let rate = |reserved: Option<OverlapClient>| {
        let drive = LabDrive::find("nvme-970pro");
        let discards = OverlapClient::new("d", 64, Class::discard(128 << 10));
        let clients = [Some(discards), reserved].into_iter().flatten().collect();
        let config = drive.config(PolicyKind::Fahrrad);
        let mut run = OverlapRun::new(
            config,
            drive.device(1),
            drive.cost(),
            clients,
            TURNAROUND,
            1,
        );
        run.run(ms(300), ms(300));
        run.results()[0].requests as f64
    };
    let sleeper = OverlapClient::new("s", 1, R4).waking(ms(100_000), 1);
    let ratio = rate(Some(sleeper.reserved(10_000, ms(2000)))) / rate(None);
    assert!(ratio >= 0.9, "{ratio:.3}");
}
