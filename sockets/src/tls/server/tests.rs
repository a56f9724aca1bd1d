//! Server credentials: client certificates, revocation, replacement while the server runs, and
//! every kind of wrong file.

use super::*;
use disktime_test_tls::{Authority, TLS12, TLS13, Valid, client, fill};
use disktime_testing::programs::{text, tool};
use disktime_testing::sentences::assert_says;
use rustls::ClientConnection;

fn settings(dir: &Path) -> TlsSettings {
    TlsSettings {
        dir: dir.to_owned(),
        client_certificates: false,
    }
}

fn loaded(dir: &Path) -> ServerCredentials {
    ServerCredentials::load(settings(dir)).expect("the files are valid")
}

/// Runs both handshakes; the error is the first of either side.
fn shake_hands(
    client: &mut ClientConnection,
    credentials: &ServerCredentials,
) -> Result<(), ChannelError> {
    let mut channel = credentials.channel()?;
    disktime_test_tls::shake_hands(client, |bytes| {
        channel.space()[..bytes.len()].copy_from_slice(bytes);
        channel.filled(bytes.len());
        channel.advance_handshake()?;
        let answer = channel.outgoing().to_vec();
        channel.sent(answer.len());
        Ok((answer, !channel.is_handshaking()))
    })
}

#[test]
fn both_versions_and_client_certificates_work() {
    let dir = tempfile::tempdir().expect("a directory");
    let authority = fill(dir.path());
    let required = ServerCredentials::load(TlsSettings {
        client_certificates: true,
        ..settings(dir.path())
    });
    let required = required.expect("the files are valid");
    for version in [&TLS12, &TLS13] {
        let mut with = client(dir.path(), true, version);
        shake_hands(&mut with, &required).expect("a client with a certificate");
        let mut without = client(dir.path(), false, version);
        let error = shake_hands(&mut without, &required).expect_err("one without");
        assert_eq!(
            error,
            ChannelError::from(rustls::Error::NoCertificatesPresented)
        );
        assert!(error.to_string().contains("client_certificates"));
        let mut other = client(dir.path(), false, version);
        shake_hands(&mut other, &loaded(dir.path())).expect("none is required");
    }
    // A revoked certificate is rejected from the next connection on.
    authority.revoke(dir.path(), 3);
    let mut revoked = client(dir.path(), true, &TLS13);
    let error = shake_hands(&mut revoked, &required).expect_err("it is revoked");
    assert!(error.to_string().contains("Revoked"), "{error}");
    // So is a certificate of an unknown authority.
    let other = tempfile::tempdir().expect("a directory");
    fill(other.path());
    authority.write(other.path());
    let mut stranger = client(other.path(), true, &TLS13);
    shake_hands(&mut stranger, &required).expect_err("an unknown authority");
}

#[test]
fn changed_files_are_used_for_the_next_connection_unless_they_are_invalid() {
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
    // The files are replaced one after the other; in between they belong to two pairs.
    let config = credentials.config();
    let elsewhere = tempfile::tempdir().expect("a directory");
    let second = Authority::default();
    second.sign(elsewhere.path(), "server", Valid::Now, 10);
    for (name, is_complete) in [("server-cert.pem", false), ("server-key.pem", true)] {
        std::fs::copy(elsewhere.path().join(name), dir.path().join(name)).expect("a copy");
        let now = credentials.config();
        assert_eq!(Arc::ptr_eq(&config, &now), !is_complete, "{name}");
    }
    second.write(dir.path());
    let mut client = client(dir.path(), false, &TLS13);
    shake_hands(&mut client, &credentials).expect("the new one");
}

/// Settings that require client certificates.
fn requiring(dir: &Path) -> TlsSettings {
    TlsSettings {
        client_certificates: true,
        ..settings(dir)
    }
}

#[test]
fn errors_name_the_file_and_the_problem() {
    let dir = tempfile::tempdir().expect("a directory");
    let authority = fill(dir.path());
    let error = || {
        ServerCredentials::load(settings(dir.path()))
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
    says(&["server-key.pem", "not a valid PEM file"]);
    std::fs::remove_file(dir.path().join("server-key.pem")).expect("it is there");
    says(&["server-key.pem", "No such file", "private key"]);
    std::fs::write(dir.path().join("server-cert.pem"), "").expect("a file");
    says(&["server-cert.pem", "holds no certificate"]);
    let required = requiring(dir.path());
    authority.sign(dir.path(), "server", Valid::Now, 2);
    std::fs::remove_file(dir.path().join("ca-cert.pem")).expect("it is there");
    let said = ServerCredentials::load(required)
        .expect_err("there is no authority")
        .to_string();
    assert_says(&said, &["ca-cert.pem", "No such file"]);
    let missing = ServerCredentials::load(settings(&dir.path().join("gone")));
    let said = missing.expect_err("no directory").to_string();
    assert_says(&said, &["/gone cannot be used", "No such"]);
}

#[test]
fn a_revocation_list_of_an_unknown_authority_causes_a_warning() {
    let dir = tempfile::tempdir().expect("a directory");
    let authority = fill(dir.path());
    let required = || ServerCredentials::load(requiring(dir.path()));
    authority.revoke(dir.path(), 3);
    let own = required().expect("the files are valid").warnings().concat();
    assert!(!own.contains("ca-crl.pem"), "{own}");
    Authority::named("another authority", Valid::Now).revoke(dir.path(), 3);
    let warnings = required().expect("it is not an error").warnings().concat();
    assert!(warnings.contains("ca-crl.pem") && warnings.contains("revokes no certificate"));
    let list = dir.path().join("ca-crl.pem");
    std::fs::remove_file(&list).expect("it is there");
    std::os::unix::fs::symlink("nowhere", &list).expect("a link");
    let said = required().expect_err("it cannot be read").to_string();
    assert!(said.contains("ca-crl.pem cannot be read"), "{said}");
    std::fs::remove_file(&list).expect("it is there");
    required().expect("there need not be one");
}

#[test]
fn certificates_from_an_expired_authority_are_rejected() {
    let dir = tempfile::tempdir().expect("a directory");
    let authority = fill(dir.path());
    let required = || ServerCredentials::load(requiring(dir.path()));
    let old = Authority::named("expired", Valid::Past);
    old.write(dir.path());
    let said = required()
        .expect_err("there is no other authority")
        .to_string();
    assert_says(&said, &["ca-cert.pem has expired on 1999-12-31 00:00 UTC"]);
    Authority::named("not valid yet", Valid::Future).write(dir.path());
    let said = required()
        .expect_err("there is no other authority")
        .to_string();
    assert_says(&said, &["ca-cert.pem is valid only from 2099"]);
    authority.write_with(&old, dir.path());
    let credentials = required().expect("the other one is valid");
    let warnings = credentials.warnings().concat();
    assert_says(&warnings, &["ca-cert.pem has expired on 1999"]);
    // Certificates from the valid authority are accepted, those from the expired one are rejected.
    let mut known = client(dir.path(), true, &TLS12);
    shake_hands(&mut known, &credentials).expect("its authority is valid");
    old.sign(dir.path(), "client", Valid::Now, 4);
    let mut former = client(dir.path(), true, &TLS12);
    let refused = shake_hands(&mut former, &credentials).err();
    assert!(refused.is_some(), "its authority has expired");
}

#[test]
fn an_rsa_key_of_an_odd_length_is_refused_with_the_lengths_that_work() {
    let dir = tempfile::tempdir().expect("a directory");
    fill(dir.path());
    let path = dir.path().join("server-key.pem");
    for (bits, traditional) in [
        ("2056", "-traditional"),
        ("3000", "-traditional"),
        ("2432", ""),
    ] {
        let mut words = vec!["genrsa", "-out", text(&path)];
        words.extend(Some(traditional).filter(|word| !word.is_empty()));
        words.push(bits);
        tool("openssl", "openssl", &words);
        let error = ServerCredentials::load(settings(dir.path())).expect_err("it is refused");
        let said = error.to_string();
        assert!(said.contains("2048, 3072 or 4096 bits"), "{bits}: {said}");
    }
}
