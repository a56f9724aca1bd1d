//! Listening sockets, socket activation and TLS, for every protocol that is served.
//!
//! ```text
//!   listen      unix sockets with owner and mode, TCP sockets, adopted sockets
//!   activation  sockets that the parent process passes
//!   AllowList   which addresses may connect
//!   tls         server and client credentials from PEM files; one connection's TLS without I/O
//! ```
//!
//! What is not known here: any protocol, any disk, and the async runtime that drives the sockets.
#![deny(unsafe_code)]

mod activation;
mod allow_list;
mod listen;
mod tls;

pub use activation::{ActivationError, take_passed_sockets};
pub use allow_list::AllowList;
pub use listen::{ListenError, ListeningSocket, SocketAccess, UnixSocket, adopt, bind_tcp};
pub use tls::{
    CertificateError, ChannelError, ClientCredentials, Decrypted, ServerCredentials, TlsChannel,
    TlsReceiver, TlsSender, TlsSettings,
};
