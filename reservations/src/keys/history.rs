//! The keys of a vdisk's history.

use super::frontends::ACCOUNT;
use super::{DISK_NAME, PERIOD, SHARE};
use crate::history::WhenFull;
use disktime_documents::{Table, ValueKind, key, required_key};
use disktime_units::Nanos;

/// Space is given to a history in whole MiB.
const SPACE_MULTIPLE: u64 = 1 << 20;

pub(crate) static HISTORY: Table = Table::new(
    "a history",
    &[&[
        required_key(
            "window",
            ValueKind::Duration {
                least: Nanos::from_secs(1),
                most: Nanos::from_secs(10 * 365 * 86_400),
            },
            "How long every write can be undone, as far as `max` allows.",
        ),
        required_key(
            "max",
            ValueKind::Size {
                least: 64 << 20,
                most: 256 << 30,
                multiple: SPACE_MULTIPLE,
            },
            "The space of its log on its disk, beside that of the vdisk. It can grow later \
                (docs/history.md), and not shrink.",
        ),
        key(
            "disk",
            ValueKind::Format(&DISK_NAME),
            "the disk of the vdisk",
            "The disk of its log, which can be another than that of the vdisk (docs/history.md). It \
                cannot change once the history is made.",
        ),
        key(
            "reserve",
            SHARE,
            "10%",
            "The share of the time of its disk that the log gets in every period: every write \
                goes to it, and reads of what lies in it.",
        ),
        key(
            "period",
            PERIOD,
            "500ms on disks with seeks, 250ms or longer on others",
            "The period of that reservation.",
        ),
        key(
            "fold",
            ValueKind::Object(&FOLD),
            "{}",
            "What moves the oldest writes from the log into the vdisk's own space.",
        ),
        key(
            "when_full",
            ValueKind::Choice(WhenFull::NAMES),
            "shorten",
            "What happens when the log is full before the window is over: the oldest moments are \
                given up early, or writes are refused (ENOSPC) until `window` frees space.",
        ),
        key(
            "allow_gid",
            ValueKind::Format(&ACCOUNT),
            "only the user that runs the server",
            "The group that may read the past of this vdisk as files (`history` of `fuse`), as far \
                as the files' own modes allow; the image as well.",
        ),
    ]],
);

pub(crate) static FOLD: Table = Table::new(
    "the fold of a history",
    &[&[
        key(
            "reserve",
            SHARE,
            "5%",
            "The share of the time that it gets in every period: of the disk, or of both where the \
                log lies on another disk than the vdisk.",
        ),
        key(
            "period",
            PERIOD,
            "1s or longer",
            "The period of that reservation.",
        ),
        key(
            "batch",
            SHARE,
            "50%",
            "The part of `max` that is moved at once when the log is full, `when_full` allowing it. \
                The rest of `max` is the window that is kept however fast clients write. The more \
                at once, the less each write costs.",
        ),
    ]],
);
