//! Unit tests of `inspect`, with the label's updates: every flipped bit, and every torn write.

mod flips;
mod image;
#[allow(dead_code, unreachable_pub, reason = "the integration tests share it")]
#[path = "../../tests/common/labels.rs"]
mod labels;
mod torn;

use super::*;
