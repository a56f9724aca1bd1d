//! Certificates and TLS clients for tests: an authority and the certificates that it signs, made on
//! the spot, in a directory with the file names that libnbd and QEMU use.
//!
//! What is not known here: the code under test. So this package can be a dev-dependency of every
//! other.
#![forbid(unsafe_code)]

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::fs;
use std::path::Path;
use std::sync::Arc;

pub use rustls::version::{TLS12, TLS13};

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Valid {
    /// In the year 1999.
    Past,
    /// From 2000 to 2099.
    Now,
    /// In the year 2099.
    Future,
}

/// A certificate authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Default for Authority {
    fn default() -> Authority {
        Authority::named("authority of the tests", Valid::Now)
    }
}

impl Authority {
    /// An authority of that name with a new key.
    pub fn named(name: &str, valid: Valid) -> Authority {
        let key = KeyPair::generate().expect("a key");
        let mut params = params(name, valid, 1);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).expect("a certificate");
        Authority {
            certificate: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// Writes `ca-cert.pem`.
    pub fn write(&self, dir: &Path) {
        write(dir, "ca-cert.pem", &self.certificate);
    }

    /// Writes `ca-cert.pem` with the other authority's certificate after this one's.
    pub fn write_with(&self, other: &Authority, dir: &Path) {
        let both = format!("{}{}", self.certificate, other.certificate);
        write(dir, "ca-cert.pem", &both);
    }

    /// Writes `ROLE-cert.pem` and `ROLE-key.pem` for `server` or `client`.
    pub fn sign(&self, dir: &Path, role: &str, valid: Valid, serial: u64) {
        let key = KeyPair::generate().expect("a key");
        let mut params = params(role, valid, serial);
        params.extended_key_usages = vec![match role {
            "server" => ExtendedKeyUsagePurpose::ServerAuth,
            _ => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        write(dir, &format!("{role}-cert.pem"), &certificate.pem());
        write(dir, &format!("{role}-key.pem"), &key.serialize_pem());
    }

    /// Writes `ca-crl.pem`, which revokes one certificate.
    pub fn revoke(&self, dir: &Path, serial: u64) {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2001, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2001, 1, 1),
            next_update: date_time_ymd(2099, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer).expect("a list");
        write(dir, "ca-crl.pem", &list.pem().expect("PEM"));
    }
}

/// Makes a directory with everything that a server and a client need.
pub fn fill(dir: &Path) -> Authority {
    fs::create_dir_all(dir).expect("a directory");
    let authority = Authority::default();
    authority.write(dir);
    authority.sign(dir, "server", Valid::Now, 2);
    authority.sign(dir, "client", Valid::Now, 3);
    authority
}

/// A client that trusts the authority in `dir`, with the client certificate there if it is to have
/// one.
pub fn client(
    dir: &Path,
    certificate: bool,
    version: &'static rustls::SupportedProtocolVersion,
) -> ClientConnection {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(dir.join("ca-cert.pem")).expect("its file");
    roots.add(authority).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("this version")
        .with_root_certificates(roots);
    let config = if certificate {
        let chain = CertificateDer::from_pem_file(dir.join("client-cert.pem")).expect("its file");
        let key = PrivateKeyDer::from_pem_file(dir.join("client-key.pem")).expect("its file");
        builder
            .with_client_auth_cert(vec![chain], key)
            .expect("they belong together")
    } else {
        builder.with_no_client_auth()
    };
    let name = ServerName::try_from("localhost").expect("a name");
    ClientConnection::new(Arc::new(config), name).expect("a client")
}

/// The encrypted bytes that the client wants to send.
pub fn encrypted_output(client: &mut ClientConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).expect("a vector");
    }
    bytes
}

/// Runs both handshakes to their end. `server` takes the client's bytes and returns its answer, and
/// whether its own handshake is complete.
///
/// # Errors
/// The first error of either side.
pub fn shake_hands<E: From<rustls::Error>>(
    client: &mut ClientConnection,
    mut server: impl FnMut(&[u8]) -> Result<(Vec<u8>, bool), E>,
) -> Result<(), E> {
    loop {
        let (answer, complete) = server(&encrypted_output(client))?;
        let mut answer = answer.as_slice();
        while !answer.is_empty() {
            client.read_tls(&mut answer).expect("a slice");
            client.process_new_packets()?;
        }
        if complete && !client.is_handshaking() && !client.wants_write() {
            return Ok(());
        }
    }
}

fn params(name: &str, valid: Valid, serial: u64) -> CertificateParams {
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut params = CertificateParams::new(names).expect("proper names");
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(serial));
    (params.not_before, params.not_after) = match valid {
        Valid::Past => (date_time_ymd(1999, 1, 1), date_time_ymd(1999, 12, 31)),
        Valid::Now => (date_time_ymd(2000, 1, 1), date_time_ymd(2099, 1, 1)),
        Valid::Future => (date_time_ymd(2099, 1, 1), date_time_ymd(2099, 12, 31)),
    };
    params
}

fn write(dir: &Path, name: &str, text: &str) {
    // A new file each time, so that a change is noticed by its inode.
    let (path, new) = (dir.join(name), dir.join(format!("{name}.new")));
    fs::write(&new, text).expect("a file");
    fs::rename(&new, &path).expect("in its place");
}
