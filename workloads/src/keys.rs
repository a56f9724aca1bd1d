//! The keys of a workload file, once, with what each accepts. The file's reader, the command line,
//! `disktime workloads` and the tests of the documentation go by these tables. What a key leads to
//! is not known here.

use crate::kinds::GeneratorKind;
use crate::operation::MAX_REQUEST_BYTES;
use crate::positions::Pattern;
use crate::workload::MAX_DEPTH;
use disktime_documents::{Form, Format, Key, NameRule, Table, ValueKind, key, required_key};
use disktime_units::{Nanos, Share};

/// The most parts of a mix.
pub(crate) const MAX_PARTS: usize = 64;

/// The most that a weight or a transaction may be.
const MAX_COUNT: u64 = 1_000_000;

/// A law of times.
pub(crate) static TIMES: Format = Format {
    what: "a duration or a law of durations",
    form: Form::Text,
    expected: "a duration or a law of durations, as in \"10ms\", \"exponential 10ms\" or \
        \"uniform 5ms 15ms\"",
    definition: "times",
};

/// A rate, with its law of arrivals.
pub(crate) static RATE: Format = Format {
    what: "a rate",
    form: Form::Text,
    expected: "requests per time with at most six decimals, as in \"400/s\", \"0.5/s\", \
        \"30/min\", \"poisson 400/s\" or \"bursts 30/s\"",
    definition: "rate",
};

static VDISK: Format = Format {
    what: "the name of a virtual disk",
    form: Form::Text,
    expected: "the name of a virtual disk, as in \"web\"",
    definition: "vdisk",
};

static DEVICE: Format = Format {
    what: "a device",
    form: Form::Bare,
    expected: "the number of a device in the trace, as in 0, or \"8,16\" for blkparse",
    definition: "device",
};

const COUNT: ValueKind = ValueKind::Integer {
    least: 0,
    most: MAX_COUNT,
};

/// The file.
pub(crate) static ROOT: Table = Table::new(
    "a workload",
    &[&[
        required_key(
            "duration",
            ValueKind::Duration {
                least: Nanos(1),
                most: Nanos::MAX,
            },
            "How long the workload runs.",
        ),
        key(
            "seed",
            ValueKind::Integer {
                least: 0,
                most: u64::MAX,
            },
            "1",
            "The seed of all random choices; those of a client depend on the seed and its name only.",
        ),
        required_key(
            "clients",
            ValueKind::Named(&CLIENT, NameRule::Text),
            "The clients, by name.",
        ),
    ]],
);

/// A client.
pub(crate) static CLIENT: Table = Table::new(
    "a client",
    &[
        COMMON_KEYS,
        RANGE_KEYS,
        GENERATOR_KEYS,
        REQUEST_KEYS,
        TRACE_KEYS,
    ],
);

/// A part of a mix.
pub(crate) static MIX_PART: Table =
    Table::new("a part of a mix", &[WEIGHT_KEY, REQUEST_KEYS, RANGE_KEYS]);

/// The keys of all clients.
pub(crate) const COMMON_KEYS: &[Key] = &[
    required_key(
        "vdisk",
        ValueKind::Format(&VDISK),
        "The virtual disk that it uses.",
    ),
    key(
        "depth",
        ValueKind::Integer {
            least: 1,
            most: MAX_DEPTH as u64,
        },
        "1; 128 with a rate or a trace",
        "The most requests in flight; in a closed loop, the number of users.",
    ),
    key(
        "start",
        ValueKind::ANY_DURATION,
        "0s",
        "When it starts, counted from the start of the workload.",
    ),
    key(
        "stop",
        ValueKind::ANY_DURATION,
        "the end of the workload",
        "When it stops, counted from the start of the workload.",
    ),
];

/// The keys of the part of a virtual disk that a client, or a part of a mix, uses.
pub(crate) const RANGE_KEYS: &[Key] = &[
    key(
        "offset",
        ValueKind::Size {
            least: 0,
            most: u64::MAX,
            multiple: 1,
        },
        "0B",
        "Where the part that it uses starts.",
    ),
    key(
        "span",
        ValueKind::Size {
            least: 1,
            most: u64::MAX,
            multiple: 1,
        },
        "the rest",
        "The size of the part that it uses.",
    ),
];

/// The keys of clients that generate requests: when requests come, and what they consist of.
pub(crate) const GENERATOR_KEYS: &[Key] = &[
    key(
        "mix",
        ValueKind::List(&MIX_PART),
        "",
        "Several kinds of requests, drawn by weight, as in [{ \"weight\": 9, \"kind\": \"random\" \
            }, { \"weight\": 1, \"kind\": \"log-writer\" }].",
    ),
    key(
        "commit",
        COUNT,
        "0, no flush",
        "After how many requests a flush is sent; in a closed loop after so many of each user, who \
            thinks after the flush instead of after each request. Flushes count as requests.",
    ),
    key(
        "think",
        ValueKind::Format(&TIMES),
        "0ms",
        "The time from a reply to the next request; only without `rate`.",
    ),
    key(
        "rate",
        ValueKind::Format(&RATE),
        "",
        "How often requests come, whatever the replies do.",
    ),
    key(
        "burst_period",
        ValueKind::Format(&TIMES),
        "uniform 100ms 1s",
        "The time from one burst to the next; only with bursts.",
    ),
];

/// The keys that say what is requested; with a mix they are in its parts.
pub(crate) const REQUEST_KEYS: &[Key] = &[
    key(
        "kind",
        ValueKind::Choice(&GeneratorKind::NAMES),
        "random",
        "The kind of generator, which sets the defaults of the other keys.",
    ),
    key(
        "pattern",
        ValueKind::Choice(&Pattern::NAMES),
        "random",
        "The order of positions; `sequential` begins again at the end of the part.",
    ),
    key(
        "run",
        ValueKind::Integer {
            least: 1,
            most: 1 << 40,
        },
        "",
        "How many consecutive blocks a semi-random run has; the kind has 16.",
    ),
    key(
        "theta",
        ValueKind::Number {
            least: 0.0,
            most: 5.0,
        },
        "0.99; web-server 1",
        "How unequal the popularity of blocks (or directories) is by Zipf's law: the k-th most \
            popular one is drawn with a probability proportional to 1/k^theta; 0 is equal.",
    ),
    key(
        "popular",
        ValueKind::Choice(&["scattered", "first"]),
        "scattered",
        "Where popular blocks are: over the part, or at its beginning.",
    ),
    key(
        "block",
        ValueKind::Size {
            least: 1,
            most: MAX_REQUEST_BYTES,
            multiple: 1,
        },
        "4KiB",
        "The size of a request.",
    ),
    key(
        "read",
        ValueKind::Share { least: Share::ZERO },
        "100%",
        "The share of reads; the others are writes. It does not change the positions.",
    ),
    key(
        "fua",
        ValueKind::Truth,
        "false",
        "Whether the reply to a write waits until the data are durable.",
    ),
];

const WEIGHT_KEY: &[Key] = &[key(
    "weight",
    ValueKind::Integer {
        least: 1,
        most: MAX_COUNT,
    },
    "1",
    "How often the part is drawn in relation to the other parts.",
)];

/// The keys of clients that replay a trace.
pub(crate) const TRACE_KEYS: &[Key] = &[
    key(
        "trace",
        ValueKind::Path,
        "",
        "The file with recorded requests, beside the workload file, plain or compressed by gzip, as \
            in \"vm.csv.gz\".",
    ),
    key(
        "format",
        ValueKind::Choice(&["auto", "csv", "msr", "spc", "blkparse", "fio"]),
        "auto",
        "The format of the file; `auto` goes by its first line.",
    ),
    key(
        "dev",
        ValueKind::Format(&DEVICE),
        "all devices",
        "The device whose requests are replayed; for fio files count from 0.",
    ),
    key(
        "event",
        ValueKind::Choice(&["queued", "issued"]),
        "queued",
        "Which lines of blkparse are the requests: queued (Q) as programs submitted them, issued (D) \
            as they were sent to the device.",
    ),
    key(
        "unsorted",
        ValueKind::Choice(&["refuse", "at-once"]),
        "refuse",
        "What happens to a time that is before the one of the line before it: an error, or the \
            request is sent at once.",
    ),
    key(
        "timing",
        ValueKind::Choice(&["recorded", "asap"]),
        "recorded",
        "When requests come: at the recorded times, or as soon as the depth allows.",
    ),
    key(
        "speed",
        ValueKind::Number {
            least: 0.001,
            most: 1e6,
        },
        "1",
        "How much faster than recorded requests come.",
    ),
    key(
        "max_gap",
        ValueKind::ANY_DURATION,
        "no limit",
        "The longest pause between two requests, after `speed`; longer ones are shortened to it.",
    ),
    key(
        "fit",
        ValueKind::Choice(&["refuse", "wrap", "scale"]),
        "refuse",
        "What happens to offsets beyond the part: `wrap` takes them modulo the part in whole 512 \
            bytes, `scale` scales all linearly, in steps of 512 bytes.",
    ),
];
