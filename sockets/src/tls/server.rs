//! A server's credentials: certificate, key, and the authority that signs clients' certificates.
//!
//! Invariants: files that cannot work (a key of another certificate, an expired certificate) are
//! reported with the file's name before the first client connects. If files become wrong while the
//! server runs, a warning is logged and the previous ones stay in use, so a certificate and its key
//! can be replaced one after the other. A configuration does not change once a connection has it.
//!
//! What is not known here: connections and protocols.

use super::certificates::{
    authorities, certificates, check_server_certificate, private_key, unsupported_length,
};
use super::channel::TlsChannel;
use super::error::{CertificateError, ChannelError};
use super::revocations::revocations;
use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

const CERTIFICATE: &str = "server-cert.pem";
const KEY: &str = "server-key.pem";
const AUTHORITY: &str = "ca-cert.pem";
const REVOKED: &str = "ca-crl.pem";

/// Where the files are, and whether clients have to present a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// The directory of server-cert.pem, server-key.pem, ca-cert.pem and ca-crl.pem.
    pub dir: PathBuf,
    /// Whether clients have to present a certificate that an authority in ca-cert.pem signed.
    pub client_certificates: bool,
}

/// The certificate and key of a server; files that changed are read again for the next connection.
#[derive(Debug)]
pub struct ServerCredentials {
    settings: TlsSettings,
    warnings: Vec<String>,
    current: Mutex<LoadedConfig>,
}

#[derive(Debug)]
struct LoadedConfig {
    config: Arc<ServerConfig>,
    /// The state of the files when they were last read, whether reading succeeded or not.
    stamps: FileStamps,
}

/// Length, inode and modification time of each file; `None` for a file that does not exist.
type FileStamps = [Option<(u64, u64, i64, i64)>; 4];

impl ServerCredentials {
    /// Reads the files.
    ///
    /// # Errors
    /// When a file is missing, holds something else, does not match the others or is not valid now.
    pub fn load(settings: TlsSettings) -> Result<ServerCredentials, CertificateError> {
        let stamps = file_stamps(&settings.dir);
        let (config, warnings) = read(&settings)?;
        Ok(ServerCredentials {
            settings,
            warnings,
            current: Mutex::new(LoadedConfig { config, stamps }),
        })
    }

    /// Problems that do not prevent TLS: a certificate that expires soon, a key that others can
    /// read.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// TLS for the next connection, with the files as they are now, or as they were when they were
    /// last valid.
    ///
    /// # Errors
    /// When the TLS library rejects the configuration.
    pub fn channel(&self) -> Result<TlsChannel, ChannelError> {
        TlsChannel::new(self.config())
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        let stamps = file_stamps(&self.settings.dir);
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if stamps != current.stamps {
            self.warn_of_removed_revocations(&current.stamps, &stamps);
            current.stamps = stamps;
            match read(&self.settings) {
                Ok((config, warnings)) => {
                    let dir = self.settings.dir.display();
                    tracing::info!("the certificates in {dir} have changed and are read again");
                    warnings
                        .iter()
                        .for_each(|warning| tracing::warn!("{warning}"));
                    current.config = config;
                }
                Err(error) => {
                    tracing::warn!("{error}; the previous certificates stay in use");
                }
            }
        }
        current.config.clone()
    }

    fn warn_of_removed_revocations(&self, before: &FileStamps, now: &FileStamps) {
        let ([.., had_list], [.., has_list]) = (before, now);
        if self.settings.client_certificates && had_list.is_some() && has_list.is_none() {
            tracing::warn!(
                "{} was removed: the certificates that it revoked are accepted again",
                self.settings.dir.join(REVOKED).display()
            );
        }
    }
}

fn file_stamps(dir: &Path) -> FileStamps {
    [CERTIFICATE, KEY, AUTHORITY, REVOKED].map(|name| {
        let found = std::fs::metadata(dir.join(name)).ok()?;
        Some((found.len(), found.ino(), found.mtime(), found.mtime_nsec()))
    })
}

fn read(settings: &TlsSettings) -> Result<(Arc<ServerConfig>, Vec<String>), CertificateError> {
    let dir = settings.dir.as_path();
    if let Err(source) = std::fs::read_dir(dir) {
        let path = dir.to_owned();
        return Err(CertificateError::Directory { path, source });
    }
    let (certificate, key_file) = (dir.join(CERTIFICATE), dir.join(KEY));
    let chain = certificates(&certificate, "the server's certificate")?;
    let key = private_key(&key_file)?;
    let length = unsupported_length(&key);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let unusable = |path: &Path, cause: &dyn std::fmt::Display| CertificateError::Unusable {
        path: path.to_owned(),
        cause: cause.to_string(),
    };
    let certified =
        CertifiedKey::from_der(chain.clone(), key, &provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => CertificateError::Mismatch {
                certificate: certificate.clone(),
                key: key_file.clone(),
            },
            rustls::Error::InvalidCertificate(cause) => unusable(
                &certificate,
                &format!("it holds no valid certificate ({cause:?})"),
            ),
            error => match length {
                Some(cause) => unusable(&key_file, &cause),
                None => unusable(&key_file, &error),
            },
        })?;
    let mut warnings = Vec::new();
    check_server_certificate(&certificate, &chain, &mut warnings)?;
    if std::fs::metadata(&key_file).is_ok_and(|found| found.permissions().mode() & 0o007 != 0) {
        warnings.push(format!(
            "every user of this machine can read the key {}: run `chmod o=` on it",
            key_file.display()
        ));
    }
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(dir, &error))?;
    let builder = if settings.client_certificates {
        let authority = dir.join(AUTHORITY);
        let purpose = "the certificate that signs clients' certificates";
        let roots = authorities(&authority, purpose, &mut warnings)?;
        let revoked = revocations(&dir.join(REVOKED), &roots, &mut warnings)?;
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
    Ok((Arc::new(config), warnings))
}

#[cfg(test)]
mod tests;
