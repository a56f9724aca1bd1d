//! PEM files: the certificates, keys and authorities that they hold, and whether those are valid
//! now.

use super::dates::date;
use super::error::CertificateError;
use ring::rsa::KeyPair as RsaKeyPair;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem};
use std::path::Path;
use std::time::Duration;
use webpki::{EndEntityCert, KeyUsage};

/// A certificate that expires within this time is worth a warning.
const EXPIRES_SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// The PEM sections of one kind in a file; at least one.
pub(super) fn pem_items<T: PemObject>(
    path: &Path,
    purpose: &'static str,
    what: &'static str,
) -> Result<Vec<T>, CertificateError> {
    let found: Result<Vec<T>, pem::Error> =
        T::pem_file_iter(path).and_then(|sections| sections.collect());
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(CertificateError::Missing {
            path: path.to_owned(),
            what,
            hint: "",
        }),
        Err(error) => Err(pem_error(path, purpose, error)),
    }
}

fn pem_error(path: &Path, what: &'static str, error: pem::Error) -> CertificateError {
    let path = path.to_owned();
    match error {
        pem::Error::Io(source) => CertificateError::File { path, what, source },
        error => CertificateError::Unusable {
            path,
            cause: format!("it is not a valid PEM file ({error})"),
        },
    }
}

/// The certificates of a file; at least one.
pub(super) fn certificates(
    path: &Path,
    purpose: &'static str,
) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    pem_items(path, purpose, "certificate")
}

/// The first private key of a file.
pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| match error {
        pem::Error::NoItemsFound => CertificateError::Missing {
            path: path.to_owned(),
            what: "private key",
            hint: "; a server cannot use a key with a passphrase",
        },
        error => pem_error(path, "the certificate's private key", error),
    })
}

/// Why an RSA key cannot be used though it is one: the cryptography library takes few lengths.
pub(super) fn unsupported_length(key: &PrivateKeyDer<'_>) -> Option<&'static str> {
    let rejected = match key {
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()).err(),
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).err(),
        _ => None,
    };
    // The library tells its reasons only as text.
    let reason = rejected?.to_string();
    ["512Bits", "TooLarge", "TooSmall"]
        .iter()
        .any(|length| reason.contains(length))
        .then_some(
            "an RSA key has to have 2048, 3072 or 4096 bits; make one of these lengths, or one \
             for ECDSA (`openssl ecparam -name prime256v1 -genkey`)",
        )
}

/// The authorities of a file. One that has expired or is not valid yet is left out with a warning,
/// so certificates that it signed are rejected; it is an error if no other authority is left.
pub(super) fn authorities(
    path: &Path,
    purpose: &'static str,
    warnings: &mut Vec<String>,
) -> Result<RootCertStore, CertificateError> {
    let mut roots = RootCertStore::empty();
    let mut not_valid = None;
    for authority in certificates(path, purpose)? {
        let problem = problem_at(&authority, &[], UnixTime::now());
        if let Some(when) = problem.as_ref().and_then(describe_validity) {
            warnings.push(format!(
                "a certificate in {} {when}: certificates that it signed are rejected",
                path.display()
            ));
            not_valid = Some(when);
            continue;
        }
        roots
            .add(authority)
            .map_err(|error| CertificateError::Unusable {
                path: path.to_owned(),
                cause: format!("it holds a certificate that is not one of an authority ({error})"),
            })?;
    }
    match not_valid {
        Some(when) if roots.is_empty() => Err(CertificateError::NotValidNow {
            path: path.to_owned(),
            when,
        }),
        _ => Ok(roots),
    }
}

/// What is wrong with a certificate at `time`. It is verified against no authorities, so everything
/// that does not depend on them is checked and nothing else.
fn problem_at(
    certificate: &CertificateDer<'static>,
    others: &[CertificateDer<'static>],
    time: UnixTime,
) -> Option<webpki::Error> {
    let certificate = match EndEntityCert::try_from(certificate) {
        Ok(certificate) => certificate,
        Err(error) => return Some(error),
    };
    let usage = KeyUsage::server_auth();
    let verified = certificate.verify_for_usage(&[], &[], others, time, usage, None, None);
    verified.err()
}

/// In words, if the problem is that the certificate has expired or is not valid yet.
fn describe_validity(problem: &webpki::Error) -> Option<String> {
    match problem {
        webpki::Error::CertExpired { not_after, .. } => {
            Some(format!("has expired on {}", date(*not_after)))
        }
        webpki::Error::CertNotValidYet { not_before, .. } => {
            Some(format!("is valid only from {} on", date(*not_before)))
        }
        _ => None,
    }
}

/// Checks that the chain's first certificate is valid now and for servers, and warns if it expires
/// soon.
pub(super) fn check_server_certificate(
    path: &Path,
    chain: &[CertificateDer<'static>],
    warnings: &mut Vec<String>,
) -> Result<(), CertificateError> {
    let Some((first, others)) = chain.split_first() else {
        return Ok(());
    };
    let unusable = |cause: String| CertificateError::Unusable {
        path: path.to_owned(),
        cause,
    };
    EndEntityCert::try_from(first)
        .map_err(|error| unusable(format!("it is not a certificate ({error})")))?;
    let now = UnixTime::now();
    let problem = problem_at(first, others, now);
    if let Some(when) = problem.as_ref().and_then(describe_validity) {
        return Err(CertificateError::NotValidNow {
            path: path.to_owned(),
            when,
        });
    }
    if let Some(webpki::Error::RequiredEkuNotFoundContext(_)) = problem {
        let cause = "its certificate is not for servers (extended key usage serverAuth)";
        return Err(unusable(cause.to_owned()));
    }
    let later = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()) + EXPIRES_SOON);
    if let Some(webpki::Error::CertExpired { not_after, .. }) = problem_at(first, others, later) {
        warnings.push(format!(
            "the certificate in {} expires on {}",
            path.display(),
            date(not_after)
        ));
    }
    Ok(())
}
