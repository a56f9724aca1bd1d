//! `verify`: all that the history of a vdisk holds is read again, on the running server.

use super::files::progress;
use super::history::{HistoryServer, request};
use crate::failure::CommandResult;
use crate::serving::control_socket::follow;
use disktime_units::format_size;
use serde_json::Value;
use std::process::ExitCode;

const TEMPLATE: &str = "{elapsed:>5} [{bar:30}] {bytes} of {total_bytes}, {eta} left";

/// Verifies the history of a vdisk: success if nothing is damaged.
pub(super) fn run(server: &HistoryServer, vdisk: &str) -> CommandResult<ExitCode> {
    let bar = progress(TEMPLATE, Some(0));
    let show = |progress: &Value| {
        bar.set_length(progress["all_bytes"].as_u64().unwrap_or_default());
        bar.set_position(progress["done_bytes"].as_u64().unwrap_or_default());
    };
    let answer = follow(&server.control_socket()?, &request("verify", vdisk), show);
    bar.finish_and_clear();
    let answer = answer?;
    server.print(&answer, text);
    Ok(match damages(&answer).is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn damages(answer: &Value) -> &[Value] {
    answer["damages"].as_array().map_or(&[], Vec::as_slice)
}

fn text(answer: &Value) -> String {
    let number = |key: &str| answer[key].as_u64().unwrap_or_default();
    let damages = damages(answer);
    let found = match damages.len() as u64 + number("unlisted") {
        0 => "nothing is damaged".to_owned(),
        1 => "one place is damaged:".to_owned(),
        places => format!("{places} places are damaged:"),
    };
    let mut lines = vec![format!(
        "{}: {} of its log, {} segments; {found}",
        answer["vdisk"].as_str().unwrap_or_default(),
        format_size(number("log_bytes")),
        number("segments"),
    )];
    let sentences = damages
        .iter()
        .filter_map(|damage| damage["sentence"].as_str());
    lines.extend(sentences.map(|sentence| format!("- {sentence}")));
    if number("unlisted") > 0 {
        lines.push(format!("- and {} more", number("unlisted")));
    }
    lines.join("\n")
}
