//! Unit tests of `access`: addresses, limits, and evictions.

use super::control::OVER_LIMIT_MAX;
use super::undecided::EVICTABLE_AFTER;
use super::*;
use crate::changed::{ChangedRanges, ContextHandle};
use crate::export::{Export, ExportDirectory, ExportHandle, find_export};
use disktime_engine::{ClientCount, VdiskId};
use disktime_sockets::AllowList;
use std::collections::HashMap;
use std::sync::Arc;

fn exports() -> Arc<dyn ExportDirectory> {
    let export =
        |at: u64, name: &str| Export::new(ExportHandle(u128::from(at)), VdiskId(at), name, 1 << 20);
    Arc::new(vec![export(0, "open"), export(1, "inner")])
}

fn control(limit: usize) -> Arc<AccessControl> {
    let inner = ExportAccess {
        allow: AllowList::of(vec!["10.0.0.0/8".parse().expect("a range")]),
        connections: Some(1),
        ..ExportAccess::default()
    };
    let rules = HashMap::from([("inner".to_owned(), inner)]);
    Arc::new(AccessControl::new(
        AllowList::of(vec![
            "10.0.0.0/8".parse().expect("a range"),
            "192.0.2.1".parse().expect("an address"),
        ]),
        limit,
        &rules,
    ))
}

fn connection(control: &Arc<AccessControl>, address: Option<&str>) -> ConnectionAccess {
    let address = address.map(|address| address.parse().expect("an address"));
    let permit = control.acquire().expect("a permit");
    ConnectionAccess::new(exports(), control.clone(), address, permit)
}

#[test]
fn an_address_sees_what_it_may_use() {
    let control = control(9);
    assert!(control.allows([192, 0, 2, 1].into()) && !control.allows([192, 0, 2, 2].into()));
    for (address, seen) in [
        (Some("10.1.2.3"), 2),
        (Some("::ffff:10.1.2.3"), 2),
        (Some("192.0.2.1"), 1),
        (None, 2),
    ] {
        let connection = connection(&control, address);
        assert_eq!(connection.exports().len(), seen, "{address:?}");
        assert_eq!(connection.find("inner").is_some(), seen == 2, "{address:?}");
        // The empty name means the only export that this client sees.
        assert_eq!(find_export(&connection, "").is_some(), seen == 1);
    }
}

#[test]
fn the_clients_of_an_export_are_counted_until_their_end() {
    let clients = ClientCount::default();
    let rule = ExportAccess {
        clients: clients.clone(),
        ..ExportAccess::default()
    };
    let rules = [("open".to_owned(), rule)].into();
    let control = Arc::new(AccessControl::new(AllowList::default(), 9, &rules));
    let (first, second) = (connection(&control, None), connection(&control, None));
    assert_eq!(clients.get(), 0, "none has chosen it");
    let open = first.find("open").expect("it is there");
    for client in [&first, &first, &second] {
        assert_eq!(client.admit(&open), Ok(()));
    }
    assert_eq!(clients.get(), 2);
    drop(first);
    assert_eq!(clients.get(), 1);
    let other = second.find("inner").expect("it is there");
    assert_eq!(second.admit(&other), Ok(()));
    assert_eq!(clients.get(), 0, "it uses another now");
}

/// One export, `open`, which is refused after the client was counted: by itself, or by a context.
struct Refusing {
    clients: ClientCount,
    admits: bool,
}

impl ExportDirectory for Refusing {
    fn exports(&self) -> Vec<Export> {
        let mut exports = exports().exports();
        exports.truncate(1);
        exports
    }

    fn admit(&self, _: &Export) -> Result<(), String> {
        match self.admits {
            true => Ok(()),
            false => Err("the moment is gone".to_owned()),
        }
    }

    fn open_contexts(
        &self,
        _: &Export,
        contexts: &[ContextHandle],
    ) -> Result<Vec<ChangedRanges>, String> {
        // So that no revert comes between the list and the session.
        assert!(self.clients.close_if_unused().is_err(), "it is counted");
        match contexts {
            [] => Ok(Vec::new()),
            _ => Err("the mark is gone".to_owned()),
        }
    }
}

#[test]
fn a_client_that_is_refused_after_all_holds_nothing() {
    for admits in [false, true] {
        let clients = ClientCount::default();
        let rule = ExportAccess {
            clients: clients.clone(),
            connections: Some(1),
            ..ExportAccess::default()
        };
        let rules = [("open".to_owned(), rule)].into();
        let control = Arc::new(AccessControl::new(AllowList::default(), 2, &rules));
        let connection = || {
            let directory = Arc::new(Refusing {
                clients: clients.clone(),
                admits,
            });
            let permit = control.acquire().expect("a permit");
            ConnectionAccess::new(directory, control.clone(), None, permit)
        };
        let refused = connection();
        let open = refused.find("open").expect("it is there");
        let choose = |client: &ConnectionAccess| {
            client.admit(&open)?;
            client.open_contexts(&open, &[ContextHandle(1)])
        };
        assert!(choose(&refused).is_err());
        assert_eq!(clients.get(), 0);
        let other = connection();
        let why = choose(&other).expect_err("it is refused, too");
        assert!(why.ends_with("is gone"), "its limit is not in use: {why}");
        // It gives its place to a newer one, as any that has not chosen.
        std::thread::sleep(EVICTABLE_AFTER);
        let next = connection();
        assert!(next.is_admitted());
        let why = choose(&refused).expect_err("it was evicted");
        assert!(why.contains("2 connections"), "{why}");
        if admits {
            assert_eq!(other.admit(&open), Ok(()));
            assert_eq!(other.open_contexts(&open, &[]), Ok(Vec::new()));
            assert_eq!(clients.get(), 1);
        }
    }
}

#[test]
fn a_limit_counts_until_the_end_and_says_so() {
    let control = control(9);
    let first = connection(&control, None);
    let export = first.find("inner").expect("it is there");
    assert_eq!(first.admit(&export), Ok(()));
    assert_eq!(first.admit(&export), Ok(()), "its own claim is no other's");
    let second = connection(&control, None);
    let refusal = second.admit(&export).expect_err("one is the limit");
    assert!(refusal.contains("1 connections use \"inner\""), "{refusal}");
    let open = second.find("open").expect("it is there");
    assert_eq!(second.admit(&open), Ok(()));
    drop(first);
    assert_eq!(second.admit(&export), Ok(()));
}

#[test]
fn the_oldest_connection_without_an_export_is_evicted_and_one_with_an_export_stays() {
    let control = control(2);
    let (silent, settled) = (connection(&control, None), connection(&control, None));
    let export = settled.find("open").expect("it is there");
    assert_eq!(settled.admit(&export), Ok(()));
    // A connection is not evicted before it is old enough.
    let refused = connection(&control, None);
    assert!(refused.admit(&export).is_err());
    drop(refused);
    std::thread::sleep(EVICTABLE_AFTER);
    let next = connection(&control, None);
    assert_eq!(next.admit(&export), Ok(()));
    let refusal = silent.admit(&export).expect_err("it was evicted");
    assert!(refusal.contains("2 connections"), "{refusal}");
    drop(silent);
    assert!(control.undecided().is_empty());
    std::thread::sleep(EVICTABLE_AFTER);
    assert!(
        connection(&control, None).admit(&export).is_err(),
        "both stay"
    );
    drop(settled);
    assert_eq!(connection(&control, None).admit(&export), Ok(()));
}

#[test]
fn a_client_above_the_limit_gets_an_error_until_too_many_ask() {
    let control = control(1);
    let inside = connection(&control, None);
    let outside: Vec<_> = (0..OVER_LIMIT_MAX)
        .map(|_| connection(&control, None))
        .collect();
    assert!(control.acquire().is_none(), "too many are above the limit");
    let export = inside.find("open").expect("it is there");
    assert_eq!(inside.admit(&export), Ok(()));
    for connection in &outside {
        let refusal = connection.admit(&export).expect_err("the server is full");
        assert!(refusal.contains("1 connections"), "{refusal}");
    }
    drop((inside, outside));
    assert!(matches!(
        control.acquire(),
        Some(ConnectionPermit::Admitted(_))
    ));
}

/// As many clients of `export` as there are places for.
fn fill(control: &Arc<AccessControl>, export: &str) -> Vec<ConnectionAccess> {
    let mut inside = Vec::new();
    while let Some(ConnectionPermit::Admitted(permit)) = control.acquire() {
        let permit = ConnectionPermit::Admitted(permit);
        let next = ConnectionAccess::new(exports(), control.clone(), None, permit);
        let chosen = next.find(export).expect("it is there");
        if let Err(refusal) = next.admit(&chosen) {
            let says = format!("{} connections use {export:?}", inside.len());
            assert!(refusal.contains(&says), "{refusal}");
            return inside;
        }
        inside.push(next);
    }
    inside
}

#[test]
fn no_more_is_kept_for_an_export_than_its_own_limit() {
    let own_limits = [("open", None), ("inner", Some(1))];
    let rules = own_limits.map(|(name, connections)| {
        let rule = ExportAccess {
            connections,
            ..ExportAccess::default()
        };
        (name.to_owned(), rule)
    });
    let rules = HashMap::from(rules);
    let control = Arc::new(AccessControl::new(AllowList::default(), 16, &rules));
    assert_eq!(AccessControl::most_of(16, &rules, "open"), 15);
    assert_eq!(AccessControl::most_of(16, &rules, "inner"), 1);
    let mut hogs = fill(&control, "open");
    assert_eq!(hogs.len(), 15, "one is kept for the other");
    hogs.pop();
    let first = connection(&control, None);
    let inner = first.find("inner").expect("it is there");
    let open = first.find("open").expect("it is there");
    assert_eq!(first.admit(&inner), Ok(()));
    let second = connection(&control, None);
    let refusal = second.admit(&inner).expect_err("one is its limit");
    assert!(refusal.contains("1 connections use \"inner\""), "{refusal}");
    // What it gives back is kept for it again.
    drop(first);
    assert_eq!(second.admit(&open), Ok(()));
    let third = connection(&control, None);
    assert!(third.admit(&open).is_err(), "one is kept for the other");
    assert_eq!(third.admit(&inner), Ok(()));
}

fn without_rules(limit: usize, names: &[&str]) -> Arc<AccessControl> {
    let rules = names
        .iter()
        .map(|name| ((*name).to_owned(), ExportAccess::default()));
    let rules = rules.collect();
    Arc::new(AccessControl::new(AllowList::default(), limit, &rules))
}

#[test]
fn the_clients_of_an_export_leave_the_others_their_part() {
    let control = without_rules(16, &["open", "inner"]);
    let hogs = fill(&control, "open");
    assert_eq!(hogs.len(), 12, "a quarter is kept for the other");
    let others = fill(&control, "inner");
    assert_eq!(others.len(), 4);
    // What one gives back is for any client, but for its part.
    drop(others);
    assert_eq!(fill(&control, "inner").len(), 4);
    drop(hogs);
    assert_eq!(fill(&control, "inner").len(), 12);
    // An only export has all.
    assert_eq!(fill(&without_rules(16, &["open"]), "open").len(), 16);
    // With more exports than can be kept a place for, one gets half.
    let control = without_rules(3, &["open", "inner", "third"]);
    let hogs = fill(&control, "open");
    assert_eq!(hogs.len(), 2);
    assert_eq!(fill(&control, "inner").len(), 1);
}

#[test]
fn exports_that_come_and_go_are_counted_and_have_their_part() {
    let control = without_rules(16, &["open"]);
    let hogs = fill(&control, "open");
    assert_eq!(hogs.len(), 16, "an only export has all");
    drop(hogs);
    let rules = ExportRules(Arc::clone(&control));
    let access = ExportAccess {
        connections: Some(2),
        ..ExportAccess::default()
    };
    rules.add("inner", access.clone());
    let hogs = fill(&control, "open");
    assert_eq!(hogs.len(), 14, "two are kept for the new one");
    let others = fill(&control, "inner");
    assert_eq!(others.len(), 2, "its limit");
    assert_eq!(access.clients.get(), 2, "its clients are counted");
    // Its connections go on when it is gone, and count under the limit of all.
    rules.remove("inner");
    drop(others);
    let hogs_now = fill(&control, "open");
    assert_eq!(hogs.len() + hogs_now.len(), 16);
    drop((hogs, hogs_now));
    assert_eq!(fill(&control, "open").len(), 16);
}
