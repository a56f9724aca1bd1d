//! The presets: figures of each drive's model, and the prices that probes of it measure. W follows
//! from the figures.

use super::{OverlapDrive, OverlapParameters, QUANTUM_BYTES};
use crate::{ClassCost, CloudParameters, Credit, FlashParameters, OverlapCost};
use disktime_units::Nanos;

/// All presets.
pub(super) const ALL: &[fn() -> OverlapDrive] = &[
    nvme_970pro,
    sata_870,
    cheap_qlc,
    cheap_qlc_gc,
    cloud_16k,
    cloud_16k_burst,
];

/// A drive without what follows from its figures.
struct Preset {
    name: &'static str,
    about: &'static str,
    parameters: OverlapParameters,
    cost: OverlapCost,
}

impl Preset {
    fn drive(self) -> OverlapDrive {
        OverlapDrive {
            worst_case: self.parameters.worst_case(u64::from(QUANTUM_BYTES)),
            name: self.name,
            about: self.about,
            parameters: self.parameters,
            cost: self.cost,
        }
    }
}

const fn class(
    occupancy_base: u64,
    occupancy_per_mib: u64,
    lone_base: u64,
    lone_per_mib: u64,
) -> ClassCost {
    ClassCost {
        occupancy_base: Nanos(occupancy_base),
        occupancy_per_mib: Nanos(occupancy_per_mib),
        lone_base: Nanos(lone_base),
        lone_per_mib: Nanos(lone_per_mib),
    }
}

/// Time of a MiB at a rate.
const fn at_megabytes_per_second(rate: u64) -> Nanos {
    Nanos((1 << 20) * 1000 / rate)
}

fn nvme_970pro() -> OverlapDrive {
    Preset {
        name: "nvme-970pro",
        about: "An NVMe SSD with good flash (970 PRO): structure of the NVMeVirt emulator, dies \
                and commands set so that its measured rates come out.",
        parameters: OverlapParameters::Flash(FlashParameters {
            channels: 8,
            luns_per_channel: 2,
            stripe_bytes: 32 << 10,
            read: Nanos(42_400),
            program: Nanos::from_micros(217),
            slow_program: Nanos::from_micros(217),
            cache_bytes: None,
            erase_share: Nanos::from_micros(20),
            collected_per_thousand: 0,
            command: Nanos(1000),
            write_command: Nanos(3970),
            discard_command: Nanos::from_micros(20),
            discard_per_mib: Nanos(1000),
            read_latency: Nanos(21_500),
            write_latency: Nanos::from_micros(10),
            flush: Nanos::from_micros(20),
            channel_per_mib: at_megabytes_per_second(800),
            link_per_mib: at_megabytes_per_second(3360),
            buffer_bytes: 1 << 20,
            queue_depth: 1024,
            variation_percent: 0,
        }),
        cost: OverlapCost {
            random_read: class(1676, 298_677, 68_331, 744_464),
            sequential_read: class(1478, 300_238, 68_406, 725_446),
            random_write: class(2186, 456_555, 13_970, 312_072),
            sequential_write: class(2186, 456_555, 13_970, 312_072),
            discard: class(20_000, 999, 30_000, 1007),
            flush: class(2331, 0, 288_960, 0),
            occupancy_bound: Nanos(177_527),
            settle: Nanos(237_000),
            fast_read_percent: 100,
        },
    }
    .drive()
}

fn sata_870() -> OverlapDrive {
    Preset {
        name: "sata-870",
        about: "A SATA SSD (870 EVO): one link at 572 MB/s and 32 tags, set so that its measured \
                rates come out.",
        parameters: OverlapParameters::Flash(FlashParameters {
            channels: 4,
            luns_per_channel: 2,
            stripe_bytes: 32 << 10,
            read: Nanos::from_micros(62),
            program: Nanos::from_micros(465),
            slow_program: Nanos::from_micros(465),
            cache_bytes: None,
            erase_share: Nanos::from_micros(20),
            collected_per_thousand: 0,
            command: Nanos(10_100),
            write_command: Nanos(10_700),
            discard_command: Nanos::from_micros(20),
            discard_per_mib: Nanos(1000),
            read_latency: Nanos::from_micros(30),
            write_latency: Nanos::from_micros(20),
            flush: Nanos::from_micros(20),
            channel_per_mib: at_megabytes_per_second(400),
            link_per_mib: at_megabytes_per_second(572),
            buffer_bytes: 2 << 20,
            queue_depth: 32,
            variation_percent: 0,
        }),
        cost: OverlapCost {
            random_read: class(3039, 1_808_871, 110_027, 2_425_096),
            sequential_read: class(3057, 1_808_722, 110_027, 2_425_096),
            random_write: class(3223, 1_914_087, 30_700, 1_833_174),
            sequential_write: class(3223, 1_914_087, 30_700, 1_833_174),
            discard: class(19_999, 1007, 40_000, 1007),
            flush: class(15_052, 0, 597_020, 0),
            occupancy_bound: Nanos(454_480),
            settle: Nanos(485_000),
            fast_read_percent: 100,
        },
    }
    .drive()
}

/// The flash of the cheap drives.
fn qlc() -> FlashParameters {
    FlashParameters {
        channels: 4,
        luns_per_channel: 4,
        stripe_bytes: 32 << 10,
        read: Nanos::from_micros(95),
        program: Nanos::from_micros(550),
        slow_program: Nanos::from_micros(2200),
        cache_bytes: Some(256_000_000),
        erase_share: Nanos::from_micros(20),
        collected_per_thousand: 0,
        command: Nanos(2500),
        write_command: Nanos(5000),
        discard_command: Nanos::from_micros(20),
        discard_per_mib: Nanos(1000),
        read_latency: Nanos::from_micros(25),
        write_latency: Nanos::from_micros(10),
        flush: Nanos::from_micros(20),
        channel_per_mib: at_megabytes_per_second(1600),
        link_per_mib: at_megabytes_per_second(4580),
        buffer_bytes: 2 << 20,
        queue_depth: 1024,
        variation_percent: 0,
    }
}

fn cheap_qlc() -> OverlapDrive {
    Preset {
        name: "cheap-qlc",
        about: "A cheap NVMe SSD: reads at 4.6 GB/s, writes fast for 256 MB and at 240 MB/s after \
                that; assembled, not measured.",
        parameters: OverlapParameters::Flash(qlc()),
        cost: OverlapCost {
            random_read: class(5626, 183_865, 123_796, 552_530),
            sequential_read: class(5207, 187_268, 123_964, 509_497),
            random_write: class(0, 4_444_680, 15_000, 228_946),
            sequential_write: class(0, 4_444_680, 15_000, 228_946),
            discard: class(20_000, 999, 30_000, 1007),
            flush: class(5247, 0, 602_980, 0),
            occupancy_bound: Nanos(251_908),
            settle: Nanos(2_220_000),
            fast_read_percent: 100,
        },
    }
    .drive()
}

fn cheap_qlc_gc() -> OverlapDrive {
    Preset {
        name: "cheap-qlc-gc",
        about: "The cheap NVMe SSD when it is full: no fast part, and each write is written three \
                times; assembled, not measured.",
        parameters: OverlapParameters::Flash(FlashParameters {
            cache_bytes: Some(0),
            collected_per_thousand: 2000,
            ..qlc()
        }),
        cost: OverlapCost {
            random_read: class(5626, 183_865, 123_796, 552_530),
            sequential_read: class(5207, 187_268, 123_964, 509_497),
            random_write: class(0, 14_336_916, 15_000, 228_946),
            sequential_write: class(0, 14_336_916, 15_000, 228_946),
            discard: class(20_000, 999, 30_000, 1007),
            flush: class(34_840, 0, 2_545_407, 0),
            occupancy_bound: Nanos(251_908),
            settle: Nanos(6_660_000),
            fast_read_percent: 100,
        },
    }
    .drive()
}

fn cloud() -> CloudParameters {
    CloudParameters {
        operation: Nanos(62_500),
        operation_bytes: 256 << 10,
        per_mib: at_megabytes_per_second(250),
        credit: None,
        latency_min: Nanos::from_micros(300),
        latency_varies: Nanos::from_micros(140),
        latency_max: Nanos::from_micros(2000),
        queue_depth: 1024,
    }
}

fn cloud_16k() -> OverlapDrive {
    Preset {
        name: "cloud-16k",
        about: "A cloud volume with 16,000 operations and 250 MB a second and 0.3 to 2 ms of \
                latency; assembled from providers' limits.",
        parameters: OverlapParameters::Cloud(cloud()),
        cost: OverlapCost {
            random_read: class(47_642, 3_811_740, 495_933, 3_812_228),
            sequential_read: class(47_642, 3_811_740, 495_933, 3_812_228),
            random_write: class(47_642, 3_811_740, 495_933, 3_812_228),
            sequential_write: class(47_642, 3_811_740, 495_933, 3_812_228),
            discard: class(62_531, 0, 510_824, 0),
            flush: class(63_381, 0, 508_743, 0),
            occupancy_bound: Nanos(1_069_707),
            settle: Nanos(0),
            fast_read_percent: 75,
        },
    }
    .drive()
}

fn cloud_16k_burst() -> OverlapDrive {
    Preset {
        name: "cloud-16k-burst",
        about: "A cloud volume with 4,000 operations and 62.5 MB a second, four times as fast \
                while its credit of 10 s lasts; assembled from providers' limits.",
        parameters: OverlapParameters::Cloud(CloudParameters {
            operation: Nanos(250_000),
            per_mib: Nanos(4 * at_megabytes_per_second(250).0),
            credit: Some(Credit {
                burst_percent: 400,
                full: Nanos::from_secs(10),
            }),
            ..cloud()
        }),
        cost: OverlapCost {
            random_read: class(190_296, 15_284_356, 495_933, 3_812_228),
            sequential_read: class(190_296, 15_284_356, 495_933, 3_812_228),
            random_write: class(190_296, 15_284_356, 495_933, 3_812_228),
            sequential_write: class(190_296, 15_284_356, 495_933, 3_812_228),
            discard: class(250_000, 0, 510_824, 0),
            flush: class(254_032, 0, 508_743, 0),
            occupancy_bound: Nanos(2_310_924),
            settle: Nanos(0),
            fast_read_percent: 75,
        },
    }
    .drive()
}
