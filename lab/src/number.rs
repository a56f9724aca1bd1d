//! Numbers as they are written in reports: rounded for people, and for programs.

use serde_json::{Value, json};

/// A number for people: four significant digits at most.
pub fn number(value: f64) -> String {
    if value.is_nan() {
        return "not measured".to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let digits = value.abs().log10().floor() as i32;
    let decimals = (3 - digits).clamp(0, 6) as usize;
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    let text = if text == "-0" { "0" } else { text };
    text.to_owned()
}

/// A number with its unit.
pub fn with_unit(value: f64, unit: &str) -> String {
    if unit.is_empty() {
        number(value)
    } else {
        format!("{} {unit}", number(value))
    }
}

/// A number for a report: six significant digits, so that the last bits make no noise; what is not
/// a number is null.
pub fn json_number(value: f64) -> Value {
    if !value.is_finite() {
        return Value::Null;
    }
    let rounded: f64 = format!("{value:.5e}").parse().unwrap_or(value);
    json!(rounded)
}

#[cfg(test)]
mod tests;
