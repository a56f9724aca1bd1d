//! NBD URIs: `nbd://host:port/NAME` and `nbd+unix:///NAME?socket=PATH`, with `nbds` for TLS, parsed
//! and written.
//!
//! What is not known here: whether a server listens at that address.

use crate::constants::DEFAULT_PORT;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use thiserror::Error;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp {
        /// Host name or address; IPv6 without its brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// A unix socket.
    Unix {
        /// The socket's path.
        path: PathBuf,
    },
}

/// The address of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NbdUri {
    /// Where the server listens.
    pub transport: Transport,
    /// The export's name; empty for the server's only export.
    pub export: String,
    /// Whether the connection is encrypted (`nbds`).
    pub tls: bool,
    /// The directory of the client's certificates (`tls-certificates`), on the client's machine.
    pub certificates: Option<PathBuf>,
}

/// Why a text is not a usable NBD URI.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{text}` is not a usable NBD URI: {cause}; write nbd://HOST:PORT/NAME or \
         nbd+unix:///NAME?socket=PATH"
)]
pub struct UriError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub cause: String,
}

impl NbdUri {
    /// The export `export` behind the unix socket `path`.
    pub fn unix(path: impl Into<PathBuf>, export: &str) -> NbdUri {
        NbdUri {
            transport: Transport::Unix { path: path.into() },
            export: export.to_owned(),
            tls: false,
            certificates: None,
        }
    }

    /// The export `export` of the server at `host` and `port`.
    pub fn tcp(host: &str, port: u16, export: &str) -> NbdUri {
        let transport = Transport::Tcp {
            host: host.to_owned(),
            port,
        };
        NbdUri {
            transport,
            export: export.to_owned(),
            tls: false,
            certificates: None,
        }
    }
}

impl NbdUri {
    /// The same export over TLS, with the client's certificates in `dir`.
    pub fn with_certificates(&self, dir: &Path) -> NbdUri {
        NbdUri {
            tls: true,
            certificates: Some(dir.to_owned()),
            ..self.clone()
        }
    }
}

impl fmt::Display for NbdUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let export = Escaped(self.export.as_bytes());
        let scheme = if self.tls { "nbds" } else { "nbd" };
        match &self.transport {
            Transport::Tcp { host, port } => {
                let (open, close) = if host.contains(':') {
                    ("[", "]")
                } else {
                    ("", "")
                };
                write!(f, "{scheme}://{open}{host}{close}")?;
                if *port != DEFAULT_PORT {
                    write!(f, ":{port}")?;
                }
                write!(f, "/{export}")?;
            }
            Transport::Unix { path } => {
                let path = Escaped(path.as_os_str().as_bytes());
                write!(f, "{scheme}+unix:///{export}?socket={path}")?;
            }
        }
        let Some(dir) = &self.certificates else {
            return Ok(());
        };
        let mark = match self.transport {
            Transport::Tcp { .. } => '?',
            Transport::Unix { .. } => '&',
        };
        let dir = Escaped(dir.as_os_str().as_bytes());
        write!(f, "{mark}tls-certificates={dir}")
    }
}

impl FromStr for NbdUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<NbdUri, UriError> {
        parse(text).map_err(|cause| UriError {
            text: text.to_owned(),
            cause,
        })
    }
}

fn parse(text: &str) -> Result<NbdUri, String> {
    let (scheme, rest) = text.split_once("://").ok_or("it has no `://`")?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, name) = rest.split_once('/').unwrap_or((rest, ""));
    let export = String::from_utf8(unescape(name)?)
        .map_err(|_| "its export name is not valid UTF-8".to_owned())?;
    let transport = match scheme {
        "nbd" | "nbds" => tcp_transport(authority)?,
        "nbd+unix" | "nbds+unix" => unix_transport(authority, query)?,
        _ => return Err(format!("its scheme is `{scheme}`")),
    };
    Ok(NbdUri {
        transport,
        export,
        tls: scheme.starts_with("nbds"),
        certificates: parameter(query, "tls-certificates")?,
    })
}

fn tcp_transport(authority: &str) -> Result<Transport, String> {
    let bad_port = |port: &str| format!("`{port}` is not a port number");
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or("its `[` is not closed")?;
        let port = match after.strip_prefix(':') {
            Some(port) => Some(port),
            None if after.is_empty() => None,
            None => return Err(format!("`{after}` follows the address")),
        };
        (host, port)
    } else {
        match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    if host.contains(['[', ']']) {
        return Err("its host has a bracket inside".into());
    }
    let port = match port {
        Some(port) => port.parse().map_err(|_| bad_port(port))?,
        None => DEFAULT_PORT,
    };
    let host = if host.is_empty() { "localhost" } else { host };
    Ok(Transport::Tcp {
        host: host.to_owned(),
        port,
    })
}

fn unix_transport(authority: &str, query: &str) -> Result<Transport, String> {
    if !authority.is_empty() {
        return Err("a unix socket has no host: there are three `/` after the `:`".into());
    }
    let path = parameter(query, "socket")?.ok_or("it has no `?socket=PATH`")?;
    Ok(Transport::Unix { path })
}

/// The path of a query parameter; an empty one counts as absent.
fn parameter(query: &str, name: &str) -> Result<Option<PathBuf>, String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let found = pairs.find(|(key, value)| *key == name && !value.is_empty());
    let path = found.map(|(_, value)| unescape(value)).transpose()?;
    Ok(path.map(|path| std::ffi::OsString::from_vec(path).into()))
}

fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first != b'%' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let digit = |at: usize| after.get(at).and_then(|byte| (*byte as char).to_digit(16));
        let (Some(high), Some(low)) = (digit(0), digit(1)) else {
            return Err("a `%` in it is not followed by two hexadecimal digits".into());
        };
        bytes.push((high * 16 + low) as u8);
        rest = &after[2..];
    }
    Ok(bytes)
}

/// Bytes in which every character with a meaning in URIs is escaped.
struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                    write!(f, "{}", *byte as char)?;
                }
                _ => write!(f, "%{byte:02X}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
