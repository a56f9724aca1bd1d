//! Addresses, limits, and who gives way to whom.

use super::*;
use crate::export::{ExportHandle, find_export};
use disktime_engine::VdiskId;

fn exports() -> Arc<dyn ExportDirectory> {
    let export =
        |at: u64, name: &str| Export::new(ExportHandle(at), VdiskId(at as u32), name, 1 << 20);
    Arc::new(vec![export(0, "open"), export(1, "inner")])
}

fn access(limit: usize) -> Arc<Access> {
    let inner = ExportAccess {
        allow: Some(vec!["10.0.0.0/8".parse().expect("a range")]),
        connections: Some(1),
    };
    let rules = HashMap::from([("inner".to_owned(), inner)]);
    Arc::new(Access::new(
        Some(vec![
            "10.0.0.0/8".parse().expect("a range"),
            "192.0.2.1".parse().expect("an address"),
        ]),
        limit,
        &rules,
    ))
}

fn visitor(access: &Arc<Access>, address: Option<&str>) -> Arc<Visitor> {
    let address = address.map(|address| address.parse().expect("an address"));
    let place = access.place().expect("a place");
    Visitor::new(exports(), access.clone(), address, place)
}

#[test]
fn an_address_sees_what_it_may_use() {
    let access = access(9);
    assert!(access.allows([192, 0, 2, 1].into()) && !access.allows([192, 0, 2, 2].into()));
    for (address, seen) in [
        (Some("10.1.2.3"), 2),
        (Some("::ffff:10.1.2.3"), 2),
        (Some("192.0.2.1"), 1),
        (None, 2),
    ] {
        let visitor = visitor(&access, address);
        assert_eq!(visitor.exports().len(), seen, "{address:?}");
        assert_eq!(visitor.find("inner").is_some(), seen == 2, "{address:?}");
        // The empty name means the only export that this client sees.
        assert_eq!(find_export(&*visitor, "").is_some(), seen == 1);
    }
}

#[test]
fn a_limit_counts_until_the_end_and_says_so() {
    let access = access(9);
    let first = visitor(&access, None);
    let export = first.find("inner").expect("it is there");
    assert_eq!(first.admit(&export), Ok(()));
    assert_eq!(first.admit(&export), Ok(()), "its own claim is no other's");
    let second = visitor(&access, None);
    let refusal = second.admit(&export).expect_err("one is the limit");
    assert!(refusal.contains("1 connections use \"inner\""), "{refusal}");
    let open = second.find("open").expect("it is there");
    assert_eq!(second.admit(&open), Ok(()));
    drop(first);
    assert_eq!(second.admit(&export), Ok(()));
}

#[test]
fn who_does_not_choose_gives_the_place_to_another_and_who_has_chosen_stays() {
    let access = access(2);
    let (silent, settled) = (visitor(&access, None), visitor(&access, None));
    let export = settled.find("open").expect("it is there");
    assert_eq!(settled.admit(&export), Ok(()));
    // At first both are left in peace.
    let told = visitor(&access, None);
    assert!(told.admit(&export).is_err());
    drop(told);
    std::thread::sleep(UNDISTURBED);
    let next = visitor(&access, None);
    assert_eq!(next.admit(&export), Ok(()));
    let refusal = silent.admit(&export).expect_err("it took its time");
    assert!(refusal.contains("2 connections"), "{refusal}");
    drop(silent);
    assert!(lock(&access.choosing).visitors.is_empty());
    std::thread::sleep(UNDISTURBED);
    assert!(visitor(&access, None).admit(&export).is_err(), "both stay");
    drop(settled);
    assert_eq!(visitor(&access, None).admit(&export), Ok(()));
}

#[test]
fn who_is_above_the_limit_is_told_until_too_many_ask() {
    let access = access(1);
    let inside = visitor(&access, None);
    let outside: Vec<_> = (0..TOLD).map(|_| visitor(&access, None)).collect();
    assert!(access.place().is_none(), "nobody is left to tell it");
    let export = inside.find("open").expect("it is there");
    assert_eq!(inside.admit(&export), Ok(()));
    for visitor in &outside {
        let refusal = visitor.admit(&export).expect_err("the server is full");
        assert!(refusal.contains("1 connections"), "{refusal}");
    }
    drop((inside, outside));
    assert!(matches!(access.place(), Some(Place::Inside(_))));
}
