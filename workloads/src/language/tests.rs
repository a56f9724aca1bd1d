//! What the language accepts, what it refuses, and where it says the mistake is.

use super::*;
use crate::Pattern;
use crate::generated::{Blocks, Files, Generated, MixPart, Pace, Rate, Requests, Times};
use crate::kinds::GeneratorKind;
use crate::positions::Popularity;
use crate::trace::{Fit, Timing, TraceSource};
use crate::trace::{TraceEvent, TraceFormat, TraceOptions, Unsorted};
use crate::workload::{Client, OPEN_DEPTH, RequestSource};
use disktime_documents::Key;
use disktime_testing::sentences::assert_says;
use disktime_units::Share;
use proptest::prelude::*;
use std::num::NonZeroU32;

fn parse(text: &str) -> Result<Workload, WorkloadError> {
    Workload::parse(Path::new("dir/load.json"), text)
}

/// The file with one client that has these keys.
fn client(keys: &str) -> String {
    format!("{{ \"duration\": \"60s\",\n  \"clients\": {{ \"c\": {{ {keys} }} }} }}")
}

fn read_client(keys: &str) -> Client {
    let mut workload = parse(&client(keys)).unwrap_or_else(|error| panic!("{error}"));
    workload.clients.remove(0)
}

fn generated(client: Client) -> Generated {
    match client.source {
        RequestSource::Generated(generated) => generated,
        RequestSource::Trace(_) => panic!("not a trace"),
    }
}

#[test]
fn everything_can_be_written() {
    let text = r#"{ "duration": "60s", "seed": 7, "clients": {
      "reader": { "vdisk": "web", "pattern": "semi-random", "run": 16, "block": "8KiB", "read": "70%",
                  "depth": 16, "think": "0ms", "rate": "400/s", "start": "1s", "stop": "30s",
                  "offset": "1MiB", "span": "1GiB" },
      "vm": { "vdisk": "db", "trace": "vm.csv.gz", "dev": 3, "speed": 2.5, "fit": "scale" } } }"#;
    let workload = parse(text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        (workload.duration, workload.seed),
        (Nanos::from_secs(60), 7)
    );
    let [reader, vm] = &workload.clients[..] else {
        panic!("two clients")
    };
    assert_eq!(
        (reader.name.as_str(), reader.vdisk.as_str(), reader.depth),
        ("reader", "web", 16)
    );
    assert_eq!(
        (reader.start, reader.stop),
        (Nanos::from_secs(1), Nanos::from_secs(30))
    );
    assert_eq!(
        (reader.offset_bytes, reader.span_bytes),
        (1 << 20, Some(1 << 30))
    );
    let rate = Rate {
        events: 400_000_000,
        per: Nanos::from_secs(1_000_000),
    };
    assert_eq!(
        reader.source,
        RequestSource::Generated(Generated::blocks(
            Blocks {
                pattern: Pattern::SemiRandom { run: 16 },
                block_bytes: 8192,
                read: Share::from_percent(70),
                fua: false,
            },
            Pace::Constant { rate },
        ))
    );
    assert_eq!(rate.time_of(1), Nanos::from_micros(2500));
    assert_eq!(
        vm.source,
        RequestSource::Trace(TraceSource {
            dev: Some(3),
            timing: Timing::Recorded {
                speed_ppm: 2_500_000,
                max_gap: None
            },
            fit: Fit::Scale,
            ..TraceSource::new("dir/vm.csv.gz")
        })
    );
    assert_eq!((vm.depth, vm.stop), (OPEN_DEPTH, Nanos::from_secs(60)));
}

#[test]
fn what_is_left_out_has_its_default() {
    let workload = parse(&client(r#""vdisk": "web""#)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(workload.seed, 1);
    let mut expected = Client::new("c", "web", Nanos::from_secs(60));
    expected.excerpts = workload.clients[0].excerpts.clone();
    assert_eq!(workload.clients[0], expected);
    let at = expected.excerpts.vdisk.expect("it is in the file");
    assert_eq!((at.line(), at.column()), (2, 32));
}

#[test]
fn every_kind_can_be_written_and_has_its_defaults() {
    for kind in GeneratorKind::ALL {
        let client = read_client(&format!(r#""vdisk": "v", "kind": "{}""#, kind.name()));
        let mut expected = Client::of_kind(kind, "c", "v", Nanos::from_secs(60));
        expected.excerpts = client.excerpts.clone();
        assert_eq!(client, expected);
    }
}

#[test]
fn the_defaults_of_a_kind_can_be_changed() {
    let oltp = generated(read_client(
        r#""vdisk": "v", "kind": "oltp", "block": "16KiB", "commit": 4, "rate": "poisson 100/s""#,
    ));
    let Requests::Blocks(blocks) = oltp.requests else {
        panic!("blocks")
    };
    assert_eq!(
        (blocks.block_bytes, blocks.read),
        (16_384, Share::from_percent(70))
    );
    assert_eq!(oltp.commit_every, NonZeroU32::new(4));
    assert!(matches!(oltp.pace, Pace::Poisson { .. }));
    let none = generated(read_client(r#""vdisk": "v", "kind": "oltp", "commit": 0"#));
    assert_eq!(none.commit_every, None);
    let closed = read_client(r#""vdisk": "v", "kind": "media-player", "think": "0ms""#);
    assert_eq!(closed.depth, 1, "a closed loop");
    assert_eq!(generated(closed).pace, Pace::GREEDY);
    let zipf = generated(read_client(
        r#""vdisk": "v", "pattern": "zipf", "theta": 1.2, "popular": "first", "fua": true"#,
    ));
    let Requests::Blocks(blocks) = zipf.requests else {
        panic!("blocks")
    };
    let popularity = Popularity {
        theta_ppm: 1_200_000,
        scattered: false,
    };
    assert_eq!(
        (blocks.pattern, blocks.fua),
        (Pattern::Zipf(popularity), true)
    );
    let web = generated(read_client(
        r#""vdisk": "v", "kind": "web-server", "theta": 0"#,
    ));
    let files = Files {
        directories: Popularity::scattered(0),
        read: Share::WHOLE,
    };
    assert_eq!(web.requests, Requests::Files(files));
}

#[test]
fn laws_of_time_can_be_written() {
    let pace = |keys: &str| generated(read_client(&format!(r#""vdisk": "v", {keys}"#))).pace;
    let ms = Nanos::from_millis;
    assert_eq!(
        pace(r#""think": "exponential 10ms""#),
        Pace::Closed {
            think: Times::Exponential { mean: ms(10) }
        }
    );
    assert_eq!(
        pace(r#""think": "uniform 5ms 15ms""#),
        Pace::Closed {
            think: Times::Uniform {
                least: ms(5),
                most: ms(15)
            }
        }
    );
    let Pace::Bursts { period, rate } = pace(r#""rate": "bursts 30/s""#) else {
        panic!("bursts")
    };
    assert_eq!(
        (period, rate.count_in(Nanos::from_secs(2))),
        (GeneratorKind::BURST_PERIOD, 60)
    );
    for keys in [r#""rate": "bursts 5/s", "#, r#""kind": "bursts", "#] {
        let Pace::Bursts { period, .. } = pace(&format!(r#"{keys} "burst_period": "1s""#)) else {
            panic!("bursts")
        };
        assert_eq!(period, Times::Constant(Nanos::from_secs(1)));
    }
}

#[test]
fn a_trace_can_be_read_in_many_ways() {
    let trace =
        |keys: &str| match read_client(&format!(r#""vdisk": "v", "trace": "t", {keys}"#)).source {
            RequestSource::Trace(source) => source,
            RequestSource::Generated(_) => panic!("a trace"),
        };
    let read = trace(
        r#""format": "blkparse", "event": "issued", "unsorted": "at-once", "dev": "8,16",
           "max_gap": "1s""#,
    );
    let expected = TraceSource {
        options: TraceOptions {
            format: Some(TraceFormat::Blkparse),
            event: TraceEvent::Issued,
            unsorted: Unsorted::AtOnce,
        },
        dev: Some(8 << 20 | 16),
        timing: Timing::Recorded {
            speed_ppm: 1_000_000,
            max_gap: Some(Nanos::from_secs(1)),
        },
        ..TraceSource::new("dir/t")
    };
    assert_eq!(read, expected);
    assert_eq!(
        trace(r#""timing": "asap""#).timing,
        Timing::AsFastAsPossible
    );
    for format in TraceFormat::ALL {
        let read = trace(&format!(r#""format": "{}""#, format.name()));
        assert_eq!(read.options.format, Some(format));
    }
    assert_eq!(trace(r#""format": "auto""#), TraceSource::new("dir/t"));
}

#[test]
fn a_mix_can_be_written() {
    let mix = generated(read_client(
        r#""vdisk": "v", "commit": 5, "mix": [ { "weight": 7, "block": "8KiB", "span": "1GiB" },
           { "kind": "log-writer", "offset": "1GiB", "span": "64MiB" } ]"#,
    ));
    let data = Blocks {
        block_bytes: 8192,
        ..Blocks::RANDOM_READS
    };
    let mut data = MixPart::new(7, Requests::Blocks(data));
    data.span_bytes = Some(1 << 30);
    let mut log = MixPart::new(1, GeneratorKind::LogWriter.generated().requests);
    (log.offset_bytes, log.span_bytes) = (1 << 30, Some(64 << 20));
    assert_eq!(mix.requests, Requests::Mix(vec![data, log]));
    assert_eq!(
        (mix.pace, mix.commit_every),
        (Pace::GREEDY, NonZeroU32::new(5))
    );
}

#[test]
fn rates_are_exact() {
    for (written, index, nanos) in [
        ("0.5/s", 1, 2_000_000_000),
        ("30/min", 2, 4_000_000_000),
        ("3/s", 3_000, 1_000_000_000_000),
    ] {
        let pace = generated(read_client(&format!(
            r#""vdisk": "v", "rate": "{written}""#
        )))
        .pace;
        let Pace::Constant { rate } = pace else {
            panic!("a rate")
        };
        assert_eq!(rate.time_of(index), Nanos(nanos), "{written}");
    }
}

#[test]
fn mistakes_are_named_with_line_column_and_remedy() {
    // The keys of the client, then what the error has to say.
    let cases = [
        (r#""vdisk": "v", "blok": "4KiB""#, "did you mean `block`?"),
        (r#""vdisk": "v", "vdisk": "w""#, "`vdisk` occurs twice"),
        (r#""block": "4KiB""#, "a client needs the key `vdisk`"),
        (r#""vdisk": """#, "the name is empty"),
        (r#""vdisk": 3"#, "`vdisk` cannot be a number"),
        (r#""vdisk": "v", "pattern": "zigzag""#, "\"semi-random\""),
        (
            r#""vdisk": "v", "pattern": "semi-random""#,
            "needs the key `run`",
        ),
        (r#""vdisk": "v", "run": 0"#, "from 1 to"),
        (r#""vdisk": "v", "block": "4096""#, "is not a size"),
        (r#""vdisk": "v", "block": "33MiB""#, "from 1B to 32MiB"),
        (
            r#""vdisk": "v", "block": "0B""#,
            "`block` of 0B is too small",
        ),
        (
            r#""vdisk": "v", "read": "101%""#,
            "not a share from 0% to 100%",
        ),
        (r#""vdisk": "v", "depth": 0"#, "from 1 to 65536"),
        (r#""vdisk": "v", "depth": "16""#, "cannot be a text"),
        (r#""vdisk": "v", "think": "10""#, "is not a duration"),
        (r#""vdisk": "v", "rate": "400""#, "\"400/s\""),
        (r#""vdisk": "v", "rate": "0/s""#, "generates no requests"),
        (r#""vdisk": "v", "rate": "1.5.5/s""#, "is not a rate"),
        (
            r#""vdisk": "v", "rate": "10/s", "think": "1ms""#,
            "do not wait for",
        ),
        (r#""vdisk": "v", "kind": "tape""#, "`kind` cannot be"),
        (
            r#""vdisk": "v", "theta": 1"#,
            "no effect for the pattern \"random\"",
        ),
        (
            r#""vdisk": "v", "run": 3"#,
            "no effect for the pattern \"random\"",
        ),
        (
            r#""vdisk": "v", "pattern": "zipf", "theta": 5.1"#,
            "from 0 to 5",
        ),
        (
            r#""vdisk": "v", "pattern": "zipf", "popular": "last""#,
            "\"scattered\"",
        ),
        (r#""vdisk": "v", "fua": "yes""#, "cannot be a text"),
        (r#""vdisk": "v", "commit": -1"#, "from 0 to 1000000"),
        (r#""vdisk": "v", "think": "normal 5ms""#, "law of durations"),
        (
            r#""vdisk": "v", "think": "uniform 5ms 4ms""#,
            "is longer than",
        ),
        (
            r#""vdisk": "v", "rate": "pareto 5/s""#,
            "not a law of arrivals",
        ),
        (
            r#""vdisk": "v", "burst_period": "1s""#,
            "no effect for a client without bursts",
        ),
        (
            r#""vdisk": "v", "kind": "bursts", "burst_period": "0s""#,
            "must be above 0s",
        ),
        (
            r#""vdisk": "v", "mix": []"#,
            "a mix has 1 to 64 parts, not 0",
        ),
        (r#""vdisk": "v", "mix": {}"#, "`mix` cannot be an object"),
        (
            r#""vdisk": "v", "mix": [3]"#,
            "a part of a mix must be an object, not a number",
        ),
        (
            r#""vdisk": "v", "mix": [{ "weight": 0 }]"#,
            "from 1 to 1000000",
        ),
        (
            r#""vdisk": "v", "mix": [{ "rate": "5/s" }]"#,
            "not a key of a part of a mix",
        ),
        (
            r#""vdisk": "v", "block": "4KiB", "mix": [{}]"#,
            "no effect for a mix",
        ),
        (
            r#""vdisk": "v", "kind": "web-server", "block": "4KiB""#,
            "requests whole files",
        ),
        (
            r#""vdisk": "v", "trace": "t.csv", "kind": "oltp""#,
            "no effect for a client that replays",
        ),
        (r#""vdisk": "v", "start": "60s""#, "never runs"),
        (r#""vdisk": "v", "start": "5s", "stop": "5s""#, "never runs"),
        (r#""vdisk": "v", "span": "0B""#, "is too small"),
        (r#""vdisk": "v", "fit": "wrap""#, "client without a trace"),
        (
            r#""vdisk": "v", "trace": "t.csv", "block": "4KiB""#,
            "no effect for a client that replays",
        ),
        (
            r#""vdisk": "v", "trace": "t.csv", "speed": 0"#,
            "from 0.001",
        ),
        (
            r#""vdisk": "v", "trace": "t.csv", "fit": "squeeze""#,
            "`fit` cannot be \"squeeze\"",
        ),
        (r#""vdisk": "v", "trace": """#, "`trace` is empty"),
        (
            r#""vdisk": "v", "trace": "t", "format": "pcap""#,
            "`format` cannot be \"pcap\"",
        ),
        (
            r#""vdisk": "v", "trace": "t", "timing": "asap", "speed": 2"#,
            "as fast as the replies",
        ),
        (
            r#""vdisk": "v", "trace": "t", "dev": "sda""#,
            "`sda` is not a device",
        ),
        (
            r#""vdisk": "v", "trace": "t", "format": "csv", "event": "issued""#,
            "no effect for formats other than blkparse",
        ),
        (
            r#""vdisk": "v", "trace": "t", "unsorted": "sort""#,
            "`unsorted` cannot be \"sort\"",
        ),
    ];
    for (keys, expected) in cases {
        let error = parse(&client(keys)).expect_err(keys);
        assert_eq!(error.problems().len(), 1, "{keys}: {error}");
        let text = error.to_string();
        assert!(text.contains(expected), "{keys}: {text}");
        assert_says(&text, &["dir/load.json:2:", keys]);
        assert!(error.problems()[0].help.is_some(), "{keys}: {text}");
    }
}

#[test]
fn mistakes_of_the_file_as_a_whole_are_named() {
    for (text, expected) in [
        ("", "is empty"),
        ("[]", "must be an object, not a list"),
        ("{", "the file ends"),
        ("{}", "a workload needs the key `duration`"),
        (
            r#"{ "duration": "0s", "clients": { "c": { "vdisk": "v" } } }"#,
            "`duration` of 0s is too short",
        ),
        (
            r#"{ "duration": "1s", "clients": {} }"#,
            "`clients` is empty",
        ),
        (
            r#"{ "duration": "1s", "clients": [] }"#,
            "`clients` cannot be a list",
        ),
        (
            r#"{ "duration": "1s", "clients": { "c": 1 } }"#,
            "a client must be an object, not a number",
        ),
        (
            r#"{ "duration": "1s", "clients": { "": { "vdisk": "v" } } }"#,
            "this name is empty",
        ),
        (
            r#"{ "duration": "1s", "seed": -1, "clients": { "c": { "vdisk": "v" } } }"#,
            "from 0 to",
        ),
        (
            r#"{ "duration": "1s", "clients": { "c": { "vdisk": "v" }, "c": { "vdisk": "v" } } }"#,
            "`c` occurs twice",
        ),
    ] {
        let error = parse(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn all_mistakes_are_shown_at_once() {
    let error = parse(&client(
        r#""vdisk": "v", "block": "x", "read": "y", "depth": -1"#,
    ));
    assert_eq!(error.expect_err("three mistakes").problems().len(), 3);
    let error = parse(&client(r#""vdisk": "v", "depth": 16x"#)).expect_err("no number");
    assert_eq!(
        error.problems().len(),
        1,
        "one mistake, one finding: {error}"
    );
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text: String) {
        let _ = parse(&text);
    }

    #[test]
    fn no_value_makes_it_panic(
        key in proptest::sample::select(CLIENT.keys().map(Key::name).collect::<Vec<_>>()),
        value in prop_oneof![
            "\"[ -~]{0,12}\"", "-?[0-9]{1,25}(\\.[0-9]{1,9})?(e[0-9]{1,3})?",
            Just("null".to_owned()), Just("[]".to_owned()), Just("{}".to_owned()),
            "\"[0-9]{1,25}(\\.[0-9]{1,9})?(/s|/min|s|ms|GiB|%)?\"",
        ],
    ) {
        let keys = format!(r#""vdisk": "v", "{key}": {value}"#);
        if let Err(error) = parse(&client(&keys)) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
