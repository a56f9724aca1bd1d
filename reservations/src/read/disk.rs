//! One disk of the file, and what its keys have to be together.

use super::Reader;
use crate::configuration::{Disk, Medium, Policy, RequestOrder, Reservation, Switching};
use crate::keys::MEDIA;
use disktime_documents::{Node, Object, Spanned};
use disktime_units::{ByBackgroundWork, TrimHandling};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;

const SWITCHING: [(&str, Switching); 2] = [
    ("account", Switching::Account),
    ("served", Switching::Served),
];
const ORDERS: [(&str, RequestOrder); 2] = [
    ("sweep", RequestOrder::Sweep),
    ("least-positioning", RequestOrder::LeastPositioning),
];

pub(super) const TRIM: [(&str, TrimHandling); 3] = [
    ("pass", TrimHandling::Pass),
    ("hold", TrimHandling::Hold),
    ("ignore", TrimHandling::Ignore),
];

impl Reader<'_> {
    pub(super) fn disk(&self, name: &Spanned<String>, disk: &Object<'_>) -> Option<Disk> {
        let emulate = self.emulate(disk);
        let size_bytes = disk.size("size");
        if disk.has("emulate") && !disk.has("size") {
            let message = format!("the modelled disk `{}` needs the key `size`", name.value);
            disk.report(
                name.span,
                message,
                "add the size of the modelled disk: \"size\": \"64GiB\"",
            );
        }
        for own in ["seeks", "worst_case", "switch_cost", "profile"] {
            if let (true, Some(member)) = (disk.has("emulate"), disk.member(own)) {
                let message = format!("`{own}` of a modelled disk comes from its model");
                disk.report(
                    member.key.span,
                    message,
                    format!("remove `{own}`, or `emulate`"),
                );
            }
        }
        for medium in ["memory", "null"].into_iter().filter(|key| disk.has(key)) {
            let help = "remove it: there is no device to measure";
            disk.refuse_keys(&["profile"], &format!("a disk with `{medium}`"), help);
        }
        let medium = self.medium(name, disk);
        let policy = disk.choice("policy");
        Some(Disk {
            name: name.clone(),
            policy: policy
                .and_then(|name| Policy::from_name(name.value))
                .unwrap_or_default(),
            switching: disk.chosen("switching", &SWITCHING),
            order: disk
                .chosen("order", &ORDERS)
                .map_or_else(Default::default, Spanned::into_value),
            background: background(disk),
            seeks: disk.truth("seeks"),
            worst_case: disk.duration("worst_case"),
            switch_cost: disk.duration("switch_cost"),
            max_in_flight: disk.integer("max_in_flight"),
            trim: disk
                .chosen("trim", &TRIM)
                .map_or_else(Default::default, Spanned::into_value),
            size_bytes,
            emulate,
            profile: disk.path("profile").map(|path| self.resolve(path)),
            medium: medium?,
        })
    }

    /// What holds the data: what one of three keys says.
    fn medium(&self, name: &Spanned<String>, disk: &Object<'_>) -> Option<Spanned<Medium>> {
        let mut present = MEDIA.into_iter().filter_map(|key| disk.member(key));
        let Some(first) = present.next() else {
            let message = format!("the disk `{}` needs the key `path`", name.value);
            let help = "add \"path\": the block device or file that holds the data; or \
                        \"memory\": true, for data that are lost when the server stops";
            disk.report(name.span, message, help);
            return None;
        };
        if let Some(second) = present.next() {
            let (first, other) = (&first.key.value, &second.key.value);
            let message = format!("a disk cannot have both `{first}` and `{other}`");
            disk.report(second.key.span, message, "remove one of them");
        }
        if first.key.value == "path" {
            let path = self.resolve(disk.path("path")?);
            return Some(path.map(Medium::Path));
        }
        if !disk.has("size") && !disk.has("emulate") {
            let message = format!(
                "the disk `{}` has no path and needs the key `size`",
                name.value
            );
            disk.report(name.span, message, "add its size: \"size\": \"2GiB\"");
        }
        let memory = disk
            .truth("memory")
            .map(|truth| truth.map(|_| Medium::Memory));
        let null = disk.truth("null").map(|truth| truth.map(|_| Medium::Null));
        memory.or(null)
    }

    /// The model as the checker and the server get it: `FILE#NAME` with FILE resolved.
    fn emulate(&self, disk: &Object<'_>) -> Option<Spanned<Value>> {
        let node = disk.node("emulate")?;
        let value: Value = match &node.value {
            Node::String(text) => match text.split_once('#') {
                Some((file, name)) if !file.is_empty() => {
                    format!("{}#{name}", self.state_dir.join(file).display()).into()
                }
                _ => text.clone().into(),
            },
            Node::Object(_) => node.value.to_value(),
            other => {
                disk.refuse(
                    "emulate",
                    node.span,
                    format!("`emulate` cannot be {}", other.what()),
                );
                return None;
            }
        };
        if let Err(message) = self.checker.check(&value) {
            disk.refuse("emulate", node.span, message);
        }
        Some(Spanned {
            value,
            span: node.span,
        })
    }

    /// Reports disks that have the same path.
    pub(super) fn check_paths(&self, disks: &[Disk]) {
        let mut seen: HashMap<&Path, &str> = HashMap::new();
        for disk in disks {
            let Some(path) = disk.path() else { continue };
            if let Some(first) = seen.insert(path, &disk.name.value) {
                let message = format!("`{}` has the same path as `{first}`", disk.name.value);
                let help = "give each disk its own device or file";
                self.root.report(disk.medium.span, message, help);
            }
        }
    }
}

/// The reservation of an object that must have one.
/// The reservations of background work that the file says.
fn background(disk: &Object<'_>) -> ByBackgroundWork<Option<Reservation>> {
    let Some(works) = disk.object("background") else {
        return ByBackgroundWork::default();
    };
    ByBackgroundWork::from_fn(|work| reservation(&works.object(work.name())?))
}

fn reservation(object: &Object<'_>) -> Option<Reservation> {
    let (reserve, period) = (object.share("reserve"), object.duration("period"));
    Some(Reservation {
        reserve: reserve?,
        period: period?,
    })
}
