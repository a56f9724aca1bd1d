//! The keys of a workload file, once, with what each accepts; and how their values are read: exact,
//! and with a sentence for what cannot be read. What a value leads to is not known here.

use crate::workload::Rate;
use disktime_reservations::Node;
use disktime_units::{Nanos, parse_duration, parse_size};

/// Which clients have a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    /// All.
    Any,
    /// Those that make requests up.
    Generated,
    /// Those that replay a trace.
    Trace,
}

/// A key of a client: its name, who has it, and what is accepted.
pub(crate) struct Key(pub &'static str, pub Of, pub &'static str);

/// The keys of a client.
pub(crate) const KEYS: [Key; 16] = [
    Key(
        "vdisk",
        Of::Any,
        "the name of a virtual disk, as in \"web\"",
    ),
    Key(
        "pattern",
        Of::Generated,
        "\"random\" (default), \"sequential\" or \"semi-random\"",
    ),
    Key(
        "run",
        Of::Generated,
        "how many consecutive blocks a semi-random run has, 1 or more, as in 16",
    ),
    Key(
        "block",
        Of::Generated,
        "a size from 1B to 32MiB, as in \"4KiB\" (default)",
    ),
    Key(
        "read",
        Of::Generated,
        "the share of reads, as in \"100%\" (default) or \"70%\"",
    ),
    Key(
        "think",
        Of::Generated,
        "a duration, as in \"0ms\" (default) or \"10ms\"; only without `rate`",
    ),
    Key(
        "rate",
        Of::Generated,
        "requests per time, as in \"400/s\", \"0.5/s\" or \"30/min\"",
    ),
    Key(
        "trace",
        Of::Trace,
        "a file of lines time_us,dev,op,offset,bytes, as in \"vm.csv.gz\"",
    ),
    Key(
        "dev",
        Of::Trace,
        "the number of a device in the trace, as in 0; all devices if left out",
    ),
    Key(
        "speed",
        Of::Trace,
        "how much faster than recorded, from 0.001 to 1000000, as in 1.0 (default)",
    ),
    Key(
        "fit",
        Of::Trace,
        "\"refuse\" (default), \"wrap\" or \"scale\"",
    ),
    Key(
        "depth",
        Of::Any,
        "requests under way at most, from 1 to 65536, as in 16 (default 1; for a trace 128)",
    ),
    Key(
        "start",
        Of::Any,
        "a duration from the start of the workload, as in \"0s\" (default)",
    ),
    Key(
        "stop",
        Of::Any,
        "a duration after `start`, as in \"60s\"; by default the workload's",
    ),
    Key(
        "offset",
        Of::Any,
        "where the part that it uses starts, as in \"0B\" (default) or \"1GiB\"",
    ),
    Key(
        "span",
        Of::Any,
        "the size of the part that it uses, as in \"1GiB\"; by default the rest",
    ),
];

/// The keys of the file.
pub(crate) const ROOT_KEYS: [Key; 3] = [
    Key(
        "duration",
        Of::Any,
        "how long the workload runs, more than nothing, as in \"60s\"",
    ),
    Key("seed", Of::Any, "a whole number from 0, as in 1 (default)"),
    Key(
        "clients",
        Of::Any,
        "an object, as in { \"reader\": { \"vdisk\": \"web\" } }",
    ),
];

/// What is wrong with a value, as a sentence; what would be accepted is in its [`Key`].
pub(crate) type Converted<T> = Result<T, String>;

pub(crate) fn text(node: &Node) -> Converted<&str> {
    match node {
        Node::String(text) => Ok(text),
        other => Err(format!("{} is not a text in double quotes", other.what())),
    }
}

pub(crate) fn convert_text<T, E: std::fmt::Display>(
    node: &Node,
    convert: impl FnOnce(&str) -> Result<T, E>,
) -> Converted<T> {
    convert(text(node)?).map_err(|error| error.to_string())
}

pub(crate) fn duration(node: &Node) -> Converted<Nanos> {
    convert_text(node, parse_duration)
}

pub(crate) fn positive_duration(node: &Node) -> Converted<Nanos> {
    match duration(node)? {
        Nanos::ZERO => Err("a workload that takes no time does nothing".to_owned()),
        time => Ok(time),
    }
}

pub(crate) fn size(node: &Node) -> Converted<u64> {
    convert_text(node, parse_size)
}

pub(crate) fn integer(node: &Node, least: u64, most: u64) -> Converted<u64> {
    let Node::Number(number) = node else {
        return Err(format!(
            "{} is not a whole number without quotes",
            node.what()
        ));
    };
    match number.as_u64() {
        Some(value) if (least..=most).contains(&value) => Ok(value),
        _ => Err(format!(
            "{number} is not a whole number from {least} to {most}"
        )),
    }
}

pub(crate) fn speed(node: &Node) -> Converted<u64> {
    let Node::Number(number) = node else {
        return Err(format!("{} is not a number without quotes", node.what()));
    };
    match number.as_f64() {
        Some(speed) if (0.001..=1e6).contains(&speed) => Ok((speed * 1e6).round() as u64),
        _ => Err(format!("{number} is not a number from 0.001 to 1000000")),
    }
}

/// `400/s`, `0.5/s`, `30/min`: exact, with at most six decimals.
pub(crate) fn rate(node: &Node) -> Converted<Rate> {
    let written = text(node)?;
    let refused = || format!("`{written}` is not a rate");
    let (number, unit) = written.split_once('/').ok_or_else(refused)?;
    let per = match unit.trim() {
        "s" => Nanos::from_secs(1),
        "min" => Nanos::from_secs(60),
        _ => return Err(refused()),
    };
    let (whole, decimals) = number
        .trim()
        .split_once('.')
        .unwrap_or((number.trim(), "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 6 {
        return Err(refused());
    }
    let scaled: u64 = format!("{whole}{decimals:0<6}")
        .parse()
        .map_err(|_| refused())?;
    match scaled {
        0 => Err("a rate of zero asks for nothing".to_owned()),
        events if events > 1_000_000_000_000_000 => {
            Err(format!("`{written}` is more than 1000000000/s"))
        }
        events => Ok(Rate {
            events,
            per: Nanos(per.0 * 1_000_000),
        }),
    }
}
