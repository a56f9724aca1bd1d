//! NBD clients of the tests: one that behaves, with an answer to every question, and the bare
//! socket for those that do not.

use crate::programs::PATIENCE;
use disktime_engine::RequestKind;
use disktime_nbd_client::{ClientRequest, NbdClient};
use disktime_nbd_protocol::{
    INIT_MAGIC, NbdUri, OPTION_MAGIC, OptionHeader, RequestHeader, Transport, handshake_flag,
    option,
};
pub(crate) use disktime_testing::bytes::{assert_same, assert_zeroes, pattern};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// A client that asks one thing at a time.
pub(crate) struct Client {
    client: NbdClient,
}

impl Client {
    #[track_caller]
    pub(crate) fn connect(uri: &NbdUri) -> Client {
        let client = NbdClient::connect(uri);
        Client {
            client: client.unwrap_or_else(|error| panic!("{uri}: {error}")),
        }
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.client.info().size_bytes
    }

    /// Asks; the reply's error number is 0 when it was done, and a read's data is returned.
    #[track_caller]
    pub(crate) fn ask(
        &mut self,
        kind: RequestKind,
        offset_bytes: u64,
        len_bytes: u32,
        data: &[u8],
    ) -> (u32, Vec<u8>) {
        let request = ClientRequest {
            data,
            ..ClientRequest::new(7, kind, offset_bytes, len_bytes)
        };
        let mut got = Vec::new();
        let reply = self.client.call(&request, &mut got);
        let reply = reply.unwrap_or_else(|error| panic!("{kind:?} at {offset_bytes}: {error}"));
        (reply.error, got)
    }

    #[track_caller]
    fn done(
        &mut self,
        kind: RequestKind,
        offset_bytes: u64,
        len_bytes: u32,
        data: &[u8],
    ) -> Vec<u8> {
        let (error, got) = self.ask(kind, offset_bytes, len_bytes, data);
        assert_eq!(
            error, 0,
            "{kind:?} of {len_bytes} bytes at {offset_bytes} failed"
        );
        got
    }

    #[track_caller]
    pub(crate) fn read(&mut self, offset_bytes: u64, len_bytes: u32) -> Vec<u8> {
        self.done(RequestKind::Read, offset_bytes, len_bytes, &[])
    }

    #[track_caller]
    pub(crate) fn write(&mut self, offset_bytes: u64, data: &[u8]) {
        self.done(RequestKind::Write, offset_bytes, data.len() as u32, data);
    }

    #[track_caller]
    pub(crate) fn flush(&mut self) {
        self.done(RequestKind::Flush, 0, 0, &[]);
    }

    #[track_caller]
    pub(crate) fn write_zeroes(&mut self, offset_bytes: u64, len_bytes: u32) {
        self.done(RequestKind::WriteZeroes, offset_bytes, len_bytes, &[]);
    }

    /// The whole vdisk.
    #[track_caller]
    pub(crate) fn read_all(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        while (all.len() as u64) < self.size_bytes() {
            let left = self.size_bytes() - all.len() as u64;
            all.extend(self.read(all.len() as u64, left.min(4 << 20) as u32));
        }
        all
    }

    /// Writes the whole vdisk with bytes that differ from place to place and from seed to seed,
    /// makes them durable, and returns them.
    #[track_caller]
    pub(crate) fn fill(&mut self, seed: u64) -> Vec<u8> {
        let bytes = pattern(self.size_bytes() as usize, seed);
        for (chunk, data) in bytes.chunks(4 << 20).enumerate() {
            self.write((chunk as u64) * (4 << 20), data);
        }
        self.flush();
        bytes
    }
}

/// A connection to the unix socket behind a URI, before the handshake. A server that hangs makes
/// the test fail, not hang.
#[track_caller]
pub(crate) fn raw(uri: &NbdUri) -> UnixStream {
    let Transport::Unix { path } = &uri.transport else {
        panic!("{uri} is not a unix socket's");
    };
    let stream = UnixStream::connect(path).unwrap_or_else(|error| panic!("{uri}: {error}"));
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a time limit");
    stream
}

/// A connection that has chosen its export the old way (EXPORT_NAME), ready for requests.
#[track_caller]
pub(crate) fn chosen(uri: &NbdUri) -> UnixStream {
    let mut stream = raw(uri);
    let mut greeting = [0; 18];
    stream.read_exact(&mut greeting).expect("a greeting");
    assert_eq!(greeting[..8], INIT_MAGIC.to_be_bytes());
    assert_eq!(greeting[8..16], OPTION_MAGIC.to_be_bytes());
    let flags = handshake_flag::FIXED_NEWSTYLE | handshake_flag::NO_ZEROES;
    let mut message = u32::from(flags).to_be_bytes().to_vec();
    message.extend(OptionHeader::message(
        option::EXPORT_NAME,
        uri.export.as_bytes(),
    ));
    stream.write_all(&message).expect("the server reads");
    stream.read_exact(&mut [0; 10]).expect("size and flags");
    stream
}

/// The bytes of a request's header.
pub(crate) fn header(command: u16, cookie: u64, offset_bytes: u64, len_bytes: u32) -> Vec<u8> {
    let header = RequestHeader::new(command, cookie, offset_bytes, len_bytes);
    header.encode().to_vec()
}
