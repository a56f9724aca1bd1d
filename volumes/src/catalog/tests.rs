//! Unit tests of `catalog`.

use super::*;

fn uuid(number: u8) -> Uuid {
    Uuid::from_bytes([number; 16])
}

fn insert(catalog: &mut Catalog, uuid: Uuid, name: &str) -> VdiskId {
    let slot = catalog.insert(uuid, name);
    catalog.handle(slot)
}

#[test]
fn uuid_name_and_handle_lead_to_one_another() {
    let mut catalog = Catalog::default();
    let a = insert(&mut catalog, uuid(1), "a");
    let b = insert(&mut catalog, uuid(2), "b");
    assert_eq!(catalog.by_name("b"), Some(b));
    assert_eq!(catalog.by_uuid(uuid(1)), Some(a));
    assert_eq!(catalog.uuid(b), Some(uuid(2)));
    let names: Vec<&str> = catalog.served_vdisks().map(|(_, _, name)| name).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn a_handle_is_never_valid_for_another_vdisk() {
    let mut catalog = Catalog::default();
    let first = insert(&mut catalog, uuid(1), "a");
    let slot = catalog.close(first).expect("it is served");
    assert_eq!(catalog.resolve(first), None, "it is stale while it leaves");
    catalog.release(slot);
    let second = insert(&mut catalog, uuid(2), "b");
    assert_eq!(
        catalog.resolve(second),
        Some(slot),
        "the slot is used again"
    );
    assert_eq!(catalog.resolve(first), None);
    assert_eq!(catalog.close(first), None);
    assert_eq!(catalog.uuid(first), None);
    assert!(catalog.was_valid(first) && catalog.was_valid(second));
    assert!(
        !catalog.was_valid(VdiskId(second.0 + (1 << 32))),
        "it was not issued yet"
    );
    for position in 0..4 {
        assert_eq!(
            catalog.resolve(VdiskId(position)),
            None,
            "a position is no handle"
        );
    }
}

#[test]
fn a_vdisk_comes_back_only_after_it_has_left() {
    let mut catalog = Catalog::default();
    let handle = insert(&mut catalog, uuid(1), "a");
    assert_eq!(catalog.admits(uuid(1), "other"), Err(Taken::Served));
    assert_eq!(catalog.admits(uuid(9), "a"), Err(Taken::Served));
    let slot = catalog.close(handle).expect("it is served");
    assert_eq!(catalog.admits(uuid(1), "a"), Err(Taken::Leaving));
    assert!(catalog.is_leaving(uuid(1)));
    assert_eq!(catalog.by_name("a"), None);
    assert_eq!(catalog.release(slot), (uuid(1), "a".to_owned()));
    let again = insert(&mut catalog, uuid(1), "a");
    assert_ne!(again, handle);
}

#[test]
fn a_slot_whose_generations_are_used_up_is_not_used_again() {
    let mut catalog = Catalog::default();
    let handle = insert(&mut catalog, uuid(1), "a");
    let slot = catalog.resolve(handle).expect("it is served");
    catalog.slots[slot.index()].generation = u32::MAX;
    let last = catalog.by_name("a").expect("it is served");
    catalog.close(last);
    catalog.release(slot);
    let next = insert(&mut catalog, uuid(2), "b");
    assert_ne!(catalog.resolve(next), Some(slot));
}
