//! The kernel side of waiting: an epoll set with nanosecond timeouts, and an eventfd to wake it.
//!
//! Sockets are watched edge-triggered, as the connection remembers that it is readable; for space
//! to write only while there is none, or each read of the peer would cause an event; for input
//! unless the connection is polled. The disk's eventfd is edge-triggered too, so that it need not
//! be read; the other descriptors are level-triggered.

use disktime_units::Nanos;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// The token of the mailbox's eventfd.
pub(super) const TOKEN_MAILBOX: u64 = u64::MAX;
/// The token of the disk's eventfd: it may have completions.
pub(super) const TOKEN_DISK: u64 = u64::MAX - 1;

/// What a socket is watched for always: that its peer closes.
const SOCKET: libc::c_int = libc::EPOLLRDHUP | libc::EPOLLET;

/// The events that a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interest {
    pub(super) input: bool,
    /// Space to write.
    pub(super) room: bool,
}

impl Interest {
    fn events(self) -> u32 {
        let input = if self.input { libc::EPOLLIN } else { 0 };
        let room = if self.room { libc::EPOLLOUT } else { 0 };
        (SOCKET | input | room) as u32
    }
}

/// Events taken per wait.
const EVENTS: usize = 64;

/// One readiness event of a socket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ready {
    pub(super) token: u64,
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// The peer closed its sending side, or both.
    pub(super) closing: bool,
    /// The peer closed both sides, or the connection was reset: no reply reaches it.
    pub(super) gone: bool,
}

/// An epoll instance.
#[derive(Debug)]
pub(super) struct Poller {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
}

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

impl Poller {
    pub(super) fn new() -> io::Result<Poller> {
        // SAFETY: a plain system call; the descriptor it returns has no other owner.
        let epoll = unsafe {
            let fd = checked(libc::epoll_create1(libc::EPOLL_CLOEXEC))?;
            OwnedFd::from_raw_fd(fd)
        };
        Ok(Poller {
            epoll,
            events: vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS],
        })
    }

    /// Watches a descriptor for reading, level-triggered.
    pub(super) fn watch_level(&self, fd: RawFd, token: u64) -> io::Result<()> {
        self.add(fd, token, libc::EPOLLIN as u32)
    }

    /// Stops watching a descriptor.
    pub(super) fn forget(&self, fd: RawFd) -> io::Result<()> {
        // SAFETY: both descriptors are open; no event is needed to delete one.
        unsafe {
            checked(libc::epoll_ctl(
                self.epoll.as_raw_fd(),
                libc::EPOLL_CTL_DEL,
                fd,
                std::ptr::null_mut(),
            ))?;
        }
        Ok(())
    }

    /// Watches an eventfd for being set, edge-triggered: it need not be reset.
    pub(super) fn watch_edge(&self, fd: RawFd, token: u64) -> io::Result<()> {
        self.add(fd, token, (libc::EPOLLIN | libc::EPOLLET) as u32)
    }

    /// Watches a socket for what its connection waits for.
    pub(super) fn watch_socket(&self, fd: RawFd, token: u64, interest: Interest) -> io::Result<()> {
        self.add(fd, token, interest.events())
    }

    /// Changes what a socket is watched for; events that hold already are reported.
    pub(super) fn watch_socket_for(
        &self,
        fd: RawFd,
        token: u64,
        interest: Interest,
    ) -> io::Result<()> {
        self.change(libc::EPOLL_CTL_MOD, fd, token, interest.events())
    }

    fn add(&self, fd: RawFd, token: u64, events: u32) -> io::Result<()> {
        self.change(libc::EPOLL_CTL_ADD, fd, token, events)
    }

    fn change(&self, operation: libc::c_int, fd: RawFd, token: u64, events: u32) -> io::Result<()> {
        let mut event = libc::epoll_event { events, u64: token };
        // SAFETY: both descriptors are open and `event` lives through the call.
        unsafe {
            checked(libc::epoll_ctl(
                self.epoll.as_raw_fd(),
                operation,
                fd,
                &mut event,
            ))?;
        }
        Ok(())
    }

    /// Waits at most `timeout` (`None`: without a limit) and reports what is ready.
    pub(super) fn wait(
        &mut self,
        timeout: Option<Nanos>,
        mut report: impl FnMut(Ready),
    ) -> io::Result<()> {
        let timespec = timeout.map(|timeout| libc::timespec {
            tv_sec: (timeout.0 / 1_000_000_000) as libc::time_t,
            tv_nsec: (timeout.0 % 1_000_000_000) as libc::c_long,
        });
        let timespec = timespec
            .as_ref()
            .map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: `events` has space for EVENTS entries, `timespec` is null or lives through the
        // call, and a null signal mask is allowed. libc has no wrapper for epoll_pwait2.
        let count = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.epoll.as_raw_fd(),
                self.events.as_mut_ptr(),
                EVENTS as libc::c_int,
                timespec,
                std::ptr::null::<libc::sigset_t>(),
                0usize,
            )
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted {
                Ok(())
            } else {
                Err(error)
            };
        }
        for event in &self.events[..count as usize] {
            let (flags, token) = (event.events, event.u64);
            let gone = (libc::EPOLLHUP | libc::EPOLLERR) as u32;
            let closing = gone | libc::EPOLLRDHUP as u32;
            report(Ready {
                token,
                readable: flags & (libc::EPOLLIN as u32 | closing) != 0,
                writable: flags & (libc::EPOLLOUT as u32 | closing) != 0,
                closing: flags & closing != 0,
                gone: flags & gone != 0,
            });
        }
        Ok(())
    }
}

/// An eventfd: written by other threads, read by the reactor.
#[derive(Debug)]
pub(super) struct WakeUp {
    fd: OwnedFd,
}

impl WakeUp {
    pub(super) fn new() -> io::Result<WakeUp> {
        // SAFETY: a plain system call; the descriptor it returns has no other owner.
        let fd = unsafe {
            let fd = checked(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?;
            OwnedFd::from_raw_fd(fd)
        };
        Ok(WakeUp { fd })
    }

    pub(super) fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Makes it readable.
    pub(super) fn signal(&self) {
        let one = 1u64;
        // SAFETY: eight bytes that live through the call. A full counter is as good as a signal.
        unsafe { libc::write(self.fd.as_raw_fd(), std::ptr::from_ref(&one).cast(), 8) };
    }

    /// Makes it unreadable again.
    pub(super) fn clear(&self) {
        let mut count = 0u64;
        // SAFETY: space for eight bytes that lives through the call; nothing there is fine too.
        unsafe {
            libc::read(
                self.fd.as_raw_fd(),
                std::ptr::from_mut(&mut count).cast(),
                8,
            )
        };
    }
}

/// Lets this thread's timers expire as close to their time as the kernel can.
pub(super) fn tighten_timers() {
    // SAFETY: sets a number of this thread; a failure leaves the default slack of 50 µs.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1usize) };
}
