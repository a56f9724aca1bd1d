//! The label's codec and the reconciliation of a label with a configuration.

mod common;

use common::labels::{self, Header, MUST_UNDERSTAND, Section};
use common::{MIB, spec};
use disktime_testing::sentences::assert_says;
use disktime_volumes::label::{CopyDefect, Draft, Label, MAX_VDISKS};
use disktime_volumes::{Extent, Plan, Uuid, VdiskSpec, VolumeError, reconcile};
use proptest::prelude::*;

fn empty(size_mib: u64, known_zero: bool) -> Label {
    Label::empty(Uuid::derive(3, &[b"test"]), size_mib * MIB, known_zero)
}

fn plan(label: &Label, specs: &[VdiskSpec]) -> Plan {
    reconcile(label, specs).expect("it fits")
}

/// The table after a plan.
fn planned(label: &Label, specs: &[VdiskSpec]) -> Label {
    plan(label, specs).label().clone()
}

/// A copy that has all its sections inside.
fn decode(copy: &[u8]) -> Result<Label, CopyDefect> {
    Draft::decode(copy)?.finish()
}

fn refusal(label: &Label, specs: &[VdiskSpec]) -> String {
    reconcile(label, specs)
        .expect_err("it must be refused")
        .to_string()
}

/// A label that came about by creating and growing, on half-known-zero space.
fn labels() -> impl Strategy<Value = Label> {
    let sizes = prop::collection::vec((1..40u64, 0..20u64, "[a-z]{1,12}"), 0..12);
    (sizes, any::<bool>()).prop_map(|(vdisks, known_zero)| {
        let label = empty(4096, known_zero);
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
        planned(&planned(&label, &first), &second)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_label_decodes_to_itself(label in labels()) {
        let bytes = label.encode().into_copy();
        prop_assert_eq!(bytes.len() % 4096, 0);
        prop_assert_eq!(decode(&bytes), Ok(label));
    }

    #[test]
    fn a_flipped_bit_or_a_torn_write_is_detected(
        label in labels(),
        places in prop::collection::vec(any::<prop::sample::Index>(), 64),
    ) {
        let bytes = label.encode().into_copy();
        for place in places {
            let bit = place.index(bytes.len() * 8);
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(decode(&flipped).is_err(), "bit {} was not noticed", bit);
            let mut torn = bytes.clone();
            torn[bit / 8..].fill(0);
            prop_assert!(torn == bytes || decode(&torn).is_err());
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
            let has = label.find(&name).map_or(0, |vdisk| vdisk.size_bytes());
            label = if has > 0 && size % 3 == 0 {
                disktime_volumes::space::without(&label, &name).expect("it is there")
            } else {
                match reconcile(&label, &[spec(&name, has + size * MIB / 2)]) {
                    Ok(plan) => plan.label().clone(),
                    Err(VolumeError::NoSpace { .. }) => continue,
                    Err(other) => return Err(TestCaseError::fail(other.to_string())),
                }
            };
            // Decoding checks that everything is aligned, disjoint and inside.
            prop_assert_eq!(decode(&label.encode().into_copy()), Ok(label.clone()));
            for extent in label.vdisks().iter().flat_map(|vdisk| vdisk.extents()) {
                let units = extent.offset_bytes / MIB..(extent.offset_bytes + extent.len_bytes) / MIB;
                let is_zero_kept = extent.map_offset_bytes.is_none();
                prop_assert!(known_zero || !is_zero_kept);
                if is_zero_kept {
                    prop_assert!(units.end * MIB <= label.known_zero().0);
                }
            }
            for (start, end) in label.used_ranges() {
                (start / MIB..end / MIB).for_each(|unit| used_before[unit as usize] = true);
            }
            let mark = (label.known_zero().0 / MIB) as usize;
            prop_assert!(!known_zero || !used_before[mark..].contains(&true));
        }
    }
}

#[test]
fn garbage_and_later_versions_are_told_apart() {
    assert_eq!(decode(&[]), Err(CopyDefect::NoMagic));
    assert_eq!(decode(&[0xEB; 4096]), Err(CopyDefect::NoMagic));
    let mut bytes = empty(16, true).encode().into_copy();
    bytes[8] = 9;
    labels::reseal(&mut bytes);
    assert_eq!(decode(&bytes), Err(CopyDefect::Version(9)));
    let short = decode(&bytes[..512]);
    assert!(matches!(short, Err(CopyDefect::Damaged(_))), "{short:?}");
}

fn header(incompatible: u64) -> Header {
    Header {
        incompatible,
        ..Header::plain(5, 16 * MIB, (MIB, 16 * MIB))
    }
}

fn unknown(found: Result<Label, CopyDefect>) -> (String, String) {
    match found {
        Err(CopyDefect::Unknown { what, written_by }) => (what, written_by.to_string()),
        other => panic!("it should not be understood: {other:?}"),
    }
}

#[test]
fn what_is_not_understood_is_named() {
    let table = labels::vdisks(&[]);
    for (bits, name) in [
        (2, "feature bit 1"),
        (1 << 17, "feature bit 17"),
        (1 | 1 << 63, "feature bit 63"),
    ] {
        let copy = labels::version2(&header(bits), std::slice::from_ref(&table));
        let expected = (name.to_owned(), "7.1.2".to_owned());
        assert_eq!(unknown(decode(&copy)), expected);
    }
    // With an incompatible feature, everything behind the features may be different.
    let mut copy = labels::version2(&header(2), &[]);
    copy[94..200].fill(0xEB);
    labels::reseal(&mut copy);
    assert_eq!(unknown(decode(&copy)).0, "feature bit 1");
    let strange = Section::inside(9, MUST_UNDERSTAND, vec![1, 2, 3]);
    let copy = labels::version2(&header(0), &[table, strange]);
    assert_eq!(unknown(decode(&copy)).0, "section 9");
}

#[test]
fn what_may_be_skipped_is_kept_by_every_change() {
    let kept = Section::inside(9, 0, (0..77).collect());
    let with_bit = Header {
        compatible: 1 << 40,
        ..header(0)
    };
    let copy = labels::version2(&with_bit, &[labels::vdisks(&[]), kept.clone()]);
    let mut label = decode(&copy).expect("a label");
    label = planned(&label, &[spec("a", MIB), spec("b", MIB)]);
    label = planned(&label, &[spec("a", 3 * MIB)]);
    label = disktime_volumes::space::without(&label, "b").expect("it is there");
    let copy = label.encode().into_copy();
    assert_eq!(decode(&copy), Ok(label.clone()));
    assert_eq!(label.features().compatible(), 1 << 40);
    // Behind the table of one vdisk, at the next multiple of 8.
    let at = 128
        + 2 * 64
        + label
            .find("a")
            .map_or(0, |a| 32 + 8 + 24 * a.extents().len());
    assert_eq!(copy[at..at + 77], kept.bytes);
}

/// Changes that keep the checksums right, each of which no program makes.
#[test]
fn a_label_that_is_not_consistent_is_refused() {
    let refused = |table: &[Vec<u8>]| {
        let copy = labels::version2(&header(0), &[labels::vdisks(table)]);
        let found = decode(&copy);
        assert!(matches!(found, Err(CopyDefect::Damaged(_))), "{found:?}");
    };
    let zeroes = (MIB, 16 * MIB);
    let used =
        |name: &str, uuid: u8, extents: &[[u64; 3]]| labels::record(name, [uuid; 16], MIB, extents);
    let accepted = Header {
        known_zero: (8 * MIB, 16 * MIB),
        ..header(0)
    };
    let good = used("a", 1, &[[MIB, MIB, 0]]);
    let copy = labels::version2(&accepted, &[labels::vdisks(std::slice::from_ref(&good))]);
    decode(&copy).expect("a good one");
    assert_eq!(header(0).known_zero, zeroes);
    refused(std::slice::from_ref(&good));
    refused(&[used("", 1, &[[MIB, MIB, 0]])]);
    for table in [
        [
            used("a", 1, &[[MIB, MIB, 0]]),
            used("a", 2, &[[2 * MIB, MIB, 0]]),
        ],
        [
            used("a", 1, &[[MIB, MIB, 0]]),
            used("b", 1, &[[2 * MIB, MIB, 0]]),
        ],
        [
            used("a", 1, &[[MIB, MIB, 0]]),
            used("b", 2, &[[MIB, MIB, 0]]),
        ],
        [
            used("a", 1, &[[MIB, MIB, 2 * MIB]]),
            used("b", 2, &[[2 * MIB, MIB, 0]]),
        ],
        [
            used("a", 1, &[[0, MIB, 0]]),
            used("b", 2, &[[2 * MIB, MIB, 0]]),
        ],
        [
            used("a", 1, &[[MIB, MIB, 0]]),
            used("b", 2, &[[16 * MIB, MIB, 0]]),
        ],
        [
            used("a", 1, &[[MIB, MIB / 2, 0]]),
            used("b", 2, &[[2 * MIB, MIB, 0]]),
        ],
        [used("a", 1, &[[MIB, MIB, 0]]), used("b", 2, &[])],
        [
            used("a", 1, &[[MIB, MIB, 0]]),
            used("b", 2, &[[u64::MAX << 20, MIB, 0]]),
        ],
        [
            used("a", 1, &[[MIB, MIB, 0]]),
            used("b", 2, &[[2 * MIB, u64::MAX << 20, 0]]),
        ],
    ] {
        let copy = labels::version2(&accepted, &[labels::vdisks(&table)]);
        let found = decode(&copy);
        assert!(matches!(found, Err(CopyDefect::Damaged(_))), "{found:?}");
    }
}

#[test]
fn known_zero_space_needs_no_map_and_other_space_has_one() {
    let zero = planned(&empty(64, true), &[spec("a", 10 * MIB)]);
    let whole = Extent {
        offset_bytes: MIB,
        len_bytes: 10 * MIB,
        map_offset_bytes: None,
    };
    assert_eq!(zero.vdisks()[0].extents(), [whole]);
    assert_eq!(zero.known_zero().0, 11 * MIB);
    let old = plan(&empty(64, false), &[spec("a", 10 * MIB)]);
    let mapped = Extent {
        map_offset_bytes: Some(11 * MIB),
        ..whole
    };
    assert_eq!(old.label().vdisks()[0].extents(), [mapped]);
    assert_eq!(old.new_maps(), [(old.label().vdisks()[0].uuid(), mapped)]);
}

#[test]
fn freed_space_is_not_known_zero_any_more() {
    let label = planned(&empty(64, true), &[spec("a", 10 * MIB)]);
    let label = disktime_volumes::space::without(&label, "a").expect("it is there");
    let label = planned(&label, &[spec("b", 20 * MIB)]);
    let maps: Vec<bool> = label.vdisks()[0]
        .extents()
        .iter()
        .map(|extent| extent.map_offset_bytes.is_some())
        .collect();
    assert_eq!(maps, [true, false], "cut where the known-zero space begins");
}

#[test]
fn growing_appends_and_a_fragmented_disk_is_still_used() {
    let specs = [spec("a", 4 * MIB), spec("b", 4 * MIB), spec("c", 4 * MIB)];
    let label = planned(&empty(16, true), &specs);
    let label = disktime_volumes::space::without(&label, "b").expect("it is there");
    let grown = plan(&label, &[spec("a", 9 * MIB), spec("c", 4 * MIB)]);
    assert_eq!(grown.grow(), [("a".to_owned(), 4 * MIB, 9 * MIB)]);
    let places: Vec<u64> = grown.label().vdisks()[0]
        .extents()
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
    let label = planned(&empty(16, true), &[spec("a", 1000)]);
    let grown = planned(&label, &[spec("a", 5000)]);
    assert_eq!(grown.vdisks()[0].extents(), label.vdisks()[0].extents());
    assert_eq!(grown.vdisks()[0].size_bytes(), 5000);
}

#[test]
fn nothing_to_do_is_an_empty_plan() {
    let label = planned(&empty(16, true), &[spec("a", MIB), spec("b", MIB)]);
    let again = plan(&label, &[spec("b", MIB), spec("a", MIB)]);
    assert!(again.is_empty());
    assert_eq!(
        *again.label(),
        label,
        "the order in the file does not count"
    );
}

#[test]
fn vdisks_that_the_file_forgot_are_kept_and_reported() {
    let label = planned(&empty(16, true), &[spec("a", MIB), spec("b", MIB)]);
    let plan = plan(&label, &[spec("b", MIB)]);
    assert_eq!(plan.orphans(), [("a".to_owned(), MIB)]);
    assert!(plan.is_empty() && *plan.label() == label);
}

#[test]
fn refusals_say_what_would_fit() {
    let label = planned(
        &empty(16, true),
        &[spec("a", 8 * MIB), spec("old", 2 * MIB)],
    );
    let words = refusal(&label, &[spec("a", 4 * MIB)]);
    assert_says(&words, &["`a` has 8MiB", "do not shrink"]);
    let words = refusal(&label, &[spec("a", 8 * MIB), spec("b", 6 * MIB)]);
    assert_says(&words, &["needs 6MiB more", "5MiB are free"]);
    assert!(words.contains("not in the configuration: `old`"), "{words}");
    let words = refusal(&label, &[spec("x", MIB), spec("x", MIB)]);
    assert!(words.contains("named twice"), "{words}");
    let words = refusal(&label, &[spec(&"x".repeat(129), MIB)]);
    assert!(words.contains("1 to 128 bytes"), "{words}");
    let unknown = disktime_volumes::space::without(&label, "missing").expect_err("it is not there");
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
    let label = empty(16 << 10, true);
    plan(&label, &specs[..MAX_VDISKS]);
    let words = refusal(&label, &specs);
    assert_says(&words, &["at most 10000 vdisks", "10001"]);
}
