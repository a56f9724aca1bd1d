//! One group of the file, and what groups and their members have to be together: all members of a
//! group are on one disk, which is the group's disk.

use super::Reader;
use crate::configuration::{Group, Vdisk};
use disktime_documents::{Object, Spanned, shortened};
use std::collections::{HashMap, HashSet};

impl Reader<'_> {
    pub(super) fn group(&self, name: &Spanned<String>, group: &Object<'_>) -> Group {
        if let Some(inner) = group.member("group") {
            // It is reported as an unknown key; more can be said about this one.
            let help = "move its vdisks to the other group, or remove `group`";
            let findings = group.findings();
            findings.replace(inner.key.span, "a group cannot be in a group", help);
        }
        let entitlement = self.entitlement(group);
        Group {
            name: name.clone(),
            disk: None,
            reservation: entitlement.reservation,
            limit: entitlement.limit,
            weight: entitlement.weight,
        }
    }

    /// Gives each group the disk of its members.
    pub(super) fn place_groups(&self, groups: &mut [Group], vdisks: &[Vdisk]) {
        let mut first_members: HashMap<&str, &Vdisk> = HashMap::new();
        for vdisk in vdisks {
            let Some(group) = &vdisk.group else { continue };
            let first = *first_members.entry(&group.value).or_insert(vdisk);
            if first.disk.value != vdisk.disk.value {
                let message = format!(
                    "`{}` is on the disk `{}`, but `{}` of the same group `{}` is on `{}`",
                    shortened(&vdisk.name.value),
                    shortened(&vdisk.disk.value),
                    shortened(&first.name.value),
                    shortened(&group.value),
                    shortened(&first.disk.value),
                );
                let help = "the members of a group share the time of one disk: move them to one \
                    disk, or make a group for each disk";
                self.root.report(vdisk.disk.span, message, help);
            }
        }
        let names: HashSet<&str> = vdisks.iter().map(|vdisk| &*vdisk.name.value).collect();
        for group in groups {
            let name = group.name.value.as_str();
            if names.contains(name) {
                let message = format!("the group `{}` has the name of a vdisk", shortened(name));
                let help = "choose another name for one of them";
                self.root.report(group.name.span, message, help);
            }
            group.disk = first_members
                .get(name)
                .map(|member| member.disk.value.clone());
        }
    }
}
