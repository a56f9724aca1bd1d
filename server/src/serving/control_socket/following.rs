//! Requests whose answer takes long: lines of progress come before it, and it ends with the
//! connection of the one who asked.

use super::{Commands, ControlError, ControlRequest, answer_of, connect, line_of, send};
use crate::failure::{CommandResult, Failure};
use serde_json::Value;
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Between two lines of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);
/// How long a client may take to read a line.
const SEND_TIME: Duration = Duration::from_secs(10);

/// Verifies the history of a vdisk. That the client has gone is seen by sending: one that has
/// closed only its own direction waits for the answer.
///
/// # Errors
/// The client has gone, or reads nothing.
pub(super) async fn verify(
    vdisk: String,
    commands: &impl Commands,
    writer: &mut (impl AsyncWrite + Unpin),
) -> CommandResult<Result<Value, ControlError>> {
    let sentence = |failure: Failure| ControlError::new(failure.to_string());
    let mut verification = match commands.verify(vdisk).await {
        Ok(verification) => verification,
        Err(failure) => return Ok(Err(sentence(failure))),
    };
    let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
    loop {
        tokio::select! {
            found = verification.found() => return Ok(found.map_err(sentence)),
            _ = ticks.tick() => {
                let mut line = serde_json::to_vec(&verification.progress())?;
                line.push(b'\n');
                timeout(SEND_TIME, writer.write_all(&line)).await??;
            }
        }
    }
}

/// Asks the server that listens on `path`, and hands out what it says of its progress.
pub(crate) fn follow(
    path: &Path,
    request: &ControlRequest,
    mut heard: impl FnMut(&Value),
) -> CommandResult<Value> {
    let stream = connect(path)?;
    send(&stream, request)?;
    let mut reader = BufReader::new(&stream);
    loop {
        let line = line_of(&mut reader, path)?;
        let answer = answer_of(&line, path)?;
        match answer.get("progress") {
            Some(progress) => heard(progress),
            None => return Ok(answer),
        }
    }
}
