//! What is asked of a mounted directory, whichever way its requests come: the program says that.

mod common;
mod filesystems;
mod holes;
mod memory;
mod mounting;
mod semantics;
mod several_disks;
mod under_way;
