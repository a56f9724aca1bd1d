//! What requests are charged, compared with what they take alone.

use super::{ms, run};
use disktime_lab::overlap::cases::{Q128, R4, R64, W64};
use disktime_lab::overlap::{LabDrive, OverlapClient};

/// What a client alone receives is the time that passes, on every drive at every depth: within the
/// error of the prices.
#[test]
fn a_client_alone_receives_the_time_that_passes() {
    for name in LabDrive::NAMES {
        for (depth, class) in [(1, R4), (4, R4), (32, R4), (2, R64), (4, Q128), (16, W64)] {
            let drive = LabDrive::find(name).used_up();
            let client = OverlapClient::new("alone", depth, class).reserved(500_000, ms(100));
            let run = run(&drive, &[client], 1, 500);
            let id = run.scheduler().stream_at(0).expect("the stream is there");
            let received = run.scheduler().solo_time(id).as_secs_f64();
            assert!(
                (0.75..=1.15).contains(&received),
                "{name}, depth {depth}, {class:?}: {received} s of 1 s"
            );
            // What is added when a request arrives counts when it is done.
            let backlogged = run.scheduler().backlogged(id).as_secs_f64();
            assert!(backlogged <= 1.0, "{backlogged}");
        }
    }
}

/// An interval in which a stream was alone begins at its first dispatch and is compared as a ratio
/// of sums, so a model that is right stays uncorrected, whatever the depth.
#[test]
fn prices_that_are_right_are_not_corrected() {
    for name in ["nvme-970pro", "sata-870", "cheap-qlc"] {
        for depth in [1, 4] {
            let clients = [
                OverlapClient::new("v", depth, R4).reserved(800_000, ms(100)),
                OverlapClient::new("best effort", 64, R4),
            ];
            let run = run(&LabDrive::find(name), &clients, 1, 1000);
            let id = run.scheduler().stream_at(0).expect("the stream is there");
            let ppm = run.scheduler().price_correction_ppm(id);
            assert!(
                (900_000..=1_130_000).contains(&ppm),
                "{name}, depth {depth}: {ppm} ppm"
            );
        }
    }
}
