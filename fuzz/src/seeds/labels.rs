//! The labels that the corpus begins with. Each input asks for right checksums.

use disktime_volumes::label::{Label, Uuid};
use disktime_volumes::{VdiskSpec, reconcile};

const MIB: u64 = 1 << 20;
const RIGHT_CHECKSUMS: u8 = 3;
const ALL_AS_IT_IS: u8 = 0;

/// Name and bytes of each.
pub(super) fn labels() -> Vec<(&'static str, Vec<u8>)> {
    let empty = encoded(&label(true, &[]));
    let few = encoded(&label(true, &[("a", 3), ("größer", 1), ("b", 1)]));
    let mapped = encoded(&label(false, &[("a", 3), (&"n".repeat(128), 2)]));
    let fields = |bytes: &[u8], changes: &[(usize, &[u8])]| {
        let mut bytes = bytes.to_vec();
        for (at, field) in changes {
            bytes[*at..*at + field.len()].copy_from_slice(field);
        }
        bytes
    };
    // The first section outside, in rooms at 32 and 34 MiB, its bytes behind the copy.
    let table = few[192..192 + few[136] as usize].to_vec();
    let mut outside = fields(
        &few,
        &[
            (132, &[3]),
            (152, &(32 * MIB).to_le_bytes()),
            (160, &(34 * MIB).to_le_bytes()),
            (168, &(2 * MIB).to_le_bytes()),
            (56, &(40 * MIB).to_le_bytes()),
        ],
    );
    outside[192..].fill(0);
    outside.extend(table);
    outside.resize(8192, 0);
    // A second section that may be skipped, with seven bytes behind an empty table.
    let kept = fields(
        &empty,
        &[
            (20, &[2]),
            (152, &256u64.to_le_bytes()),
            (192, &[9]),
            (200, &[7]),
            (216, &256u64.to_le_bytes()),
            (256, b"skipped"),
        ],
    );
    let mut version1 = fields(&few, &[(8, &[1]), (20, &[3]), (72, &[0; 22])]);
    version1[88..94].fill(0);
    version1.drain(128..192);
    version1.resize(4096, 0);
    let feature = fields(&few, &[(72, &[1])]);
    let input = |control: u8, bytes: &[u8]| [&[control], bytes].concat();
    vec![
        ("empty", input(RIGHT_CHECKSUMS, &empty)),
        ("few", input(RIGHT_CHECKSUMS, &few)),
        ("as-it-is", input(ALL_AS_IT_IS, &few)),
        ("mapped", input(RIGHT_CHECKSUMS, &mapped)),
        ("outside", input(RIGHT_CHECKSUMS, &outside)),
        ("kept", input(RIGHT_CHECKSUMS, &kept)),
        ("version1", input(RIGHT_CHECKSUMS, &version1)),
        ("feature", input(RIGHT_CHECKSUMS, &feature)),
    ]
}

fn label(known_zero: bool, vdisks: &[(&str, u64)]) -> Label {
    let specs: Vec<VdiskSpec> = vdisks
        .iter()
        .map(|(name, mebibytes)| VdiskSpec {
            name: (*name).to_owned(),
            size_bytes: mebibytes * MIB - 5,
            maps_holes: false,
            history_bytes: None,
            history_off: false,
            log_disk: None,
        })
        .collect();
    let empty = Label::empty(Uuid::from_bytes([7; 16]), 64 * MIB, known_zero);
    let plan = reconcile(&empty, &specs).expect("they fit");
    plan.label().clone()
}

/// A copy by no program in particular, so that the corpus stays when the version changes.
fn encoded(label: &Label) -> Vec<u8> {
    let mut copy = label.encode().into_copy();
    copy[88..94].fill(0);
    copy[12..16].fill(0);
    let checksum = crc32c::crc32c(&copy);
    copy[12..16].copy_from_slice(&checksum.to_le_bytes());
    copy
}
