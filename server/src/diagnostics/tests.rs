//! Unit tests of `diagnostics`.

use super::*;

fn level(quiet: bool, verbose: u8, variable: Option<&str>) -> Option<Level> {
    Verbosity { quiet, verbose }.level(variable).ok()
}

#[test]
fn flags_count_before_the_variable() {
    assert_eq!(level(false, 0, None), Some(Level::WARN));
    assert_eq!(level(false, 0, Some("debug")), Some(Level::DEBUG));
    assert_eq!(level(true, 0, Some("debug")), Some(Level::ERROR));
    assert_eq!(level(false, 1, Some("error")), Some(Level::INFO));
    assert_eq!(level(false, 9, None), Some(Level::TRACE));
    assert_eq!(level(false, 0, Some("loud")), None);
}

#[test]
fn colour_is_added_to_the_word_that_says_how_bad_it_is() {
    let text = "disktime: error: no\n  | error\nwarning: x";
    assert_eq!(coloured(text, false), text);
    assert_eq!(
        coloured(text, true),
        "\x1b[1;31mdisktime: \x1b[0merror: no\n  | error\n\x1b[1;33mwarning\x1b[0m: x"
    );
}
