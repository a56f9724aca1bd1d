//! `iocost`: shares of the drive's throughput by price, lent when unused, at a rate that keeps
//! latency near its target; and why a share there is no promise to a client of depth 1.

use super::{TURNAROUND, ms};
use disktime_lab::overlap::cases::{Q128, R4, R64, W64};
use disktime_lab::overlap::{
    Case, CaseMeasure, DEPTH, LabDrive, OverlapClient, OverlapRun, Peer, PeerRun, SoloRuns, Span,
    StreamResult,
};

fn client(depth: u32, class: disktime_lab::overlap::Class, percent: u32) -> OverlapClient {
    let client = OverlapClient::new("c", depth, class);
    if percent == 0 {
        return client;
    }
    client.reserved(percent * 10_000, ms(100))
}

/// What each had of half a second, after another.
fn run(drive: &LabDrive, clients: &[OverlapClient]) -> Vec<StreamResult> {
    let (config, clients) = Peer::Iocost.set_up(drive, DEPTH, clients, &[]);
    let device = drive.device(1);
    let mut run = OverlapRun::new(config, device, drive.cost(), clients, TURNAROUND, 1);
    run.run(ms(500), ms(500));
    run.results()
}

fn measured(peer: Peer, drive: &LabDrive, clients: Vec<OverlapClient>) -> CaseMeasure {
    let case = Case {
        drive: drive.clone(),
        clients,
        seed: 1,
    };
    let span = Span {
        warm: ms(500),
        length: ms(500),
    };
    let run = PeerRun {
        case: &case,
        peer,
        depth: DEPTH,
        span,
        turnaround: TURNAROUND,
        prices_percent: 100,
    };
    run.measure(&SoloRuns::default())
}

#[test]
fn deep_clients_divide_the_throughput_by_their_shares() {
    for name in ["nvme-970pro", "sata-870", "cloud-16k", "pipe"] {
        for (class, other) in [(R4, R4), (R4, Q128), (R64, W64)] {
            let clients = [client(128, class, 75), client(128, other, 25)];
            let results = run(&LabDrive::find(name), &clients);
            let [first, second] = &results[..] else {
                panic!("two clients")
            };
            let ratio = first.occupancy.as_secs_f64() / second.occupancy.as_secs_f64();
            assert!((2.6..3.4).contains(&ratio), "{name}: {ratio:.2}, 3 is due");
        }
    }
}

#[test]
fn what_one_does_not_use_others_do() {
    // Half is reserved for a client that uses a hundredth or less.
    for name in ["nvme-970pro", "sata-870", "pipe"] {
        let drive = LabDrive::find(name);
        let idle = client(1, R4, 50).thinking(ms(5));
        let beside = run(&drive, &[idle, client(128, R4, 0)]);
        let alone = run(&drive, &[client(128, R4, 0)]);
        let ratio = beside[1].requests as f64 / alone[0].requests as f64;
        assert!(ratio > 0.93, "{name}: {ratio:.2} of what it does alone");
    }
}

#[test]
fn the_rate_keeps_nineteen_of_twenty_reads_within_the_target() {
    for name in ["nvme-970pro", "sata-870"] {
        let drive = LabDrive::find(name);
        let target = drive.iocost().qos.read_latency;
        let clients = [client(1, R4, 50), client(256, R4, 0)];
        let ninety = |result: &StreamResult| result.latency.value_at_quantile(0.90);
        let ours = ninety(&run(&drive, &clients)[0]);
        assert!(
            ours <= target.0,
            "{name}: {ours} ns, the target is {target}"
        );
        let (config, clients) = Peer::Fifo.set_up(&drive, DEPTH, &clients, &[]);
        let mut fifo = OverlapRun::new(
            config,
            drive.device(1),
            drive.cost(),
            clients,
            TURNAROUND,
            1,
        );
        fifo.run(ms(500), ms(500));
        let fifo = ninety(&fifo.results()[0]);
        assert!(fifo > ours, "{name}: fifo {fifo} ns, {ours} ns here");
    }
}

#[test]
fn a_share_of_the_throughput_is_no_promise_to_a_client_of_depth_1() {
    // Four fifths of a drive on which writes settle for longer than a read takes.
    let drive = LabDrive::find("cheap-qlc").used_up();
    let clients = || vec![client(1, R4, 80), client(32, W64, 0)];
    let theirs = measured(Peer::Iocost, &drive, clients()).streams[0].isolation;
    let ours = measured(Peer::Fahrrad, &drive, clients()).streams[0].isolation;
    assert!(theirs < 0.8, "{theirs:.3}");
    assert!(ours > 0.95, "{ours:.3}");
}
