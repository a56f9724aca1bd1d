//! Listener, sessions and the engine's reactor, wired as in the server, over a vdisk in memory.

use super::MIB;
use disktime_engine::{Reactor, ReactorHandle, Reply, Request, Service, VdiskId};
use disktime_nbd::{Accepted, Export, ExportHandle, ListenConfig, NbdListener};
use disktime_nbd_protocol::{NbdUri, Transport};
use disktime_testing::memory::perform;
use disktime_units::Nanos;
use std::net::TcpStream;
use std::os::fd::RawFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// A vdisk in memory that takes few requests at a time and answers the last one first.
pub(crate) struct Memory {
    pub bytes: Vec<u8>,
    pub queue: Vec<Request>,
    /// Requests are queued and not answered.
    pub holds: bool,
    /// The origins whose client was gone.
    pub abandoned: Vec<u64>,
}

impl Service for Memory {
    fn submit(&mut self, _now: Nanos, request: Request) -> Result<(), Request> {
        if self.queue.len() == 16 {
            return Err(request);
        }
        self.queue.push(request);
        Ok(())
    }

    fn turn(&mut self, _now: Nanos, replies: &mut Vec<Reply>) {
        while !self.holds
            && let Some(request) = self.queue.pop()
        {
            replies.push(perform(&mut self.bytes, request));
        }
    }

    fn next_wake(&self) -> Option<Nanos> {
        None
    }

    fn wake_fds(&self) -> Vec<RawFd> {
        Vec::new()
    }

    fn client_gone(&mut self, origin: u64) {
        self.abandoned.push(origin);
    }

    fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }
}

/// The running server: its addresses and its reactor.
pub(crate) struct RunningServer {
    /// The URIs of the unix socket and of the TCP port.
    pub uris: Vec<NbdUri>,
    pub reactor: ReactorHandle<Memory>,
}

impl RunningServer {
    /// Connects by the unix socket. No test relies on the time limit; it makes a hanging server
    /// fail.
    pub(crate) fn by_unix(&self) -> UnixStream {
        let Transport::Unix { path } = &self.uris[0].transport else {
            panic!("{} is not a unix socket", self.uris[0]);
        };
        let stream = UnixStream::connect(path).expect("it listens");
        let limit = Some(Duration::from_secs(20));
        stream.set_read_timeout(limit).expect("a time limit");
        stream
    }

    pub(crate) fn by_tcp(&self) -> TcpStream {
        let Transport::Tcp { host, port } = &self.uris[1].transport else {
            panic!("{} is not TCP", self.uris[1]);
        };
        let stream = TcpStream::connect((host.as_str(), *port)).expect("it listens");
        let limit = Some(Duration::from_secs(20));
        stream.set_read_timeout(limit).expect("a time limit");
        stream
    }
}

/// Runs `clients` against listener, sessions and reactor, and stops them cleanly.
pub(crate) fn with_server(clients: impl FnOnce(&RunningServer)) {
    with_config(|_| {}, clients);
}

/// The same with another configuration.
pub(crate) fn with_config(
    configure: impl FnOnce(&mut ListenConfig),
    clients: impl FnOnce(&RunningServer),
) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut config = ListenConfig {
        socket: Some(folder.path().join("nbd.sock")),
        listen: vec!["127.0.0.1:0".parse().expect("an address")],
        ..ListenConfig::default()
    };
    configure(&mut config);
    let listener = NbdListener::bind(config).expect("the sockets can be had");
    let memory = Memory {
        bytes: vec![0; 16 * MIB as usize],
        queue: Vec::new(),
        holds: false,
        abandoned: Vec::new(),
    };
    let (reactor, handle) = Reactor::new(memory, Instant::now()).expect("a reactor");
    let server = RunningServer {
        uris: listener.export_addresses().uris("disk"),
        reactor: handle.clone(),
    };
    let exports = vec![Export::new(ExportHandle(0), VdiskId(0), "disk", 16 * MIB)];
    let (stop, stopped) = oneshot::channel::<()>();
    std::thread::scope(|scope| {
        let reactor = scope.spawn(move || reactor.run());
        let to_reactor = handle.clone();
        let listening = scope.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(async move {
                let deliver = Arc::new(move |accepted: Accepted| {
                    let _ = to_reactor.connect(accepted.socket, accepted.session);
                });
                let stopped = async move { stopped.await.unwrap_or(()) };
                listener.serve(Arc::new(exports), deliver, stopped).await
            })
        });
        let outcome = catch_unwind(AssertUnwindSafe(|| clients(&server)));
        drop(stop);
        listening.join().expect("no panic").expect("it served");
        // This fails only if the test has stopped it already.
        let _ = handle.stop();
        reactor.join().expect("no panic").expect("it ran");
        if let Err(panic) = outcome {
            resume_unwind(panic);
        }
    });
}
