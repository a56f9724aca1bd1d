//! The doors and the control socket of the file: where they are, and who may come in.

use super::Reader;
use crate::configuration::{Control, Fuse, Nbd, Spanned, Tls};
use crate::fields::{self, Kind};
use crate::finding::{Span, shortened};
use crate::json::Member;
use crate::values::{Fields, accepted};
use disktime_units::Nanos;
use std::net::SocketAddr;
use std::path::PathBuf;

impl Reader<'_> {
    pub(super) fn nbd(&mut self, member: &Member) -> Option<Nbd> {
        let nbd = Fields::open(&member.value, &fields::NBD, member.key.span, self.findings)?;
        let connections = nbd.integer("connections", self.findings);
        let handshake_time = nbd.duration("handshake_time", self.findings);
        let handshake_options = nbd.integer("handshake_options", self.findings);
        Some(Nbd {
            listen: self.listen(&nbd),
            allow: nbd.networks("allow", self.findings),
            tls: nbd.member("tls").and_then(|member| self.tls(member)),
            socket_mode: nbd.mode("socket_mode", self.findings).unwrap_or(0o600),
            socket_owner: nbd.account("socket_owner", self.findings),
            socket_group: nbd.account("socket_group", self.findings),
            connections: connections.map_or(256, |count| count.value),
            handshake_time: handshake_time.map_or(Nanos::from_secs(10), |time| time.value),
            handshake_options: handshake_options.map_or(256, |count| count.value),
            socket: self.socket(&nbd, "socket", "nbd.sock", member.key.span)?,
        })
    }

    fn listen(&mut self, nbd: &Fields<'_>) -> Vec<Spanned<SocketAddr>> {
        let mut listen: Vec<Spanned<SocketAddr>> = Vec::new();
        for text in nbd.texts("listen", self.findings) {
            match text.value.parse() {
                Ok(value) if listen.iter().any(|address| address.value == value) => {
                    let wrong = format!("`{value}` is here a second time");
                    self.report(text.span, wrong, "remove one of them");
                }
                Ok(value) => listen.push(Spanned {
                    value,
                    span: text.span,
                }),
                Err(_) => {
                    let wrong =
                        format!("`{}` is not an address with a port", shortened(text.value));
                    self.report(text.span, wrong, accepted(&Kind::Addresses));
                }
            }
        }
        listen
    }

    fn tls(&mut self, member: &Member) -> Option<Tls> {
        let tls = Fields::open(&member.value, &fields::TLS, member.key.span, self.findings)?;
        let require = tls.truth("require", self.findings);
        let client_certificates = tls.truth("client_certificates", self.findings);
        if let (Some(false), Some(asked)) = (require.map(|truth| truth.value), client_certificates)
            && asked.value
        {
            let wrong = "`client_certificates` keeps nobody out who need not encrypt";
            let help = "leave out `\"require\": false`, or `client_certificates`";
            self.report(asked.span, wrong, help);
        }
        Some(Tls {
            dir: tls
                .path("dir", self.findings)
                .map(|dir| self.resolve(dir))?,
            require: require.is_none_or(|truth| truth.value),
            client_certificates: client_certificates.is_some_and(|truth| truth.value),
        })
    }

    pub(super) fn fuse(&mut self, member: &Member) -> Option<Fuse> {
        let fuse = Fields::open(&member.value, &fields::FUSE, member.key.span, self.findings)?;
        Some(Fuse {
            mount: self.socket(&fuse, "mount", "vdisks", member.key.span)?,
        })
    }

    pub(super) fn control(&mut self, member: Option<&Member>, place: Span) -> Option<Control> {
        let Some(member) = member else {
            let value = self.state_dir.join("control.sock");
            return Some(Control {
                socket: Spanned { value, span: place },
            });
        };
        let control = Fields::open(
            &member.value,
            &fields::CONTROL,
            member.key.span,
            self.findings,
        )?;
        Some(Control {
            socket: self.socket(&control, "socket", "control.sock", member.key.span)?,
        })
    }

    /// A path that has a default.
    fn socket(
        &mut self,
        fields: &Fields<'_>,
        name: &str,
        default: &str,
        place: Span,
    ) -> Option<Spanned<PathBuf>> {
        let path = match fields.has(name) {
            true => fields.path(name, self.findings)?,
            false => Spanned {
                value: PathBuf::from(default),
                span: place,
            },
        };
        Some(self.resolve(path))
    }
}
