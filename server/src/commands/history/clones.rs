//! The commands about clones of a running server: `clone`, and `drop` of a clone.

use super::{HistoryServer, disconnected, request, seq};
use crate::failure::{CommandResult, Failure};
use crate::serving::control_socket::ControlRequest;
use clap::Args;
use disktime_history::Moment;
use disktime_units::{format_size, parse_duration, parse_share, parse_size};
use serde_json::Value;

/// What each clone gets.
#[derive(Debug, Args)]
pub(crate) struct CloneOptions {
    /// The share of the disk's time that it reserves, as in 5%; without it, best effort.
    #[arg(long, value_name = "SHARE", requires = "period")]
    reserve: Option<String>,
    /// The period of the reservation, as in 250ms.
    #[arg(long, value_name = "DURATION", requires = "reserve")]
    period: Option<String>,
    /// The space of all that is written to it, as in 2GiB; without it, as much as the log of the
    /// virtual disk has. When it is full, writes to the clone get ENOSPC.
    #[arg(long, value_name = "SIZE")]
    max: Option<String>,
}

/// Makes virtual disks that begin with a moment of another one.
pub(in super::super) fn make(
    server: &HistoryServer,
    what: &str,
    names: &[String],
    options: &CloneOptions,
) -> CommandResult {
    let Some((vdisk, moment)) = what.split_once('@') else {
        return Err(Failure::new(format!(
            "which moment of `{what}`? Give `{what}@MOMENT`: a mark, how long ago (`{what}@-5m`), \
             a time, or seq:N"
        )));
    };
    Moment::parse(moment).map_err(|error| Failure::new(error.to_string()))?;
    let option = |name: &str, wrong: Option<String>| {
        wrong.map_or(Ok(()), |why| Err(Failure::new(format!("--{name}: {why}"))))
    };
    let (reserve, period, max) = (&options.reserve, &options.period, &options.max);
    let reserve_error = reserve.as_deref().and_then(|text| parse_share(text).err());
    option("reserve", reserve_error.map(|error| error.to_string()))?;
    let period_error = period
        .as_deref()
        .and_then(|text| parse_duration(text).err());
    option("period", period_error.map(|error| error.to_string()))?;
    let max_error = max.as_deref().and_then(|text| parse_size(text).err());
    option("max", max_error.map(|error| error.to_string()))?;
    let (one, several) = match names {
        [name] => (Some(name), &[][..]),
        _ => (None, names),
    };
    let answer = server.ask(ControlRequest {
        name: one.cloned(),
        names: several.to_vec(),
        moment: Some(moment.to_owned()),
        reserve: reserve.clone(),
        period: period.clone(),
        max: max.clone(),
        ..request("clone", vdisk)
    })?;
    server.print(&answer, |answer| match one {
        Some(name) => text_of_one(vdisk, name, answer),
        None => text_of_several(vdisk, answer),
    });
    Ok(())
}

/// What clones get: of whom, how much of the disk's time and space.
fn terms(vdisk: &str, answer: &Value) -> (String, String) {
    let entitlement = answer["entitlement"].as_str().unwrap_or_default();
    let max_bytes = answer["max_bytes"].as_u64().unwrap_or_default();
    let of = format!("of {vdisk} at seq:{}, {entitlement}", seq(answer));
    (of, format_size(max_bytes))
}

/// Where a clone is: its URIs, and its file.
fn places(clone: &Value) -> impl Iterator<Item = &str> {
    let uris = clone["uris"].as_array().into_iter().flatten();
    uris.chain([&clone["file"]]).filter_map(Value::as_str)
}

fn text_of_one(vdisk: &str, name: &str, answer: &Value) -> String {
    let (of, max) = terms(vdisk, answer);
    let mut text = format!("{name}: clone {of}; {max} for what is written to it");
    for place in places(answer) {
        text.push_str(&format!("  {place}"));
    }
    text
}

/// A line for all of them, and a short one for each.
fn text_of_several(vdisk: &str, answer: &Value) -> String {
    let (of, max) = terms(vdisk, answer);
    let clones = answer["clones"].as_array();
    let clones = clones.map(Vec::as_slice).unwrap_or_default();
    let mut text = format!(
        "{} clones {of} each; {max} for what is written to each",
        clones.len()
    );
    for clone in clones {
        let name = clone["clone"].as_str().unwrap_or_default();
        let place = places(clone).next().unwrap_or_default();
        text.push_str(&format!("\n  {name}  {place}"));
    }
    text
}

/// Drops a clone, with all that was written to it; the answer, and the text of it.
pub(super) fn give_up(
    server: &HistoryServer,
    name: &str,
    disconnect: bool,
) -> CommandResult<(Value, String)> {
    let answer = server.ask(ControlRequest {
        disconnect,
        ..request("drop", name)
    })?;
    let text = format!("{name}: the clone is dropped{}", disconnected(&answer));
    Ok((answer, text))
}
