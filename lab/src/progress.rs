//! How far it is, on the terminal; silent when standard error is none.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;

/// A bar over `steps`.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar at 0.
    pub fn new(steps: u64) -> Progress {
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(steps), target);
        let style = ProgressStyle::with_template("{elapsed:>5} [{bar:32}] {pos}/{len} {msg}");
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Progress { bar }
    }

    /// What is being done.
    pub fn message(&self, message: impl Into<String>) {
        self.bar.set_message(message.into());
    }

    /// So many steps are done.
    pub fn set(&self, steps: u64) {
        self.bar.set_position(steps);
    }

    /// One more step is done.
    pub fn step(&self) {
        self.bar.inc(1);
    }

    /// It is over; the line is cleared.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
