//! One disk of the file, and what its keys have to be together.

use super::Reader;
use crate::configuration::{Disk, Medium, Policy, RequestOrder, Reservation, Spanned, Switching};
use crate::fields::{self, Kind, MEDIA};
use crate::json::{Member, Node};
use crate::values::{Fields, accepted};
use std::collections::HashMap;
use std::path::Path;

impl Reader<'_> {
    pub(super) fn disk(&mut self, member: &Member) -> Option<Disk> {
        let key = &member.key;
        let disk = Fields::open(&member.value, &fields::DISK, key.span, self.findings)?;
        let emulate = disk
            .member("emulate")
            .and_then(|member| self.emulate(&member.value));
        let size_bytes = disk.size("size", self.findings);
        if disk.has("emulate") && !disk.has("size") {
            let wrong = format!("the modelled disk `{}` needs a `size`", key.value);
            self.report(
                key.span,
                wrong,
                "add \"size\": \"64GiB\", or whatever it is to hold",
            );
        }
        for own in ["seeks", "worst_case", "switch_cost"] {
            if let (true, Some(member)) = (disk.has("emulate"), disk.member(own)) {
                let wrong = format!("`{own}` of a modelled disk comes from its model");
                self.report(
                    member.key.span,
                    wrong,
                    format!("leave out `{own}`, or `emulate`"),
                );
            }
        }
        let medium = self.medium(key, &disk);
        let policy = disk.choice("policy", self.findings);
        let switching = disk
            .choice("switching", self.findings)
            .map(|choice| Spanned {
                value: if choice.value == "served" {
                    Switching::Served
                } else {
                    Switching::Account
                },
                span: choice.span,
            });
        let order = disk.choice("order", self.findings);
        let read = Disk {
            name: key.clone(),
            policy: policy
                .and_then(|name| Policy::from_name(name.value))
                .unwrap_or_default(),
            switching,
            order: match order.map(|choice| choice.value) {
                Some("least-positioning") => RequestOrder::LeastPositioning,
                _ => RequestOrder::Sweep,
            },
            system: disk.member("system").and_then(|member| self.system(member)),
            seeks: disk.truth("seeks", self.findings),
            worst_case: disk.duration("worst_case", self.findings),
            switch_cost: disk.duration("switch_cost", self.findings),
            max_in_flight: disk.integer("max_in_flight", self.findings),
            size_bytes,
            emulate,
            medium: medium?,
        };
        Some(read)
    }

    /// Where the data lie: what one of three keys says.
    fn medium(&mut self, key: &Spanned<String>, disk: &Fields<'_>) -> Option<Spanned<Medium>> {
        let mut there = MEDIA.into_iter().filter_map(|name| disk.member(name));
        let Some(first) = there.next() else {
            let wrong = format!("the disk `{}` needs a `path`", key.value);
            let help = "add \"path\": the block device or file that holds the data; or \
                        \"memory\": true, for data that are gone when the server stops";
            self.report(key.span, wrong, help);
            return None;
        };
        if let Some(other) = there.next() {
            let (first, other_name) = (&first.key.value, &other.key.value);
            let wrong = format!("a disk cannot have both `{first}` and `{other_name}`");
            self.report(other.key.span, wrong, "leave out one of them");
        }
        if first.key.value == "path" {
            let path = disk.path("path", self.findings)?;
            let path = self.resolve(path);
            return Some(Spanned {
                value: Medium::Path(path.value),
                span: path.span,
            });
        }
        if !disk.has("size") && !disk.has("emulate") {
            let wrong = format!("the disk `{}` has no path and needs a `size`", key.value);
            self.report(
                key.span,
                wrong,
                "add \"size\": \"2GiB\", or whatever it is to hold",
            );
        }
        let memory = disk.truth("memory", self.findings);
        let null = disk.truth("null", self.findings);
        let medium = |truth: Spanned<bool>, value| Spanned {
            value,
            span: truth.span,
        };
        memory
            .map(|truth| medium(truth, Medium::Memory))
            .or(null.map(|truth| medium(truth, Medium::Null)))
    }

    /// The model as the checker and the server get it: `FILE#NAME` with FILE resolved.
    fn emulate(&mut self, node: &Spanned<Node>) -> Option<Spanned<serde_json::Value>> {
        let value = match &node.value {
            Node::String(text) => match text.split_once('#') {
                Some((file, name)) if !file.is_empty() => {
                    format!("{}#{name}", self.state_dir.join(file).display()).into()
                }
                _ => text.clone().into(),
            },
            Node::Object(_) => {
                self.duplicates_within(node);
                node.value.to_value()
            }
            Node::Broken => return None,
            other => {
                let wrong = format!("`emulate` cannot be {}", other.what());
                self.report(node.span, wrong, accepted(&Kind::Model));
                return None;
            }
        };
        if let Err(wrong) = self.checker.check(&value) {
            self.report(node.span, wrong, accepted(&Kind::Model));
        }
        Some(Spanned {
            value,
            span: node.span,
        })
    }

    fn system(&mut self, member: &Member) -> Option<Reservation> {
        let system = Fields::open(
            &member.value,
            &fields::SYSTEM,
            member.key.span,
            self.findings,
        )?;
        let reserve = system.share("reserve", self.findings);
        let period = system.duration("period", self.findings);
        Some(Reservation {
            reserve: reserve?,
            period: period?,
        })
    }

    pub(super) fn same_paths(&mut self, disks: &[Disk]) {
        let mut seen: HashMap<&Path, &str> = HashMap::new();
        for disk in disks {
            let Some(path) = disk.path() else { continue };
            if let Some(first) = seen.get(path) {
                let wrong = format!("`{}` has the path of `{first}`", disk.name.value);
                self.report(
                    disk.medium.span,
                    wrong,
                    "every disk has its own device or file",
                );
            }
            seen.insert(path, &disk.name.value);
        }
    }
}
