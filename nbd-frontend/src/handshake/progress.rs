//! How far a handshake is, and whether it is encrypted.

use crate::export::Export;

/// The result of a step of a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HandshakeProgress {
    /// A message was handled; call `advance` again.
    Continue,
    /// More bytes of the client are needed.
    NeedBytes,
    /// The client uses this export from now on; [`super::Handshake::into_rest`] has the bytes that
    /// it sent ahead.
    Agreed(Box<Export>),
    /// TLS starts with the next byte; call [`super::Handshake::encrypted`] when its handshake is
    /// complete.
    StartTls,
    /// The client ended the handshake (ABORT).
    Aborted,
    /// The client broke the protocol: close the connection. The text is for the log.
    Broken(String),
}

/// Whether TLS is offered, required or active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// TLS is not offered (NOTLS).
    Unavailable,
    /// The client may start TLS (SELECTIVETLS).
    Offered,
    /// Before TLS, every option but STARTTLS and ABORT is answered with an error (FORCEDTLS).
    Required,
    /// TLS is active.
    Active,
}
