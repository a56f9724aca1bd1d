//! Certificates for tests, made on the spot: an authority, and what it signs, in a directory with
//! the names that libnbd and QEMU use.
#![allow(dead_code, reason = "each test binary uses its own part")]

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SerialNumber, date_time_ymd,
};
use std::fs;
use std::path::Path;

/// What is signed is for the year 1999, 2000 to 2099, or 2099.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Valid {
    Past,
    Now,
    Future,
}

/// Who signs.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    pub fn new() -> Authority {
        Authority::named("authority of the tests", Valid::Now)
    }

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

    /// Writes `ca-cert.pem` with another's behind this one's.
    pub fn write_with(&self, other: &Authority, dir: &Path) {
        let both = format!("{}{}", self.certificate, other.certificate);
        write(dir, "ca-cert.pem", &both);
    }

    /// Writes `WHO-cert.pem` and `WHO-key.pem` for `server` or `client`.
    pub fn sign(&self, dir: &Path, who: &str, valid: Valid, serial: u64) {
        let key = KeyPair::generate().expect("a key");
        let mut params = params(who, valid, serial);
        params.extended_key_usages = vec![match who {
            "server" => ExtendedKeyUsagePurpose::ServerAuth,
            _ => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        write(dir, &format!("{who}-cert.pem"), &certificate.pem());
        write(dir, &format!("{who}-key.pem"), &key.serialize_pem());
    }

    /// Writes `ca-crl.pem`, which takes one certificate back.
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

/// A directory of everything that a server and a client need.
pub fn fill(dir: &Path) -> Authority {
    fs::create_dir_all(dir).expect("a directory");
    let authority = Authority::new();
    authority.write(dir);
    authority.sign(dir, "server", Valid::Now, 2);
    authority.sign(dir, "client", Valid::Now, 3);
    authority
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
    // A new file each time, so that whoever looks for changes finds one.
    let (path, new) = (dir.join(name), dir.join(format!("{name}.new")));
    fs::write(&new, text).expect("a file");
    fs::rename(&new, &path).expect("in its place");
}
