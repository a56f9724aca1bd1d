//! What programs and errors say.

/// All of these must be in the sentence.
#[track_caller]
pub fn assert_says(sentence: &str, fragments: &[&str]) {
    for fragment in fragments {
        assert!(
            sentence.contains(fragment),
            "`{fragment}` is not in: {sentence}"
        );
    }
}
