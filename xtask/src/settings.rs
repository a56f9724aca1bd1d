//! Settings of the kernel that the tests need, changed when that is allowed.

use crate::packages::privilege;
use std::fs;
use std::process::{Command, Stdio};

/// FUSE over io_uring, which kernels from 6.14 have and keep switched off.
const SWITCH: &str = "/sys/module/fuse/parameters/enable_uring";

/// Sets what is missing if this user may; prints what it does. Returns whether every setting is
/// right in the end.
pub(crate) fn provide() -> bool {
    match fs::read_to_string(SWITCH) {
        Ok(state) if state.trim() == "Y" => {
            println!("FUSE over io_uring is switched on");
            return true;
        }
        Ok(_) => {}
        Err(_) => {
            println!("this kernel has no FUSE over io_uring (Linux 6.14): its tests are skipped");
            return true;
        }
    }
    let switch_on = format!("echo Y > {SWITCH}");
    let set = privilege().is_some_and(|prefix| {
        let words = [prefix, &["sh", "-c", &switch_on]].concat();
        println!("> {}", words.join(" "));
        let mut command = Command::new(words[0]);
        let status = command.args(&words[1..]).stdin(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    });
    if !set {
        println!("FUSE over io_uring is off; switch it on with");
        println!("  sudo sh -c '{switch_on}'");
    }
    set
}
