//! Unit tests of `help`.

use super::*;

#[test]
fn the_help_names_every_kind_and_key() {
    let help = help();
    let names = Kind::ALL.map(Kind::name).into_iter();
    let keys = KEYS.iter().chain(&MIX_KEYS).chain(&ROOT_KEYS);
    for name in names.chain(keys.map(|key| key.0)) {
        assert!(help.contains(&format!("\n  {name} ")), "{name}");
    }
}
