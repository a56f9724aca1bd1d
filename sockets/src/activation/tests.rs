//! Unit tests of `activation`.

use super::*;

#[test]
fn the_count_is_a_small_number_and_errors_quote_the_text() {
    let parse = |text: &str| parse_count(&OsString::from(text));
    assert_eq!(parse("0"), Ok(0));
    assert_eq!(parse("64"), Ok(64));
    for text in ["65", "-1", "two", ""] {
        let error = parse(text).expect_err("not a count");
        assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
    }
}
