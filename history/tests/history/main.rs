//! Tests of the history: the format byte by byte, and the log over a simulated disk beside a model
//! that keeps a full copy of every moment.
//!
//! ```text
//!   model.rs (random steps, full copies) ── driver.rs (does the log's steps, in random order)
//!                                              └── disk.rs (volatile cache, torn sectors)
//! ```

mod cases;
mod changed;
mod clones;
mod cuts;
mod damage;
mod deferred;
mod disk;
mod driver;
mod ending;
mod flips;
mod folds;
mod full;
mod gathering;
mod golden;
mod lazy;
mod long_writes;
mod many_reverts;
mod marks;
mod mended;
mod model;
mod order;
mod promises;
mod space;
mod support;
mod tree;
mod used_space;
mod verify;
