//! How people write files of moments.

use super::*;

fn place(vdisk: &str, moment: &str, path: Option<&str>) -> Place {
    Place {
        vdisk: vdisk.to_owned(),
        moment: moment.to_owned(),
        path: path.map(str::to_owned),
    }
}

#[test]
fn the_first_colon_and_slash_ends_the_moment() {
    let cases = [
        (
            "db@-5m:/etc/passwd",
            place("db", "-5m", Some("/etc/passwd")),
        ),
        (
            "db@2026-11-30T06:00:00Z:/a:/b@c",
            place("db", "2026-11-30T06:00:00Z", Some("/a:/b@c")),
        ),
        ("db@seq:7", place("db", "seq:7", None)),
        ("db@#7:/", place("db", "#7", Some("/"))),
    ];
    for (text, expected) in cases {
        assert_eq!(Place::parse(text).expect("read"), expected);
    }
    for text in ["db:/etc/passwd", "db", "db@:/x", "db@9x:/x"] {
        assert!(Place::parse(text).is_err(), "{text}");
    }
}
