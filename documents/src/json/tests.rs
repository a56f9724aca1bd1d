//! Unit tests of `json`.

use super::*;
use crate::Finding;
use proptest::prelude::*;

static TABLE: Table = Table::new("a document", &[]);

fn read(text: &str) -> (Option<Spanned<Node>>, Vec<Finding>) {
    let findings = Findings::default();
    (parse(text, &TABLE, &findings), findings.into_list())
}

/// Keys that occur twice are the one thing that is refused here and accepted there.
fn assert_same_as_serde(text: &str) {
    let theirs = serde_json::from_str::<serde_json::Value>(text).ok();
    let (tree, findings) = read(text);
    let is_repeated = |finding: &Finding| finding.message().contains("occurs twice");
    if !findings.is_empty() && findings.iter().all(is_repeated) && tree.is_some() {
        assert!(theirs.is_some(), "{text:?}");
        return;
    }
    let ours = tree.filter(|_| findings.is_empty());
    assert_eq!(ours.map(|tree| tree.value.to_value()), theirs, "{text:?}");
}

#[test]
fn keys_that_occur_twice_are_refused_and_the_first_one_counts() {
    let (tree, findings) = read(r#"{ "a": 1, "b": { "a": 2 }, "a": 3 }"#);
    assert_eq!(findings.len(), 1);
    assert!(findings[0].message().contains("`a` occurs twice"));
    let value = tree.expect("there is a tree").value.to_value();
    assert_eq!(value, serde_json::json!({ "a": 1, "b": { "a": 2 } }));
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
    assert!(tree.is_none() && findings[0].message().contains("levels"));
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
        for span in findings.iter().filter_map(|finding| finding.span()) {
            prop_assert!(span.start <= span.end && text.get(span.start..span.end).is_some());
        }
    }
}
