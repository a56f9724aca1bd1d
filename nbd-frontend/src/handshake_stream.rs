//! The byte stream of a handshake: plain until STARTTLS, encrypted afterwards.
//!
//! Invariants: TLS begins with the first byte after the reply to STARTTLS; memory is bounded by the
//! TLS channel's limits, whatever the client sends.
//!
//! What is not known here: NBD's messages.

use disktime_sockets::{Decrypted, ServerCredentials, TlsChannel};
use std::io::{self, IoSlice};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A stream, and its TLS once that has started.
pub(crate) struct HandshakeStream<'a, S> {
    stream: &'a mut S,
    channel: Option<TlsChannel>,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> HandshakeStream<'a, S> {
    /// A stream without TLS.
    pub(crate) fn new(stream: &'a mut S) -> HandshakeStream<'a, S> {
        let channel = None;
        HandshakeStream { stream, channel }
    }

    /// The TLS, if it has started.
    pub(crate) fn into_channel(self) -> Option<TlsChannel> {
        self.channel
    }

    /// Sends all of `bytes`.
    pub(crate) async fn send(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        if self.channel.is_none() {
            return self.stream.write_all(bytes).await.map_err(text);
        }
        while let (Some(channel), false) = (&mut self.channel, bytes.is_empty()) {
            let count = channel
                .write(&[IoSlice::new(bytes)])
                .map_err(|error| error.to_string())?;
            bytes = &bytes[count..];
            self.flush().await?;
        }
        Ok(())
    }

    /// Receives some bytes of the client, decrypted; 0 when it has closed the connection.
    pub(crate) async fn receive(&mut self, into: &mut [u8]) -> Result<usize, String> {
        if self.channel.is_none() {
            return self.stream.read(into).await.map_err(text);
        }
        while let Some(channel) = &mut self.channel {
            let found = channel.read(into);
            // After a failure this sends the alert, which may not arrive any more.
            let flushed = self.flush().await;
            match found.map_err(|error| error.to_string())? {
                Decrypted::Bytes(count) => return Ok(count),
                Decrypted::End => return Ok(0),
                Decrypted::NeedInput => flushed?,
            }
            if !self.fill().await? {
                return Ok(0);
            }
        }
        Ok(0)
    }

    /// Runs the TLS handshake; `false` if the client closed the connection.
    pub(crate) async fn start_tls(
        &mut self,
        credentials: &ServerCredentials,
    ) -> Result<bool, String> {
        self.channel = Some(credentials.channel().map_err(|error| error.to_string())?);
        while let Some(channel) = &mut self.channel {
            let advanced = channel.advance_handshake();
            let done = !channel.is_handshaking();
            let flushed = self.flush().await;
            advanced.map_err(|error| error.to_string())?;
            flushed?;
            if done {
                return Ok(true);
            }
            if !self.fill().await? {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// Closes TLS with close_notify, if it has started. The client may have closed the connection.
    pub(crate) async fn close(&mut self) {
        if let Some(channel) = &mut self.channel {
            channel.finish();
        }
        let _ = self.flush().await;
    }

    /// Receives encrypted bytes for the channel; `false` at the end of the stream.
    async fn fill(&mut self) -> Result<bool, String> {
        let Some(channel) = &mut self.channel else {
            return Ok(false);
        };
        let count = self.stream.read(channel.space()).await.map_err(text)?;
        channel.filled(count);
        Ok(count > 0)
    }

    /// Sends the encrypted bytes that wait.
    async fn flush(&mut self) -> Result<(), String> {
        let Some(channel) = &mut self.channel else {
            return Ok(());
        };
        let count = channel.outgoing().len();
        if count > 0 {
            let sent = self.stream.write_all(channel.outgoing()).await;
            channel.sent(count);
            sent.map_err(text)?;
        }
        Ok(())
    }
}

fn text(error: io::Error) -> String {
    error.to_string()
}
