//! Unit tests of `rust`: what is untidy is found with its place.

use super::*;

fn errors(name: &str, text: &str) -> Vec<String> {
    let mut findings = Findings::default();
    check(name, text, &mut findings);
    findings.errors().to_vec()
}

#[test]
fn a_file_says_first_what_it_is_for() {
    assert_eq!(errors("a.rs", "//! Good.\nfn main() {}\n"), [""; 0]);
    assert_eq!(errors("a.rs", "#![no_main]\n\n//! Good.\n"), [""; 0]);
    assert!(errors("a.rs", "fn main() {}\n")[0].contains("must begin with"));
}

#[test]
fn files_and_comments_are_bounded() {
    let long = "//! Good.\n".repeat(LINES_MAX + 1);
    assert!(errors("a.rs", &long)[0].contains("501 lines"));
    assert_eq!(errors("a.rs", &"//! Good.\n".repeat(LINES_MAX)), [""; 0]);
    let comment = |words: usize| format!("//! Good.\n// {}\n", "w".repeat(words));
    assert_eq!(errors("a.rs", &comment(97)), [""; 0]);
    assert!(errors("a.rs", &comment(98))[0].starts_with("a.rs:2: a comment of 101"));
    let row = format!("//! | {} |\n", "w".repeat(120));
    assert_eq!(errors("a.rs", &row), [""; 0], "a table's row stays whole");
}

#[test]
fn there_is_one_module_style() {
    assert!(errors("a/src/b/mod.rs", "//! Good.\n")[0].ends_with("is a/src/b.rs"));
    assert_eq!(errors("a/tests/common/mod.rs", "//! Good.\n"), [""; 0]);
    assert!(errors("a.rs", "//! Good.\nmod tests {\n}\n")[0].starts_with("a.rs:2: "));
    assert_eq!(errors("a.rs", "//! Good.\nmod tests;\n"), [""; 0]);
    let path = format!("//! Good.\n#[{} = \"b.rs\"]\nmod b;\n", "path");
    assert!(errors("a.rs", &path)[0].starts_with("a.rs:2: "));
}
