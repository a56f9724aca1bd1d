//! The commands about clones of a running server: `clone`, and `drop` of a clone.

use super::{HistoryServer, disconnected, request, seq};
use crate::failure::{CommandResult, Failure};
use crate::serving::control_socket::ControlRequest;
use clap::Args;
use disktime_history::Moment;
use disktime_units::{format_size, parse_duration, parse_share, parse_size};
use serde_json::Value;

/// What a clone gets.
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

/// Makes a virtual disk that begins with a moment of another one.
pub(in super::super) fn make(
    server: &HistoryServer,
    what: &str,
    name: &str,
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
    let answer = server.ask(ControlRequest {
        name: Some(name.to_owned()),
        moment: Some(moment.to_owned()),
        reserve: reserve.clone(),
        period: period.clone(),
        max: max.clone(),
        ..request("clone", vdisk)
    })?;
    let text = |answer: &Value| {
        let mut text = format!(
            "{name}: clone of {vdisk} at seq:{}, {}; {} for what is written to it",
            seq(answer),
            answer["entitlement"].as_str().unwrap_or_default(),
            format_size(answer["max_bytes"].as_u64().unwrap_or_default()),
        );
        let uris = answer["uris"].as_array().into_iter().flatten();
        for place in uris.chain([&answer["file"]]).filter_map(Value::as_str) {
            text.push_str(&format!("  {place}"));
        }
        text
    };
    server.print(&answer, text);
    Ok(())
}

/// Drops a clone, with all that was written to it.
pub(super) fn give_up(server: &HistoryServer, name: &str, disconnect: bool) -> CommandResult {
    let answer = server.ask(ControlRequest {
        disconnect,
        ..request("drop", name)
    })?;
    let text = |answer: &Value| format!("{name}: the clone is dropped{}", disconnected(answer));
    server.print(&answer, text);
    Ok(())
}
