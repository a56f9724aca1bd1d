//! Admission: the rules' arithmetic on disks that do one request at a time and on disks that
//! overlap requests, and that every piece of advice is right.

mod asks;
mod one_at_a_time;
mod overlapping;
