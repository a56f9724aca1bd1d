//! Unit tests of `port`: a socket that keeps messages apart stands for the kernel, so that an error
//! here blocks no process in it.

mod kernel;

use super::*;
use crate::device::Device;
use crate::directory::{Directory, Owner};
use crate::{FileIdentity, FuseFile};
use disktime_engine::{Extent, LastChange, ReactorGone, ReplyCallback, VdiskId};
use kernel::Kernel;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::Mutex;

const READ: u32 = 15;
const WRITE: u32 = 16;
const FSYNC: u32 = 20;
const SEEK: u32 = 46;
/// The file of this reactor's disk, and the one of another's.
const HERE: u64 = 2;
const ALSO_HERE: u64 = 3;
const ELSEWHERE: u64 = 4;
/// A handle of a file that was opened with O_DSYNC for writing.
const DURABLE: u64 = 3;
const ORIGIN: u64 = 77;

/// What the kernel got: number, errno, body.
type Answer = (u64, i32, Vec<u8>);

/// Another reactor, or this one as others see it.
#[derive(Default)]
struct Host {
    room: Mutex<usize>,
    is_gone: AtomicBool,
    taken: Mutex<Vec<(Request, ReplyCallback)>>,
    replies: Mutex<Vec<Reply>>,
}

impl PortHost for Host {
    fn open_port(&self, _: Box<dyn Port>) -> Result<(), ReactorGone> {
        Err(ReactorGone)
    }

    fn try_submit(&self, request: Request, callback: ReplyCallback) -> Result<(), NotTaken> {
        if self.is_gone.load(Ordering::Relaxed) {
            return Err(NotTaken::Gone(request));
        }
        let mut room = self.room.lock().expect("no panic");
        if *room == 0 {
            return Err(NotTaken::Full(request));
        }
        *room -= 1;
        self.taken
            .lock()
            .expect("no panic")
            .push((request, callback));
        Ok(())
    }

    fn reply_to_port(&self, reply: Reply) -> Result<(), ReactorGone> {
        self.replies.lock().expect("no panic").push(reply);
        Ok(())
    }

    fn between_turns(&self, _: Box<dyn FnOnce() + Send>) -> Result<(), ReactorGone> {
        Err(ReactorGone)
    }

    fn wake(&self) {}
}

/// A port with its kernel, and its vdisks: those of this reactor take `room` requests more.
struct Set {
    port: FusePort,
    kernel: Kernel,
    pool: BufferPool,
    hosts: [Arc<Host>; 2],
    state: Arc<MountState>,
    drained: oneshot::Receiver<()>,
    full: Vec<VdiskId>,
    taken: Vec<Request>,
}

fn file(number: u32, disk: usize) -> FuseFile {
    FuseFile {
        identity: FileIdentity(number.into()),
        name: format!("v{number}"),
        size_bytes: 1 << 20,
        stored: None,
        last_change: LastChange::default(),
        clients: Default::default(),
        read_only: false,
        punches_holes: true,
        optimal_io_bytes: 4096,
        disk,
        vdisk: VdiskId(10 + u64::from(number)),
    }
}

fn set() -> Set {
    let mut ends = [0; 2];
    // SAFETY: space for two descriptors, which are in no other hands.
    let ends = unsafe {
        let made = libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET, 0, ends.as_mut_ptr());
        assert_eq!(made, 0);
        ends.map(|end| OwnedFd::from_raw_fd(end))
    };
    let [ours, kernel] = ends;
    let owner = Owner { uid: 0, gid: 0 };
    let files = vec![file(0, 0), file(1, 0), file(2, 1)];
    let directory = Directory::new(files, owner, 0).expect("names differ");
    let hosts = [Arc::<Host>::default(), Arc::<Host>::default()];
    let state = Arc::<MountState>::default();
    let (sender, drained) = oneshot::channel();
    let device = Device::new(ours).expect("a descriptor");
    let mut port = FusePort::new(
        KernelConnection::new(device, None),
        (OperationHandler::new(directory), Arc::default()),
        hosts.clone().map(|host| host as Arc<dyn PortHost>).to_vec(),
        0,
        Arc::clone(&state),
        sender,
    );
    port.opened(ORIGIN);
    Set {
        port,
        kernel: Kernel(kernel),
        pool: BufferPool::new(1 << 20),
        hosts,
        state,
        drained,
        full: Vec::new(),
        taken: Vec::new(),
    }
}

impl Set {
    /// Receives all that came.
    fn receive(&mut self) -> bool {
        let (full, taken) = (&self.full, &mut self.taken);
        let mut submit = |request: Request| match full.contains(&request.vdisk) {
            true => Err(request),
            false => {
                taken.push(request);
                Ok(())
            }
        };
        let mut any = false;
        for _ in 0..40 {
            any |= self.port.receive(&mut self.pool, &mut submit);
        }
        any
    }

    fn submit_held(&mut self) -> bool {
        let (full, taken) = (&self.full, &mut self.taken);
        self.port
            .submit_held(&mut |request| match full.contains(&request.vdisk) {
                true => Err(request),
                false => {
                    taken.push(request);
                    Ok(())
                }
            })
    }

    fn take(&mut self) -> Request {
        assert_eq!(self.taken.len(), 1, "{:?}", self.taken);
        self.taken.remove(0)
    }

    fn reply(&mut self, reply: Reply) {
        self.port.reply(reply, &mut self.pool);
        self.port.send();
    }

    fn offsets(&self) -> Vec<u64> {
        let taken = self.taken.iter();
        taken.map(|request| request.offset_bytes).collect()
    }
}

#[test]
fn a_read_is_answered_with_its_data_or_fails() {
    let mut set = set();
    set.kernel.read(1, HERE, 8192, 4096);
    assert!(set.receive());
    let mut request = set.take();
    let asked = (request.kind, request.offset_bytes, request.len_bytes);
    assert_eq!(asked, (RequestKind::Read, 8192, 4096));
    assert_eq!((request.vdisk, request.origin), (VdiskId(10), ORIGIN));
    assert_eq!(set.kernel.answers(), [], "it is not answered yet");
    request.buffer.as_mut().expect("a buffer").fill(7);
    set.reply(request.reply(Ok(())));
    assert_eq!(set.kernel.answers(), [(1, 0, vec![7; 4096])]);
    // Without its data, and with less.
    for bytes in [None, Some(100)] {
        set.kernel.read(2, HERE, 0, 4096);
        set.receive();
        let mut reply = set.take().reply(Ok(()));
        match (bytes, &mut reply.buffer) {
            (Some(bytes), Some(buffer)) => buffer.set_len(bytes),
            (_, buffer) => *buffer = None,
        }
        set.reply(reply);
        assert_eq!(set.kernel.answers(), [(2, libc::EIO, vec![])]);
    }
}

#[test]
fn a_write_says_how_much_was_written_and_asks_for_durability_as_opened() {
    let mut set = set();
    for (handle, durable) in [(2, false), (DURABLE, true)] {
        set.kernel.write(5, (HERE, handle), 4096, &[9; 512]);
        assert!(set.receive());
        let request = set.take();
        assert_eq!((request.kind, request.fua), (RequestKind::Write, durable));
        assert_eq!((request.offset_bytes, request.len_bytes), (4096, 512));
        assert_eq!(request.buffer.as_deref(), Some(&[9; 512][..]));
        set.reply(request.reply(Ok(())));
        let written = [512_u32.to_ne_bytes(), [0; 4]].concat();
        assert_eq!(set.kernel.answers(), [(5, 0, written)]);
    }
}

#[test]
fn an_error_of_a_vdisk_is_its_number_and_no_data() {
    let cases = [
        (IoError::Io, libc::EIO),
        (IoError::NoSpace, libc::ENOSPC),
        (IoError::ReadOnly, libc::EROFS),
        (IoError::Shutdown, libc::ESHUTDOWN),
    ];
    for (error, number) in cases {
        let mut set = set();
        set.kernel.read(1, HERE, 0, 4096);
        set.kernel.write(2, (HERE, 2), 0, &[1; 16]);
        set.kernel.fsync(3, HERE);
        set.kernel.seek(4, 0, libc::SEEK_DATA);
        set.receive();
        let requests = std::mem::take(&mut set.taken);
        assert_eq!(requests.len(), 4);
        for request in requests {
            set.reply(request.reply(Err(error)));
        }
        let answers: Vec<Answer> = (1..=4).map(|unique| (unique, number, vec![])).collect();
        assert_eq!(set.kernel.answers(), answers);
    }
}

#[test]
fn fsync_is_a_flush_that_is_answered_when_it_is_done() {
    let mut set = set();
    set.kernel.fsync(1, HERE);
    assert!(set.receive());
    let request = set.take();
    assert_eq!(request.kind, RequestKind::Flush);
    assert_eq!(set.kernel.answers(), []);
    set.reply(request.reply(Ok(())));
    assert_eq!(set.kernel.answers(), [(1, 0, vec![])]);
}

#[test]
fn a_seek_finds_what_block_status_says() {
    let mut set = set();
    let extent = |len_bytes, zero| Extent {
        len_bytes,
        hole: zero,
        zero,
    };
    // A hole of 64 KiB, then data; and holes to the end.
    let found = [extent(64 << 10, true), extent(960 << 10, false)];
    let empty = [extent(1 << 20, true)];
    let cases = [
        (&found[..], libc::SEEK_DATA, Some(64_u64 << 10)),
        (&found[..], libc::SEEK_HOLE, Some(0)),
        (&empty[..], libc::SEEK_DATA, None),
    ];
    for (extents, whence, offset) in cases {
        set.kernel.seek(9, 0, whence);
        set.receive();
        let mut request = set.take();
        assert_eq!(request.kind, RequestKind::Status);
        let buffer = request.buffer.as_mut().expect("room for two extents");
        buffer.set_len(extents.len() * Extent::BYTES);
        for (extent, room) in extents.iter().zip(buffer.chunks_mut(Extent::BYTES)) {
            room.copy_from_slice(&extent.encode());
        }
        set.reply(request.reply(Ok(())));
        let answer = match offset {
            Some(offset) => (9, 0, offset.to_ne_bytes().to_vec()),
            None => (9, libc::ENXIO, vec![]),
        };
        assert_eq!(set.kernel.answers(), [answer]);
    }
}

#[test]
fn requests_of_a_full_vdisk_wait_in_their_order_and_others_go_on() {
    let mut set = set();
    set.full.push(VdiskId(10));
    for (unique, inode, offset) in [(1, HERE, 0), (2, HERE, 4096), (3, ALSO_HERE, 8192)] {
        set.kernel.read(unique, inode, offset, 4096);
    }
    assert!(set.receive());
    assert_eq!(set.offsets(), [8192], "the other vdisk's goes");
    assert!(set.port.holds_requests());
    assert!(!set.submit_held(), "it is still full");
    set.full.clear();
    set.kernel.read(4, HERE, 12288, 4096);
    assert!(!set.receive(), "it must not overtake");
    assert_eq!(set.offsets(), [8192]);
    assert!(set.submit_held());
    assert_eq!(set.offsets(), [8192, 0, 4096, 12288]);
    assert!(!set.port.holds_requests());
    assert_eq!(set.port.turn(), PortStatus::Open);
}

#[test]
fn a_request_for_another_disk_goes_to_its_reactor_and_comes_back() {
    let mut set = set();
    set.kernel.read(1, ELSEWHERE, 0, 4096);
    set.receive();
    assert!(set.taken.is_empty(), "it is not for this reactor");
    assert!(
        !set.port.holds_requests(),
        "no reply of this disk makes room for it"
    );
    assert_eq!(set.port.turn(), PortStatus::Busy, "it is tried again");
    *set.hosts[1].room.lock().expect("no panic") = 1;
    assert_eq!(set.port.turn(), PortStatus::Open);
    let taken = set.hosts[1].taken.lock().expect("no panic").pop();
    let (mut request, callback) = taken.expect("it was taken");
    assert_eq!(request.vdisk, VdiskId(12));
    request.buffer.as_mut().expect("a buffer").fill(3);
    let mut reply = request.reply(Ok(()));
    reply.origin = 1 << 63;
    callback(reply);
    let mailed = set.hosts[0].replies.lock().expect("no panic").pop();
    let reply = mailed.expect("it came back to this reactor");
    assert_eq!(reply.origin, ORIGIN, "and finds the port");
    set.reply(reply);
    assert_eq!(set.kernel.answers(), [(1, 0, vec![3; 4096])]);
}

#[test]
fn a_request_for_a_reactor_that_has_stopped_fails() {
    let mut set = set();
    set.hosts[1].is_gone.store(true, Ordering::Relaxed);
    set.kernel.read(1, ELSEWHERE, 0, 4096);
    set.receive();
    assert_eq!(set.kernel.errors(), [(1, libc::ESHUTDOWN)]);
    set.port.drain();
    set.port.turn();
    assert!(
        set.drained.try_recv() == Err(oneshot::error::TryRecvError::Closed),
        "it is not in flight"
    );
}

#[test]
fn while_it_drains_new_requests_are_refused_and_old_ones_are_answered() {
    for by_mount in [false, true] {
        let mut set = set();
        set.kernel.write(1, (HERE, 2), 0, &[1; 16]);
        set.receive();
        let request = set.take();
        match by_mount {
            true => set.state.close(),
            false => set.port.drain(),
        }
        assert_eq!(set.port.turn(), PortStatus::Open);
        let waits = Err(oneshot::error::TryRecvError::Empty);
        assert!(set.drained.try_recv() == waits, "one is in flight");
        set.kernel.write(2, (HERE, 2), 0, &[2; 16]);
        assert!(!set.receive());
        assert_eq!(set.kernel.errors(), [(2, libc::ESHUTDOWN)]);
        assert!(set.taken.is_empty());
        set.reply(request.reply(Ok(())));
        assert_eq!(set.kernel.errors(), [(1, 0)]);
        assert_eq!(
            set.port.turn(),
            PortStatus::Open,
            "the mount is still there"
        );
        assert!(set.drained.try_recv() == Err(oneshot::error::TryRecvError::Closed));
    }
}

#[test]
fn a_connection_that_fails_closes_the_port_when_all_is_answered() {
    let mut set = set();
    set.kernel.read(1, HERE, 0, 4096);
    set.receive();
    let request = set.take();
    // A socket that is closed with unread bytes is reset.
    set.kernel.read(2, 99, 0, 4096);
    set.receive();
    let (other, _) = std::os::unix::net::UnixStream::pair().expect("a socket");
    set.kernel = Kernel(other.into());
    assert!(set.port.wants_input());
    assert!(!set.receive());
    assert!(!set.port.wants_input(), "it is not read again");
    assert!(!set.port.is_ready());
    assert_eq!(set.port.turn(), PortStatus::Open, "a request is in flight");
    set.reply(request.reply(Err(IoError::Io)));
    assert_eq!(set.port.turn(), PortStatus::Closed);
    assert!(set.drained.try_recv() == Err(oneshot::error::TryRecvError::Closed));
}

#[test]
fn no_more_is_read_than_may_be_in_flight() {
    let mut set = set();
    let mut sent = 0;
    while set.port.wants_input() {
        assert!(sent < 10_000, "there is a bound");
        set.kernel.fsync(sent, HERE);
        set.receive();
        sent += 1;
    }
    assert_eq!(set.taken.len() as u64, sent);
    set.kernel.fsync(sent, HERE);
    assert!(!set.receive(), "it waits in the kernel");
    let first = set.taken.remove(0);
    set.reply(first.reply(Ok(())));
    assert!(set.receive(), "there is room again");
    assert_eq!(set.taken.len() as u64, sent);
}

#[test]
fn what_is_malformed_or_for_no_file_reaches_no_vdisk() {
    let mut set = set();
    set.kernel.read(1, 99, 0, 4096);
    set.kernel.send((READ, 2, HERE), &[&[0; 8]]);
    set.kernel.send_bytes(&[0; 12]);
    set.kernel.fsync(3, HERE);
    assert!(set.receive(), "the last one goes on");
    let [(1, no_file), (2, libc::EINVAL)] = set.kernel.errors()[..] else {
        panic!("the first two fail");
    };
    assert_ne!(no_file, 0);
    assert_eq!(set.take().kind, RequestKind::Flush);
}
