//! Unit tests of `object`: what is reported where, and that one mistake makes one finding.

use super::*;
use crate::errors::DocumentErrors;
use crate::key::{NameRule, key, required_key};
use crate::{Document, read_document};
use disktime_units::{Nanos, Share};
use std::path::Path;

static ITEM: Table = Table::new("an item", &[&[required_key("size", SIZE, "Its size.")]]);
const SIZE: ValueKind = ValueKind::Size {
    least: 4096,
    most: 1 << 30,
    multiple: 4096,
};
static ROOT: Table = Table::new(
    "a box",
    &[
        &[
            required_key("items", ValueKind::Named(&ITEM, NameRule::FileName), ""),
            key(
                "share",
                ValueKind::Share { least: Share(1) },
                "best effort",
                "",
            ),
            key("list", ValueKind::List(&ITEM), "", ""),
        ],
        &[
            key("colour", ValueKind::Choice(&["red", "green"]), "red", ""),
            key("wait", ValueKind::ANY_DURATION, "", ""),
            key("count", ValueKind::Integer { least: 1, most: 9 }, "1", ""),
            key(
                "speed",
                ValueKind::Number {
                    least: 0.5,
                    most: 2.0,
                },
                "1",
                "",
            ),
        ],
    ],
);

/// What is wrong with a box that has these keys beside its items.
fn errors(keys: &str) -> DocumentErrors {
    let text = format!("{{ \"items\": {{ \"a\": {{ \"size\": \"4KiB\" }} }}, {keys} }}");
    read(&text).expect_err("it is wrong")
}

fn read(text: &str) -> Result<(), DocumentErrors> {
    read_document(&Document::new(Path::new("box.json"), text), &ROOT, |root| {
        for member in root.named("items") {
            Object::open(&member.value, &ITEM, member.key.span, root.findings())?.size("size");
        }
        root.share("share");
        for item in root.list("list").into_iter().flatten().flatten() {
            item.size("size");
        }
        root.chosen("colour", &[("red", 1), ("green", 2)]);
        assert!(
            root.duration("wait")
                .is_none_or(|wait| wait.value < Nanos::MAX)
        );
        root.integer::<u32>("count");
        root.number("speed");
        Some(())
    })
}

#[test]
fn a_right_document_has_no_findings() {
    let text = r#"{ "items": { "a": { "size": "4KiB" }, "b": { "size": "1GiB" } }, "share": "100%",
        "list": [{ "size": "8192B" }], "colour": "green", "wait": "0s", "count": 9, "speed": 2 }"#;
    read(text).unwrap_or_else(|errors| panic!("{errors}"));
}

#[test]
fn each_mistake_is_one_finding_that_says_what_was_expected() {
    for (keys, message, help) in [
        (
            r#""colour": "gren""#,
            "`colour` cannot be \"gren\"",
            "did you mean `green`?",
        ),
        (
            r#""colour": 1"#,
            "`colour` cannot be a number",
            "\"red\" or \"green\"",
        ),
        (
            r#""color": "red""#,
            "`color` is not a key of a box",
            "`share`, `list`, `colour`",
        ),
        (
            r#""share": "0%""#,
            "`share` of 0% is too small",
            "without `share`: best effort",
        ),
        (
            r#""share": "101%""#,
            "`101%` is not a share",
            "above 0% and up to 100%",
        ),
        (
            r#""wait": "5""#,
            "`5` is not a duration",
            "a duration, as in \"10s\"",
        ),
        (r#""count": 10"#, "`count` cannot be 10", "from 1 to 9"),
        (r#""count": 1.5"#, "`count` cannot be 1.5", "a whole number"),
        (
            r#""speed": 2.1"#,
            "`speed` cannot be 2.1",
            "a number from 0.5 to 2",
        ),
        (r#""list": 3"#, "`list` cannot be a number", "a list, as in"),
        (
            r#""list": [3]"#,
            "an item must be an object, not a number",
            "{ \"size\": … }",
        ),
        (
            r#""list": [{}]"#,
            "an item needs the key `size`",
            "Its size.",
        ),
        (
            r#""list": [{ "size": "0B" }]"#,
            "`size` of 0B is too small: at least 4KiB",
            "multiple of 4096",
        ),
        (
            r#""list": [{ "size": "2GiB" }]"#,
            "`size` of 2GiB is too large: at most 1GiB",
            "a size",
        ),
        (
            r#""list": [{ "size": "5000B" }]"#,
            "not a multiple of 4096",
            "\"8KiB\"",
        ),
        (
            r#""share": "1%", "share": "2%""#,
            "`share` occurs twice",
            "remove or rename",
        ),
        (r#""wait": x"#, "`x` is not a JSON value", "double quotes"),
        (
            r#""count": 05"#,
            "`05` is not a JSON number",
            "leading zero",
        ),
    ] {
        let errors = errors(keys);
        let [finding] = errors.findings() else {
            panic!("{keys}: {errors}")
        };
        assert!(finding.message().contains(message), "{keys}: {errors}");
        assert!(
            finding.help_text().is_some_and(|text| text.contains(help)),
            "{keys}: {errors}"
        );
        assert!(
            errors.to_string().contains("box.json:1:"),
            "{keys}: {errors}"
        );
    }
}

#[test]
fn names_and_empty_objects_are_checked() {
    for (text, message) in [
        ("{}", "a box needs the key `items`"),
        ("[]", "a box must be an object, not a list"),
        (r#"{ "items": {} }"#, "`items` is empty"),
        (
            r#"{ "items": { "..": { "size": "4KiB" } } }"#,
            "cannot be a name",
        ),
        (r#"{ "items": { "": { "size": "4KiB" } } }"#, "is empty"),
        (
            r#"{ "items": { "a b": { "size": "4KiB" } } }"#,
            "contains ` `",
        ),
    ] {
        let errors = read(text).expect_err(text);
        assert_eq!(errors.findings().len(), 1, "{text}: {errors}");
        assert!(
            errors.findings()[0].message().contains(message),
            "{text}: {errors}"
        );
    }
}

#[test]
fn findings_are_bounded_and_in_file_order() {
    let wrong: Vec<_> = (0..500).map(|index| format!("\"k{index}\": 1")).collect();
    let errors = errors(&wrong.join(",\n"));
    assert_eq!(errors.findings().len(), 200);
    assert!(errors.findings().iter().map(Finding::span).is_sorted());
    assert!(errors.to_string().ends_with("and 160 more"), "{errors}");
}
