//! Revoked certificates: the revocation lists of `ca-crl.pem`, if there is such a file.
//!
//! Invariant: only a file that does not exist revokes nothing. One that cannot be read, a dangling
//! link included, is an error; otherwise a revoked certificate would be accepted again without
//! notice.

use super::certificates::pem_items;
use super::error::CertificateError;
use rustls::RootCertStore;
use rustls::pki_types::CertificateRevocationListDer;
use std::io::ErrorKind;
use std::path::Path;
use webpki::{BorrowedCertRevocationList, CertRevocationList};

/// The lists of a file; problems that are not errors go to `warnings`.
pub(super) fn revocations(
    path: &Path,
    authorities: &RootCertStore,
    warnings: &mut Vec<String>,
) -> Result<Vec<CertificateRevocationListDer<'static>>, CertificateError> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        _ => {}
    }
    let lists: Vec<CertificateRevocationListDer<'static>> =
        pem_items(path, "revoked certificates", "X509 CRL")?;
    for list in &lists {
        let list = BorrowedCertRevocationList::from_der(list);
        let list: CertRevocationList<'_> = list
            .map_err(|error| CertificateError::Unusable {
                path: path.to_owned(),
                cause: format!("it holds a revocation list that cannot be parsed ({error})"),
            })?
            .into();
        let is_known = authorities
            .roots
            .iter()
            .any(|authority| authority.subject.as_ref() == list.issuer());
        if !is_known {
            warnings.push(format!(
                "{} holds a list of an authority that is not in ca-cert.pem: it revokes no certificate \
                 that would be accepted",
                path.display()
            ));
        }
    }
    Ok(lists)
}
