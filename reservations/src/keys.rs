//! Every key of the file, once: what it accepts, its default, and what it is for. The reader, the
//! JSON Schema and the reference go by these tables. What the values lead to is not known here.

mod frontends;
mod history;

use crate::configuration::Policy;
use disktime_documents::{Form, Format, Key, NameRule, Table, ValueKind, key, required_key};
use disktime_units::{BackgroundWork, Nanos, Share, TrimHandling};
pub(crate) use frontends::{
    ADDRESSES, CONTROL, CONTROL_SOCKET, FUSE, FUSE_MOUNT, NBD, NBD_CONNECTIONS,
    NBD_HANDSHAKE_OPTIONS, NBD_SOCKET, NETWORKS, TLS,
};
pub(crate) use history::{FOLD, HISTORY};

/// Sizes are multiples of this, the block that every frontend and disk can address.
pub(crate) const SIZE_MULTIPLE: u64 = 4096;

/// The largest limit of connections.
const MAX_CONNECTIONS: u64 = 65_536;

/// The largest disk and vdisk: what is known of holes takes up to 4 MiB of memory per TiB.
const MAX_SIZE_BYTES: u64 = 1 << 50;

const SIZE: ValueKind = ValueKind::Size {
    least: SIZE_MULTIPLE,
    most: MAX_SIZE_BYTES,
    multiple: SIZE_MULTIPLE,
};

const SHARE: ValueKind = ValueKind::Share { least: Share(1) };

const PERIOD: ValueKind = ValueKind::Duration {
    least: Nanos::from_millis(10),
    most: Nanos::from_secs(600),
};

/// The name of a disk in the same file.
static DISK_NAME: Format = Format {
    what: "the name of a disk",
    form: Form::Text,
    expected: "the name of a disk under `disks`",
    definition: "name",
};

/// The name of a group in the same file.
static GROUP_NAME: Format = Format {
    what: "the name of a group",
    form: Form::Text,
    expected: "the name of a group under `groups`",
    definition: "name",
};

/// The model that a disk is paced by.
static MODEL: Format = Format {
    what: "a disk model",
    form: Form::Text,
    expected: "a preset's name as in \"desktop-7200-2008\" or \"nvme-970pro\", \"FILE#NAME\", or \
        an object with the parameters of a hard disk",
    definition: "model",
};

/// The file.
pub(crate) static ROOT: Table = Table::new(
    "a configuration",
    &[&[
        key(
            "$schema",
            ValueKind::Path,
            "",
            "Where editors find the JSON Schema; the server ignores it.",
        ),
        required_key(
            "state_dir",
            ValueKind::Path,
            "The directory for everything that the server keeps; relative to this file.",
        ),
        required_key(
            "disks",
            ValueKind::Named(&DISK, NameRule::FileName),
            "The disks, by name; at least one.",
        ),
        key(
            "vdisks",
            ValueKind::Named(&VDISK, NameRule::FileName),
            "none",
            "The virtual disks, by name.",
        ),
        key(
            "groups",
            ValueKind::Named(&GROUP, NameRule::FileName),
            "none",
            "Reservations that several vdisks share, by name.",
        ),
        key(
            "nbd",
            ValueKind::Object(&NBD),
            "no NBD frontend",
            "Serve the vdisks over NBD.",
        ),
        key(
            "fuse",
            ValueKind::Object(&FUSE),
            "no FUSE frontend",
            "Serve the vdisks as files.",
        ),
        key(
            "control",
            ValueKind::Object(&CONTROL),
            "{}",
            "Where `disktime status` finds the server.",
        ),
    ]],
);

/// The keys of a disk of which it has exactly one.
pub(crate) const MEDIA: [&str; 3] = ["path", "memory", "null"];

pub(crate) static DISK: Table = Table::new("a disk", &[MEDIUM_KEYS, SCHEDULING_KEYS, DEVICE_KEYS])
    .with_replaced(&[("system", "`\"background\": { \"metadata\": { … } }`")]);

const MEDIUM_KEYS: &[Key] = &[
    key(
        "path",
        ValueKind::Path,
        "`path`, `memory` or `null` is required",
        "The block device or file that holds the data.",
    ),
    key(
        "memory",
        ValueKind::True,
        "",
        "Instead of `path`: the data are in memory and are lost when the server stops. For tests \
            and benchmarks. Memory is allocated at the first write.",
    ),
    key(
        "null",
        ValueKind::True,
        "",
        "Instead of `path`: reads return zeroes, writes are discarded. For benchmarks of \
            everything above the disk.",
    ),
    key(
        "size",
        SIZE,
        "the size of the device or file",
        "The size; required when the file does not exist yet, and with `emulate`, `memory` or \
            `null`.",
    ),
    key(
        "emulate",
        ValueKind::Format(&MODEL),
        "the device's own speed",
        "Pace the disk like a modelled one: a preset's name, `FILE#NAME`, or an object with the \
            model's parameters.",
    ),
    key(
        "profile",
        ValueKind::Path,
        "figures assumed of its kind",
        "The profile that `disktime calibrate` wrote for this disk (docs/calibrate.md): prices, H, \
            σ, W, seeks, depth and quantum. Other keys of the disk count before it.",
    ),
];

const SCHEDULING_KEYS: &[Key] = &[
    key(
        "policy",
        ValueKind::Choice(Policy::NAMES),
        "fahrrad",
        "The scheduling policy. `fahrrad` keeps reservations; the others are there for comparison \
            (docs/design/scheduler.md).",
    ),
    key(
        "switching",
        ValueKind::Choice(&["account", "served"]),
        "account on disks with seeks, served on others",
        "What pays for the seeks between streams: an account that admission sets aside, or the \
            stream that is served next.",
    ),
    key(
        "order",
        ValueKind::Choice(&["sweep", "least-positioning"]),
        "sweep",
        "The order in which one stream's requests go to a disk with seeks: ascending from the \
            last position and wrapping around, or the least estimated positioning time first (by \
            the model with `emulate`, otherwise as measured). `least-positioning` gives more \
            requests per second for deep random queues and less even latencies.",
    ),
    key(
        "background",
        ValueKind::Object(&BACKGROUND),
        "{}",
        "The reservations of the server's own work on the disk, by name.",
    ),
];

/// What becomes of trims.
const TRIM: ValueKind = ValueKind::Choice(TrimHandling::NAMES);

const DEVICE_KEYS: &[Key] = &[
    key(
        "seeks",
        ValueKind::Truth,
        "what the first probe finds, before it what the kernel says",
        "Whether the disk has seeks (docs/calibrate.md). Not with `emulate`: the model says it.",
    ),
    key(
        "worst_case",
        ValueKind::Duration {
            least: Nanos::from_micros(1),
            most: Nanos::from_secs(10),
        },
        "35ms on disks with seeks, 10ms on others (20ms with one request in flight), 2ms in memory",
        "W, the longest time that one request takes. Not with `emulate`: the model says it.",
    ),
    key(
        "switch_cost",
        ValueKind::Duration {
            least: Nanos::ZERO,
            most: Nanos::from_secs(1),
        },
        "12.7ms on disks with seeks, 0s on others",
        "s, a mean seek and half a turn. Not with `emulate`: the model says it.",
    ),
    key(
        "max_in_flight",
        ValueKind::Integer {
            least: 1,
            most: 1024,
        },
        "1 on disks with seeks, from the device or its model on others",
        "The most requests in flight at the device; at most what its model takes.",
    ),
    key(
        "trim",
        TRIM,
        "pass",
        "What becomes of trims of its vdisks (docs/semantics.md): sent on to the disk, recorded as \
            holes of which the disk is told in spare time, or ignored.",
    ),
];

/// A key per kind of background work, with its default.
static BACKGROUND_KEYS: [Key; BackgroundWork::ALL.len()] = {
    let mut keys = [background_key(BackgroundWork::ALL[0]); BackgroundWork::ALL.len()];
    let mut index = 1;
    while index < keys.len() {
        keys[index] = background_key(BackgroundWork::ALL[index]);
        index += 1;
    }
    keys
};

const fn background_key(work: BackgroundWork) -> Key {
    key(
        work.name(),
        ValueKind::Object(&BACKGROUND_RESERVATION),
        work.default_text(),
        work.about(),
    )
}

pub(crate) static BACKGROUND: Table = Table::new("the background work", &[&BACKGROUND_KEYS]);

pub(crate) static BACKGROUND_RESERVATION: Table = Table::new(
    "the reservation of background work",
    &[&[
        required_key("reserve", SHARE, "Its share of the disk's time."),
        required_key("period", PERIOD, "The period in which it gets that share."),
    ]],
);

const PERIOD_OF_RESERVATION: Key = key(
    "period",
    PERIOD,
    "",
    "The period of the reservation, and of the limit; required with `reserve`.",
);

const WEIGHT: ValueKind = ValueKind::Integer {
    least: 1,
    most: 10_000,
};

pub(crate) static VDISK: Table = Table::new(
    "a vdisk",
    &[&[
        required_key(
            "disk",
            ValueKind::Format(&DISK_NAME),
            "The disk that holds it.",
        ),
        required_key("size", SIZE, "Its size."),
        key(
            "group",
            ValueKind::Format(&GROUP_NAME),
            "none",
            "The group whose reservation and limit it shares; then it has none of its own.",
        ),
        key(
            "reserve",
            SHARE,
            "best effort",
            "The share of the disk's time that it gets in every period, whatever the other vdisks \
                do.",
        ),
        PERIOD_OF_RESERVATION,
        key(
            "limit",
            SHARE,
            "none",
            "The most of the disk's time that it gets in a period, spare time included; per 1s \
                when there is no `period`.",
        ),
        key(
            "weight",
            WEIGHT,
            "100",
            "Its weight when spare time is divided; in a group, when the group's time is divided \
                among its members.",
        ),
        key(
            "read_only",
            ValueKind::Truth,
            "false",
            "Clients of all frontends may read it and not write it.",
        ),
        key(
            "trim",
            TRIM,
            "as `trim` of the disk",
            "What becomes of its trims.",
        ),
        key(
            "history",
            ValueKind::ObjectOr(&HISTORY, &["off"]),
            "none",
            "Keep every write of a window, so that it can be undone (docs/history.md). \"off\" gives \
                one that is there up, with all of its past.",
        ),
        key(
            "allow",
            ValueKind::Format(&NETWORKS),
            "every client that `allow` of `nbd` admits",
            "The clients that may use it by TCP; for others it does not exist. Clients of the \
                unix socket are not checked.",
        ),
        key(
            "connections",
            ValueKind::Integer {
                least: 1,
                most: MAX_CONNECTIONS,
            },
            "`connections` of `nbd`, without those that are kept for other vdisks",
            "The most NBD connections that use it at once.",
        ),
    ]],
);

pub(crate) static GROUP: Table = Table::new(
    "a group",
    &[&[
        key(
            "reserve",
            SHARE,
            "best effort",
            "The share of the disk's time that its members get together in every period. What one \
                member does not use goes to the other members first.",
        ),
        PERIOD_OF_RESERVATION,
        key(
            "limit",
            SHARE,
            "none",
            "The most of the disk's time that its members get together in a period, spare time \
                included; per 1s when there is no `period`.",
        ),
        key(
            "weight",
            WEIGHT,
            "100",
            "Its weight when spare time is divided between it and the streams outside it.",
        ),
    ]],
);
