//! The signals that stop the server in good order: SIGTERM, SIGINT, and SIGHUP (the terminal was
//! closed). SIGHUP stays ignored if it was ignored at the start (`nohup`).
//!
//! Invariants: a signal is noticed whatever the server waits for, as a task of its own receives
//! them; the last of those that the caller provides for ends the process at once.

use crate::diagnostics::print_sentence;
use crate::serving::last_exit::close_connections;
use std::io;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// A signal that follows so soon is the same one: `timeout` sends its signal to the process and
/// again to the process's group.
const SAME_SIGNAL: Duration = Duration::from_secs(1);

/// The stop signals that arrived since it was made.
#[derive(Debug)]
pub(crate) struct StopSignals {
    arrived: watch::Receiver<u32>,
    /// How many of them [`StopSignals::next`] has returned.
    taken: u32,
}

impl StopSignals {
    /// Begins to receive; within a tokio runtime. The signal of number `last` ends the process at
    /// once, with status 1.
    ///
    /// # Errors
    /// When a handler cannot be installed.
    pub(crate) fn listen(last: u32) -> io::Result<StopSignals> {
        let mut handlers = Handlers::install()?;
        let (count, arrived) = watch::channel(0);
        tokio::spawn(async move {
            let mut counted_at: Option<Instant> = None;
            loop {
                handlers.next().await;
                if counted_at.is_some_and(|at| at.elapsed() < SAME_SIGNAL) {
                    continue;
                }
                counted_at = Some(Instant::now());
                count.send_modify(|count| *count += 1);
                if *count.borrow() >= last {
                    print_sentence(
                        "one more stop signal: the server ends at once; what was not flushed \
                         may be lost, as after kill -9",
                    );
                    close_connections();
                    crate::diagnostics::end_log();
                    std::process::exit(1);
                }
            }
        });
        Ok(StopSignals { arrived, taken: 0 })
    }

    /// Returns when the next signal arrives, or at once if it has arrived already.
    pub(crate) async fn next(&mut self) {
        let taken = self.taken;
        // The sender lives as long as the runtime.
        let _ = self.arrived.wait_for(|count| *count > taken).await;
        self.taken += 1;
    }
}

#[derive(Debug)]
struct Handlers {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Option<Signal>,
}

impl Handlers {
    fn install() -> io::Result<Handlers> {
        let hang_up = match is_ignored(libc::SIGHUP) {
            true => None,
            false => Some(signal(SignalKind::hangup())?),
        };
        Ok(Handlers {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up,
        })
    }

    /// Returns when a signal arrives.
    async fn next(&mut self) {
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

/// A write beyond the limit of file sizes (`ulimit -f`) fails with EFBIG instead of ending the
/// process: it is an error of one client's request. A handler, because programs that are started
/// would inherit that the signal is ignored.
pub(crate) fn survive_file_size_limit() {
    extern "C" fn do_nothing(_: libc::c_int) {}
    // SAFETY: an all-zero sigaction is valid; the handler does nothing, so it may run anywhere.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = do_nothing as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(libc::SIGXFSZ, &action, std::ptr::null_mut());
    }
}
