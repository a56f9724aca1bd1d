//! Unit tests of `negotiate`: the time limit of a handshake, on a clock that the tests turn.

use super::*;
use crate::export::ExportHandle;
use crate::handshake::HandshakeLimits;
use disktime_engine::VdiskId;
use disktime_nbd_protocol::{OptionHeader, handshake_flag, option};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const LIMIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(6);

/// How a handshake with a client that does `run` ends, if it has the limit for each of its options.
/// The client's side stays open.
async fn client_of<T>(run: impl AsyncFnOnce(DuplexStream) -> T) -> Result<Option<Agreed>, String> {
    client_within(Patience::for_each_option(LIMIT), run).await.0
}

/// How the handshake ends, and after which time.
async fn client_within<T>(
    patience: Patience,
    run: impl AsyncFnOnce(DuplexStream) -> T,
) -> (Result<Option<Agreed>, String>, Duration) {
    let start = Instant::now();
    let (client, mut server) = tokio::io::duplex(64 << 10);
    let directory = vec![Export::new(ExportHandle(1), VdiskId(1), "a", 1 << 20)];
    let handshake = Handshake::new(Arc::new(directory), HandshakeLimits::default());
    let wire = HandshakeStream::new(&mut server);
    let timed = async {
        let driven = drive(wire, handshake, None, patience).await;
        (driven, start.elapsed())
    };
    let (driven, _client) = tokio::join!(timed, run(client));
    driven
}

async fn greeted(client: &mut DuplexStream) {
    let mut greeting = [0; 18];
    client.read_exact(&mut greeting).await.expect("a greeting");
    let flags = u32::from(handshake_flag::FIXED_NEWSTYLE).to_be_bytes();
    client.write_all(&flags).await.expect("the server reads");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_asks_one_thing_after_the_other_has_time_for_each() {
    let agreed = client_of(async |mut client| {
        greeted(&mut client).await;
        for _ in 0..50 {
            tokio::time::sleep(PAUSE).await;
            let asked = OptionHeader::message(option::LIST, b"");
            client.write_all(&asked).await.expect("the server reads");
        }
        tokio::time::sleep(PAUSE).await;
        let chosen = OptionHeader::message(option::EXPORT_NAME, b"a");
        client.write_all(&chosen).await.expect("the server reads");
        client
    });
    let agreed = agreed.await.expect("in time").expect("it chose");
    assert_eq!(agreed.export.name, "a");
}

#[tokio::test(start_paused = true)]
async fn a_client_above_the_limit_has_one_time_for_all_it_asks() {
    let driven = client_within(Patience::for_the_whole(LIMIT), async |mut client| {
        greeted(&mut client).await;
        for _ in 0..5 {
            tokio::time::sleep(PAUSE).await;
            let asked = OptionHeader::message(option::LIST, b"");
            client.write_all(&asked).await.expect("the pipe is open");
        }
    });
    let (driven, time) = driven.await;
    let reason = driven.err().expect("an error");
    assert!(reason.contains("limit of connections"), "{reason}");
    assert_eq!(time, LIMIT, "what it asks meanwhile gives it no more time");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_an_option_byte_by_byte_is_closed_after_its_time() {
    let driven = client_of(async |mut client| {
        greeted(&mut client).await;
        for byte in OptionHeader::message(option::LIST, b"") {
            tokio::time::sleep(PAUSE).await;
            if client.write_all(&[byte]).await.is_err() {
                return;
            }
        }
    });
    let reason = driven.await.err().expect("an error");
    assert!(reason.contains("longer than 10 s"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_closed_after_its_time() {
    let start = Instant::now();
    let driven = client_of(async |mut client| {
        greeted(&mut client).await;
        tokio::time::sleep(LIMIT * 2).await;
    });
    let reason = driven.await.err().expect("an error");
    assert!(reason.contains("longer than 10 s"), "{reason}");
    assert_eq!(start.elapsed(), LIMIT * 2, "nothing else waited");
}
