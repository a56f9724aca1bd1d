//! One connection from its greeting to the choice of an export: messages and TLS over a stream,
//! under a time limit.
//!
//! Invariants: TLS begins with the first byte behind the answer to STARTTLS, and what came before it
//! counts for nothing; a client that sent anything between the two is dropped. The memory of a
//! handshake is bounded whatever the client does.
//!
//! What is not known here: who serves the session.

use crate::access::{Access, Place, Visitor};
use crate::export::{Export, ExportDirectory};
use crate::handshake::{Encryption, Handshake, Progress};
use crate::negotiated::Negotiated;
use crate::server::{Accepted, Deliver, ListenConfig};
use crate::session::NbdSession;
use crate::tls::{Channel, Plain, TlsSession, describe};
use disktime_engine::Session;
use rustls::ServerConfig;
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What all accepting loops share.
pub(crate) struct Edge {
    pub(crate) config: ListenConfig,
    pub(crate) access: Arc<Access>,
    pub(crate) directory: Arc<dyn ExportDirectory>,
    pub(crate) deliver: Deliver,
}

/// A client that was let in.
pub(crate) struct Guest {
    /// For the log.
    pub(crate) name: String,
    /// `None` by a unix socket.
    pub(crate) address: Option<IpAddr>,
    pub(crate) place: Place,
}

impl Edge {
    /// Runs the handshake and hands the connection over.
    pub(crate) async fn welcome<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: S,
        guest: Guest,
        into_fd: impl FnOnce(S) -> io::Result<OwnedFd>,
    ) {
        let peer = guest.name;
        let visitor = Visitor::new(
            self.directory.clone(),
            self.access.clone(),
            guest.address,
            guest.place,
        );
        let encryption = match &self.config.tls {
            None => Encryption::Unavailable,
            Some(tls) if tls.require => Encryption::Required,
            Some(_) => Encryption::Offered,
        };
        let handshake =
            Handshake::new(visitor.clone(), self.config.handshake).with_encryption(encryption);
        let tls = self.config.tls.as_ref();
        let tls = move || tls.map(|tls| tls.credentials.config());
        let limit = self.config.handshake_time;
        let wire = Wire {
            stream: &mut stream,
            channel: None,
        };
        let negotiated = tokio::select! {
            negotiated = tokio::time::timeout(limit, wire.negotiate(handshake, tls)) => negotiated,
            () = visitor.until_it_has_to_leave() => return,
        };
        let agreed = match negotiated {
            Ok(Ok(Some(agreed))) => agreed,
            Ok(Ok(None)) => return,
            Ok(Err(reason)) => return tracing::info!("NBD client {peer} was dropped: {reason}"),
            Err(_) => {
                let seconds = limit.as_secs_f64();
                return tracing::info!(
                    "NBD client {peer} was dropped: it chose no export within {seconds} s"
                );
            }
        };
        let socket = match into_fd(stream) {
            Ok(socket) => socket,
            Err(error) => return tracing::warn!("NBD client {peer} was dropped: {error}"),
        };
        let Agreed {
            export,
            negotiated,
            carried,
            channel,
        } = agreed;
        // The visitor holds what the connection counts for, so it stays as long as the session.
        let session = NbdSession::new(export.clone(), self.config.session, &carried)
            .with_negotiated(negotiated)
            .with_lease(Box::new(visitor));
        let session: Box<dyn Session> = match channel {
            Some(channel) => Box::new(TlsSession::new(session, channel)),
            None => Box::new(session),
        };
        (self.deliver)(Accepted {
            export,
            socket,
            session,
            peer,
        });
    }
}

/// What a handshake came to.
struct Agreed {
    export: Export,
    negotiated: Negotiated,
    /// What the client sent behind it, in plain.
    carried: Vec<u8>,
    channel: Option<Channel>,
}

/// A stream and, once it is encrypted, the TLS on it.
struct Wire<'a, S> {
    stream: &'a mut S,
    channel: Option<Channel>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<'_, S> {
    /// Drives the handshake; `None` if the client left.
    async fn negotiate(
        mut self,
        mut handshake: Handshake,
        tls: impl Fn() -> Option<Arc<ServerConfig>>,
    ) -> Result<Option<Agreed>, String> {
        let mut chunk = [0; 2048];
        loop {
            let progress = handshake.advance();
            if !handshake.outgoing().is_empty() {
                let sent = self.send(handshake.outgoing()).await;
                handshake.sent();
                // Who has said good-bye need not wait for the answer.
                if sent.is_err() && progress == Progress::Aborted {
                    return Ok(None);
                }
                sent?;
            }
            match progress {
                Progress::Continue => {}
                Progress::NeedBytes => match self.receive(&mut chunk).await? {
                    0 => return Ok(None),
                    count => handshake.receive(&chunk[..count]),
                },
                Progress::StartTls => {
                    let config = tls().ok_or("there is no TLS to begin")?;
                    if !self.encrypt(config).await? {
                        return Err("it left during the TLS handshake".to_owned());
                    }
                    handshake.encrypted();
                }
                Progress::Agreed(export) => {
                    return Ok(Some(Agreed {
                        export: *export,
                        negotiated: handshake.negotiated(),
                        carried: handshake.into_rest(),
                        channel: self.channel,
                    }));
                }
                Progress::Aborted => {
                    if let Some(channel) = &mut self.channel {
                        channel.finish();
                    }
                    // It may have gone already.
                    let _ = self.flush().await;
                    return Ok(None);
                }
                Progress::Broken(reason) => return Err(reason),
            }
        }
    }

    async fn send(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        if self.channel.is_none() {
            return self.stream.write_all(bytes).await.map_err(said);
        }
        while let (Some(channel), false) = (&mut self.channel, bytes.is_empty()) {
            let count = channel
                .write(&[IoSlice::new(bytes)])
                .map_err(|error| describe(&error))?;
            bytes = &bytes[count..];
            self.flush().await?;
        }
        Ok(())
    }

    /// Some bytes of the client, in plain; 0 when it has left.
    async fn receive(&mut self, into: &mut [u8]) -> Result<usize, String> {
        if self.channel.is_none() {
            return self.stream.read(into).await.map_err(said);
        }
        while let Some(channel) = &mut self.channel {
            let found = channel.read(into);
            // After a failure this is the alert, which may not arrive any more.
            let flushed = self.flush().await;
            match found.map_err(|error| describe(&error))? {
                Plain::Bytes(count) => return Ok(count),
                Plain::End => return Ok(0),
                Plain::Wait => flushed?,
            }
            if !self.fill().await? {
                return Ok(0);
            }
        }
        Ok(0)
    }

    /// Runs the TLS handshake; `false` if the client left.
    async fn encrypt(&mut self, config: Arc<ServerConfig>) -> Result<bool, String> {
        self.channel = Some(Channel::new(config).map_err(|error| describe(&error))?);
        while let Some(channel) = &mut self.channel {
            let shaken = channel.shake_hands();
            let done = !channel.is_handshaking();
            let flushed = self.flush().await;
            shaken.map_err(|error| describe(&error))?;
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

    /// Reads bytes of the wire for the channel; `false` at their end.
    async fn fill(&mut self) -> Result<bool, String> {
        let Some(channel) = &mut self.channel else {
            return Ok(false);
        };
        let count = self.stream.read(channel.space()).await.map_err(said)?;
        channel.filled(count);
        Ok(count > 0)
    }

    async fn flush(&mut self) -> Result<(), String> {
        let Some(channel) = &mut self.channel else {
            return Ok(());
        };
        let count = channel.outgoing().len();
        if count > 0 {
            let sent = self.stream.write_all(channel.outgoing()).await;
            channel.sent(count);
            sent.map_err(said)?;
        }
        Ok(())
    }
}

fn said(error: io::Error) -> String {
    error.to_string()
}
