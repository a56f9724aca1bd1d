//! kill -9 under write load, again and again: every write that was acknowledged before a FLUSH that
//! was answered is there after the restart (I4), on a disk of zeroes and on one that held something
//! else, whose zero maps have to survive as well, and of vdisks whose newest data lies in a log, on
//! the same disk and on another one.

use crate::server::Server;
use crate::test_directory::TestDirectory;
use disktime_engine::RequestKind;
use disktime_nbd_client::{ClientError, ClientRequest, NbdClient};
use disktime_nbd_protocol::NbdUri;
use disktime_random::Random;
use disktime_workloads::{
    FlushTicket, STAMP_BLOCK_BYTES, StampAction, StampChecker, StampLoad, WriteTicket,
};
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

const ROUNDS: u64 = 20;
const BLOCKS: usize = 1024;
const DEPTH: usize = 16;
/// A round ends by a kill at a random one of the first so many replies.
const REPLIES_MOST: u64 = 1_200;

enum UnderWay {
    Write(WriteTicket, bool),
    Flush(FlushTicket),
}

/// Writes and flushes until the server is gone. The reply that makes the count full asks for the
/// kill; more may follow until it comes.
struct Load<'a> {
    checker: &'a mut StampChecker,
    actions: StampLoad,
    client: NbdClient,
    under_way: Vec<Option<UnderWay>>,
    replies: &'a AtomicU64,
    kill_at: u64,
    kill: SyncSender<()>,
}

impl Load<'_> {
    fn run(&mut self) {
        loop {
            if self.fill_up().is_err() {
                return;
            }
            let mut data = Vec::new();
            let Ok(Some(reply)) = self.client.receive_reply(&mut data) else {
                return;
            };
            assert_eq!(reply.error, 0, "no request fails");
            match self.under_way[reply.tag as usize].take() {
                Some(UnderWay::Write(ticket, fua)) => self.checker.write_done(ticket, fua),
                Some(UnderWay::Flush(ticket)) => self.checker.flush_done(ticket),
                None => panic!("a reply to nothing"),
            }
            if self.replies.fetch_add(1, Ordering::Relaxed) + 1 == self.kill_at {
                self.kill.send(()).expect("the test waits for it");
            }
        }
    }

    fn fill_up(&mut self) -> Result<(), ClientError> {
        while let Some(tag) = self.under_way.iter().position(Option::is_none) {
            let Some(action) = self.actions.next_action(self.checker) else {
                return Ok(());
            };
            let mut data = Vec::new();
            let (kind, offset_bytes, under_way) = match action {
                StampAction::Write { ticket, fua } => {
                    data.resize(ticket.len_bytes(), 0);
                    self.checker.fill(&ticket, &mut data);
                    (
                        RequestKind::Write,
                        ticket.offset_bytes(),
                        UnderWay::Write(ticket, fua),
                    )
                }
                StampAction::Flush(ticket) => (RequestKind::Flush, 0, UnderWay::Flush(ticket)),
            };
            let request = ClientRequest {
                fua: matches!(under_way, UnderWay::Write(_, true)),
                data: &data,
                ..ClientRequest::new(tag as u32, kind, offset_bytes, data.len() as u32)
            };
            self.under_way[tag] = Some(under_way);
            self.client.send_request(&request)?;
        }
        Ok(())
    }
}

fn connect(uri: &NbdUri) -> NbdClient {
    NbdClient::connect(uri).unwrap_or_else(|error| panic!("{error}"))
}

/// Checks every block, and takes what is found for what is there.
fn recover(server: &Server, vdisk: &str, checker: &mut StampChecker) {
    let mut client = server.client(vdisk);
    let all = client.read_all();
    for (block, bytes) in all.chunks(STAMP_BLOCK_BYTES).enumerate() {
        if let Err(violation) = checker.recover(block as u64, bytes) {
            panic!("{vdisk}: {violation}");
        }
    }
}

#[test]
fn what_was_flushed_survives_kill_9() {
    let disks = r#""zeroes": { "path": "zeroes.disk", "size": "160MiB", "seeks": false },
        "mapped": { "path": "mapped.disk", "seeks": false },
        "image": { "path": "image.disk", "size": "32MiB", "seeks": false },
        "logs": { "path": "logs.disk", "size": "96MiB", "seeks": false }"#;
    let vdisks = r#""z": { "disk": "zeroes", "size": "4MiB" },
        "m": { "disk": "mapped", "size": "4MiB" },
        "h": { "disk": "zeroes", "size": "4MiB", "history": { "window": "1h", "max": "64MiB" } },
        "f": { "disk": "image", "size": "4MiB",
               "history": { "window": "1s", "max": "64MiB", "disk": "logs" } }"#;
    let place = TestDirectory::configured(disks, vdisks, r#""nbd": {}, "fuse": {}"#);
    fs::create_dir(place.path("state")).expect("a directory");
    place.write("state/mapped.disk", vec![0x5A; 64 << 20]);
    place.succeeds(&["format", "--force", "--disk", "mapped", "--yes"]);

    let mut checkers: Vec<(&str, StampChecker)> = [("z", 1), ("m", 2), ("h", 3), ("f", 4)]
        .map(|(name, id)| (name, StampChecker::new(id, BLOCKS)))
        .into();
    let mut random = Random::labelled(20, "kill");
    let mut replies_in_all = 0;
    for round in 0..ROUNDS {
        let server = place.start();
        for (vdisk, checker) in &mut checkers {
            recover(&server, vdisk, checker);
        }
        let replies = AtomicU64::new(0);
        let kill_at = 1 + random.below(REPLIES_MOST);
        let (kill, killed) = sync_channel(4);
        std::thread::scope(|scope| {
            for (number, (vdisk, checker)) in checkers.iter_mut().enumerate() {
                let mut load = Load {
                    checker,
                    actions: StampLoad::new(round * 4 + number as u64, 8),
                    client: connect(&server.uri(vdisk)),
                    under_way: (0..DEPTH).map(|_| None).collect(),
                    replies: &replies,
                    kill_at,
                    kill: kill.clone(),
                };
                scope.spawn(move || load.run());
            }
            drop(kill);
            // Both loads ended without reaching the count only if the server failed.
            killed
                .recv()
                .unwrap_or_else(|_| panic!("it failed: {}", server.said()));
            server.kill();
        });
        for (_, checker) in &mut checkers {
            checker.crashed();
        }
        replies_in_all += replies.into_inner();
    }
    let server = place.start();
    for (vdisk, checker) in &mut checkers {
        recover(&server, vdisk, checker);
    }
    server.stop();
    assert!(replies_in_all >= ROUNDS, "{replies_in_all} replies");
}
