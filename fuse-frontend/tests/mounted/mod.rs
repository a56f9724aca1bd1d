//! Tests of a mounted directory; the program that includes them says by which transport.

mod common;
mod filesystems;
mod holes;
mod in_flight;
mod memory;
mod mounting;
mod semantics;
mod several_disks;
