//! Lines, files, fits and times of recorded requests.

use super::replay::fitted_offset;
use super::*;
use crate::WorkloadError;
use crate::trace::{Fit, Timing, TraceSource};
use disktime_engine::RequestKind;
use disktime_testing::sentences::assert_says;
use disktime_units::Nanos;
use std::io::Write;
use std::path::Path;

fn reader(text: &'static str) -> TraceReader {
    reader_as(text, TraceOptions::default())
}

fn reader_as(text: &'static str, options: TraceOptions) -> TraceReader {
    TraceReader::from_input("t.csv", options, Box::new(text.as_bytes()))
}

fn all(mut reader: TraceReader) -> Result<Vec<TraceRecord>, WorkloadError> {
    let mut records = Vec::new();
    while let Some(record) = reader.next_record()? {
        records.push(record);
    }
    Ok(records)
}

/// Time in microseconds, device, offset, length.
type Short = (u64, u64, RequestKind, u64, u64);

fn short(text: &'static str) -> Vec<Short> {
    let records = all(reader(text)).unwrap_or_else(|error| panic!("{error}"));
    let one = |record: &TraceRecord| {
        let at = record.at.0 / 1_000;
        (
            at,
            record.dev,
            record.kind,
            record.offset_bytes,
            record.len_bytes,
        )
    };
    records.iter().map(one).collect()
}

fn source(path: &Path, fit: Fit) -> TraceSource {
    TraceSource {
        dev: Some(0),
        timing: Timing::Recorded {
            speed_ppm: 2_000_000,
            max_gap: None,
        },
        fit,
        ..TraceSource::new(path)
    }
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(text.as_bytes())
        .expect("writing a temporary file");
    file
}

#[test]
fn lines_are_read_with_and_without_a_header() {
    let mut with = reader("time_us,dev,op,offset,bytes\r\n5,1,W,4096,512\n\n");
    let record = with.next_record().expect("a good line").expect("a line");
    assert_eq!(
        record,
        TraceRecord {
            at: Nanos::from_micros(5),
            dev: 1,
            kind: RequestKind::Write,
            fua: false,
            offset_bytes: 4096,
            len_bytes: 512,
            line: 2
        }
    );
    assert_eq!(with.next_record(), Ok(None));
    assert!(
        reader("5,1,r,4096,512")
            .next_record()
            .expect("a good line")
            .is_some()
    );
}

#[test]
fn a_bad_line_is_named() {
    let mut trace = reader("1,0,R,0,512\n2,0,X,0,512\n");
    assert!(trace.next_record().is_ok());
    let error = trace
        .next_record()
        .expect_err("X is no operation")
        .to_string();
    assert_says(&error, &["expected R or W, found `X`", "t.csv:2:1"]);
    for bad in [
        "1,0,R,0",
        "1,0,R,0,0",
        "1,0,R,0,512,7",
        "x,0,R,0,512",
        "-1,0,R,0,512",
        "1,0,R,18446744073709551615,512",
        "1,0,R,0,33554433",
        "99999999999999999999,0,R,0,1",
    ] {
        assert!(reader(bad).next_record().is_err(), "{bad} was accepted");
    }
}

#[test]
fn compressed_and_plain_files_read_the_same() {
    let text = "time_us,dev,op,offset,bytes\n1,0,R,512,512\n2,1,W,0,512\n";
    let plain = file(text);
    let mut packed = flate2::write::GzEncoder::new(
        tempfile::NamedTempFile::new().expect("a temporary file"),
        flate2::Compression::fast(),
    );
    packed.write_all(text.as_bytes()).expect("packing");
    let packed = packed.finish().expect("packing");
    for path in [plain.path(), packed.path()] {
        let found = survey(&source(path, Fit::Refuse), 1024).expect("a good trace");
        assert_eq!(
            found,
            TraceSurvey {
                requests: 1,
                extent_bytes: 1024,
                longest_bytes: 512,
                last: Nanos::from_micros(1)
            }
        );
    }
}

#[test]
fn a_request_beyond_the_end_is_refused_with_its_line() {
    let trace = file("1,0,R,0,512\n2,0,R,512,1024\n");
    let error = survey(&source(trace.path(), Fit::Refuse), 1024).expect_err("beyond the end");
    assert_eq!(
        error.problems()[0].excerpt.as_ref().map(|at| at.line()),
        Some(2)
    );
    assert!(survey(&source(trace.path(), Fit::Wrap), 1024).is_ok());
    assert!(
        survey(&source(trace.path(), Fit::Wrap), 1023).is_err(),
        "longer than the range"
    );
}

#[test]
fn msr_lines_are_read() {
    use RequestKind::{Read, Write};
    assert_eq!(
        short(
            "128166372003061629,usr,0,Read,7014609920,24576,41286\n\
             128166372003161629,usr,1,Write,1024,512,1\n"
        ),
        [
            (0, 0, Read, 7_014_609_920, 24_576),
            (10_000, 1, Write, 1024, 512)
        ]
    );
    assert_eq!(
        short(
            "Timestamp,Hostname,DiskNumber,Type,Offset,Size,ResponseTime\n\
             128166372003061629,usr,0,Read,512,24576,41286\n"
        ),
        [(0, 0, Read, 512, 24_576)]
    );
}

#[test]
fn spc_lines_are_read() {
    use RequestKind::{Read, Write};
    assert_eq!(
        short("0,20941264,8192,W,0.551706\n1, 55590, 3072, r, 0.651706001, own\n"),
        [
            (0, 0, Write, 20_941_264 * 512, 8192),
            (100_000, 1, Read, 55_590 * 512, 3072)
        ]
    );
}

const BLKPARSE: &str = "\
  8,0    1        1     5.000000000   697  A   W 223490 + 8 <- (8,1) 223427
  8,1    1        2     5.000000400   697  Q   W 223490 + 8 [kjournald]
  8,1    1        3     5.000003600   697  G   W 223490 + 8 [kjournald]
  8,1    1        4     5.000004600   697  P   N [kjournald]
  8,1    1        5     5.000005600   697  I   W 223490 + 8 [kjournald]
  8,1    0        6     5.000006600     0  m   N cfq697S insert_request
  8,1    1        7     5.001000400   697  D   W 223490 + 8 [kjournald]
  8,1    1        8     5.002000400   697  Q  RA 8 + 16 [cp]
  8,1    1        9     5.003000400   697  Q FWFSM 64 + 8 [jbd2/sda1-8]
  8,1    1       10     5.004000400   697  Q FWS [sync]
  8,1    1       11     5.005000400   697  Q  FN [sync]
  8,1    1       12     5.006000400   697  Q  DS 128 + 131072 [fstrim]
  8,1    1       13     5.007000400     0  C   W 223490 + 8 [0]
CPU0 (8,1):
 Reads Queued:           1,        8KiB\t Writes Queued:           1,        4KiB
Total (8,1):
 Reads Queued:           1,        8KiB

Throughput (R/W): 4KiB/s / 4KiB/s
Events (8,1): 13 entries
Skips: 0 forward (0 -   0.0%)
";

#[test]
fn blkparse_output_is_read_and_its_summary_ends_it() {
    use RequestKind::{Flush, Read, Trim, Write};
    const SDA1: u64 = 8 << 20 | 1;
    assert_eq!(
        short(BLKPARSE),
        [
            (0, SDA1, Write, 223_490 * 512, 4096),
            (2_000, SDA1, Read, 4096, 8192),
            (3_000, SDA1, Flush, 0, 0),
            (3_000, SDA1, Write, 32_768, 4096),
            (4_000, SDA1, Flush, 0, 0),
            (5_000, SDA1, Flush, 0, 0),
            (6_000, SDA1, Trim, 65_536, 64 << 20),
        ]
    );
    let durable = all(reader(BLKPARSE)).expect("good lines");
    assert_eq!(durable.iter().filter(|record| record.fua).count(), 1);
    let issued = TraceOptions {
        event: TraceEvent::Issued,
        ..TraceOptions::default()
    };
    let issued = all(reader_as(BLKPARSE, issued)).expect("good lines");
    assert_eq!(issued.len(), 1, "one was issued");
    assert_eq!(device(b"8,1"), Some(SDA1));
}

#[test]
fn iologs_of_both_versions_are_read() {
    use RequestKind::{Flush, Read, Trim, Write};
    let expected = [
        (0, 0, Read, 4096, 8192),
        (0, 1, Write, 0, 512),
        (250, 0, Flush, 0, 0),
        (750, 0, Trim, 512, 512),
    ];
    assert_eq!(
        short(
            "fio version 2 iolog\n/dev/a add\n/dev/a open\nb add\nb open\n\
             /dev/a read 4096 8192\nb write 0 512\n/dev/a wait 250 0\n/dev/a sync 0 0\n\
             /dev/a wait 500 0\n/dev/a trim 512 512\nb close\n"
        ),
        expected
    );
    assert_eq!(
        short(
            "fio version 3 iolog\n1 /dev/a add\n2 /dev/a open\n3 b add\n\
             10 /dev/a read 4096 8192\n10 b write 0 512\n260 /dev/a datasync 0 0\n\
             760 /dev/a trim 512 512\n800 b close\n"
        ),
        expected
    );
}

#[test]
fn a_bad_line_of_any_format_is_named_with_its_line() {
    let cases = [
        (
            "128166372003061629,usr,0,Read,0,512,1\n1,usr,0,Scribble,0,512,1",
            "expected R or W, found `Scribble`",
        ),
        (
            "128166372003061629,usr,0,Read,0,512,1\n1,usr,0,Read,0,512",
            "`ResponseTime` is missing",
        ),
        ("0,1,512,R,0.5\n0,1,512,R,0.5.5", "not a number of seconds"),
        ("0,1,512,R,0.5\n0,-1,512,R,0.6", "`-1` in the column `LBA`"),
        (
            "0,1,512,R,0.5\n0,36028797018963968,512,R,0.6",
            "beyond the largest address",
        ),
        (
            "8,0 0 1 0.1 1 Q R 8 + 8 [a]\n8,0 0 1 0.2 1 Q R 8 - 8 [a]",
            "expected the sectors as in `223490 + 8`",
        ),
        (
            "8,0 0 1 0.1 1 Q R 8 + 8 [a]\n8,0 0 1 0.2 1 Q X 8 + 8 [a]",
            "expected an operation as in R, WS or FWFS",
        ),
        (
            "8,0 0 1 0.1 1 Q R 8 + 8 [a]\n8,0 0 1 0.2 1 17 R 8 + 8 [a]",
            "not an event of blkparse",
        ),
        ("8,0 0 1 0.1 1 Q R 8 + 8 [a]\nhello", "not a device"),
        (
            "8,0 0 1 0.1 1 Q R 8 + 8 [a]\n8,0 0 1 0.2 1 Q R 8 + 0 [a]",
            "not 0 bytes",
        ),
        (
            "fio version 2 iolog\na erase 0 512",
            "not an action of an iolog",
        ),
        ("fio version 2 iolog\na read 0", "needs an offset"),
        ("fio version 3 iolog\na read 0 512", "in the column `time`"),
        ("fio version 3 iolog\n5 a wait 0 512", "no `wait`"),
        ("1,0,R,0,512\n2,0,R,0,0", "not 0 bytes"),
        ("1,0,R,0,512\n2,0,R,0,512,9", "more than five columns"),
        ("2,0,R,0,512\n1,0,R,0,512", "the time goes back, by 1us"),
        (
            "0,1,512,R,0.5\n0,1,512,R,0.4",
            "the time goes back, by 100ms",
        ),
    ];
    for (text, expected) in cases {
        let error = all(reader(text)).expect_err(text);
        let line = error.problems()[0].excerpt.as_ref().map(|at| at.line());
        assert_eq!(line, Some(2), "{error}");
        assert!(error.to_string().contains(expected), "{text}: {error}");
        assert!(error.problems()[0].help.is_some(), "{error}");
    }
    for (text, expected) in [
        ("hello world", "no known format"),
        ("fio version 4 iolog\n", "the first line is not"),
    ] {
        let error = all(reader(text)).expect_err(text).to_string();
        assert_says(&error, &[expected, "t.csv:1:1"]);
    }
    let long = format!("1,0,R,0,512\n2,0,R,0,512{}", " ".repeat(5000));
    let input = Box::new(std::io::Cursor::new(long));
    let reader = TraceReader::from_input("t", TraceOptions::default(), input);
    let error = all(reader).expect_err("too long").to_string();
    assert!(error.contains("more than 1024 bytes"), "{error}");
}

#[test]
fn a_named_format_is_believed() {
    let options = TraceOptions {
        format: Some(TraceFormat::Spc),
        ..TraceOptions::default()
    };
    assert!(all(reader_as("1,0,R,0,512\n", options)).is_err());
    for format in TraceFormat::ALL {
        assert_eq!(TraceFormat::from_name(format.name()), Some(format));
        // The example of each message is a line of its format, whatever is before it.
        let line = format.line().split('`').nth_back(1).expect("an example");
        let found = TraceFormat::of_first_line(line.as_bytes());
        assert!(
            found == Some(format) || format == TraceFormat::Fio,
            "{line}"
        );
    }
}

fn replayed(text: &str, timing: Timing, unsorted: Unsorted) -> Vec<u64> {
    let trace = file(text);
    let mut source = source(trace.path(), Fit::Refuse);
    source.timing = timing;
    source.options.unsorted = unsorted;
    let start = Nanos::from_secs(1);
    let mut replay = Replay::new(&source, 4096, 1, start).expect("a trace");
    let mut times = Vec::new();
    while let Some((at, _)) = replay.next().expect("a good line") {
        times.push((at - start).0 / 1_000);
    }
    times
}

#[test]
fn times_follow_the_speed_and_never_go_back() {
    let twice = Timing::Recorded {
        speed_ppm: 2_000_000,
        max_gap: None,
    };
    let text = "1000,0,R,0,512\n500,0,R,0,512\n4000,0,R,0,512\n";
    assert_eq!(replayed(text, twice, Unsorted::AtOnce), [500, 500, 2_000]);
}

#[test]
fn long_pauses_are_cut_short_and_short_ones_kept() {
    let cut = Timing::Recorded {
        speed_ppm: 1_000_000,
        max_gap: Some(Nanos::from_millis(1)),
    };
    let text = "5000,0,R,0,512\n5100,0,R,0,512\n9000000,0,R,0,512\n9000700,0,R,0,512\n";
    assert_eq!(
        replayed(text, cut, Unsorted::Refuse),
        [1_000, 1_100, 2_100, 2_800]
    );
}

#[test]
fn roundings_do_not_add_up() {
    let thrice = Timing::Recorded {
        speed_ppm: 3_000_000,
        max_gap: None,
    };
    let text: String = (1..=3_000).map(|us| format!("{us},0,R,0,512\n")).collect();
    assert_eq!(
        replayed(&text, thrice, Unsorted::Refuse).last(),
        Some(&1_000)
    );
}

#[test]
fn what_a_server_with_whole_sectors_would_refuse_is_refused() {
    let trace = file("1,0,R,512,512\n2,0,R,100,512\n");
    let source = source(trace.path(), Fit::Wrap);
    assert!(survey(&source, 4096).is_ok());
    let error = Replay::new(&source, 4096, 512, Nanos::ZERO).expect_err("100 is no multiple");
    let at = error.problems()[0].excerpt.as_ref().map(|at| at.line());
    assert_eq!(at, Some(2), "{error}");
}

proptest::proptest! {
    #[test]
    fn fitted_requests_lie_in_the_range(
        offset in 0u64..1 << 50, len in 1u64..1 << 20, range in 1u64 << 20..1 << 40, scale: bool,
    ) {
        let record = TraceRecord {
            at: Nanos::ZERO, dev: 0, kind: RequestKind::Read, fua: false,
            offset_bytes: offset, len_bytes: len, line: 1,
        };
        let fit = if scale { Fit::Scale } else { Fit::Wrap };
        let fitted = fitted_offset(fit, &record, range, offset + len, 512).expect("it fits");
        assert!(fitted + len <= range);
    }

    #[test]
    fn reading_never_panics(bytes: Vec<u8>, format in 0usize..6) {
        let options = TraceOptions {
            format: TraceFormat::ALL.get(format).copied(),
            ..TraceOptions::default()
        };
        let input = Box::new(std::io::Cursor::new(bytes));
        let mut reader = TraceReader::from_input("t", options, input);
        while let Ok(Some(_)) = reader.next_record() {}
    }

    #[test]
    fn lines_that_are_nearly_right_never_panic(
        line in "[0-9a-zA-Z ,.+:\\-]{0,40}", format in 0usize..5,
    ) {
        for start in ["", "fio version 2 iolog\n", "fio version 3 iolog\n", "8,0 0 1 0.5 1 Q "] {
            let options = TraceOptions {
                format: TraceFormat::ALL.get(format).copied(),
                ..TraceOptions::default()
            };
            let input = Box::new(std::io::Cursor::new(format!("{start}{line}\n")));
            let mut reader = TraceReader::from_input("t", options, input);
            while let Ok(Some(_)) = reader.next_record() {}
        }
    }
}
