//! Figures and sentences as text.

/// A share as per cent, with one decimal.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// A share as it was written: without decimals that are zero.
pub(crate) fn short_percent(share: f64) -> String {
    format!("{} %", (share * 1e6).round() / 1e4)
}

/// At most that many letters, the last an ellipsis if something is left out.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most - 1).collect();
    format!("{kept}…")
}

/// A sentence in lines of at most so many columns; a longer word has a line of its own.
pub(crate) fn wrapped(sentence: &str, most_columns: usize) -> String {
    let mut text = String::with_capacity(sentence.len() + sentence.len() / most_columns);
    let mut column = 0;
    for word in sentence.split_whitespace() {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > most_columns {
            text.push('\n');
            column = 0;
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += width;
    }
    text
}
