//! The doors and the control socket of the file: where, and nothing of how.

use super::Reader;
use crate::configuration::{Control, Fuse, Nbd, Spanned};
use crate::fields::{self, Kind};
use crate::finding::{Span, shortened};
use crate::json::Member;
use crate::values::{Fields, accepted};
use std::net::SocketAddr;
use std::path::PathBuf;

impl Reader<'_> {
    pub(super) fn nbd(&mut self, member: &Member) -> Option<Nbd> {
        let nbd = Fields::open(&member.value, &fields::NBD, member.key.span, self.findings)?;
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
        Some(Nbd {
            socket: self.socket(&nbd, "socket", "nbd.sock", member.key.span)?,
            listen,
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
