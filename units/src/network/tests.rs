//! Unit tests of `network`.

use super::*;
use proptest::prelude::*;

fn network(text: &str) -> Network {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn a_range_holds_what_begins_like_it() {
    for (range, inside, outside) in [
        ("10.0.0.0/8", "10.255.1.2", "11.0.0.1"),
        ("192.168.4.0/22", "192.168.7.255", "192.168.8.0"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
        ("::1", "::1", "::2"),
        ("fd00::/8", "fdff::1", "fe00::1"),
        ("0.0.0.0/0", "8.8.8.8", "::1"),
        ("::/0", "fe80::1", "8.8.8.8"),
        ("::ffff:10.0.0.0/104", "10.1.2.3", "11.0.0.0"),
    ] {
        assert!(network(range).contains(address(inside)), "{range} {inside}");
        assert!(
            !network(range).contains(address(outside)),
            "{range} {outside}"
        );
    }
    assert!(network("10.0.0.0/8").contains(address("::ffff:10.0.0.1")));
}

#[test]
fn what_is_not_a_range_is_refused() {
    for text in [
        "",
        "10",
        "10.0.0/8",
        "10.0.0.0/33",
        "::/129",
        "10.0.0.0/",
        "10.0.0.0/+8",
        "::ffff:10.0.0.0/8",
        "host",
        "10.0.0.0/8/8",
    ] {
        let error = text.parse::<Network>().expect_err(text);
        assert_eq!(error, NetworkError::Unreadable(text.to_owned()));
    }
    let error = "10.1.2.3/8".parse::<Network>().expect_err("bits behind");
    assert!(error.to_string().contains("`10.0.0.0/8`"), "{error}");
}

proptest! {
    #[test]
    fn every_range_survives_its_text(bits: u128, prefix_bits in 0..=128_u8, four: bool) {
        let address = if four {
            IpAddr::V4((bits as u32).into())
        } else {
            IpAddr::V6(bits.into()).to_canonical()
        };
        let prefix_bits = prefix_bits.min(width(address));
        let range = Network { address: masked(address, prefix_bits), prefix_bits };
        // What is left of an IPv6 address may be an IPv4 one.
        prop_assume!(range.address.to_canonical() == range.address);
        prop_assert_eq!(range.to_string().parse(), Ok(range));
        prop_assert!(range.contains(address));
    }
}
