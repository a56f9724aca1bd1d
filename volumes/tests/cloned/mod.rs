//! Parts of the tests of clones.

use super::{
    DISK, QUANTUM, SIZE, clone_at, clone_config, common, drop_clone, mark, new_machine, nth, open,
    read_all, reopened,
};

mod crashes;
mod reads;
mod unwritten;
