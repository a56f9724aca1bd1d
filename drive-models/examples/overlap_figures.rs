//! Prints what probes of the presets that overlap requests measure, and the prices that follow: the
//! constants of the presets are made with it.

use disktime_drive_models::{ClassCost, Load, Operation, OverlapDrive};

fn main() {
    for name in OverlapDrive::names() {
        let drive = OverlapDrive::find(name).expect("a preset's name");
        let cost = drive.measured_cost();
        println!("{name}");
        for (class, name) in [
            (cost.random_read, "random_read"),
            (cost.sequential_read, "sequential_read"),
            (cost.random_write, "random_write"),
            (cost.sequential_write, "sequential_write"),
            (cost.discard, "discard"),
            (cost.flush, "flush"),
        ] {
            let ClassCost {
                occupancy_base,
                occupancy_per_mib,
                lone_base,
                lone_per_mib,
            } = class;
            println!(
                "  {name}: class({}, {}, {}, {}),",
                occupancy_base.0, occupancy_per_mib.0, lone_base.0, lone_per_mib.0
            );
        }
        println!("  occupancy_bound: Nanos({}),", cost.occupancy_bound.0);
        println!("  settle: Nanos({}),", cost.settle.0);
        println!("  fast_read_percent: {},", cost.fast_read_percent);
        for (operation, len_bytes) in [
            (Operation::Read, 4096),
            (Operation::Read, 64 << 10),
            (Operation::Read, 128 << 10),
            (Operation::Write, 4096),
            (Operation::Write, 64 << 10),
            (Operation::Write, 128 << 10),
            (Operation::Discard, 1 << 20),
            (Operation::Flush, 0),
        ] {
            for load in [
                Load::random(operation, len_bytes, 128),
                Load::sequential(operation, len_bytes, 128),
            ] {
                let (deep, alone) = (drive.sustained(load), drive.alone(load));
                println!(
                    "  {:?} {operation:?} {len_bytes}: {} each, {}/s, {} MB/s, alone {} (max {})",
                    load.pattern,
                    deep.time_per_request(),
                    deep.per_second(),
                    deep.per_second() * len_bytes / 1_000_000,
                    alone.mean(),
                    alone.max()
                );
            }
        }
    }
}
