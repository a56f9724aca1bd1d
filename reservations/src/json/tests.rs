//! Unit tests of `json`.

use super::*;
use proptest::prelude::*;

fn accepted(text: &str) -> Option<serde_json::Value> {
    match read(text) {
        (Some(tree), findings) if findings.is_empty() => Some(tree.value.to_value()),
        _ => None,
    }
}

fn assert_same_as_serde(text: &str) {
    assert_eq!(accepted(text), serde_json::from_str(text).ok(), "{text:?}");
}

#[test]
fn corners_of_json_are_judged_as_serde_judges_them() {
    for text in [
        "0",
        "-0",
        "01",
        "1.",
        ".5",
        "+1",
        "1e5",
        "1e999",
        "1E+2",
        "-",
        "--1",
        "0x10",
        "1_000",
        "true",
        "truefalse",
        "nul",
        "\"\\u00e9\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "\"\\ude00\"",
        "\"\\ud83d\\u0041\"",
        "\"\\x41\"",
        "\"\\",
        "\"a\tb\"",
        "\"\u{7f}\"",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[]]",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{a:1}",
        "{\"a\":}",
        "/**/1",
        "1//",
        "'a'",
        "\u{feff}1",
        "\u{a0}1",
        "[\n]",
        "{\r\n}",
        "",
        " ",
        "\0",
        "1 1",
        "[1\"\"]",
    ] {
        assert_same_as_serde(text);
    }
}

#[test]
fn nesting_is_bounded() {
    let deep = "[".repeat(100_000);
    let (tree, findings) = read(&deep);
    assert!(tree.is_none() && findings[0].message.contains("levels"));
    let fine = format!("{}{}", "[".repeat(60), "]".repeat(60));
    assert_same_as_serde(&fine);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn accepts_exactly_what_serde_accepts(text in r#"([\[\]{},:"\\/ tfn\-+.0-9eu*\n\t]|"a"|true|null|"a":|"\\u[0-9a-f]{4}"){0,12}"#) {
        assert_same_as_serde(&text);
    }

    #[test]
    fn spans_lie_within_the_text(text in r#"([\[\]{},:"\\'é😀 \n]|"a"|"a": ?|1){0,20}"#) {
        let (_, findings) = read(&text);
        for span in findings.iter().filter_map(|finding| finding.span) {
            prop_assert!(span.start <= span.end && text.get(span.start..span.end).is_some());
        }
    }
}
