//! Sets of reserved streams at the limit of admission: what is unspent, the least slack, isolation.

use super::quantile;
use disktime_lab::overlap::sets::{Admission, SetFamily, set};
use disktime_lab::overlap::{Case, CaseMeasure, LabDrive, SoloRuns, Span, measure};
use disktime_lab::{Table, cells, parallel};
use disktime_scheduler::PolicyKind;
use disktime_units::Nanos;

/// What to run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Sets of each family on each drive.
    pub count: u64,
    /// The first of them.
    pub first: u64,
    /// Their seed.
    pub seed: u64,
    /// At once.
    pub threads: usize,
    /// How much is reserved.
    pub admission: Admission,
}

/// A set and what it showed.
struct Outcome {
    case: Case,
    index: u64,
    measure: CaseMeasure,
}

impl Outcome {
    fn unspent(&self) -> f64 {
        let unspent = self.measure.streams.iter().map(|stream| stream.unspent);
        unspent.max().unwrap_or(0) as f64 / self.measure.bound as f64
    }

    fn slack(&self) -> f64 {
        self.measure.least_slack as f64 / self.measure.bound as f64
    }

    /// Of streams that never stop, whose budget is worth a request.
    fn isolations(&self) -> Vec<f64> {
        let writers = self.case.has_writers();
        let drive = &self.case.drive;
        let least = 2 * drive.worst_case().max(drive.change_cost(writers)).0;
        let streams = self.case.clients.iter().zip(&self.measure.streams);
        let counted = streams.filter(|(client, _)| {
            client.wakes.is_none()
                && client.config.reservation.is_some_and(|reservation| {
                    client.share() * reservation.period.0 as f64 >= least as f64
                })
        });
        counted.map(|(_, stream)| stream.isolation).collect()
    }
}

const SPAN: Span = Span {
    warm: Nanos::from_millis(500),
    length: Nanos::from_secs(1),
};

/// Runs them and returns what they showed.
pub fn run(plan: Plan) -> String {
    let alone = SoloRuns::default();
    let mut table = Table::new([
        "family, drive",
        "sets",
        "unspent ÷ W, max",
        "median",
        "sets > W",
        "least slack ÷ W",
        "sets < −W",
        "isolation worst",
        "1 %",
        "median",
        "efficiency, median",
    ]);
    let mut worst: Vec<Outcome> = Vec::new();
    for family in SetFamily::ALL {
        for name in LabDrive::NAMES {
            if family == SetFamily::Writers && name == "pipe" {
                continue;
            }
            let drive = LabDrive::find(name).used_up();
            let indices: Vec<u64> = (plan.first..plan.first + plan.count).collect();
            let mut outcomes = parallel::map(&indices, plan.threads, |index| {
                let case = set(family, &drive, plan.admission, plan.seed, *index);
                let policy = PolicyKind::Fahrrad;
                let turnaround = Nanos::from_micros(10);
                let measure = measure(&case, policy, SPAN, turnaround, &alone, true);
                Outcome {
                    case,
                    index: *index,
                    measure,
                }
            });
            row(&mut table, &format!("{}, {name}", family.name()), &outcomes);
            outcomes.retain(|one| one.unspent() > 1.0 || one.slack() < -1.0);
            worst.extend(outcomes);
        }
    }
    worst.sort_by(|one, other| other.unspent().total_cmp(&one.unspent()));
    worst.truncate(30);
    let mut text = format!("{table}\n");
    for one in worst {
        text += &format!(
            "unspent {:.2} W, slack {:.2} W, index {}: {}\n",
            one.unspent(),
            one.slack(),
            one.index,
            one.case
        );
    }
    text
}

fn row(table: &mut Table, name: &str, outcomes: &[Outcome]) {
    let unspent: Vec<f64> = outcomes.iter().map(Outcome::unspent).collect();
    let slack: Vec<f64> = outcomes.iter().map(Outcome::slack).collect();
    let isolation: Vec<f64> = outcomes.iter().flat_map(Outcome::isolations).collect();
    let efficiency = outcomes.iter().map(|one| one.measure.efficiency).collect();
    table.row(cells![
        name,
        outcomes.len(),
        format!("{:.3}", quantile(unspent.clone(), 1.0)),
        format!("{:.2}", quantile(unspent.clone(), 0.5)),
        unspent.iter().filter(|one| **one > 1.0).count(),
        format!("{:.2}", quantile(slack.clone(), 0.0)),
        slack.iter().filter(|one| **one < -1.0).count(),
        format!("{:.3}", quantile(isolation.clone(), 0.0)),
        format!("{:.3}", quantile(isolation.clone(), 0.01)),
        format!("{:.2}", quantile(isolation, 0.5)),
        format!("{:.2}", quantile(efficiency, 0.5)),
    ]);
}
