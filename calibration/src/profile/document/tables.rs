//! Every key of a profile, with what it accepts.

use super::VERSION;
use crate::profile::Class;
use crate::profile::bounds::{BYTES_PER_SECOND, DEPTH, PER_SECOND, QUANTUM_BYTES, TIME_NS};
use disktime_documents::{Form, Format, Key, Table, ValueKind, key, required_key};
use std::ops::RangeInclusive;

const TEXTS: ValueKind = ValueKind::Format(&Format {
    what: "a list of sentences",
    form: Form::Nested,
    expected: "a list of texts",
    definition: "texts",
});

const fn integer(range: RangeInclusive<u64>) -> ValueKind {
    ValueKind::Integer {
        least: *range.start(),
        most: *range.end(),
    }
}

const TIME: ValueKind = integer(0..=*TIME_NS.end());
const POSITIVE_TIME: ValueKind = integer(TIME_NS);
const BYTES: ValueKind = integer(0..=u64::MAX);

pub(super) static ROOT: Table = Table::new("a profile", &[ROOT_KEYS]);
const ROOT_KEYS: &[Key] = &[
    required_key(
        "version",
        integer(1..=VERSION),
        "The version of this format.",
    ),
    required_key(
        "device",
        ValueKind::Object(&DEVICE),
        "The device that was measured.",
    ),
    required_key("seconds", integer(1..=1_000_000), "How long was measured."),
    required_key(
        "measured_writes",
        ValueKind::Truth,
        "Whether writes were measured.",
    ),
    required_key(
        "coefficients",
        ValueKind::Object(&COEFFICIENTS),
        "The six coefficients.",
    ),
    required_key(
        "classes",
        ValueKind::Object(&CLASSES),
        "Prices by class of request.",
    ),
    required_key(
        "quantum_bytes",
        integer(QUANTUM_BYTES),
        "The longest request in one piece.",
    ),
    required_key("worst_case_ns", POSITIVE_TIME, "W."),
    required_key("occupancy_bound_ns", POSITIVE_TIME, "H."),
    required_key("settle_ns", TIME, "σ."),
    required_key(
        "knee_depth",
        integer(DEPTH),
        "The depth with 95 % of the peak.",
    ),
    required_key(
        "max_in_flight",
        integer(DEPTH),
        "The most requests in flight.",
    ),
    required_key(
        "depths",
        ValueKind::List(&DEPTH_POINT),
        "Random reads by depth.",
    ),
    key(
        "seeks",
        ValueKind::Object(&SEEKS),
        "",
        "Seeks, of a device that has them.",
    ),
    key("remarks", TEXTS, "", "What differed while it was measured."),
];

static DEVICE: Table = Table::new(
    "the device of a profile",
    &[&[
        required_key("path", ValueKind::Path, "Where it was found."),
        required_key("size_bytes", BYTES, "Its size."),
        key("model", ValueKind::Path, "", "Its model."),
        key("serial", ValueKind::Path, "", "Its serial number."),
        required_key("rotational", ValueKind::Truth, "Whether it has seeks."),
        key(
            "scheduler",
            ValueKind::Path,
            "",
            "The kernel's scheduler above it.",
        ),
        key(
            "write_cache",
            ValueKind::Truth,
            "",
            "Whether it has a write cache.",
        ),
    ]],
);

static COEFFICIENTS: Table = Table::new(
    "the coefficients",
    &[&[
        required_key("rbps", integer(BYTES_PER_SECOND), "Bytes read a second."),
        required_key(
            "rseqiops",
            integer(PER_SECOND),
            "Sequential reads of 4 KiB a second.",
        ),
        required_key(
            "rrandiops",
            integer(PER_SECOND),
            "Random reads of 4 KiB a second.",
        ),
        required_key("wbps", integer(BYTES_PER_SECOND), "Bytes written a second."),
        required_key(
            "wseqiops",
            integer(PER_SECOND),
            "Sequential writes of 4 KiB a second.",
        ),
        required_key(
            "wrandiops",
            integer(PER_SECOND),
            "Random writes of 4 KiB a second.",
        ),
    ]],
);

const fn class_key(class: Class) -> Key {
    required_key(class.name(), ValueKind::Object(&CLASS), "")
}

static CLASSES: Table = Table::new(
    "the classes",
    &[&[
        class_key(Class::RandomRead),
        class_key(Class::SequentialRead),
        class_key(Class::RandomWrite),
        class_key(Class::SequentialWrite),
        class_key(Class::Discard),
        class_key(Class::Flush),
    ]],
);

static CLASS: Table = Table::new(
    "a class",
    &[&[
        required_key("occupancy_base_ns", TIME, "Occupancy of no bytes."),
        required_key("occupancy_per_mib_ns", TIME, "Occupancy of a MiB."),
        required_key("lone_base_ns", TIME, "Latency of no bytes, alone."),
        required_key("lone_per_mib_ns", TIME, "Latency that a MiB adds, alone."),
        key(
            "small",
            ValueKind::Object(&LONE),
            "",
            "Requests of 4 KiB alone, as measured.",
        ),
        key(
            "quantum",
            ValueKind::Object(&LONE),
            "",
            "Requests of the quantum alone.",
        ),
    ]],
);

static LONE: Table = Table::new(
    "lone latencies",
    &[&[
        required_key("p10_ns", TIME, "A tenth takes no longer."),
        required_key("mean_ns", POSITIVE_TIME, "The mean."),
        required_key("p99_ns", TIME, "99 % take no longer."),
    ]],
);

static DEPTH_POINT: Table = Table::new(
    "a point of the depths",
    &[&[
        required_key("len_bytes", QUANTUM, "Length of each read."),
        required_key("depth", integer(DEPTH), "Reads in flight."),
        required_key("per_second", BYTES, "Reads each second."),
        required_key("mean_ns", TIME, "Mean latency."),
        required_key("p99_ns", TIME, "99 % take no longer."),
    ]],
);
const QUANTUM: ValueKind = integer(QUANTUM_BYTES);

static SEEKS: Table = Table::new(
    "the seeks",
    &[&[
        required_key("rotation_ns", POSITIVE_TIME, "A turn."),
        required_key("curve", ValueKind::List(&SEEK_POINT), "Seeks by distance."),
    ]],
);

static SEEK_POINT: Table = Table::new(
    "a point of the seeks",
    &[&[
        required_key("distance_bytes", BYTES, "The distance."),
        required_key("seek_ns", TIME, "The seek."),
    ]],
);
