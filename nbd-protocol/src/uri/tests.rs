//! Unit tests of `uri`.

use super::*;
use proptest::prelude::*;

#[test]
fn the_usual_forms_are_parsed() {
    for (text, uri) in [
        ("nbd://localhost", NbdUri::tcp("localhost", 10809, "")),
        ("nbd://localhost/", NbdUri::tcp("localhost", 10809, "")),
        (
            "nbd://10.0.0.1:1234/web",
            NbdUri::tcp("10.0.0.1", 1234, "web"),
        ),
        ("nbd://[::1]:99/a%20b", NbdUri::tcp("::1", 99, "a b")),
        (
            "nbd+unix:///web?socket=/run/x.sock",
            NbdUri::unix("/run/x.sock", "web"),
        ),
        ("nbd+unix://?socket=x%26y", NbdUri::unix("x&y", "")),
        (
            "nbds://host/web?tls-certificates=/etc/pki",
            NbdUri::tcp("host", 10809, "web").with_certificates(Path::new("/etc/pki")),
        ),
        (
            "nbds+unix:///web?tls-certificates=/p&socket=/s&tls-hostname=x",
            NbdUri::unix("/s", "web").with_certificates(Path::new("/p")),
        ),
    ] {
        assert_eq!(text.parse(), Ok(uri), "{text}");
    }
}

#[test]
fn errors_name_the_accepted_forms() {
    for text in [
        "",
        "web",
        "http://x/y",
        "nbdx://host/x",
        "nbd+unix:///x",
        "nbd+unix:///x?socket=",
        "nbd+unix://host/x?socket=/s",
        "nbd://host:port/x",
        "nbd://[::1/x",
        "nbd://[[a]/x",
        "nbd://[::1]9/x",
        "nbd://host/%zz",
        "nbd://host/%e",
        "nbd://host/%ff",
    ] {
        let error = text.parse::<NbdUri>().expect_err(text).to_string();
        assert!(error.contains("nbd+unix:///NAME?socket=PATH"), "{error}");
    }
}

proptest! {
    #[test]
    fn every_uri_survives_its_text(export: String, path in "[^\0]{1,40}", port: u16, tls: bool) {
        for uri in [NbdUri::unix(path, &export), NbdUri::tcp("::1", port, &export)] {
            let certificates = tls.then(|| "/p&?q".into());
            let uri = NbdUri { tls, certificates, ..uri };
            prop_assert_eq!(uri.to_string().parse(), Ok(uri));
        }
    }
}
