//! How the values of a workload file are read: exact, and with a sentence for what cannot be read.
//! What would be accepted is in the value's [`crate::keys::Key`]; what a value leads to is not known here.

use crate::generated::{Pace, Rate, Times};
use crate::kinds::Kind;
use disktime_reservations::Node;
use disktime_units::{Nanos, parse_duration, parse_size};

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

/// The number of a device in a trace: `3`, or major and minor as in "8,16" or "8:16".
pub(crate) fn device(node: &Node) -> Converted<u64> {
    match node {
        Node::String(text) => crate::trace::device(text.as_bytes())
            .ok_or_else(|| format!("`{text}` is not a device as in \"8,16\"")),
        number => integer(number, 0, u64::MAX),
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
fn rate_of(written: &str) -> Converted<Rate> {
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

/// What a rate is called, and when its requests come.
pub(crate) fn pace(node: &Node, burst_period: Times) -> Converted<Pace> {
    let written = text(node)?;
    let (law, number) = match written.trim().split_once(char::is_whitespace) {
        Some((law, number)) => (law, number),
        None => ("constant", written),
    };
    let rate = rate_of(number)?;
    match law {
        "constant" => Ok(Pace::Constant { rate }),
        "poisson" => Ok(Pace::Poisson { rate }),
        "bursts" => Ok(Pace::Bursts {
            period: burst_period,
            rate,
        }),
        _ => Err(format!("`{law}` is not a law of arrivals")),
    }
}

/// `10ms`, `exponential 10ms`, `uniform 5ms 15ms`.
pub(crate) fn times(node: &Node) -> Converted<Times> {
    let written = text(node)?;
    let words: Vec<&str> = written.split_whitespace().collect();
    let time = |text: &str| parse_duration(text).map_err(|error| error.to_string());
    match words[..] {
        ["exponential", mean] => Ok(Times::Exponential { mean: time(mean)? }),
        ["uniform", least, most] => {
            let (least, most) = (time(least)?, time(most)?);
            if least > most {
                return Err(format!("{least} is longer than {most}"));
            }
            Ok(Times::Uniform { least, most })
        }
        ["constant", only] | [only] => Ok(Times::Constant(time(only)?)),
        _ => Err(format!(
            "`{written}` is not a duration or a law of durations"
        )),
    }
}

/// Periods of bursts: times that are not nothing.
pub(crate) fn periods(node: &Node) -> Converted<Times> {
    let times = times(node)?;
    match times {
        Times::Constant(Nanos::ZERO)
        | Times::Exponential { mean: Nanos::ZERO }
        | Times::Uniform {
            most: Nanos::ZERO, ..
        } => Err("a period of no time has no end of bursts".to_owned()),
        times => Ok(times),
    }
}

pub(crate) fn kind(node: &Node) -> Converted<Kind> {
    let name = text(node)?;
    Kind::from_name(name).ok_or_else(|| format!("`{name}` is not a kind of generator"))
}

pub(crate) fn flag(node: &Node) -> Converted<bool> {
    match node {
        Node::Bool(flag) => Ok(*flag),
        other => Err(format!("{} is neither true nor false", other.what())),
    }
}

/// θ of Zipf's law, in parts per million.
pub(crate) fn theta(node: &Node) -> Converted<u32> {
    let Node::Number(number) = node else {
        return Err(format!("{} is not a number without quotes", node.what()));
    };
    match number.as_f64() {
        Some(theta) if (0.0..=5.0).contains(&theta) => Ok((theta * 1e6).round() as u32),
        _ => Err(format!("{number} is not a number from 0 to 5")),
    }
}
