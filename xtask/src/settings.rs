//! Settings of the kernel that the tests need, changed when that is allowed and put back after.

use crate::packages::privilege;
use std::fs;
use std::process::{Command, Stdio};

/// FUSE over io_uring, which kernels from 6.14 have and keep switched off.
const SWITCH: &str = "/sys/module/fuse/parameters/enable_uring";

/// What [`provide`] found and did. Dropping it puts back what it changed.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Every setting is right.
    right: bool,
    /// FUSE over io_uring was off before.
    switched_on: bool,
}

impl Settings {
    /// Whether every setting is right.
    pub(crate) fn are_right(&self) -> bool {
        self.right
    }

    /// Leaves the settings as they are now, and says how to put them back.
    pub(crate) fn keep(mut self) {
        if std::mem::take(&mut self.switched_on) {
            println!("it stays on until the machine restarts; switch it off with");
            println!("  sudo sh -c 'echo N > {SWITCH}'");
        }
    }
}

impl Drop for Settings {
    fn drop(&mut self) {
        if self.switched_on {
            println!("FUSE over io_uring is switched off again, as it was before");
            if !write("N") {
                println!("that failed; switch it off with");
                println!("  sudo sh -c 'echo N > {SWITCH}'");
            }
        }
    }
}

/// Sets what is missing if this user may; prints what it does.
pub(crate) fn provide() -> Settings {
    let found = |right| Settings {
        right,
        switched_on: false,
    };
    match fs::read_to_string(SWITCH) {
        Ok(state) if state.trim() == "Y" => {
            println!("FUSE over io_uring is switched on");
            return found(true);
        }
        Ok(_) => {}
        Err(_) => {
            println!("this kernel has no FUSE over io_uring (Linux 6.14): its tests are skipped");
            return found(true);
        }
    }
    let switched_on = write("Y");
    if !switched_on {
        println!("FUSE over io_uring is off; switch it on with");
        println!("  sudo sh -c 'echo Y > {SWITCH}'");
    }
    Settings {
        right: switched_on,
        switched_on,
    }
}

/// Writes the switch if this user may; whether it did.
fn write(state: &str) -> bool {
    privilege().is_some_and(|prefix| {
        let command = format!("echo {state} > {SWITCH}");
        let words = [prefix, &["sh", "-c", &command]].concat();
        println!("> {}", words.join(" "));
        let mut command = Command::new(words[0]);
        let status = command.args(&words[1..]).stdin(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    })
}
