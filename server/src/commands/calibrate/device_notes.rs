//! What the kernel says of a device, and what that means for its measurement.

use disktime_disks::DiskIdentity;
use disktime_units::format_size;

/// The device in a few words: path, model, size.
pub(super) fn described(identity: &DiskIdentity) -> String {
    let kind = if identity.is_device { "device" } else { "file" };
    let below = match (&identity.model, identity.is_device) {
        (Some(model), true) => format!(", {model}"),
        (Some(model), false) => format!(" on {model}"),
        (None, _) => String::new(),
    };
    let serial = match (&identity.serial, identity.is_device) {
        (Some(serial), true) => format!(", serial {serial}"),
        _ => String::new(),
    };
    let size = format_size(identity.size_bytes);
    format!(
        "{} ({kind} of {size}{below}{serial})",
        identity.path.display()
    )
}

/// Sentences about what disturbs a measurement or changes what it means.
pub(super) fn notes(identity: &DiskIdentity) -> Vec<String> {
    let mut notes = Vec::new();
    let scheduler = identity.scheduler.as_deref();
    if let Some(scheduler) = scheduler.filter(|scheduler| *scheduler != "none") {
        let name = &identity.queue_name;
        notes.push(format!(
            "The kernel's I/O scheduler `{scheduler}` orders and holds back requests below disktime: \
             what is measured is the device behind it. Better: `echo none > \
             /sys/block/{name}/queue/scheduler`, then measure."
        ));
    }
    if identity.write_cache == Some(true) {
        notes.push(
            "The device has a write cache: it answers writes before they are on the medium. Writes \
             are priced by what it sustains, and flushes are measured."
                .to_owned(),
        );
    }
    if identity.rotational == Some(true) {
        notes.push(
            "The kernel calls it rotational: seeks are measured and one request goes to it at a \
             time. If it is a virtual disk or an SSD: --seeks false."
                .to_owned(),
        );
    }
    if identity.hole_bytes * 10 > identity.size_bytes {
        let path = identity.path.display();
        notes.push(format!(
            "{} of the file have no place on the device, and reads there cost nothing: fill it \
             first, as in `dd if=/dev/urandom of={path} bs=1M conv=notrunc`.",
            format_size(identity.hole_bytes)
        ));
    }
    notes
}

#[cfg(test)]
mod tests;
