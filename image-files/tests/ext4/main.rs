//! File systems that mke2fs makes, read by this crate, compared with the directory that they were
//! made of and with what the crate `ext4-view` reads; and damaged ones.

mod damage;
mod journal;
mod made;
mod reading;
