//! The commands about the history of a vdisk of a running server: `history`, `mark`, `revert`,
//! `undo-revert`; those about clones in a file of their own.

mod clones;

use crate::assembly::emulation;
use crate::failure::{CommandResult, Failure};
use crate::serving::control_socket::{ControlRequest, ask_for};
use clap::Args;
use disktime_history::{Moment, check_mark_name};
use disktime_observe::HistoryStatus;
use disktime_units::format_size;
use serde_json::Value;
use std::path::PathBuf;

pub(crate) use clones::CloneOptions;
pub(super) use clones::make as clone;

/// Names the control socket where the command line does not.
const CONTROL_VARIABLE: &str = "DISKTIME_CONTROL";
/// The file where neither does.
const DEFAULT_FILE: &str = "/etc/disktime/disktime.json";

/// The running server, and how its answer is printed.
#[derive(Debug, Args)]
pub(crate) struct HistoryServer {
    /// The server's reservation file.
    #[arg(long, value_name = "FILE", conflicts_with = "control")]
    config: Option<PathBuf>,
    /// The server's control socket. Without both, that of $DISKTIME_CONTROL, then that of
    /// /etc/disktime/disktime.json.
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

impl HistoryServer {
    pub(super) fn control_socket(&self) -> CommandResult<PathBuf> {
        let of_file = |file: &PathBuf| Ok(emulation::load(file)?.control.socket.value);
        if let Some(socket) = &self.control {
            return Ok(socket.clone());
        }
        if let Some(file) = &self.config {
            return of_file(file);
        }
        match std::env::var_os(CONTROL_VARIABLE).filter(|socket| !socket.is_empty()) {
            Some(socket) => Ok(socket.into()),
            None => of_file(&DEFAULT_FILE.into()),
        }
    }

    fn ask(&self, request: ControlRequest) -> CommandResult<Value> {
        ask_for(&self.control_socket()?, &request)
    }

    /// Prints the answer, or `text` of it.
    pub(super) fn print(&self, answer: &Value, text: impl FnOnce(&Value) -> String) {
        match self.json {
            true => println!("{answer:#}"),
            false => println!("{}", text(answer)),
        }
    }
}

pub(super) fn request(command: &str, vdisk: &str) -> ControlRequest {
    ControlRequest {
        command: Some(command.to_owned()),
        vdisk: Some(vdisk.to_owned()),
        ..ControlRequest::default()
    }
}

fn seq(answer: &Value) -> u64 {
    answer["seq"].as_u64().unwrap_or_default()
}

/// How many clients were disconnected, for people.
fn disconnected(answer: &Value) -> String {
    match answer["disconnected"].as_u64() {
        None | Some(0) => String::new(),
        Some(1) => ", and 1 client was disconnected".to_owned(),
        Some(count) => format!(", and {count} clients were disconnected"),
    }
}

/// Shows how the history of a vdisk stands.
pub(super) fn show(server: &HistoryServer, vdisk: &str) -> CommandResult {
    let answer = server.ask(request("history", vdisk))?;
    let status = status_of(&answer)?;
    server.print(&answer, |_| status.to_string().trim_end().to_owned());
    Ok(())
}

fn status_of(answer: &Value) -> CommandResult<HistoryStatus> {
    serde_json::from_value(answer.clone()).map_err(|error| {
        Failure::new(format!(
            "the server is of another version: its answer is not known ({error})"
        ))
    })
}

/// Shows the branches of a vdisk, as a tree.
pub(super) fn branches(server: &HistoryServer, vdisk: &str) -> CommandResult {
    let answer = server.ask(request("history", vdisk))?;
    let status = status_of(&answer)?;
    let text = |_: &Value| format!("{vdisk}:\n{}", status.tree().trim_end());
    server.print(&answer["branches"], text);
    Ok(())
}

/// Gives up durable data that the log of a vdisk has lost, so that it can be written again.
pub(super) fn accept_loss(server: &HistoryServer, vdisk: &str, yes: bool) -> CommandResult {
    let status = status_of(&server.ask(request("history", vdisk))?)?;
    if let Some(lost_from) = status.lost_from.filter(|_| !yes) {
        return Err(Failure::new(format!(
            "`{vdisk}` has lost what was written from seq:{lost_from} on, and holds what it held \
             before. Restore the disk if you can: once the loss is accepted, what is left of the \
             lost part is written over. --yes accepts it"
        )));
    }
    let answer = server.ask(request("accept-loss", vdisk))?;
    let text = |answer: &Value| {
        format!(
            "{vdisk}: the loss is accepted; it holds seq:{} and can be written",
            seq(answer)
        )
    };
    server.print(&answer, text);
    Ok(())
}

/// Lists what was written between two moments.
pub(super) fn changed(
    server: &HistoryServer,
    vdisk: &str,
    since: &str,
    until: Option<&str>,
) -> CommandResult {
    for moment in [Some(since), until].into_iter().flatten() {
        Moment::parse(moment).map_err(|error| Failure::new(error.to_string()))?;
    }
    let answer = server.ask(ControlRequest {
        since: Some(since.to_owned()),
        until: until.map(str::to_owned),
        ..request("changed", vdisk)
    })?;
    let text = |answer: &Value| {
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        let ranges = answer["ranges"].as_array().map(Vec::as_slice);
        let ranges = ranges.unwrap_or_default().iter();
        let mut lines = vec![format!(
            "{vdisk}: {} changed from seq:{} to seq:{}",
            format_size(number(&answer["changed_bytes"])),
            answer["since"],
            answer["until"]
        )];
        lines.extend(ranges.map(|range| {
            format!(
                "{:>16} {:>14}",
                number(&range["offset"]),
                number(&range["length"])
            )
        }));
        lines.join("\n")
    };
    server.print(&answer, text);
    Ok(())
}

/// Gives the newest content a name.
pub(super) fn mark(server: &HistoryServer, vdisk: &str, name: &str) -> CommandResult {
    check_mark_name(name).map_err(|error| Failure::new(error.to_string()))?;
    let answer = server.ask(ControlRequest {
        name: Some(name.to_owned()),
        ..request("mark", vdisk)
    })?;
    let text = |answer: &Value| match answer["vdisks"].as_object() {
        None => format!("{vdisk}: mark {name} at seq:{}", seq(answer)),
        Some(seqs) => {
            let seqs = seqs.iter();
            let places: Vec<String> = seqs
                .map(|(vdisk, seq)| format!("{vdisk} at seq:{seq}"))
                .collect();
            format!("mark {name}, one cut: {}", places.join(", "))
        }
    };
    server.print(&answer, text);
    Ok(())
}

/// Makes the content of a moment the newest.
pub(super) fn revert(
    server: &HistoryServer,
    vdisk: &str,
    to: &str,
    disconnect: bool,
) -> CommandResult {
    Moment::parse(to).map_err(|error| Failure::new(error.to_string()))?;
    let answer = server.ask(ControlRequest {
        to: Some(to.to_owned()),
        disconnect,
        ..request("revert", vdisk)
    })?;
    let text = |answer: &Value| {
        format!(
            "{vdisk}: reverted to {to}, at seq:{}{}; `disktime undo-revert {vdisk}` takes it back",
            seq(answer),
            disconnected(answer)
        )
    };
    server.print(&answer, text);
    Ok(())
}

/// Brings back what was there before the last revert.
pub(super) fn undo_revert(server: &HistoryServer, vdisk: &str, disconnect: bool) -> CommandResult {
    let answer = server.ask(ControlRequest {
        disconnect,
        ..request("undo-revert", vdisk)
    })?;
    let text = |answer: &Value| {
        format!(
            "{vdisk}: the revert is undone, at seq:{}{}",
            seq(answer),
            disconnected(answer)
        )
    };
    server.print(&answer, text);
    Ok(())
}

/// Gives up marks, a branch that a revert left behind, or clones: one after the other, up to the
/// first that is refused.
pub(super) fn give_up(
    server: &HistoryServer,
    what: &[String],
    branch: Option<u64>,
    disconnect: bool,
) -> CommandResult {
    if what.len() > 1 && branch.is_some() {
        return Err(Failure::new(
            "a branch is dropped of one virtual disk: give one name with --branch",
        ));
    }
    let mut answers = Vec::new();
    for one in what {
        let dropped = give_up_one(server, one, branch, disconnect);
        let (answer, text) = dropped.map_err(|why| match (what.len(), answers.len()) {
            (1, _) => why,
            (_, 0) => Failure::new(format!("{why}; none is dropped")),
            (all, before) => Failure::new(format!(
                "{why}; {before} of {all} were dropped before it, and those behind it were not"
            )),
        })?;
        if !server.json {
            println!("{text}");
        }
        answers.push(answer);
    }
    if server.json {
        let one = answers.pop_if(|_| what.len() == 1);
        println!("{:#}", one.unwrap_or(Value::Array(answers)));
    }
    Ok(())
}

/// Gives up one of them; the answer, and the text of it.
fn give_up_one(
    server: &HistoryServer,
    what: &str,
    branch: Option<u64>,
    disconnect: bool,
) -> CommandResult<(Value, String)> {
    let (vdisk, mark) = match (what.split_once('@'), branch) {
        (Some(_), None) if disconnect => {
            return Err(Failure::new(
                "a mark has no clients: --disconnect is for clones (`disktime drop CLONE`)",
            ));
        }
        (Some((vdisk, mark)), None) => (vdisk, Some(mark)),
        (None, Some(_)) => (what, None),
        (Some(_), Some(_)) => {
            return Err(Failure::new(
                "a mark or a branch is dropped, not both; give the virtual disk's name with \
                 --branch",
            ));
        }
        (None, None) => return clones::give_up(server, what, disconnect),
    };
    let answer = server.ask(ControlRequest {
        name: mark.map(str::to_owned),
        branch,
        ..request("drop", vdisk)
    })?;
    let text = match mark {
        Some(mark) => format!("{vdisk}: the mark {mark} is dropped"),
        None => format!(
            "{vdisk}: the branch {} is dropped",
            branch.unwrap_or_default()
        ),
    };
    Ok((answer, text))
}
