//! Listening sockets, socket activation and TLS, for every protocol that is served.
//!
//! ```text
//!   listen      unix sockets with owner and mode, TCP sockets, adopted sockets
//!   unix_path   what path a unix socket may have, and which one clients get
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
mod unix_path;

pub use activation::{ActivationError, take_passed_sockets};
pub use allow_list::AllowList;
pub use listen::{
    ListenError, ListeningSocket, SocketAccess, UnixSocket, adopt, bind_tcp, check_tcp_free,
};
pub use tls::{
    CertificateError, ChannelError, ClientCredentials, Decrypted, ServerCredentials, TlsChannel,
    TlsReceiver, TlsSender, TlsSettings,
};
pub use unix_path::{
    MAX_SOCKET_PATH_BYTES, check_socket_path, check_unix_free, client_path, only_works_here,
    other_users_socket,
};
