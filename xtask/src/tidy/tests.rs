//! Unit tests of `tidy`.

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
fn what_is_untidy_is_found_with_its_place() {
    assert_eq!(errors("a.rs", "//! Good.\nfn main() {}\n"), [""; 0]);
    assert_eq!(errors("a.rs", "#![no_main]\n\n//! Good.\n"), [""; 0]);
    assert!(errors("a.rs", "fn main() {}\n")[0].contains("must begin with"));
    assert!(errors("a.rs", "//! Good.\nlet a = 1; \n")[0].starts_with("a.rs:2: blanks"));
    let marked = format!("//! Good.\n// {}: later\n", BANNED[0]);
    assert!(errors("a.rs", &marked)[0].starts_with("a.rs:2: "));
    assert!(errors("a.sh", "echo")[0].contains("exactly one line end"));
    let long = "//! Good.\n".repeat(LINES_MAX + 1);
    assert!(errors("a.rs", &long)[0].contains("501 lines"));
    assert_eq!(errors("a.rs", &"//! Good.\n".repeat(LINES_MAX)), [""; 0]);
}

#[test]
fn a_banned_word_inside_another_is_none() {
    assert!(contains_word(&format!("a {} b", BANNED[2]), BANNED[2]));
    assert!(!contains_word(&format!("tmp.{}Y", BANNED[2]), BANNED[2]));
    assert!(contains_word(&format!("{}(x)", BANNED[3]), BANNED[3]));
    assert!(!contains_word(&format!("my_{}(x)", BANNED[3]), BANNED[3]));
}
