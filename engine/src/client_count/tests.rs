//! Who is counted, and when a vdisk takes clients.

use super::*;

fn enter(clients: &ClientCount, name: &str) -> CountedClient {
    clients.enter(name.to_owned()).expect("it is not closed")
}

#[test]
fn a_vdisk_is_closed_only_while_none_uses_it() {
    let clients = ClientCount::default();
    let client = enter(&clients, "one");
    let file = clients.open_file().expect("it is not closed");
    let used = clients.close_if_unused().map(drop);
    let names = vec!["one".to_owned(), "1 open file (FUSE)".to_owned()];
    assert_eq!(used, Err(StillInUse::By(names)));
    drop(client);
    clients.close_file(file);
    let closed = clients.close_if_unused().expect("none uses it");
    assert_eq!(clients.enter("two".to_owned()).err(), Some(ClosedToClients));
    assert_eq!(clients.open_file().err(), Some(ClosedToClients));
    assert_eq!(clients.close().err(), Some(StillInUse::Closed));
    assert_eq!(clients.close_if_unused().err(), Some(StillInUse::Closed));
    drop(closed);
    assert_eq!((enter(&clients, "two").number, clients.get()), (1, 1));
}

#[test]
fn files_that_were_ended_are_not_counted_and_stay_ended() {
    let clients = ClientCount::default();
    let old = [(); 2].map(|()| clients.open_file().expect("it is not closed"));
    let closed = clients.close().expect("it is not closed");
    assert_eq!((clients.get(), closed.end_files()), (2, 2));
    drop(closed);
    let new = clients.open_file().expect("it is not closed");
    assert!(!clients.is_open(old[0]) && clients.is_open(new));
    // Programs close files that were ended, too.
    old.into_iter().for_each(|file| clients.close_file(file));
    assert_eq!(clients.get(), 1);
    clients.close_file(new);
    assert_eq!(clients.get(), 0);
}

#[test]
fn who_comes_while_it_is_closed_waits_until_it_is_open() {
    let clients = ClientCount::default();
    let closed = clients.close().expect("it is not closed");
    assert!(!clients.wait_until_open(Duration::from_millis(1)));
    let waiting = clients.clone();
    let waiter = std::thread::spawn(move || waiting.wait_until_open(Duration::from_secs(600)));
    drop(closed);
    assert!(waiter.join().expect("no panic"));
    let client = enter(&clients, "one");
    assert!(!clients.wait_until_unused(Duration::from_millis(1)));
    let waiting = clients.clone();
    let waiter = std::thread::spawn(move || waiting.wait_until_unused(Duration::from_secs(600)));
    drop(client);
    assert!(waiter.join().expect("no panic"));
}
