//! The files that make a server believable: certificate, key, and who signs clients' certificates.
//!
//! Invariants: what cannot work (a key of another certificate, one that has expired) is said before
//! the first client, with the file's name; a directory that becomes wrong while the server runs
//! costs a warning and the files before it stay in use, so that a certificate can be replaced file
//! by file. A configuration, once handed to a connection, does not change.
//!
//! What is not known here: connections.

use super::revocations::revocations;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use thiserror::Error;
use webpki::{EndEntityCert, KeyUsage};

/// A certificate that ends sooner than this is worth a word.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

const CERTIFICATE: &str = "server-cert.pem";
const KEY: &str = "server-key.pem";
const AUTHORITY: &str = "ca-cert.pem";
const REVOKED: &str = "ca-crl.pem";

/// Where the files are, and what is asked of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// The directory of server-cert.pem, server-key.pem, ca-cert.pem and ca-crl.pem.
    pub dir: PathBuf,
    /// Whether clients have to show a certificate that ca-cert.pem signed.
    pub client_certificates: bool,
}

/// Why TLS cannot be offered. Every sentence names the file.
#[derive(Debug, Error)]
pub enum TlsError {
    /// No such directory, or not ours to read.
    #[error("the TLS directory {} cannot be used: {source}: it holds {CERTIFICATE} and {KEY}", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No such file, or not ours to read.
    #[error("{} cannot be read: {source}: it has to hold {what} in PEM form", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What it is for.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A file of something else.
    #[error("{} holds no {what} in PEM form{hint}", path.display())]
    Nothing {
        /// Which.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What is often the cause.
        hint: &'static str,
    },
    /// A key for another certificate.
    #[error(
        "the key in {} does not belong to the certificate in {}: one of them is of another pair",
        key.display(), certificate.display()
    )]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// Its time is over, or has not begun.
    #[error("the certificate in {} {when}: put a valid one there", path.display())]
    OutOfTime {
        /// Which.
        path: PathBuf,
        /// `has expired on …` or `is valid only from …`.
        when: String,
    },
    /// Anything else.
    #[error("{} cannot be used: {cause}", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: String,
    },
}

/// The certificate and key of a server, as the files of its directory are now.
#[derive(Debug)]
pub struct Credentials {
    settings: TlsSettings,
    notices: Vec<String>,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    config: Arc<ServerConfig>,
    /// How the files looked when they were last read, whether that went well or not.
    seen: Stamp,
}

/// Length, inode and times of each file; changed when any of them changed.
type Stamp = [Option<(u64, u64, i64, i64)>; 4];

impl Credentials {
    /// Reads the files.
    ///
    /// # Errors
    /// When one is missing, is something else, does not match the others or is out of its time.
    pub fn load(settings: TlsSettings) -> Result<Credentials, TlsError> {
        let seen = stamp(&settings.dir);
        let (config, notices) = read(&settings)?;
        Ok(Credentials {
            settings,
            notices,
            current: Mutex::new(Current { config, seen }),
        })
    }

    /// What is not wrong but worth a word: a certificate that ends soon, a key that others read.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// For the next connection: from the files as they are now, or as they last were in order.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        let seen = stamp(&self.settings.dir);
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if seen != current.seen {
            let [.., had_list] = &current.seen;
            if let (true, true, [.., None]) =
                (self.settings.client_certificates, had_list.is_some(), &seen)
            {
                tracing::warn!(
                    "{} is gone: certificates that were taken back are taken again",
                    self.settings.dir.join(REVOKED).display()
                );
            }
            current.seen = seen;
            match read(&self.settings) {
                Ok((config, notices)) => {
                    tracing::info!(
                        "the certificates in {} are read anew",
                        self.settings.dir.display()
                    );
                    notices.iter().for_each(|notice| tracing::warn!("{notice}"));
                    current.config = config;
                }
                Err(error) => {
                    tracing::warn!("{error}; the certificates from before stay in use");
                }
            }
        }
        current.config.clone()
    }
}

fn stamp(dir: &Path) -> Stamp {
    [CERTIFICATE, KEY, AUTHORITY, REVOKED].map(|name| {
        let found = std::fs::metadata(dir.join(name)).ok()?;
        Some((found.len(), found.ino(), found.mtime(), found.mtime_nsec()))
    })
}

fn read(settings: &TlsSettings) -> Result<(Arc<ServerConfig>, Vec<String>), TlsError> {
    let dir = settings.dir.as_path();
    if let Err(source) = std::fs::read_dir(dir) {
        let path = dir.to_owned();
        return Err(TlsError::Directory { path, source });
    }
    let (certificate, key_file) = (dir.join(CERTIFICATE), dir.join(KEY));
    let chain = certificates(&certificate, "the server's certificate")?;
    let key = private_key(&key_file)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let unusable = |path: &Path, cause: &dyn std::fmt::Display| TlsError::Unusable {
        path: path.to_owned(),
        cause: cause.to_string(),
    };
    let certified =
        CertifiedKey::from_der(chain.clone(), key, &provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::Mismatch {
                certificate: certificate.clone(),
                key: key_file.clone(),
            },
            rustls::Error::InvalidCertificate(cause) => unusable(
                &certificate,
                &format!("it holds no proper certificate ({cause:?})"),
            ),
            error => unusable(&key_file, &error),
        })?;
    let mut notices = Vec::new();
    in_time(&certificate, &chain, &mut notices)?;
    if std::fs::metadata(&key_file).is_ok_and(|found| found.permissions().mode() & 0o007 != 0) {
        notices.push(format!(
            "every user of this machine may read the key {}: chmod o= would change that",
            key_file.display()
        ));
    }
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(dir, &error))?;
    let builder = if settings.client_certificates {
        let authority = dir.join(AUTHORITY);
        let purpose = "the certificate that signs clients' certificates";
        let roots = roots(&authority, purpose, &mut notices)?;
        let revoked = revocations(&dir.join(REVOKED), &roots, &mut notices)?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .with_crls(revoked)
            .allow_unknown_revocation_status()
            .build()
            .map_err(|error| unusable(&authority, &error))?;
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let mut config =
        builder.with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok((Arc::new(config), notices))
}

/// The PEM sections of a file that are of one kind; at least one.
pub(super) fn items<T: PemObject>(
    path: &Path,
    purpose: &'static str,
    what: &'static str,
) -> Result<Vec<T>, TlsError> {
    let found: Result<Vec<T>, pem::Error> =
        T::pem_file_iter(path).and_then(|sections| sections.collect());
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(TlsError::Nothing {
            path: path.to_owned(),
            what,
            hint: "",
        }),
        Err(error) => Err(pem_error(path, purpose, error)),
    }
}

fn pem_error(path: &Path, what: &'static str, error: pem::Error) -> TlsError {
    let path = path.to_owned();
    match error {
        pem::Error::Io(source) => TlsError::File { path, what, source },
        error => TlsError::Unusable {
            path,
            cause: format!("it is no proper PEM file ({error})"),
        },
    }
}

/// The certificates of a file; at least one.
pub(super) fn certificates(
    path: &Path,
    purpose: &'static str,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    items(path, purpose, "certificate")
}

/// The first private key of a file.
pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::Nothing {
            path: path.to_owned(),
            what: "private key",
            hint: "; a key with a passphrase is of no use to a server",
        },
        error => pem_error(path, "the certificate's private key", error),
    })
}

/// Who signs, by the certificates of a file. Whose time is over or has not begun does not sign; that is
/// noticed, and an error if there is nobody else.
pub(super) fn roots(
    path: &Path,
    purpose: &'static str,
    notices: &mut Vec<String>,
) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let mut out_of_time = None;
    for authority in certificates(path, purpose)? {
        let found = judge(&authority, &[], UnixTime::now());
        if let Some(when) = found.as_ref().and_then(out_of_time_since) {
            notices.push(format!(
                "a certificate in {} {when}: what it signed is not accepted",
                path.display()
            ));
            out_of_time = Some(when);
            continue;
        }
        roots.add(authority).map_err(|error| TlsError::Unusable {
            path: path.to_owned(),
            cause: format!("it holds something that is no certificate of an authority ({error})"),
        })?;
    }
    match out_of_time {
        Some(when) if roots.is_empty() => Err(TlsError::OutOfTime {
            path: path.to_owned(),
            when,
        }),
        _ => Ok(roots),
    }
}

/// What is wrong with a certificate at that time. Its chain is looked for among no authorities at all,
/// so that everything that does not depend on them is judged and nothing else.
fn judge(
    certificate: &CertificateDer<'static>,
    others: &[CertificateDer<'static>],
    time: UnixTime,
) -> Option<webpki::Error> {
    let certificate = match EndEntityCert::try_from(certificate) {
        Ok(certificate) => certificate,
        Err(error) => return Some(error),
    };
    let usage = KeyUsage::server_auth();
    let judged = certificate.verify_for_usage(&[], &[], others, time, usage, None, None);
    judged.err()
}

/// In words, if that is what is wrong.
fn out_of_time_since(wrong: &webpki::Error) -> Option<String> {
    match wrong {
        webpki::Error::CertExpired { not_after, .. } => {
            Some(format!("has expired on {}", date(*not_after)))
        }
        webpki::Error::CertNotValidYet { not_before, .. } => {
            Some(format!("is valid only from {} on", date(*not_before)))
        }
        _ => None,
    }
}

/// Whether the certificate is for servers and for now.
fn in_time(
    path: &Path,
    chain: &[CertificateDer<'static>],
    notices: &mut Vec<String>,
) -> Result<(), TlsError> {
    let Some((first, others)) = chain.split_first() else {
        return Ok(());
    };
    let unusable = |cause: String| TlsError::Unusable {
        path: path.to_owned(),
        cause,
    };
    EndEntityCert::try_from(first)
        .map_err(|error| unusable(format!("it is no certificate ({error})")))?;
    let now = UnixTime::now();
    let wrong = judge(first, others, now);
    if let Some(when) = wrong.as_ref().and_then(out_of_time_since) {
        return Err(TlsError::OutOfTime {
            path: path.to_owned(),
            when,
        });
    }
    if let Some(webpki::Error::RequiredEkuNotFoundContext(_)) = wrong {
        let cause = "its certificate is not for servers (extended key usage serverAuth)";
        return Err(unusable(cause.to_owned()));
    }
    let later = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()) + SOON);
    if let Some(webpki::Error::CertExpired { not_after, .. }) = judge(first, others, later) {
        notices.push(format!(
            "the certificate in {} expires on {}",
            path.display(),
            date(not_after)
        ));
    }
    Ok(())
}

/// Day and minute, in UTC.
fn date(time: UnixTime) -> String {
    let seconds = time.as_secs();
    let (days, minutes) = (seconds / 86_400, seconds % 86_400 / 60);
    let (year, month, day) = civil(days);
    let (hour, minute) = (minutes / 60, minutes % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

/// Year, month and day of a number of days since 1970-01-01, counting in eras of 400 years that
/// begin in March, so that the day that leap years add is the last of a year.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests;
