//! The control socket: a unix socket that takes one JSON object per line and answers each by
//! another.
//!
//! Requests: `{"command": "status"}`, and those of histories, which name a vdisk: `history`, `mark`
//! (with `name`), `revert` (with `to`, a moment) and `undo-revert`, both with `disconnect`: true
//! where clients are to be disconnected; `clone` (with `moment`, and `name`, or `names` for several
//! of them at once), and `drop` of a clone.
//! Before the answer to `verify` come lines `{"progress": {"done_bytes": …, "all_bytes": …}}`,
//! twice a second, and a client that closes the connection, or does not read them, ends it. After
//! the answer to `nbd` the connection is one of NBD, by which the exports of moments are read. An
//! answer is the result, or `{"error": "a sentence"}`. After an error the connection stays open,
//! except after a line of more than 64 KiB: that one is answered by an error and closed. Limit: 32
//! connections; one more closes the oldest.

mod cloning;
mod following;

pub(crate) use cloning::{CloneRequest, Names};
pub(crate) use following::follow;

use crate::failure::{CommandResult, Failure};
use crate::serving::verification::Verification;
use disktime_history::Moment;
use disktime_observe::ServerStatus;
use disktime_sockets::{SocketAccess, UnixSocket, other_users_socket};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::VecDeque;
use std::future::Future;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::task::{AbortHandle, JoinSet};

/// Longest line taken from a client.
const LINE_BYTES: u64 = 64 << 10;
/// Connections at once; one more closes the oldest, whose client may have left it open unused.
const CLIENTS: usize = 32;
/// Pause after a connection could not be accepted (too many open files).
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// How long a client waits for an answer.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// Answers requests.
pub(crate) trait Commands: Send + Sync + 'static {
    /// The answer to `{"command": "status"}`.
    fn status(&self) -> impl Future<Output = CommandResult<ServerStatus>> + Send;

    /// The answer to a request about the history of a vdisk.
    fn history(
        &self,
        vdisk: String,
        request: HistoryRequest,
    ) -> impl Future<Output = CommandResult<Value>> + Send;

    /// Makes clones of a moment of a vdisk, all of them or none.
    fn clone_vdisk(
        &self,
        vdisk: String,
        wanted: CloneRequest,
    ) -> impl Future<Output = CommandResult<Value>> + Send;

    /// Drops a clone; its clients are why that is refused, unless they are to be disconnected.
    fn drop_clone(
        &self,
        vdisk: String,
        disconnect: bool,
    ) -> impl Future<Output = CommandResult<Value>> + Send;

    /// Begins to verify the history of a vdisk.
    fn verify(&self, vdisk: String) -> impl Future<Output = CommandResult<Verification>> + Send;

    /// From now on the connection is one of NBD.
    fn nbd(&self, connection: tokio::net::UnixStream) -> impl Future<Output = ()> + Send;
}

/// What is asked of a history.
#[derive(Debug, Clone)]
pub(crate) enum HistoryRequest {
    /// How it stands.
    Show,
    /// The newest content gets a name.
    Mark(String),
    /// The newest content becomes another one.
    Revert(Revert),
    /// A mark is given up.
    DropMark(String),
    /// What a revert left behind is given up.
    DropBranch(u64),
    /// Durable data that is lost is given up.
    AcceptLoss,
    /// What was written between two moments, or up to now.
    Changed(Moment, Option<Moment>),
}

/// Which content becomes the newest, and what of the clients that use the one before.
#[derive(Debug, Clone)]
pub(crate) struct Revert {
    /// The content of a moment; `None`: what was there before the last revert.
    pub(crate) to: Option<Moment>,
    /// Clients are disconnected; else their use is why it is refused.
    pub(crate) disconnect: bool,
}

/// A line of a client.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct ControlRequest {
    pub(crate) command: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) vdisk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// Of clones that are made at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) names: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) branch: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) disconnect: bool,
    /// Of a clone: the moment that it begins with, and what it gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) moment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reserve: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) period: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max: Option<String>,
}

/// The server's line where it cannot answer.
#[derive(Debug, Serialize, Deserialize)]
struct ControlError {
    error: String,
}

impl ControlError {
    fn new(sentence: impl Into<String>) -> ControlError {
        ControlError {
            error: sentence.into(),
        }
    }
}

/// The listening socket; its file is removed when it is dropped.
#[derive(Debug)]
pub(crate) struct ControlSocket(UnixSocket);

impl ControlSocket {
    /// Binds the socket, for this user alone. The file of a server that was killed is replaced.
    pub(crate) fn bind(path: &Path) -> CommandResult<ControlSocket> {
        UnixSocket::bind(path, SocketAccess::default())
            .map(ControlSocket)
            .map_err(|error| {
                Failure::new(format!(
                    "the control socket cannot be opened: {error} (\"control\": {{\"socket\": ...}})"
                ))
            })
    }

    /// Serves clients until `stop` is done; all references to `commands` are dropped then.
    pub(crate) async fn serve(
        self,
        commands: Arc<impl Commands>,
        stop: impl Future<Output = ()>,
    ) -> CommandResult {
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
                            // Logged once, until a connection is accepted again.
                            if !std::mem::replace(&mut failing, true) {
                                tracing::warn!("a control connection cannot be accepted: {error}");
                            }
                            tokio::time::sleep(ACCEPT_RETRY_INTERVAL).await;
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
                        if let Err(error) = serve_connection(stream, &*commands).await {
                            tracing::debug!("a control connection has ended: {error}");
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

async fn serve_connection(
    stream: tokio::net::UnixStream,
    commands: &impl Commands,
) -> CommandResult {
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
        let request = match too_long {
            true => Err(ControlError::new("the line is longer than 64 KiB")),
            false => request_of(&line),
        };
        let answer = match request {
            Ok(request) if request.command.as_deref() == Some("nbd") => {
                writer.write_all(b"{\"protocol\":\"nbd\"}\n").await?;
                commands.nbd(reader.into_inner().reunite(writer)?).await;
                return Ok(());
            }
            Ok(ControlRequest {
                command: Some(command),
                vdisk: Some(vdisk),
                ..
            }) if command == "verify" => following::verify(vdisk, commands, &mut writer).await?,
            Ok(request) => answer(request, commands).await,
            Err(error) => Err(error),
        };
        let mut line = match &answer {
            Ok(status) => serde_json::to_vec(status)?,
            Err(error) => serde_json::to_vec(error)?,
        };
        line.push(b'\n');
        writer.write_all(&line).await?;
        if too_long {
            return Ok(());
        }
    }
}

const EXPECTED: &str = "a request is an object such as {\"command\": \"status\"}";

fn request_of(line: &str) -> Result<ControlRequest, ControlError> {
    serde_json::from_str(line).map_err(|error: serde_json::Error| match error.is_data() {
        true => ControlError::new(EXPECTED),
        false => ControlError::new(format!("the line is not JSON: {error}")),
    })
}

async fn answer(request: ControlRequest, commands: &impl Commands) -> Result<Value, ControlError> {
    match request.command.as_deref() {
        Some("status") => {
            let status = commands.status().await;
            let answer = status.and_then(|status| Ok(serde_json::to_value(status)?));
            answer.map_err(|failure| ControlError::new(failure.to_string()))
        }
        Some("clone") => {
            let (vdisk, wanted) = CloneRequest::of(request).map_err(ControlError::new)?;
            let answer = commands.clone_vdisk(vdisk, wanted).await;
            answer.map_err(|failure| ControlError::new(failure.to_string()))
        }
        Some("drop") if request.name.is_none() && request.branch.is_none() => {
            let vdisk = request.vdisk.ok_or_else(|| missing("drop", "vdisk"))?;
            let answer = commands.drop_clone(vdisk, request.disconnect).await;
            answer.map_err(|failure| ControlError::new(failure.to_string()))
        }
        Some(
            "history" | "mark" | "revert" | "undo-revert" | "drop" | "accept-loss" | "changed",
        ) => {
            let (vdisk, wanted) = history_request(request)?;
            let answer = commands.history(vdisk, wanted).await;
            answer.map_err(|failure| ControlError::new(failure.to_string()))
        }
        Some("verify") => Err(ControlError::new("`verify` needs the key `vdisk`")),
        Some(other) => Err(ControlError::new(format!(
            "there is no command `{other}`; there are `status`, `history`, `mark`, `revert`, \
             `undo-revert`, `clone`, `drop`, `accept-loss`, `changed` and `verify`"
        ))),
        None => Err(ControlError::new(EXPECTED)),
    }
}

fn missing(command: &str, key: &str) -> ControlError {
    ControlError::new(format!("`{command}` needs the key `{key}`"))
}

/// The vdisk that a request names, and what is asked of its history.
fn history_request(request: ControlRequest) -> Result<(String, HistoryRequest), ControlError> {
    let ControlRequest {
        command,
        vdisk,
        name,
        to,
        since,
        until,
        branch,
        disconnect,
        ..
    } = request;
    let command = command.unwrap_or_default();
    let missing = |key| missing(&command, key);
    let vdisk = vdisk.ok_or_else(|| missing("vdisk"))?;
    let wanted = match command.as_str() {
        "mark" => HistoryRequest::Mark(name.ok_or_else(|| missing("name"))?),
        "revert" => {
            let to = to.ok_or_else(|| missing("to"))?;
            let moment = Moment::parse(&to);
            let to = Some(moment.map_err(|error| ControlError::new(error.to_string()))?);
            HistoryRequest::Revert(Revert { to, disconnect })
        }
        "undo-revert" => HistoryRequest::Revert(Revert {
            to: None,
            disconnect,
        }),
        "accept-loss" => HistoryRequest::AcceptLoss,
        "changed" => {
            let parse = |text: String| {
                let moment = Moment::parse(&text);
                moment.map_err(|error| ControlError::new(error.to_string()))
            };
            let since = parse(since.ok_or_else(|| missing("since"))?)?;
            HistoryRequest::Changed(since, until.map(parse).transpose()?)
        }
        "drop" => match (name, branch) {
            (Some(mark), _) => HistoryRequest::DropMark(mark),
            (None, Some(branch)) => HistoryRequest::DropBranch(branch),
            (None, None) => return Err(missing("name")),
        },
        _ => HistoryRequest::Show,
    };
    Ok((vdisk, wanted))
}

/// Asks the server that listens on `path` something whose answer is not its status.
pub(crate) fn ask_for(path: &Path, request: &ControlRequest) -> CommandResult<Value> {
    answer_of(&ask(path, request)?, path)
}

/// The answer in a line of the server that listens on `path`.
fn answer_of(line: &str, path: &Path) -> CommandResult<Value> {
    if let Ok(ControlError { error }) = serde_json::from_str(line) {
        return Err(Failure::new(format!("the server says: {error}")));
    }
    serde_json::from_str(line).map_err(|error| {
        Failure::new(format!(
            "the answer on {} ends or is no JSON ({error}): the server has stopped, or another \
             program listens there",
            path.display()
        ))
    })
}

/// A connection to the server that listens on `path` by which its exports are read over NBD.
pub(crate) fn connect_nbd(path: &Path) -> CommandResult<UnixStream> {
    let stream = connect(path)?;
    send(
        &stream,
        &ControlRequest {
            command: Some("nbd".to_owned()),
            ..ControlRequest::default()
        },
    )?;
    // What follows the line is not of this protocol, so no more than the line may be read.
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() as u64 <= LINE_BYTES {
        (&stream).read_exact(&mut byte)?;
        if byte == *b"\n" {
            break;
        }
        line.extend(byte);
    }
    match serde_json::from_slice(&line) {
        Ok(ControlError { error }) => Err(Failure::new(format!("the server says: {error}"))),
        Err(_) => Ok(stream),
    }
}

/// Asks the server that listens on `path` for its status.
pub(crate) fn ask_status(path: &Path) -> CommandResult<ServerStatus> {
    let request = ControlRequest {
        command: Some("status".to_owned()),
        ..ControlRequest::default()
    };
    let line = ask(path, &request)?;
    if let Ok(ControlError { error }) = serde_json::from_str(&line) {
        return Err(Failure::new(format!("the server says: {error}")));
    }
    serde_json::from_str(&line).map_err(|error| {
        Failure::new(format!(
            "the answer on {} is no status that this program can read ({error}): the server is of \
             another version, or another program listens there",
            path.display()
        ))
    })
}

fn connect(path: &Path) -> CommandResult<UnixStream> {
    let stream = UnixStream::connect(path).map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => Failure::new(other_users_socket(path)),
        _ => Failure::new(format!(
            "no server answers on {}: {error}; start one with `disktime serve FILE`, or name its \
             control socket with --control PATH",
            path.display()
        )),
    })?;
    stream.set_read_timeout(Some(ANSWER_TIME))?;
    stream.set_write_timeout(Some(ANSWER_TIME))?;
    Ok(stream)
}

fn send(mut stream: &UnixStream, request: &ControlRequest) -> CommandResult {
    let mut request = serde_json::to_vec(request)?;
    request.push(b'\n');
    if request.len() as u64 > LINE_BYTES {
        // It would be closed before all of it is sent, and its answer could not be read.
        return Err(Failure::new(format!(
            "the request has {} bytes, and a server takes 64 KiB at once: name fewer",
            request.len()
        )));
    }
    Ok(stream.write_all(&request)?)
}

fn ask(path: &Path, request: &ControlRequest) -> CommandResult<String> {
    let stream = connect(path)?;
    send(&stream, request)?;
    line_of(&mut BufReader::new(&stream), path)
}

/// The next line of the server.
fn line_of(reader: &mut BufReader<&UnixStream>, path: &Path) -> CommandResult<String> {
    let mut line = String::new();
    reader
        .read_line(&mut line)
        .map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => Failure::new(format!(
                "the server behind {} did not answer within {} s: it hangs, or its limit of open \
                 files is reached (its log says so)",
                path.display(),
                ANSWER_TIME.as_secs()
            )),
            _ => Failure::from(error),
        })?;
    Ok(line)
}
