//! The frontends and the control socket of the file: where they are, and which clients they admit.

use super::Reader;
use crate::configuration::{Control, Fuse, Nbd, Tls};
use crate::keys::{
    ADDRESSES, CONTROL_SOCKET, FUSE_MOUNT, NBD_CONNECTIONS, NBD_HANDSHAKE_OPTIONS, NBD_SOCKET,
    NETWORKS,
};
use disktime_documents::{Node, Object, Spanned, shortened};
use disktime_units::{Nanos, Network, NetworkError};
use std::net::SocketAddr;
use std::path::PathBuf;

impl Reader<'_> {
    pub(super) fn nbd(&self, nbd: &Object<'_>) -> Option<Nbd> {
        let connections = nbd.integer("connections");
        let handshake_time = nbd.duration("handshake_time");
        let handshake_options = nbd.integer("handshake_options");
        Some(Nbd {
            listen: listen(nbd),
            allow: networks(nbd, "allow"),
            tls: nbd.object("tls").and_then(|tls| self.tls(&tls)),
            socket_mode: nbd
                .parsed("socket_mode", mode)
                .map_or(0o600, Spanned::into_value),
            socket_owner: nbd.parsed("socket_owner", account),
            socket_group: nbd.parsed("socket_group", account),
            connections: connections.map_or(NBD_CONNECTIONS, Spanned::into_value),
            handshake_time: handshake_time.map_or(Nanos::from_secs(10), Spanned::into_value),
            handshake_options: handshake_options.map_or(NBD_HANDSHAKE_OPTIONS, Spanned::into_value),
            socket: self.path_or(nbd, "socket", NBD_SOCKET)?,
        })
    }

    fn tls(&self, tls: &Object<'_>) -> Option<Tls> {
        let require = tls.truth("require").is_none_or(Spanned::into_value);
        let client_certificates = tls.truth("client_certificates");
        if let Some(asked) = client_certificates.filter(|asked| asked.value && !require) {
            let message = "`client_certificates` has no effect on clients that do not encrypt";
            let help = "remove `\"require\": false`, or `client_certificates`";
            tls.report(asked.span, message, help);
        }
        Some(Tls {
            dir: tls.path("dir").map(|dir| self.resolve(dir))?,
            require,
            client_certificates: client_certificates.is_some_and(Spanned::into_value),
        })
    }

    pub(super) fn fuse(&self, fuse: &Object<'_>) -> Option<Fuse> {
        let mount = self.path_or(fuse, "mount", FUSE_MOUNT);
        let history = fuse.path("history").map(|path| self.resolve(path));
        if let (Some(mount), Some(history)) = (&mount, &history)
            && (mount.value.starts_with(&history.value) || history.value.starts_with(&mount.value))
        {
            let message =
                "the files of the past cannot be where the vdisks are, nor one inside the other";
            let help = "give it a directory of its own, as in \"history\": \"past\"";
            fuse.report(history.span, message, help);
        }
        Some(Fuse {
            mount: mount?,
            history,
        })
    }

    pub(super) fn control(&self) -> Option<Control> {
        if !self.root.has("control") {
            let socket = Spanned {
                value: self.state_dir.join(CONTROL_SOCKET),
                span: self.root.place(),
            };
            return Some(Control { socket });
        }
        let control = self.root.object("control")?;
        Some(Control {
            socket: self.path_or(&control, "socket", CONTROL_SOCKET)?,
        })
    }

    /// A path that has a default.
    fn path_or(&self, object: &Object<'_>, name: &str, default: &str) -> Option<Spanned<PathBuf>> {
        let path = match object.has(name) {
            true => object.path(name)?,
            false => Spanned {
                value: PathBuf::from(default),
                span: object.place(),
            },
        };
        Some(self.resolve(path))
    }
}

fn listen(nbd: &Object<'_>) -> Vec<Spanned<SocketAddr>> {
    let mut listen: Vec<Spanned<SocketAddr>> = Vec::new();
    for text in nbd.texts("listen") {
        match text.value.parse() {
            Ok(value) if listen.iter().any(|address| address.value == value) => {
                nbd.report(
                    text.span,
                    format!("`{value}` occurs twice"),
                    "remove one of them",
                );
            }
            Ok(value) => listen.push(text.map(|_| value)),
            Err(_) => {
                let message = format!("`{}` is not {}", shortened(text.value), ADDRESSES.what);
                nbd.refuse("listen", text.span, message);
            }
        }
    }
    listen
}

/// Ranges of addresses. `None` also where the list is empty, which is a mistake: it would refuse
/// every client.
pub(super) fn networks(object: &Object<'_>, name: &str) -> Option<Vec<Network>> {
    let node = object.node(name)?;
    if matches!(&node.value, Node::Array(items) if items.is_empty()) {
        let message = format!("an empty `{name}` would refuse every client");
        let help = format!(
            "remove `{name}` to admit every client; expected: {}",
            NETWORKS.expected
        );
        object.report(node.span, message, help);
        return None;
    }
    let mut networks: Vec<Network> = Vec::new();
    for text in object.texts(name) {
        match text.value.parse::<Network>() {
            Ok(network) if networks.contains(&network) => {
                let message = format!("`{network}` occurs twice");
                object.report(text.span, message, "remove one of them");
            }
            Ok(network) => networks.push(network),
            Err(NetworkError::Overhanging {
                meant, prefix_bits, ..
            }) => {
                let shown = shortened(text.value);
                let message = format!("`{shown}` has bits set after its first {prefix_bits}");
                let help = format!(
                    "write `{meant}` for the whole range, or remove `/{prefix_bits}` for this \
                        address only"
                );
                object.report(text.span, message, help);
            }
            Err(NetworkError::Unreadable(_)) => {
                let message = format!("`{}` is not {}", shortened(text.value), NETWORKS.what);
                object.refuse(name, text.span, message);
            }
        }
    }
    Some(networks)
}

/// The permission bits of a file, in octal digits.
fn mode(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix('0').filter(|rest| rest.len() == 3);
    let digits = digits.unwrap_or(text);
    let is_octal = digits.len() == 3 && digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    let mode = u32::from_str_radix(digits, 8).ok().filter(|_| is_octal);
    mode.ok_or_else(|| format!("`{}` is not the mode of a socket", shortened(text)))
}

/// The name or number of a user or group; whether it exists is for the caller to find out.
pub(super) fn account(text: &str) -> Result<String, String> {
    let is_separator = |c: char| c.is_whitespace() || c.is_control() || c == ':' || c == ',';
    if text.is_empty() || text.contains(is_separator) {
        return Err(format!("`{}` is not a user or group", shortened(text)));
    }
    Ok(text.to_owned())
}
