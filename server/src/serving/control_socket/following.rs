//! Requests whose answer takes long: lines of progress come before it, and it ends with the
//! connection of the one who asked.

use super::{Commands, ControlError, ControlRequest, connect, line_of, send};
use crate::failure::{CommandResult, Failure};
use serde_json::Value;
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt};

/// Between two lines of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

/// Verifies the history of a vdisk; `None`: the client has gone meanwhile.
pub(super) async fn verify(
    vdisk: String,
    commands: &impl Commands,
    reader: &mut (impl AsyncBufRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
) -> CommandResult<Option<Result<Value, ControlError>>> {
    let sentence = |failure: Failure| ControlError::new(failure.to_string());
    let mut verification = match commands.verify(vdisk).await {
        Ok(verification) => verification,
        Err(failure) => return Ok(Some(Err(sentence(failure)))),
    };
    let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
    let mut listens = true;
    loop {
        tokio::select! {
            found = verification.found() => return Ok(Some(found.map_err(sentence))),
            _ = ticks.tick() => {
                let mut line = serde_json::to_vec(&verification.progress())?;
                line.push(b'\n');
                writer.write_all(&line).await?;
            }
            more = reader.fill_buf(), if listens => match more {
                // It sends its next request already, which waits; that it goes is seen by writing.
                Ok(bytes) if !bytes.is_empty() => listens = false,
                _ => return Ok(None),
            },
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
        if let Ok(ControlError { error }) = serde_json::from_str(&line) {
            return Err(Failure::new(format!("the server says: {error}")));
        }
        let answer: Value = serde_json::from_str(&line).map_err(|error| {
            Failure::new(format!(
                "the answer on {} ends or is no JSON ({error}): the server has stopped, or another \
                 program listens there",
                path.display()
            ))
        })?;
        match answer.get("progress") {
            Some(progress) => heard(progress),
            None => return Ok(answer),
        }
    }
}
