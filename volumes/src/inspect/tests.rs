//! Unit tests of `inspect`, with the label's updates: every flipped bit, and every torn write.

mod flips;
mod image;
mod torn;

use super::*;
