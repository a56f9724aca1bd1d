//! Unit tests of `allow_list`.

use super::*;

#[test]
fn no_list_allows_every_address_and_an_empty_list_none() {
    let address = IpAddr::from([192, 0, 2, 1]);
    assert!(AllowList::default().allows(address));
    assert!(AllowList::from(None).allows(address));
    assert!(!AllowList::of(Vec::new()).allows(address));
}

#[test]
fn an_ipv4_address_in_the_form_of_ipv6_is_matched_as_ipv4() {
    let list = AllowList::of(vec!["10.0.0.0/8".parse().expect("a network")]);
    for (address, allowed) in [
        ("10.1.2.3", true),
        ("::ffff:10.1.2.3", true),
        ("192.0.2.1", false),
    ] {
        let address = address.parse().expect("an address");
        assert_eq!(list.allows(address), allowed, "{address}");
    }
}
