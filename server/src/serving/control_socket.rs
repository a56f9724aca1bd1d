//! The control socket: one JSON object a line, a request and its answer.
//!
//! Requests: `{"command": "status"}`. An answer has either the result's members or `"error"`.
//! A client that sends something else gets a sentence and is heard on; a line is at most 64 KiB.

use crate::failure::{Failure, Outcome};
use disktime_sockets::{SocketAccess, UnixSocket};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::future::Future;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::task::{AbortHandle, JoinSet};

/// Longest line taken from a client.
const LINE_BYTES: u64 = 64 << 10;
/// Clients at once; one more takes the place of the oldest, which may have been forgotten by whoever opened it.
const CLIENTS: usize = 32;
/// When a client cannot be accepted (too many open files), the next try comes after this.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers requests.
pub trait Commands: Send + Sync + 'static {
    /// The answer to `{"command": "status"}`.
    fn status(&self) -> impl Future<Output = Outcome<Value>> + Send;
}

/// The listening socket; its file goes when it is dropped.
#[derive(Debug)]
pub struct ControlSocket(UnixSocket);

impl ControlSocket {
    /// Binds the socket, for this user alone. The file of a server that was killed is replaced.
    pub fn bind(path: &Path) -> Outcome<ControlSocket> {
        UnixSocket::bind(path, SocketAccess::default())
            .map(ControlSocket)
            .map_err(|error| {
                Failure::new(format!(
                    "the control socket cannot be opened: {error} (\"control\": {{\"socket\": ...}})"
                ))
            })
    }

    /// Serves clients until `stop` is done; then nobody holds `commands` any more.
    pub async fn serve(
        self,
        commands: Arc<impl Commands>,
        stop: impl Future<Output = ()>,
    ) -> Outcome {
        let listener = tokio::net::UnixListener::from_std(self.0.listener()?)?;
        let mut clients = JoinSet::new();
        let mut by_age: VecDeque<AbortHandle> = VecDeque::new();
        tokio::pin!(stop);
        let mut failing = false;
        loop {
            tokio::select! {
                () = &mut stop => break,
                accepted = listener.accept() => {
                    let stream = match accepted {
                        Ok((stream, _)) => {
                            failing = false;
                            stream
                        }
                        Err(error) => {
                            // Once, until one is accepted again.
                            if !std::mem::replace(&mut failing, true) {
                                tracing::warn!("a control client cannot be accepted: {error}");
                            }
                            tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
                            continue;
                        }
                    };
                    let commands = Arc::clone(&commands);
                    by_age.retain(|client| !client.is_finished());
                    if by_age.len() >= CLIENTS
                        && let Some(oldest) = by_age.pop_front()
                    {
                        oldest.abort();
                    }
                    let client = clients.spawn(async move {
                        if let Err(error) = converse(stream, &*commands).await {
                            tracing::debug!("a control client is gone: {error}");
                        }
                    });
                    by_age.push_back(client);
                }
                Some(_) = clients.join_next() => {}
            }
        }
        clients.shutdown().await;
        Ok(())
    }
}

async fn converse(stream: tokio::net::UnixStream, commands: &impl Commands) -> Outcome {
    let (reader, mut writer) = stream.into_split();
    let mut reader = tokio::io::BufReader::new(reader);
    let mut line = String::new();
    loop {
        line.clear();
        let count = (&mut reader).take(LINE_BYTES).read_line(&mut line).await?;
        if count == 0 {
            return Ok(());
        }
        let too_long = !line.ends_with('\n') && count as u64 == LINE_BYTES;
        let answer = if too_long {
            json!({ "error": "the line is longer than 64 KiB" })
        } else {
            answer(&line, commands).await
        };
        writer.write_all(format!("{answer}\n").as_bytes()).await?;
        if too_long {
            return Ok(());
        }
    }
}

async fn answer(line: &str, commands: &impl Commands) -> Value {
    let request: Value = match serde_json::from_str(line) {
        Ok(request) => request,
        Err(error) => return json!({ "error": format!("the line is not JSON: {error}") }),
    };
    let result = match request["command"].as_str() {
        Some("status") => commands.status().await,
        Some(other) => Err(Failure::new(format!(
            "there is no command `{other}`; there is `status`"
        ))),
        None => Err(Failure::new(
            "a request is an object such as {\"command\": \"status\"}",
        )),
    };
    result.unwrap_or_else(|failure| json!({ "error": failure.to_string() }))
}

/// Asks the server behind `path`.
pub fn ask(path: &Path, request: &Value) -> Outcome<Value> {
    let stream = UnixStream::connect(path).map_err(|error| {
        Failure::new(format!(
            "no server answers on {}: {error}; start one with `disktime serve FILE`, or name its \
             control socket with --control PATH",
            path.display()
        ))
    })?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    (&stream).write_all(format!("{request}\n").as_bytes())?;
    let mut line = String::new();
    BufReader::new(&stream)
        .read_line(&mut line)
        .map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => Failure::new(format!(
                "the server behind {} does not answer within {} s: it stands still, or has as many \
                 files open as it may (its log says so)",
                path.display(),
                PATIENCE.as_secs()
            )),
            _ => Failure::from(error),
        })?;
    let answer: Value = serde_json::from_str(&line).map_err(|error| {
        Failure::new(format!(
            "the server's answer on {} is not JSON: {error}",
            path.display()
        ))
    })?;
    match answer["error"].as_str() {
        Some(error) => Err(Failure::new(format!("the server says: {error}"))),
        None => Ok(answer),
    }
}
