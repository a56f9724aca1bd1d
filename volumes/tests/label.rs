//! The label's codec and the reconciliation of a label with a configuration.

mod common;

use common::{MIB, spec};
use disktime_volumes::label::{CopyDefect, Label, MAX_VDISKS};
use disktime_volumes::{Extent, Plan, Uuid, VdiskSpec, VolumeError, reconcile};
use proptest::prelude::*;

fn empty(size_mib: u64, known_zero: bool) -> Label {
    Label::empty(Uuid::derive(3, &[b"test"]), size_mib * MIB, known_zero)
}

fn plan(label: &Label, specs: &[VdiskSpec]) -> Plan {
    reconcile(label, specs).expect("it fits")
}

fn refusal(label: &Label, specs: &[VdiskSpec]) -> String {
    reconcile(label, specs)
        .expect_err("it must be refused")
        .to_string()
}

/// A label that came about by creating and growing, on half-known-zero space.
fn labels() -> impl Strategy<Value = Label> {
    let sizes = prop::collection::vec((1..40u64, 0..20u64, "[a-z]{1,12}"), 0..12);
    (sizes, any::<bool>(), 0..u64::MAX / 2).prop_map(|(vdisks, known_zero, generation)| {
        let mut label = empty(4096, known_zero);
        label.generation = generation;
        let sized = |grown: bool| -> Vec<VdiskSpec> {
            let extra = |more: u64| if grown { more } else { 0 };
            let vdisks = vdisks.iter().enumerate();
            vdisks
                .map(|(index, (size, more, name))| {
                    spec(&format!("{name}{index}"), (size + extra(*more)) * MIB)
                })
                .collect()
        };
        let (first, second) = (sized(false), sized(true));
        let label = plan(&label, &first).label;
        plan(&label, &second).label
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_label_decodes_to_itself(label in labels()) {
        let bytes = label.encode().expect("it fits");
        prop_assert_eq!(bytes.len() % 4096, 0);
        prop_assert_eq!(Label::decode(&bytes), Ok(label));
    }

    #[test]
    fn a_flipped_bit_or_a_torn_write_is_detected(
        label in labels(),
        places in prop::collection::vec(any::<prop::sample::Index>(), 64),
    ) {
        let bytes = label.encode().expect("it fits");
        for place in places {
            let bit = place.index(bytes.len() * 8);
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Label::decode(&flipped).is_err(), "bit {} was not noticed", bit);
            let mut torn = bytes.clone();
            torn[bit / 8..].fill(0);
            prop_assert!(torn == bytes || Label::decode(&torn).is_err());
        }
    }

    #[test]
    fn extents_never_overlap_and_zeroes_are_known_only_where_they_are(
        steps in prop::collection::vec((0..6usize, 1..30u64), 1..30),
        known_zero: bool,
    ) {
        let mut label = empty(200, known_zero);
        let mut used_before = [false; 200];
        for (which, size) in steps {
            let name = format!("v{which}");
            let has = label.find(&name).map_or(0, |vdisk| vdisk.size_bytes);
            label = if has > 0 && size % 3 == 0 {
                disktime_volumes::space::without(&label, &name).expect("it is there")
            } else {
                match reconcile(&label, &[spec(&name, has + size * MIB / 2)]) {
                    Ok(plan) => plan.label,
                    Err(VolumeError::NoSpace { .. }) => continue,
                    Err(other) => return Err(TestCaseError::fail(other.to_string())),
                }
            };
            // Decoding checks that everything is aligned, disjoint and inside.
            prop_assert_eq!(Label::decode(&label.encode().expect("fits")), Ok(label.clone()));
            for extent in label.vdisks.iter().flat_map(|vdisk| &vdisk.extents) {
                let units = extent.offset_bytes / MIB..(extent.offset_bytes + extent.len_bytes) / MIB;
                let is_zero_kept = extent.map_offset_bytes.is_none();
                prop_assert!(known_zero || !is_zero_kept);
                if is_zero_kept {
                    prop_assert!(units.end * MIB <= label.known_zero_from);
                }
            }
            for (start, end) in label.used_ranges() {
                (start / MIB..end / MIB).for_each(|unit| used_before[unit as usize] = true);
            }
            let mark = (label.known_zero_from / MIB) as usize;
            prop_assert!(!known_zero || !used_before[mark..].contains(&true));
        }
    }
}

#[test]
fn garbage_and_later_versions_are_told_apart() {
    assert_eq!(Label::decode(&[]), Err(CopyDefect::NoMagic));
    assert_eq!(Label::decode(&[0xEB; 4096]), Err(CopyDefect::NoMagic));
    let mut bytes = empty(16, true).encode().expect("fits");
    bytes[8] = 9;
    bytes[12..16].fill(0);
    let crc = crc32c::crc32c(&bytes);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(Label::decode(&bytes), Err(CopyDefect::Version(9)));
    assert!(matches!(
        Label::decode(&bytes[..512]),
        Err(CopyDefect::Damaged(_))
    ));
}

#[test]
fn known_zero_space_needs_no_map_and_other_space_has_one() {
    let zero = plan(&empty(64, true), &[spec("a", 10 * MIB)]).label;
    let whole = Extent {
        offset_bytes: MIB,
        len_bytes: 10 * MIB,
        map_offset_bytes: None,
    };
    assert_eq!(zero.vdisks[0].extents, [whole]);
    assert_eq!(zero.known_zero_from, 11 * MIB);
    let old = plan(&empty(64, false), &[spec("a", 10 * MIB)]);
    let mapped = Extent {
        map_offset_bytes: Some(11 * MIB),
        ..whole
    };
    assert_eq!(old.label.vdisks[0].extents, [mapped]);
    assert_eq!(old.new_maps, [(old.label.vdisks[0].uuid, mapped)]);
}

#[test]
fn freed_space_is_not_known_zero_any_more() {
    let label = plan(&empty(64, true), &[spec("a", 10 * MIB)]).label;
    let label = disktime_volumes::space::without(&label, "a").expect("it is there");
    let label = plan(&label, &[spec("b", 20 * MIB)]).label;
    let maps: Vec<bool> = label.vdisks[0]
        .extents
        .iter()
        .map(|extent| extent.map_offset_bytes.is_some())
        .collect();
    assert_eq!(maps, [true, false], "cut where the known-zero space begins");
}

#[test]
fn growing_appends_and_a_fragmented_disk_is_still_used() {
    let specs = [spec("a", 4 * MIB), spec("b", 4 * MIB), spec("c", 4 * MIB)];
    let label = plan(&empty(16, true), &specs).label;
    let label = disktime_volumes::space::without(&label, "b").expect("it is there");
    let grown = plan(&label, &[spec("a", 9 * MIB), spec("c", 4 * MIB)]);
    assert_eq!(grown.grow, [("a".to_owned(), 4 * MIB, 9 * MIB)]);
    assert_eq!(grown.label.generation, label.generation + 1);
    let places: Vec<u64> = grown.label.vdisks[0]
        .extents
        .iter()
        .map(|extent| extent.offset_bytes / MIB)
        .collect();
    assert_eq!(
        places,
        [1, 5, 13],
        "two pieces of 3 and 2 MiB, one for a zero map"
    );
}

#[test]
fn growing_into_the_last_extent_moves_nothing() {
    let label = plan(&empty(16, true), &[spec("a", 1000)]).label;
    let grown = plan(&label, &[spec("a", 5000)]).label;
    assert_eq!(grown.vdisks[0].extents, label.vdisks[0].extents);
    assert_eq!(grown.vdisks[0].size_bytes, 5000);
}

#[test]
fn nothing_to_do_is_an_empty_plan() {
    let label = plan(&empty(16, true), &[spec("a", MIB), spec("b", MIB)]).label;
    let again = plan(&label, &[spec("b", MIB), spec("a", MIB)]);
    assert!(again.is_empty());
    assert_eq!(again.label, label, "the order in the file does not count");
}

#[test]
fn vdisks_that_the_file_forgot_are_kept_and_reported() {
    let label = plan(&empty(16, true), &[spec("a", MIB), spec("b", MIB)]).label;
    let plan = plan(&label, &[spec("b", MIB)]);
    assert_eq!(plan.orphans, [("a".to_owned(), MIB)]);
    assert!(plan.is_empty() && plan.label == label);
}

#[test]
fn refusals_say_what_would_fit() {
    let label = plan(
        &empty(16, true),
        &[spec("a", 8 * MIB), spec("old", 2 * MIB)],
    )
    .label;
    let words = refusal(&label, &[spec("a", 4 * MIB)]);
    assert!(
        words.contains("`a` has 8MiB") && words.contains("do not shrink"),
        "{words}"
    );
    let words = refusal(&label, &[spec("a", 8 * MIB), spec("b", 6 * MIB)]);
    assert!(
        words.contains("needs 6MiB more") && words.contains("5MiB are free"),
        "{words}"
    );
    assert!(words.contains("not in the configuration: `old`"), "{words}");
    let words = refusal(&label, &[spec("x", MIB), spec("x", MIB)]);
    assert!(words.contains("named twice"), "{words}");
    let words = refusal(&label, &[spec(&"x".repeat(129), MIB)]);
    assert!(words.contains("1 to 128 bytes"), "{words}");
    let unknown = disktime_volumes::space::without(&label, "nobody").expect_err("nobody is there");
    assert!(
        unknown.to_string().contains("it holds `a`, `old`"),
        "{unknown}"
    );
}

#[test]
fn the_number_of_vdisks_is_bounded_and_the_bound_is_named() {
    let specs: Vec<VdiskSpec> = (0..=MAX_VDISKS)
        .map(|index| spec(&format!("{index:0100}"), MIB))
        .collect();
    let label = empty(4096, true);
    let most = plan(&label, &specs[..MAX_VDISKS]);
    assert!(most.label.encode().expect("1024 vdisks fit").len() <= 512 << 10);
    let words = refusal(&label, &specs);
    assert!(
        words.contains("at most 1024 vdisks") && words.contains("1025"),
        "{words}"
    );
}
