//! The signals that stop the server in good order: SIGTERM, SIGINT, and SIGHUP (the terminal was
//! closed). SIGHUP stays ignored if it was ignored at the start (`nohup`).

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Receives the stop signals that arrive after it was made.
#[derive(Debug)]
pub(crate) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Option<Signal>,
}

impl StopSignals {
    /// Begins to receive; within a tokio runtime.
    ///
    /// # Errors
    /// When a handler cannot be installed.
    pub(crate) fn listen() -> io::Result<StopSignals> {
        let hang_up = match is_ignored(libc::SIGHUP) {
            true => None,
            false => Some(signal(SignalKind::hangup())?),
        };
        Ok(StopSignals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up,
        })
    }

    /// Returns when a signal arrives.
    pub(crate) async fn next(&mut self) {
        let hang_up = async {
            match &mut self.hang_up {
                Some(hang_up) => hang_up.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = hang_up => {}
        }
    }
}

fn is_ignored(signal: i32) -> bool {
    // SAFETY: an all-zero sigaction is valid, lives through the call, and is only filled by it.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &mut action) == 0
            && action.sa_sigaction == libc::SIG_IGN
    }
}
