//! The values of a workload file that have a format of their own: rates, laws of times, devices.
//! Exact, with a sentence for what cannot be read; what is expected is in the tables of keys.

use crate::generated::{Pace, Rate, Times};
use crate::keys::{RATE, TIMES};
use disktime_documents::{Node, Object};
use disktime_units::{Nanos, parse_duration};

/// A value, or what is wrong with it, as a sentence.
type Parsed<T> = Result<T, String>;

/// The number of a device in a trace: `3`, or major and minor as in "8,16" or "8:16".
pub(crate) fn device(object: &Object<'_>) -> Option<u64> {
    let node = object.node("dev")?;
    let device = match &node.value {
        Node::String(text) => crate::trace::device(text.as_bytes()),
        Node::Number(number) => number.as_u64(),
        _ => None,
    };
    if device.is_none() {
        let message = match &node.value {
            Node::String(text) => format!("`{text}` is not a device"),
            other => format!("`dev` cannot be {}", other.what()),
        };
        object.refuse("dev", node.span, message);
    }
    device
}

/// `400/s`, `0.5/s`, `30/min`: exact, with at most six decimals.
fn rate_of(written: &str) -> Parsed<Rate> {
    let refused = || format!("`{written}` is not {}", RATE.what);
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
        0 => Err("a rate of 0 generates no requests".to_owned()),
        events if events > 1_000_000_000_000_000 => {
            Err(format!("`{written}` is more than 1000000000/s"))
        }
        events => Ok(Rate {
            events,
            per: Nanos(per.0 * 1_000_000),
        }),
    }
}

/// A rate and its law of arrivals.
pub(crate) fn pace(written: &str, burst_period: Times) -> Parsed<Pace> {
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
pub(crate) fn times(written: &str) -> Parsed<Times> {
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
        _ => Err(format!("`{written}` is not {}", TIMES.what)),
    }
}

/// Periods of bursts: times above zero.
pub(crate) fn periods(written: &str) -> Parsed<Times> {
    match times(written)? {
        Times::Constant(Nanos::ZERO)
        | Times::Exponential { mean: Nanos::ZERO }
        | Times::Uniform {
            most: Nanos::ZERO, ..
        } => Err("the period of bursts must be above 0s".to_owned()),
        times => Ok(times),
    }
}
