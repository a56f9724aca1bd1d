//! Unit tests of `links`.

use super::*;

fn errors(text: &str) -> Vec<String> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut findings = Findings::default();
    check(workspace, "src/a.md", text, &mut findings);
    findings.errors().to_vec()
}

#[test]
fn a_link_to_a_file_that_is_not_there_is_found() {
    assert_eq!(
        errors("see [this](main.rs#top) and [that](../Cargo.toml)\n"),
        [""; 0]
    );
    assert!(
        errors("\nsee [this](absent.rs)\n")[0].starts_with("src/a.md:2: the link to absent.rs")
    );
}

#[test]
fn links_into_the_web_anchors_and_code_are_left_alone() {
    assert_eq!(errors("[a](https://example.org/x) [b](#below)\n"), [""; 0]);
    assert_eq!(errors("```\n[a](absent)\n```\n"), [""; 0]);
}
