//! One group of the file, and what groups and their members have to be together: all members of a
//! group lie on one disk, and that is the group's disk.

use super::Reader;
use crate::configuration::{Group, Vdisk};
use crate::fields;
use crate::finding::shortened;
use crate::json::Member;
use crate::values::Fields;
use std::collections::{HashMap, HashSet};

impl Reader<'_> {
    pub(super) fn group(&mut self, member: &Member) -> Option<Group> {
        let key = &member.key;
        let group = Fields::open(&member.value, &fields::GROUP, key.span, self.findings)?;
        if let Some(inner) = group.member("group") {
            // It is an unknown key, but one that deserves more than a list of the known ones.
            let found = self.findings.iter_mut();
            for finding in found.filter(|finding| finding.span == Some(inner.key.span)) {
                finding.message = "a group cannot be in a group".to_owned();
                finding.help = Some("put its vdisks into the other group, or leave it out".into());
            }
        }
        if key.value == "system" {
            let wrong = "the name `system` belongs to the server's own stream";
            self.report(key.span, wrong, "choose another name");
        }
        let entitlement = self.entitlement(&group);
        Some(Group {
            name: key.clone(),
            disk: None,
            reservation: entitlement.reservation,
            limit: entitlement.limit,
            weight: entitlement.weight,
        })
    }

    /// Gives each group the disk of its members.
    pub(super) fn place_groups(&mut self, groups: &mut [Group], vdisks: &[Vdisk]) {
        let mut first_members: HashMap<&str, &Vdisk> = HashMap::new();
        for vdisk in vdisks {
            let Some(group) = &vdisk.group else { continue };
            let first = *first_members.entry(&group.value).or_insert(vdisk);
            if first.disk.value != vdisk.disk.value {
                let wrong = format!(
                    "`{}` lies on `{}`, and `{}` of the same group `{}` on `{}`",
                    shortened(&vdisk.name.value),
                    shortened(&vdisk.disk.value),
                    shortened(&first.name.value),
                    shortened(&group.value),
                    shortened(&first.disk.value),
                );
                let help = "the members of a group share the time of one disk: put them on one, or make a group for each disk";
                self.report(vdisk.disk.span, wrong, help);
            }
        }
        let names: HashSet<&str> = vdisks.iter().map(|vdisk| &*vdisk.name.value).collect();
        for group in groups {
            let name = group.name.value.as_str();
            if names.contains(name) {
                let wrong = format!("the group `{}` has the name of a vdisk", shortened(name));
                self.report(
                    group.name.span,
                    wrong,
                    "choose another name for one of them",
                );
            }
            group.disk = first_members
                .get(name)
                .map(|member| member.disk.value.clone());
        }
    }
}
