//! Sessions driven by the engine's reactor, as in the server.

mod common;

use common::reactor::{Memory, RunningServer, with_config, with_server};
use common::{MIB, choose, header};
use disktime_engine::RequestKind;
use disktime_nbd_client::{ClientRequest, NbdClient};
use disktime_nbd_protocol::{SimpleReply, command};
use disktime_testing::programs::{PATIENCE, wait_until};
use socket2::SockRef;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::mpsc::channel;
use std::time::Duration;

/// Sends `count` reads, all of them before it takes the first reply; every one is answered.
fn ahead_of_replies(
    stream: &mut (impl Read + Write),
    count: u64,
    offset_bytes: u64,
    len_bytes: u32,
    error: u32,
) {
    choose(stream, "disk");
    let requests: Vec<u8> = (0..count)
        .flat_map(|cookie| header(command::READ, cookie, offset_bytes, len_bytes))
        .collect();
    stream
        .write_all(&requests)
        .expect("so little fits into the socket");
    let mut cookies = Vec::new();
    let mut data = vec![0; if error == 0 { len_bytes as usize } else { 0 }];
    for answered in 0..count {
        let mut reply = [0; SimpleReply::BYTES];
        stream
            .read_exact(&mut reply)
            .unwrap_or_else(|error| panic!("after {answered} of {count} replies: {error}"));
        let reply = SimpleReply::decode(&reply).expect("a reply's magic number");
        assert_eq!(reply.error, error);
        cookies.push(reply.cookie);
        stream.read_exact(&mut data).expect("the data of a read");
    }
    cookies.sort_unstable();
    assert_eq!(cookies, (0..count).collect::<Vec<u64>>());
    stream
        .write_all(&header(command::DISC, 0, 0, 0))
        .expect("the server reads");
    assert_eq!(stream.read(&mut [0; 1]).expect("a clean end"), 0);
}

#[test]
fn more_refused_requests_than_a_session_holds_are_all_answered() {
    // The session answers them itself, so the service does not wake the reactor for them.
    with_server(|server| {
        ahead_of_replies(&mut server.by_unix(), 2000, u64::MAX, 1, 22);
        ahead_of_replies(&mut server.by_tcp(), 2000, u64::MAX, 1, 22);
    });
}

#[test]
fn a_client_that_is_slow_to_read_is_served_to_the_end() {
    with_server(|server| {
        for (count, len_bytes) in [(1500, 16 << 10), (300, 1 << 20), (2000, 512)] {
            ahead_of_replies(&mut server.by_unix(), count, MIB, len_bytes, 0);
            ahead_of_replies(&mut server.by_tcp(), count, MIB, len_bytes, 0);
        }
    });
}

#[test]
fn requests_before_the_end_of_input_are_answered_and_the_end_is_noticed() {
    // A request and the end of input may arrive as one event, of which a read takes less than there
    // is space for.
    with_server(|server| {
        for count in [1, 1, 1, 100, 300] {
            let mut stream = server.by_unix();
            choose(&mut stream, "disk");
            let requests: Vec<u8> = (0..count)
                .flat_map(|cookie| header(command::READ, cookie, 0, 512))
                .collect();
            stream.write_all(&requests).expect("it fits");
            stream.shutdown(Shutdown::Write).expect("half closed");
            let mut replies = Vec::new();
            stream.read_to_end(&mut replies).expect("a clean end");
            assert_eq!(replies.len() as u64, count * (16 + 512));
        }
    });
}

#[test]
fn every_write_is_done_behind_a_short_queue() {
    with_server(|server| {
        let uri = &server.uris[0];
        let client = NbdClient::connect(uri).expect("the server takes a client");
        let (mut sender, mut receiver, _) = client.split();
        let mut data = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for tag in 0..2000_u32 {
                    let write = ClientRequest {
                        fua: tag.is_multiple_of(7),
                        ..ClientRequest::write(tag, u64::from(tag) * 4096, &[0xA5; 4096])
                    };
                    sender.send_request(&write).expect("sent");
                }
            });
            for _ in 0..2000 {
                let reply = receiver
                    .receive_reply(&mut data)
                    .expect("the connection holds");
                assert_eq!(reply.expect("a reply for every request").error, 0);
            }
        });
        let mut client = NbdClient::connect(uri).expect("the server takes a client");
        let read = ClientRequest::new(0, RequestKind::Read, 0, 2000 * 4096);
        assert_eq!(client.call(&read, &mut data).expect("served").error, 0);
        assert!(data.iter().all(|byte| *byte == 0xA5));
    });
}

/// Runs `visit` on the reactor's thread and returns what it found.
fn at_service<T: Send + 'static>(
    server: &RunningServer,
    visit: impl FnOnce(&mut Memory) -> T + Send + 'static,
) -> T {
    let (sender, receiver) = channel();
    let visit = Box::new(move |memory: &mut Memory, _| {
        let _ = sender.send(visit(memory));
    });
    server.reactor.visit(visit).expect("it runs");
    let found = receiver.recv_timeout(PATIENCE);
    found.expect("the reactor's thread comes by")
}

/// Waits until the service has so many requests.
fn await_queue(server: &RunningServer, count: usize) {
    wait_until("the requests are queued", || {
        at_service(server, |memory| memory.queue.len()) >= count
    });
}

/// Waits until so many clients were found to be gone.
fn await_gone(server: &RunningServer, count: usize) {
    wait_until("the clients are found to be gone", || {
        at_service(server, |memory| memory.abandoned.len()) >= count
    });
}

/// NBD: the server handles what was sent before DISC, though the client closes at once. Of a client
/// that closes without DISC it need not.
#[test]
fn requests_before_disc_are_not_abandoned_when_the_client_closes() {
    with_server(|server| {
        at_service(server, |memory| memory.holds = true);
        let leave = |sends_disc: bool| {
            let mut client = server.by_unix();
            choose(&mut client, "disk");
            let mut bytes = header(command::WRITE_ZEROES, 1, 0, 4096).to_vec();
            if sends_disc {
                bytes.extend(header(command::DISC, 2, 0, 0));
            }
            client.write_all(&bytes).expect("it fits");
        };
        leave(true);
        await_queue(server, 1);
        leave(false);
        await_queue(server, 2);
        // The reactor learns of the ends in their order.
        await_gone(server, 1);
        at_service(server, |memory| {
            let origins: Vec<u64> = memory.queue.iter().map(|request| request.origin).collect();
            assert_eq!(memory.abandoned, origins[1..]);
            memory.holds = false;
        });
    });
}

/// The vdisk stands still, and nothing more is read from its clients: one of their requests waits
/// for space in its queue (16), or their sessions hold as many requests as they may.
#[test]
fn a_client_that_is_gone_is_noticed_though_it_is_not_read() {
    let reads: Vec<u8> = (0..600)
        .flat_map(|cookie| header(command::READ, cookie, 0, 512))
        .collect();
    for (session_requests, submitted) in [(256, 16), (8, 8)] {
        let configure = |config: &mut disktime_nbd::ListenConfig| {
            config.connections = 1;
            config.session.requests = session_requests;
        };
        with_config(configure, |server| {
            at_service(server, |memory| memory.holds = true);
            let mut by_unix = server.by_unix();
            choose(&mut by_unix, "disk");
            by_unix.write_all(&reads).expect("it fits");
            await_queue(server, submitted);
            drop(by_unix);
            await_gone(server, 1);
            at_service(server, |memory| memory.queue.clear());
            // Its place is free: one is the limit.
            let mut by_tcp = server.by_tcp();
            choose(&mut by_tcp, "disk");
            by_tcp.write_all(&reads).expect("it fits");
            await_queue(server, submitted);
            // So a connection ends whose client was killed with replies that it had not read.
            let at_once = Some(Duration::ZERO);
            SockRef::from(&by_tcp)
                .set_linger(at_once)
                .expect("an option");
            drop(by_tcp);
            await_gone(server, 2);
            at_service(server, |memory| {
                memory.queue.clear();
                memory.holds = false;
            });
        });
    }
}
