//! What a virtual disk held at a moment, read over a connection to the server that serves it: for
//! the files of the past, and for commands that read files of a moment.
//!
//! Invariants: the moment stays open as long as this is kept; reads are requests of an NBD client,
//! so they are charged as those are.

use disktime_engine::RequestKind;
use disktime_image_files::Image;
use disktime_nbd_client::{ClientError, ClientRequest, NbdClient};
use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::time::Duration;

/// The longest read that is sent as one request.
const REQUEST_BYTES: usize = 1 << 20;
/// How long an answer may take, from a disk that hangs too.
const ANSWER_TIME: Duration = Duration::from_secs(60);

/// An image that is read over NBD.
pub(crate) struct MomentImage {
    /// `None` once the connection has failed.
    client: Mutex<Option<NbdClient>>,
    size_bytes: u64,
}

impl MomentImage {
    /// Chooses an export by a connection to a server.
    ///
    /// # Errors
    /// What the server says, or that it does not answer.
    pub(crate) fn open(connection: UnixStream, export: &str) -> Result<MomentImage, ClientError> {
        connection.set_read_timeout(Some(ANSWER_TIME))?;
        connection.set_write_timeout(Some(ANSWER_TIME))?;
        let client = NbdClient::over(connection, export)?;
        Ok(MomentImage {
            size_bytes: client.info().size_bytes,
            client: Mutex::new(Some(client)),
        })
    }
}

impl Image for MomentImage {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(into.len() as u64);
        if end.is_none_or(|end| end > self.size_bytes) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut slot = self
            .client
            .lock()
            .unwrap_or_else(|broken| broken.into_inner());
        let mut data = Vec::new();
        for (part, at) in into
            .chunks_mut(REQUEST_BYTES)
            .zip((offset..).step_by(REQUEST_BYTES))
        {
            let client = slot.as_mut().ok_or(ErrorKind::NotConnected)?;
            let request = ClientRequest::new(0, RequestKind::Read, at, part.len() as u32);
            match client.call(&request, &mut data) {
                Ok(reply) if reply.error != 0 => {
                    return Err(io::Error::from_raw_os_error(reply.error as i32));
                }
                Ok(_) => part.copy_from_slice(&data),
                Err(error) => {
                    // An answer that comes too late would be taken for that of the next request.
                    *slot = None;
                    return Err(io::Error::other(error));
                }
            }
        }
        Ok(())
    }
}
