//! Unit tests of `words`.

use super::*;

fn errors(text: &str) -> Vec<String> {
    let mut findings = Findings::default();
    check("a.md", text, &mut findings);
    findings.errors().to_vec()
}

#[test]
fn each_replaced_word_is_found_with_its_place_and_what_to_write() {
    for (start, end, instead) in REPLACED {
        let text = format!("A line.\nAnd {start}{end}, too.\n");
        let found = errors(&text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("a.md:2: ") && found[0].ends_with(instead));
    }
}

#[test]
fn a_word_inside_another_is_allowed_and_case_does_not_matter() {
    assert_eq!(errors("indoors, outdoorsy\n"), [""; 0]);
    assert_eq!(errors(&format!("{}{} waits\n", "No", "body")).len(), 1);
}
