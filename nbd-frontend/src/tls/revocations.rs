//! Certificates that were taken back: the lists of `ca-crl.pem`, if there is such a file.
//!
//! Invariant: only a file that is not there at all takes nothing back. One that cannot be read, a link to
//! nowhere included, is an error, or who was shut out would come in again without a word.

use super::credentials::{TlsError, items};
use rustls::RootCertStore;
use rustls::pki_types::CertificateRevocationListDer;
use std::io::ErrorKind;
use std::path::Path;
use webpki::{BorrowedCertRevocationList, CertRevocationList};

/// The lists of a file. What is not wrong with them but worth a word goes to `notices`.
pub(super) fn revocations(
    path: &Path,
    authorities: &RootCertStore,
    notices: &mut Vec<String>,
) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        _ => {}
    }
    let lists: Vec<CertificateRevocationListDer<'static>> =
        items(path, "certificates that were taken back", "X509 CRL")?;
    for list in &lists {
        let list = BorrowedCertRevocationList::from_der(list);
        let list: CertRevocationList<'_> = list
            .map_err(|error| TlsError::Unusable {
                path: path.to_owned(),
                cause: format!("it holds a list that is not understood ({error})"),
            })?
            .into();
        let is_theirs = authorities
            .roots
            .iter()
            .any(|authority| authority.subject.as_ref() == list.issuer());
        if !is_theirs {
            notices.push(format!(
                "{} holds a list of an authority that ca-cert.pem does not name: it keeps out nobody \
                 whom ca-cert.pem has signed",
                path.display()
            ));
        }
    }
    Ok(lists)
}
