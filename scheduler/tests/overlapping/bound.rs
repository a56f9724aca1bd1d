//! What is unspent at the end of a period, and the least slack after any event: each test is a
//! kind of set in which a rule that seemed right broke the bound.

use super::{holds, ms, us};
use disktime_lab::overlap::cases::{Q128, R4, R64, W64};
use disktime_lab::overlap::sets::{Admission, SetFamily, set};
use disktime_lab::overlap::{Case, LabDrive, OverlapClient};
use disktime_random::SplitMix64;

fn case(drive: LabDrive, clients: Vec<OverlapClient>, seed: u64) -> Case {
    Case {
        drive,
        clients,
        seed,
    }
}

/// Without a bound on what the focus may have in the disk, a deep client in focus fills it, and the
/// burst that wakes next waits for all of that. The focus has to be due by the shortage as well:
/// what a later one sends lowers the slack before its deadline for good.
#[test]
fn a_burst_that_wakes_does_not_wait_for_all_of_a_deep_client() {
    let mut rng = SplitMix64::new(5);
    for seed in 0..40 {
        let every = rng.log_uniform(ms(2), ms(297));
        let count = 1 + rng.below(40) as u32;
        let burst = OverlapClient::new("burst", 1, R4).waking(every, count);
        let clients = vec![
            burst.reserved(390_000, ms(100)),
            OverlapClient::new("R64d2", 2, R64).reserved(320_000, ms(20)),
            OverlapClient::new("R4d256", 256, R4).reserved(190_000, ms(250)),
        ];
        holds(&case(LabDrive::pipe(), clients, seed), 1000);
    }
}

/// A group whose members sleep: its account's gap ends with a member's request, though the member's
/// request counts as the group's own at once.
#[test]
fn a_group_of_sleepers_is_charged_its_gaps_and_nothing_else() {
    for name in ["pipe", "nvme-970pro", "cheap-qlc"] {
        for seed in 0..12 {
            let member = |think, every, count| {
                let client = OverlapClient::new("m", 1, R4)
                    .thinking(us(think))
                    .waking(ms(every), count)
                    .reserved(593_000, ms(50));
                OverlapClient {
                    group: Some(0),
                    ..client
                }
            };
            let clients = vec![
                member(0, 30 + 7 * seed, 40),
                member(60, 90, 300),
                OverlapClient::new("best effort", 16, R64),
            ];
            holds(&case(LabDrive::find(name), clients, seed), 2000);
        }
    }
}

/// The same where both sleep, on a volume whose requests take long.
#[test]
fn a_deep_sleeper_in_focus_leaves_space_for_others() {
    for (name, seeds) in [("cloud-16k", 12), ("pipe", 12)] {
        for seed in 0..seeds {
            let every = ms(30 + 6 * seed);
            let clients = vec![
                OverlapClient::new("R4d1", 1, R4)
                    .thinking(us(60))
                    .waking(every, 60)
                    .reserved(647_000, ms(100)),
                OverlapClient::new("R64d2", 2, R64)
                    .waking(ms(40), 50)
                    .reserved(39_000, ms(100)),
                OverlapClient::new("R4d256", 256, R4)
                    .waking(ms(60), 10_000)
                    .reserved(173_000, ms(50)),
                OverlapClient::new("best effort", 128, R4),
            ];
            holds(&case(LabDrive::find(name), clients, seed), 2000);
        }
    }
}

/// A client that comes back just after the wait for it is over loses what others were let in for,
/// or it would cost them that again and again.
#[test]
fn a_client_that_lingers_pays_for_what_was_let_in() {
    for name in ["pipe", "nvme-970pro", "sata-870"] {
        for (total, lingers) in [(90, 5), (95, 20), (95, 5), (95, 2)] {
            let client = |name, depth, class, part: u32| {
                OverlapClient::new(name, depth, class).reserved(total * part, ms(20))
            };
            let clients = vec![
                client("lingers", 1, R4, 6000).lingering(lingers),
                client("Q128d4", 4, Q128, 4000),
                OverlapClient::new("best effort", 128, Q128),
            ];
            holds(&case(LabDrive::find(name), clients, 3), 2000);
        }
    }
}

/// The wait for the focus lowers its budget below W, another stream is first then, and nothing else
/// tells the scheduler.
#[test]
fn the_wait_for_the_focus_ends_when_another_becomes_first() {
    for name in ["nvme-970pro", "sata-870"] {
        for index in 0..12 {
            let drive = LabDrive::find(name);
            let case = set(SetFamily::Bursty, &drive, Admission::Promised, 4, index);
            holds(&case, 1000);
        }
    }
}

/// The same where it is waited for much longer than its budget lasts.
#[test]
fn a_slow_client_in_focus_is_not_waited_for_beyond_its_budget() {
    for answers in [ms(1), ms(5), ms(20)] {
        for slow in 0..2 {
            let mut clients = vec![
                OverlapClient::new("R64d7", 7, R64).reserved(143_000, ms(500)),
                OverlapClient::new("R64d7 too", 7, R64).reserved(176_000, ms(20)),
                OverlapClient::new("R4d1", 1, R4).reserved(509_000, ms(100)),
                OverlapClient::new("best effort", 128, Q128),
            ];
            clients[slow].turnaround = Some(answers);
            holds(&case(LabDrive::pipe(), clients, 1), 2000);
        }
    }
}

/// In focus time passes at rate 1, so the progress of a writer must too: its writes are not held
/// longer than they take.
#[test]
fn a_writer_in_focus_progresses_as_fast_as_time() {
    for name in ["nvme-970pro", "sata-870"] {
        for index in 0..10 {
            let drive = LabDrive::find(name);
            let case = set(SetFamily::Writers, &drive, Admission::Promised, 1, index);
            holds(&case, 1000);
        }
    }
}

/// The whole gap is charged while the disk is kept for a stream, or one that thinks is waited for
/// without paying.
#[test]
fn waiting_for_a_stream_is_not_free() {
    let clients = vec![
        OverlapClient::new("R64d2", 2, R64).reserved(770_000, ms(500)),
        OverlapClient::new("R4d1", 1, R4)
            .thinking(us(60))
            .reserved(180_000, ms(50)),
        OverlapClient::new("best effort", 128, R4),
    ];
    for name in ["pipe", "nvme-970pro"] {
        holds(&case(LabDrive::find(name), clients.clone(), 1), 2000);
    }
}

/// A gap is charged up to what the stream is behind and no further, also where bursts pile up.
#[test]
fn bursts_and_short_periods_hold_on_every_drive() {
    for name in LabDrive::NAMES {
        for index in 0..6 {
            let drive = LabDrive::find(name);
            let case = set(SetFamily::Bursty, &drive, Admission::Promised, 11, index);
            holds(&case, 1000);
        }
    }
}

/// Slack runs out while nothing happens: a disk that is held back decides again when it has.
#[test]
fn slack_that_runs_out_without_an_event_is_noticed() {
    let clients = vec![
        OverlapClient::new("R4d4", 4, R4).reserved(130_000, ms(100)),
        OverlapClient::new("R64d7", 7, R64).reserved(230_000, ms(100)),
        OverlapClient::new("Q128d4", 4, Q128).reserved(590_000, ms(100)),
    ];
    for name in ["pipe", "sata-870"] {
        holds(&case(LabDrive::find(name), clients.clone(), 1), 2000);
    }
}

/// Σu of 97 % without space for changes of the focus.
#[test]
fn nearly_the_whole_disk_can_be_reserved() {
    for name in ["pipe", "nvme-970pro", "sata-870", "cloud-16k"] {
        for family in [SetFamily::Steady, SetFamily::Bursty] {
            for index in 0..5 {
                let drive = LabDrive::find(name);
                let case = set(family, &drive, Admission::Total(970_000), 2, index);
                holds(&case, 1000);
            }
        }
    }
}

/// In focus the time that passes is charged. A price that is too low would keep the focus for ever,
/// and the others would starve.
#[test]
fn a_price_that_is_too_low_does_not_prolong_the_focus() {
    let clients = vec![
        OverlapClient::new("R4d1", 1, R4).reserved(500_000, ms(100)),
        OverlapClient::new("R64d7", 7, R64).reserved(400_000, ms(100)),
        OverlapClient::new("best effort", 64, Q128),
    ];
    for name in ["pipe", "nvme-970pro", "sata-870"] {
        let drive = LabDrive::find(name).with_prices(70);
        holds(&case(drive, clients.clone(), 1), 2000);
    }
}

/// What was taken for a request in flight can come back and lift a budget over W again. Had its
/// demand been put off meanwhile, it would return just before its deadline, when the disk is full
/// of what the others sent.
#[test]
fn a_debit_that_comes_back_does_not_bring_a_deadline_back() {
    for seed in 0..12 {
        let mut clients = vec![
            OverlapClient::new("Q128d4", 4, Q128).reserved(134_000, ms(100)),
            OverlapClient::new("R4d256", 256, R4),
            OverlapClient::new("R64d2", 2, R64).reserved(664_000, ms(20)),
        ];
        clients[0].turnaround = Some(us(100));
        // No client writes, so half a millisecond bounds a request.
        let drive = LabDrive::find("nvme-970pro").with_worst_case(us(500));
        holds(&case(drive, clients, seed), 1000);
    }
}

/// What writes leave behind delays the next stream by up to σ at each change between them. A writer
/// with a short period comes often, and a reader with a long one would lose σ each time, more and
/// more until its period ends, if slack did not keep time for it.
#[test]
fn a_writer_that_comes_often_does_not_use_up_a_long_period() {
    for (name, depth) in [("cheap-qlc", 4), ("cheap-qlc", 1)] {
        let clients = vec![
            OverlapClient::new("W64d2", 2, W64).reserved(47_000, ms(20)),
            OverlapClient::new("reads", depth, R4).reserved(780_000, ms(500)),
        ];
        holds(&case(LabDrive::find(name).used_up(), clients, 1), 1500);
    }
}

/// At each change between two accounts the drain is wrong by what their requests meet in the disk.
/// A stream with a period of 20 ms brings two changes each time, and a stream with a long one would
/// lose a little at each until its period ends, had spare time not left something for that.
#[test]
fn changes_between_accounts_do_not_use_up_a_long_period() {
    let mut clients = vec![
        OverlapClient::new("R64d2", 2, R64).reserved(726_000, ms(500)),
        OverlapClient::new("R64d2 too", 2, R64).reserved(204_000, ms(20)),
        OverlapClient::new("best effort", 128, Q128),
    ];
    for client in &mut clients {
        client.turnaround = Some(us(100));
    }
    holds(&case(LabDrive::find("sata-870"), clients, 1), 1000);
}
