//! A reference server for the tests: the listener and the sessions of this crate over disks that
//! are vectors of bytes. It answers each batch in reverse order, because the protocol allows it.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod reactor;

use disktime_engine::{
    BufferPool, IoError, Reply, ReplyDetail, Request, RequestKind, SessionStatus, VdiskId,
    ZeroPieces,
};
use disktime_nbd::{Accepted, Export, ExportHandle, ListenConfig, NbdListener};
use disktime_nbd_client::NbdClient;
use disktime_nbd_protocol::{NbdUri, OptionHeader, RequestHeader, option};
use disktime_testing::memory::{perform, piece_bytes};
use socket2::Socket;
use std::io::{IoSlice, Read, Write};
use std::sync::{Arc, Mutex};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;

pub(crate) const MIB: u64 = 1 << 20;

/// Every export's bytes; the export's handle is its index in the list.
pub(crate) type Disks = Arc<Vec<Mutex<Vec<u8>>>>;

/// A running reference server; stops when dropped.
pub(crate) struct TestServer {
    pub folder: tempfile::TempDir,
    pub disks: Disks,
    pub tcp_uri: NbdUri,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// The exports that most tests use.
pub(crate) fn usual_exports() -> Vec<Export> {
    let export = |at: u64, name: &str, size| {
        Export::new(ExportHandle(u128::from(at)), VdiskId(at), name, size)
    };
    let mut disk = export(0, "disk", 64 * MIB);
    disk.description = "a disk of the tests".into();
    let mut locked = export(1, "locked", MIB);
    locked.flags.read_only = true;
    // What is asked of it fails with EIO.
    let broken = export(2, "broken", MIB);
    vec![disk, locked, broken]
}

impl TestServer {
    pub(crate) fn start() -> TestServer {
        TestServer::with(usual_exports(), |_| {})
    }

    pub(crate) fn with(
        exports: Vec<Export>,
        configure: impl FnOnce(&mut ListenConfig),
    ) -> TestServer {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let disks: Disks = Arc::new(
            exports
                .iter()
                .map(|export| Mutex::new(vec![0; export.size_bytes as usize]))
                .collect(),
        );
        let mut config = ListenConfig {
            socket: Some(folder.path().join("nbd.sock")),
            listen: vec!["127.0.0.1:0".parse().expect("an address")],
            ..ListenConfig::default()
        };
        configure(&mut config);
        let listener = NbdListener::bind(config).expect("the sockets can be had");
        let tcp_uri = listener
            .export_addresses()
            .uris("disk")
            .pop()
            .expect("a TCP address");
        let (stop, stopped) = oneshot::channel();
        let served = disks.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(async move {
                let deliver = Arc::new(move |accepted| {
                    tokio::spawn(drive(accepted, served.clone()));
                });
                let stopped = async move { stopped.await.unwrap_or(()) };
                listener
                    .serve(Arc::new(exports), deliver, stopped)
                    .await
                    .expect("it serves");
            });
        });
        TestServer {
            folder,
            disks,
            tcp_uri,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(crate) fn uri(&self, export: &str) -> NbdUri {
        NbdUri::unix(self.folder.path().join("nbd.sock"), export)
    }

    pub(crate) fn client(&self, export: &str) -> NbdClient {
        NbdClient::connect(&self.uri(export)).expect("the server takes a client")
    }

    pub(crate) fn bytes(&self, disk: usize, from: usize, len: usize) -> Vec<u8> {
        self.disks[disk].lock().expect("no test panics in it")[from..from + len].to_vec()
    }

    /// Ends the server and waits until it has.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server ends in good order");
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Drives one session to its end.
async fn drive(accepted: Accepted, disks: Disks) {
    let Accepted {
        export,
        socket,
        mut session,
        ..
    } = accepted;
    let disk = export.handle.0 as usize;
    let broken = export.name == "broken";
    // SAFETY: the socket owns its descriptor for as long as it lives and always names the same.
    let socket = unsafe { AsyncFd::register(Socket::from(socket)) };
    let socket = socket.expect("the runtime watches the socket");
    let mut pool = BufferPool::new(16 << 20);
    loop {
        let mut batch = Vec::new();
        while let Some(request) = session.next_request(&mut pool) {
            batch.push(request);
        }
        for request in batch.into_iter().rev() {
            let reply = serve(request, &mut disks[disk].lock().expect("no panic"), broken);
            session.reply(reply, &mut pool);
        }
        let mut slices = [IoSlice::new(&[]); 16];
        let used = session.outgoing(&mut slices);
        let status = session.status();
        if matches!(status, SessionStatus::Broken(_))
            || status == SessionStatus::Finishing && used == 0
        {
            return session.abandon(&mut pool);
        }
        if used > 0 {
            let Ok(mut guard) = socket.ready(Interest::WRITABLE).await else {
                return;
            };
            match guard.try_io(|socket| socket.get_ref().send_vectored(&slices[..used])) {
                Ok(Ok(count)) => session.sent(count, &mut pool),
                Ok(Err(_)) => return session.abandon(&mut pool),
                Err(_) => {}
            }
            continue;
        }
        let space = session.space(&mut pool);
        assert!(
            !space.is_empty(),
            "nothing is in flight, so the session must have room"
        );
        let Ok(mut guard) = socket.ready(Interest::READABLE).await else {
            return;
        };
        match guard.try_io(|socket| socket.get_ref().read(space)) {
            Ok(Ok(0)) => session.end_of_input(),
            Ok(Ok(count)) => session.filled(count),
            Ok(Err(_)) => return session.abandon(&mut pool),
            Err(_) => {}
        }
    }
}

fn serve(request: Request, disk: &mut [u8], broken: bool) -> Reply {
    let offset_bytes = request.offset_bytes;
    let mut reply = perform(disk, request);
    if let (RequestKind::Read, Some(data)) = (reply.kind, &reply.buffer) {
        reply.detail = zeroes_of(offset_bytes, data);
    }
    if broken {
        reply.result = Err(IoError::Io);
    }
    reply
}

/// The reply of a service that knows which 64 KiB pieces are zeroes.
fn zeroes_of(offset_bytes: u64, data: &[u8]) -> ReplyDetail {
    let is_zero = |piece: &&[u8]| piece.iter().all(|byte| *byte == 0);
    let mut middle = ZeroPieces::of_read(offset_bytes, data.len() as u64);
    let mut pieces = Vec::new();
    let (mut rest, mut at) = (data, offset_bytes);
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(rest.len().min(piece_bytes(at)));
        pieces.push(piece);
        (rest, at) = (behind, at + piece.len() as u64);
        let end = (at - offset_bytes) as u32;
        if is_zero(&piece) {
            middle.add(end - piece.len() as u32, end);
        }
    }
    let len = |zeroes: &[&[u8]]| zeroes.concat().len() as u32;
    let first = pieces.iter().take_while(|piece| is_zero(piece)).count();
    let behind = &pieces[first..];
    let last = behind.iter().rev().take_while(|piece| is_zero(piece));
    ReplyDetail::Zeroes {
        first_bytes: len(&pieces[..first]),
        last_bytes: len(&behind[behind.len() - last.count()..]),
        middle,
    }
}

/// The client's half of a handshake for `export`, all at once.
pub(crate) fn opening(export: &str) -> Vec<u8> {
    let data = [
        &(export.len() as u32).to_be_bytes(),
        export.as_bytes(),
        &[0, 0],
    ];
    let go = OptionHeader::message(option::GO, &data.concat());
    [&3_u32.to_be_bytes()[..], &go].concat()
}

/// How many bytes the server sends after the opening: greeting, one INFO, one ACK.
pub(crate) const OPENING_ANSWER: usize = 18 + 20 + 12 + 20;

/// Agrees on `export` over a fresh connection.
pub(crate) fn choose(stream: &mut (impl Read + Write), export: &str) {
    stream
        .write_all(&opening(export))
        .expect("the server reads");
    stream
        .read_exact(&mut [0; OPENING_ANSWER])
        .expect("it agrees");
}

pub(crate) fn header(command: u16, cookie: u64, offset_bytes: u64, len_bytes: u32) -> [u8; 28] {
    RequestHeader::new(command, cookie, offset_bytes, len_bytes).encode()
}
