//! Figures as text in tables.

/// A share as per cent, with one decimal.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
