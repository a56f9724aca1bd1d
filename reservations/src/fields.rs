//! Every key of the file, once: its type, range, default, and what it is for. The reader takes
//! unknown keys, ranges and "what would be accepted" from here, and the JSON Schema is written
//! from it, so that the two cannot disagree. Knows nothing of what the values lead to.

mod doors;

use crate::configuration::Policy;
use disktime_units::{Nanos, format_duration};
pub(crate) use doors::{CONTROL, FUSE, NBD, TLS};

/// An object with a fixed set of keys.
pub(crate) struct Table {
    /// What it describes, with its article.
    pub what: &'static str,
    pub fields: &'static [Field],
}

/// One key.
pub(crate) struct Field {
    pub name: &'static str,
    pub kind: Kind,
    pub required: bool,
    /// What holds when the key is left out, in words.
    pub default: &'static str,
    pub about: &'static str,
}

/// What a value may be.
pub(crate) enum Kind {
    /// A path; a relative one is relative to the state directory.
    Path,
    /// A size in bytes, a multiple of [`SIZE_MULTIPLE`].
    Size,
    /// A share, more than nothing.
    Share,
    Duration {
        least: Nanos,
        most: Nanos,
    },
    Integer {
        least: u32,
        most: u32,
    },
    Truth,
    /// `true`; what is not so is left out.
    True,
    Choice(&'static [&'static str]),
    /// A preset's name, `FILE#NAME`, or an object of model parameters.
    Model,
    /// `ADDRESS:PORT`, any number of them.
    Addresses,
    /// `ADDRESS/BITS` or `ADDRESS`, any number of them.
    Networks,
    /// Who may do what with a file, in octal digits.
    Mode,
    /// The name or number of a user or group of this machine.
    Account,
    /// The name of a disk in the same file.
    DiskName,
    /// The name of a group in the same file.
    GroupName,
    Object(&'static Table),
    /// An object whose keys are names that the person chooses.
    Named(&'static Table),
}

/// Sizes are multiples of this, the block that every door and disk can address.
pub(crate) const SIZE_MULTIPLE: u64 = 4096;

/// The most connections that a file may ask for.
pub(crate) const MAX_CONNECTIONS: u32 = 65_536;

/// The longest name; it becomes a file's name and an NBD export's.
pub(crate) const MAX_NAME: usize = 64;

const PERIOD: Kind = Kind::Duration {
    least: Nanos::from_millis(10),
    most: Nanos::from_secs(600),
};

const fn field(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    about: &'static str,
) -> Field {
    Field {
        name,
        kind,
        required: false,
        default,
        about,
    }
}

const fn required(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field {
        name,
        kind,
        required: true,
        default: "",
        about,
    }
}

/// The file.
pub(crate) static ROOT: Table = Table {
    what: "a configuration",
    fields: &[
        field(
            "$schema",
            Kind::Path,
            "",
            "Where editors find the JSON Schema; the server ignores it.",
        ),
        required(
            "state_dir",
            Kind::Path,
            "The directory for everything that the server keeps; relative to this file.",
        ),
        required(
            "disks",
            Kind::Named(&DISK),
            "The disks, by name; at least one.",
        ),
        field(
            "vdisks",
            Kind::Named(&VDISK),
            "none",
            "The virtual disks, by name.",
        ),
        field(
            "groups",
            Kind::Named(&GROUP),
            "none",
            "Reservations that several vdisks share, by name.",
        ),
        field(
            "nbd",
            Kind::Object(&NBD),
            "no NBD door",
            "Serve the vdisks over NBD.",
        ),
        field(
            "fuse",
            Kind::Object(&FUSE),
            "no FUSE door",
            "Serve the vdisks as files.",
        ),
        field(
            "control",
            Kind::Object(&CONTROL),
            "{}",
            "Where `disktime status` finds the server.",
        ),
    ],
};

/// The keys of a disk of which it has exactly one.
pub(crate) const MEDIA: [&str; 3] = ["path", "memory", "null"];

pub(crate) static DISK: Table = Table {
    what: "a disk",
    fields: &[
        field(
            "path",
            Kind::Path,
            "this, `memory` or `null` is required",
            "The block device or file that holds the data.",
        ),
        field(
            "memory",
            Kind::True,
            "",
            "Instead of `path`: the data lie in memory and are gone when the server stops. For tests and benches. Memory is taken when it is first written.",
        ),
        field(
            "null",
            Kind::True,
            "",
            "Instead of `path`: reads are zeroes, what is written is dropped. For benches of everything above the disk.",
        ),
        field(
            "size",
            Kind::Size,
            "the size of the device or file",
            "The size; needed when the file does not exist yet, and with `emulate`, `memory` or `null`.",
        ),
        field(
            "emulate",
            Kind::Model,
            "the device's own speed",
            "Pace the disk like a modelled one: a preset's name, `FILE#NAME`, or an object with the model's parameters.",
        ),
        field(
            "policy",
            Kind::Choice(Policy::NAMES),
            "fahrrad",
            "The scheduling policy. `fahrrad` keeps reservations; the others are there to compare with (ARCHITECTURE.md, \"Other policies\").",
        ),
        field(
            "switching",
            Kind::Choice(&["account", "served"]),
            "account on disks with seeks, served on others",
            "Who pays for the seeks between streams: an account that admission sets aside, or the stream that is served next.",
        ),
        field(
            "order",
            Kind::Choice(&["sweep", "least-positioning"]),
            "sweep",
            "The order in which one stream's requests go to a disk with seeks: upwards and around, or the least estimated positioning time first (by the model with `emulate`, else as learnt). More requests per second for deep random queues, less even latencies.",
        ),
        field(
            "system",
            Kind::Object(&SYSTEM),
            "1% per 5s on disks with seeks, 1% per 2s on others",
            "The reservation of the server's own stream, which pays for metadata.",
        ),
        field(
            "seeks",
            Kind::Truth,
            "what the device says",
            "Whether the disk has seeks. Not with `emulate`, whose model knows.",
        ),
        field(
            "worst_case",
            Kind::Duration {
                least: Nanos::from_micros(1),
                most: Nanos::from_secs(10),
            },
            "35ms on disks with seeks, 20ms on others",
            "W, the longest that one request takes. Not with `emulate`, whose model knows.",
        ),
        field(
            "switch_cost",
            Kind::Duration {
                least: Nanos::ZERO,
                most: Nanos::from_secs(1),
            },
            "12.7ms on disks with seeks, 0s on others",
            "s, a mean seek and half a turn. Not with `emulate`, whose model knows.",
        ),
        field(
            "max_in_flight",
            Kind::Integer {
                least: 1,
                most: 1024,
            },
            "1 on disks with seeks, from the device on others",
            "The most requests given to the device at once.",
        ),
    ],
};

pub(crate) static SYSTEM: Table = Table {
    what: "the system stream",
    fields: &[
        required("reserve", Kind::Share, "Its share of the disk's time."),
        required("period", PERIOD, "The period in which it gets that share."),
    ],
};

const PERIOD_OF_RESERVATION: Field = field(
    "period",
    PERIOD,
    "",
    "The period of the reservation, and of the limit; required with `reserve`.",
);

const WEIGHT: Kind = Kind::Integer {
    least: 1,
    most: 10_000,
};

pub(crate) static VDISK: Table = Table {
    what: "a vdisk",
    fields: &[
        required("disk", Kind::DiskName, "The disk it lies on."),
        required("size", Kind::Size, "Its size."),
        field(
            "group",
            Kind::GroupName,
            "none",
            "The group whose reservation and limit it shares; then it has none of its own.",
        ),
        field(
            "reserve",
            Kind::Share,
            "best effort",
            "The share of the disk's time that it gets in every period, whatever the others do.",
        ),
        PERIOD_OF_RESERVATION,
        field(
            "limit",
            Kind::Share,
            "none",
            "The most of the disk's time that it gets in a period, spare time included; per 1s when there is no `period`.",
        ),
        field(
            "weight",
            WEIGHT,
            "100",
            "Its weight when spare time is divided; in a group, when the group's time is divided among its members.",
        ),
        field(
            "read_only",
            Kind::Truth,
            "false",
            "Clients of every door may read it and nothing else.",
        ),
        field(
            "allow",
            Kind::Networks,
            "everybody whom `allow` of `nbd` lets in",
            "Who may use it by TCP; for others it does not exist. The unix socket is not asked.",
        ),
        field(
            "connections",
            Kind::Integer {
                least: 1,
                most: MAX_CONNECTIONS,
            },
            "as many as `connections` of `nbd`",
            "The most NBD connections that use it at once.",
        ),
    ],
};

pub(crate) static GROUP: Table = Table {
    what: "a group",
    fields: &[
        field(
            "reserve",
            Kind::Share,
            "best effort",
            "The share of the disk's time that its members get together in every period. What one of them leaves is the others' first.",
        ),
        PERIOD_OF_RESERVATION,
        field(
            "limit",
            Kind::Share,
            "none",
            "The most of the disk's time that its members get together in a period, spare time included; per 1s when there is no `period`.",
        ),
        field(
            "weight",
            WEIGHT,
            "100",
            "Its weight when spare time is divided between it and whoever is not in it.",
        ),
    ],
};

impl Kind {
    /// What would be accepted, as the end of "accepted is …".
    pub fn accepted(&self) -> String {
        match self {
            Kind::Path => "a path in double quotes".to_owned(),
            Kind::Size => format!(
                "a size that is a multiple of {SIZE_MULTIPLE} bytes, as in \"64GiB\" or \"512MiB\""
            ),
            Kind::Share => "a share above 0% and up to 100%, as in \"40%\" or \"12.5%\"".to_owned(),
            Kind::Duration { least, most } => format!(
                "a duration from {} to {}, as in \"{}\"",
                format_duration(*least),
                format_duration(*most),
                if most.0 > 60_000_000_000 { "500ms" } else { "20ms" },
            ),
            Kind::Integer { least, most } => {
                format!("a whole number from {least} to {most}, without quotes")
            }
            Kind::Truth => "true or false, without quotes".to_owned(),
            Kind::True => "true, without quotes (or leave it out)".to_owned(),
            Kind::Choice(choices) => {
                let quoted: Vec<_> = choices.iter().map(|choice| format!("\"{choice}\"")).collect();
                match quoted.split_last() {
                    Some((last, others)) if !others.is_empty() => {
                        format!("{} or {last}", others.join(", "))
                    }
                    _ => quoted.concat(),
                }
            }
            Kind::Model => {
                "a preset's name as in \"desktop-7200-2008\", \"FILE#NAME\", or an object with the model's parameters".to_owned()
            }
            Kind::Addresses => {
                "a list of addresses with ports, as in [\"127.0.0.1:10809\", \"[::1]:10809\"]".to_owned()
            }
            Kind::Networks => {
                "a list of addresses or ranges of them, as in [\"10.0.0.0/8\", \"::1\"]".to_owned()
            }
            Kind::Mode => {
                "three octal digits for user, group and others, as in \"0660\"".to_owned()
            }
            Kind::Account => {
                "the name or number of a user or group of this machine, in double quotes".to_owned()
            }
            Kind::DiskName => "the name of a disk under `disks`".to_owned(),
            Kind::GroupName => "the name of a group under `groups`".to_owned(),
            Kind::Object(table) | Kind::Named(table) => {
                let first = table.fields.iter().filter(|field| field.required).map(|f| f.name);
                let keys: Vec<_> = first.chain(table.fields.iter().map(|f| f.name)).take(1).collect();
                match self {
                    Kind::Named(_) => format!("an object, as in {{ \"NAME\": {{ \"{}\": … }} }}", keys[0]),
                    _ => format!("an object, as in {{ \"{}\": … }}", keys[0]),
                }
            }
        }
    }
}
