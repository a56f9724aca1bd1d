//! Whether the paths of the file's unix sockets are short enough, for the sockets and for the
//! clients: found out before anything is opened.

use disktime_reservations::{Configuration, DocumentErrors, Spanned};
use disktime_sockets::{MAX_SOCKET_PATH_BYTES, check_socket_path, only_works_here};
use std::path::PathBuf;

/// Sentences for the user on paths that work in this directory only. `uses_nbd_socket`: the NBD
/// socket is made, and not handed over by another program.
///
/// # Errors
/// A path that is too long for a socket.
pub(crate) fn check_socket_paths(
    configuration: &Configuration,
    uses_nbd_socket: bool,
) -> Result<Vec<String>, DocumentErrors> {
    let nbd = configuration.nbd.as_ref().filter(|_| uses_nbd_socket);
    let nbd = nbd.map(|nbd| ("nbd", &nbd.socket));
    let control = ("control", &configuration.control.socket);
    let mut notices = Vec::new();
    let mut errors: Option<DocumentErrors> = None;
    for (section, socket) in nbd.into_iter().chain([control]) {
        if let Err(error) = check_socket_path(&socket.value) {
            let help = format!("as in \"{section}\": {{ \"socket\": \"/run/{section}.sock\" }}");
            let found = configuration.error_at(socket.span, error.to_string(), help);
            errors = Some(match errors {
                Some(errors) => errors.and(found),
                None => found,
            });
        }
        notices.extend(notice(section, socket));
    }
    match errors {
        Some(errors) => Err(errors),
        None => Ok(notices),
    }
}

fn notice(section: &str, socket: &Spanned<PathBuf>) -> Option<String> {
    let bytes = only_works_here(&socket.value)?;
    let shown = socket.value.display();
    Some(format!(
        "the socket {shown} is reached from this directory only: its absolute path has {bytes} bytes, \
         and a socket's may have {MAX_SOCKET_PATH_BYTES}; give it a shorter one, as in \
         \"{section}\": {{ \"socket\": \"/run/{section}.sock\" }}"
    ))
}
