//! Certificates: of clients, taken back, replaced while the server runs, and all that can be wrong.

use super::certificates::{Authority, Valid, fill};
use super::*;

#[test]
fn both_versions_and_client_certificates_work() {
    let dir = tempfile::tempdir().expect("a directory");
    let authority = fill(dir.path());
    let asks = Credentials::load(TlsSettings {
        client_certificates: true,
        ..settings(dir.path())
    });
    let asks = asks.expect("the files are in order");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut with = client(dir.path(), true, version);
        shake_hands(&mut with, &asks).expect("a client with a certificate");
        let mut without = client(dir.path(), false, version);
        let error = shake_hands(&mut without, &asks).err().expect("one without");
        assert_eq!(error, rustls::Error::NoCertificatesPresented);
        assert!(describe(&error).contains("client_certificates"));
        let mut free = client(dir.path(), false, version);
        shake_hands(&mut free, &loaded(dir.path())).expect("nobody asks it");
    }
    // One that was taken back stays out, from the next connection on.
    authority.revoke(dir.path(), 3);
    let mut revoked = client(dir.path(), true, &rustls::version::TLS13);
    let error = shake_hands(&mut revoked, &asks)
        .err()
        .expect("it was taken back");
    assert!(error.to_string().contains("Revoked"), "{error}");
    // As does one of somebody else's.
    let other = tempfile::tempdir().expect("a directory");
    fill(other.path());
    authority.write(other.path());
    let mut stranger = client(other.path(), true, &rustls::version::TLS13);
    shake_hands(&mut stranger, &asks).err().expect("a stranger");
}

#[test]
fn changed_files_are_for_the_next_connection_and_wrong_ones_for_none() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = fill(dir.path());
    let credentials = loaded(dir.path());
    let config = credentials.config();
    assert!(
        Arc::ptr_eq(&config, &credentials.config()),
        "nothing changed"
    );
    first.sign(dir.path(), "server", Valid::Now, 9);
    assert!(!Arc::ptr_eq(&config, &credentials.config()));
    // In between the files of two pairs, as while somebody replaces them one by one.
    let config = credentials.config();
    let elsewhere = tempfile::tempdir().expect("a directory");
    let second = Authority::new();
    second.sign(elsewhere.path(), "server", Valid::Now, 10);
    for (name, is_complete) in [("server-cert.pem", false), ("server-key.pem", true)] {
        std::fs::copy(elsewhere.path().join(name), dir.path().join(name)).expect("a copy");
        let now = credentials.config();
        assert_eq!(Arc::ptr_eq(&config, &now), !is_complete, "{name}");
    }
    second.write(dir.path());
    let mut client = client(dir.path(), false, &rustls::version::TLS13);
    shake_hands(&mut client, &credentials).expect("the new one");
}

/// Clients must show a certificate.
fn asking(dir: &std::path::Path) -> TlsSettings {
    TlsSettings {
        client_certificates: true,
        ..settings(dir)
    }
}

#[test]
fn what_is_wrong_with_the_files_is_said_with_their_names() {
    let dir = tempfile::tempdir().expect("a directory");
    let authority = fill(dir.path());
    let error = || {
        Credentials::load(settings(dir.path()))
            .err()
            .map(|error| error.to_string())
    };
    assert_eq!(error(), None);
    let says = |fragments: &[&str]| {
        let said = error().expect("something is wrong");
        let folder = dir.path().to_str().expect("a plain path");
        assert!(said.contains(folder), "no path in: {said}");
        for fragment in fragments {
            assert!(said.contains(fragment), "`{fragment}` is not in: {said}");
        }
    };
    authority.sign(dir.path(), "server", Valid::Past, 2);
    says(&["server-cert.pem", "has expired on 1999-12-31 00:00 UTC"]);
    authority.sign(dir.path(), "server", Valid::Future, 2);
    says(&["server-cert.pem", "valid only from 2099-01-01 00:00 UTC"]);
    let place = |from: &str, to: &str| {
        std::fs::copy(dir.path().join(from), dir.path().join(to)).expect("a copy");
    };
    place("client-cert.pem", "server-cert.pem");
    says(&["server-key.pem", "server-cert.pem", "does not belong"]);
    place("client-key.pem", "server-key.pem");
    says(&["server-cert.pem", "not for servers"]);
    authority.sign(dir.path(), "server", Valid::Now, 2);
    place("server-cert.pem", "server-key.pem");
    says(&["server-key.pem", "no private key", "passphrase"]);
    std::fs::write(
        dir.path().join("server-key.pem"),
        "-----BEGIN PRIVATE KEY-----\nAA",
    )
    .expect("a file");
    says(&["server-key.pem", "no proper PEM file"]);
    std::fs::remove_file(dir.path().join("server-key.pem")).expect("it is there");
    says(&["server-key.pem", "No such file", "private key"]);
    std::fs::write(dir.path().join("server-cert.pem"), "").expect("a file");
    says(&["server-cert.pem", "holds no certificate"]);
    let asks = asking(dir.path());
    authority.sign(dir.path(), "server", Valid::Now, 2);
    std::fs::remove_file(dir.path().join("ca-cert.pem")).expect("it is there");
    let said = Credentials::load(asks)
        .expect_err("nobody signs clients")
        .to_string();
    assert!(
        said.contains("ca-cert.pem") && said.contains("No such file"),
        "{said}"
    );
    let missing = Credentials::load(settings(&dir.path().join("gone")));
    let said = missing.expect_err("no directory").to_string();
    assert!(
        said.contains("/gone cannot be used") && said.contains("No such"),
        "{said}"
    );
}

#[test]
fn a_list_of_what_was_taken_back_that_keeps_out_nobody_is_noticed() {
    let dir = tempfile::tempdir().expect("a directory");
    let authority = fill(dir.path());
    let asks = || Credentials::load(asking(dir.path()));
    authority.revoke(dir.path(), 3);
    let own = asks().expect("the files are in order").notices().concat();
    assert!(!own.contains("ca-crl.pem"), "{own}");
    Authority::named("somebody else", Valid::Now).revoke(dir.path(), 3);
    let notices = asks().expect("it may be meant so").notices().concat();
    assert!(notices.contains("ca-crl.pem") && notices.contains("keeps out nobody"));
    let list = dir.path().join("ca-crl.pem");
    std::fs::remove_file(&list).expect("it is there");
    std::os::unix::fs::symlink("nowhere", &list).expect("a link");
    let said = asks().expect_err("it cannot be read").to_string();
    assert!(said.contains("ca-crl.pem cannot be read"), "{said}");
    std::fs::remove_file(&list).expect("it is there");
    asks().expect("there need not be one");
}

#[test]
fn an_authority_that_is_out_of_its_time_signs_nobody() {
    let dir = tempfile::tempdir().expect("a directory");
    let authority = fill(dir.path());
    let asks = || Credentials::load(asking(dir.path()));
    let old = Authority::named("it was", Valid::Past);
    old.write(dir.path());
    let said = asks().expect_err("nobody else signs").to_string();
    assert!(
        said.contains("ca-cert.pem has expired on 1999-12-31 00:00 UTC"),
        "{said}"
    );
    Authority::named("it will be", Valid::Future).write(dir.path());
    let said = asks().expect_err("nobody else signs").to_string();
    assert!(
        said.contains("ca-cert.pem is valid only from 2099"),
        "{said}"
    );
    authority.write_with(&old, dir.path());
    let credentials = asks().expect("the other one is in time");
    let notices = credentials.notices().concat();
    assert!(
        notices.contains("ca-cert.pem has expired on 1999"),
        "{notices}"
    );
    // Clients that the other one signed are let in, and those of this one no more.
    let mut known = client(dir.path(), true, &rustls::version::TLS12);
    shake_hands(&mut known, &credentials).expect("its authority is in time");
    old.sign(dir.path(), "client", Valid::Now, 4);
    let mut former = client(dir.path(), true, &rustls::version::TLS12);
    let refused = shake_hands(&mut former, &credentials).err();
    assert!(refused.is_some(), "its authority is not");
}
