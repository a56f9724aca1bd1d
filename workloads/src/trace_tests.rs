//! Lines, files, fits and times of recorded requests.

use super::*;
use std::io::Write;

fn reader(text: &'static str) -> TraceReader {
    TraceReader::from_input("t.csv", Box::new(text.as_bytes()))
}

fn source(path: &Path, fit: Fit) -> TraceSource {
    TraceSource {
        path: path.to_owned(),
        dev: Some(0),
        speed_ppm: 2_000_000,
        fit,
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
            time_us: 5,
            dev: 1,
            write: true,
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
    assert!(
        error.contains("`X` is neither R nor W") && error.contains("t.csv:2:1"),
        "{error}"
    );
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
                last_us: 1
            }
        );
    }
}

#[test]
fn a_request_beyond_the_end_is_refused_with_its_line() {
    let trace = file("1,0,R,0,512\n2,0,R,512,1024\n");
    let error = survey(&source(trace.path(), Fit::Refuse), 1024).expect_err("beyond the end");
    assert_eq!(
        error.problems[0].location.as_ref().map(|at| at.line),
        Some(2)
    );
    assert!(survey(&source(trace.path(), Fit::Wrap), 1024).is_ok());
    assert!(
        survey(&source(trace.path(), Fit::Wrap), 1023).is_err(),
        "longer than the range"
    );
}

#[test]
fn times_follow_the_speed_and_never_go_back() {
    let trace = file("1000,0,R,0,512\n500,0,R,0,512\n4000,0,R,0,512\n");
    let mut replay = Replay::new(
        &source(trace.path(), Fit::Refuse),
        4096,
        Nanos::from_secs(1),
    )
    .expect("a trace");
    let mut times = Vec::new();
    while let Some((at, _)) = replay.next().expect("a good line") {
        times.push((at - Nanos::from_secs(1)).0);
    }
    assert_eq!(times, [500_000, 500_000, 2_000_000]);
}

proptest::proptest! {
    #[test]
    fn fitted_requests_lie_in_the_range(
        offset in 0u64..1 << 50, len in 1u64..1 << 20, range in 1u64 << 20..1 << 40, scale: bool,
    ) {
        let record = TraceRecord { time_us: 0, dev: 0, write: false, offset_bytes: offset, len_bytes: len, line: 1 };
        let fit = if scale { Fit::Scale } else { Fit::Wrap };
        let fitted = fitted_offset(fit, &record, range, offset + len).expect("it fits");
        assert!(fitted + len <= range);
    }

    #[test]
    fn reading_never_panics(bytes: Vec<u8>) {
        let mut reader = TraceReader::from_input("t", Box::new(std::io::Cursor::new(bytes)));
        while let Ok(Some(_)) = reader.next_record() {}
    }
}
