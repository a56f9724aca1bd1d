//! The keys of a workload file, once, with what each accepts. The file's reader, the command line
//! and the tests of the documentation go by these lists. What a key leads to is not known here.

/// Which clients have a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    /// All.
    Any,
    /// Those that make requests up.
    Generated,
    /// Those that replay a trace.
    Trace,
}

/// How a value is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// In double quotes.
    Text,
    /// A number, `true` or `false`, without quotes.
    Bare,
    /// A list or an object.
    Nested,
}

/// A key of a client: its name, who has it, how its value is written, and what is accepted.
pub(crate) struct Key(pub &'static str, pub Of, pub Form, pub &'static str);

/// The keys of a client.
pub(crate) const KEYS: [Key; 28] = [
    Key(
        "vdisk",
        Of::Any,
        Form::Text,
        "the name of a virtual disk, as in \"web\"",
    ),
    KIND,
    Key(
        "mix",
        Of::Generated,
        Form::Nested,
        "a list of parts, as in [{ \"weight\": 9, \"kind\": \"random\" }, { \"weight\": 1, \"kind\": \"log-writer\" }]",
    ),
    PATTERN,
    RUN,
    THETA,
    POPULAR,
    BLOCK,
    READ,
    FUA,
    Key(
        "commit",
        Of::Generated,
        Form::Bare,
        "after how many requests a flush is asked for, from 1 to 1000000, as in 10; 0 for no flush",
    ),
    Key(
        "think",
        Of::Generated,
        Form::Text,
        "a duration, or a law of durations, as in \"0ms\" (default), \"10ms\", \"exponential 10ms\" or \"uniform 5ms 15ms\"; only without `rate`",
    ),
    Key(
        "rate",
        Of::Generated,
        Form::Text,
        "requests per time, as in \"400/s\", \"0.5/s\", \"30/min\", \"poisson 400/s\" or \"bursts 30/s\"",
    ),
    Key(
        "burst_period",
        Of::Generated,
        Form::Text,
        "the time from one burst to the next, as in \"1s\" or \"uniform 100ms 1s\" (default); only with bursts",
    ),
    Key(
        "trace",
        Of::Trace,
        Form::Text,
        "a file with recorded requests, as in \"vm.csv.gz\"",
    ),
    Key(
        "format",
        Of::Trace,
        Form::Text,
        "\"auto\" (default), \"csv\", \"msr\", \"spc\", \"blkparse\" or \"fio\"",
    ),
    Key(
        "dev",
        Of::Trace,
        Form::Bare,
        "the number of a device in the trace, as in 0, or \"8,16\" for blkparse; all devices if left out",
    ),
    Key(
        "event",
        Of::Trace,
        Form::Text,
        "which lines of blkparse are the requests: \"queued\" (default) or \"issued\"",
    ),
    Key(
        "unsorted",
        Of::Trace,
        Form::Text,
        "what is done about times that go back: \"refuse\" (default) or \"at-once\"",
    ),
    Key(
        "timing",
        Of::Trace,
        Form::Text,
        "when requests come: \"recorded\" (default), or \"asap\", as fast as answers do",
    ),
    Key(
        "speed",
        Of::Trace,
        Form::Bare,
        "how much faster than recorded, from 0.001 to 1000000, as in 1.0 (default)",
    ),
    Key(
        "max_gap",
        Of::Trace,
        Form::Text,
        "the longest pause between two requests, to which longer ones are cut, as in \"1s\"; none if left out",
    ),
    Key(
        "fit",
        Of::Trace,
        Form::Text,
        "\"refuse\" (default), \"wrap\" or \"scale\"",
    ),
    Key(
        "depth",
        Of::Any,
        Form::Bare,
        "requests under way at most, from 1 to 65536, as in 16 (default 1; with a rate or a trace 128)",
    ),
    Key(
        "start",
        Of::Any,
        Form::Text,
        "a duration from the start of the workload, as in \"0s\" (default)",
    ),
    Key(
        "stop",
        Of::Any,
        Form::Text,
        "a duration after `start`, as in \"60s\"; by default the workload's",
    ),
    Key("offset", Of::Any, Form::Text, OFFSET),
    Key("span", Of::Any, Form::Text, SPAN),
];

/// The keys of a part of a mix.
pub(crate) const MIX_KEYS: [Key; 11] = [
    Key(
        "weight",
        Of::Generated,
        Form::Bare,
        "how often it is drawn in relation to the other parts, from 1 to 1000000, as in 1 (default)",
    ),
    KIND,
    PATTERN,
    RUN,
    THETA,
    POPULAR,
    BLOCK,
    READ,
    FUA,
    Key("offset", Of::Generated, Form::Text, OFFSET),
    Key("span", Of::Generated, Form::Text, SPAN),
];

const KIND: Key = Key(
    "kind",
    Of::Generated,
    Form::Text,
    "the name of a kind of generator, whose defaults it has, as in \"random\" (default), \"sequential\", \"semi-random\", \"zipf\", \"bursts\", \"poisson\", \"constant\", \"closed-loop\", \"media-player\", \"web-server\", \"oltp\" or \"log-writer\"",
);
const PATTERN: Key = Key(
    "pattern",
    Of::Generated,
    Form::Text,
    "\"random\" (default), \"sequential\", \"semi-random\" or \"zipf\"",
);
const RUN: Key = Key(
    "run",
    Of::Generated,
    Form::Bare,
    "how many consecutive blocks a semi-random run has, 1 or more, as in 16",
);
const THETA: Key = Key(
    "theta",
    Of::Generated,
    Form::Bare,
    "how unequal blocks are by Zipf's law, from 0 (not at all) to 5, as in 0.99 (default)",
);
const POPULAR: Key = Key(
    "popular",
    Of::Generated,
    Form::Text,
    "where popular blocks lie: \"scattered\" (default) or \"first\"",
);
const BLOCK: Key = Key(
    "block",
    Of::Generated,
    Form::Text,
    "a size from 1B to 32MiB, as in \"4KiB\" (default)",
);
const READ: Key = Key(
    "read",
    Of::Generated,
    Form::Text,
    "the share of reads, as in \"100%\" (default) or \"70%\"",
);
const FUA: Key = Key(
    "fua",
    Of::Generated,
    Form::Bare,
    "whether writes are answered only when they are durable: true or false (default)",
);
const OFFSET: &str = "where the part that it uses starts, as in \"0B\" (default) or \"1GiB\"";
const SPAN: &str = "the size of the part that it uses, as in \"1GiB\"; by default the rest";

/// The keys of the file.
pub(crate) const ROOT_KEYS: [Key; 3] = [
    Key(
        "duration",
        Of::Any,
        Form::Text,
        "how long the workload runs, more than nothing, as in \"60s\"",
    ),
    Key(
        "seed",
        Of::Any,
        Form::Bare,
        "a whole number from 0, as in 1 (default)",
    ),
    Key(
        "clients",
        Of::Any,
        Form::Nested,
        "an object, as in { \"reader\": { \"vdisk\": \"web\" } }",
    ),
];
