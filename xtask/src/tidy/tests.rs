//! Unit tests of `tidy`; the first is the rule itself, over the whole workspace.

use super::*;

#[test]
fn tidy() {
    let findings = check(&crate::workspace()).expect("the workspace is readable");
    assert!(
        findings.errors.is_empty(),
        "\n{}",
        findings.errors.join("\n")
    );
}

fn errors(name: &str, text: &str) -> Vec<String> {
    let mut findings = Findings::default();
    check_text(name, text, &mut findings);
    findings.errors
}

#[test]
fn blanks_and_marks_of_unfinished_work_are_found_with_their_place() {
    assert_eq!(errors("a.sh", "echo\n"), [""; 0]);
    assert!(errors("a.rs", "//! Good.\nlet a = 1; \n")[0].starts_with("a.rs:2: blanks"));
    let marked = format!("//! Good.\n// {}: later\n", UNFINISHED[0]);
    assert!(errors("a.rs", &marked)[0].starts_with("a.rs:2: "));
    assert!(errors("a.sh", "echo")[0].contains("exactly one line end"));
}

#[test]
fn a_word_inside_another_is_none() {
    assert!(has_word(&format!("a {} b", UNFINISHED[2]), UNFINISHED[2]));
    assert!(!has_word(&format!("tmp.{}Y", UNFINISHED[2]), UNFINISHED[2]));
    assert!(has_word(&format!("{}(x)", UNFINISHED[3]), UNFINISHED[3]));
    assert!(!has_word(
        &format!("my_{}(x)", UNFINISHED[3]),
        UNFINISHED[3]
    ));
}
