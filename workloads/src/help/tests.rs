//! Unit tests of `help`.

use super::*;
use crate::keys::CLIENT;

#[test]
fn the_help_names_every_kind_and_key() {
    let help = help();
    let names = GeneratorKind::ALL.map(GeneratorKind::name).into_iter();
    let keys = CLIENT.keys().chain(MIX_PART.keys()).chain(ROOT.keys());
    for name in names.chain(keys.map(Key::name)) {
        assert!(help.contains(&format!("\n  {name} ")), "{name}");
    }
}
