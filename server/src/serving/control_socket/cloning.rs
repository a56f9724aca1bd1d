//! The request for clones of one moment.

use super::ControlRequest;
use disktime_history::Moment;
use disktime_units::{Nanos, Share, parse_duration, parse_share, parse_size};

/// Clones that are made at once, at most: their records are made in one go on the disk's thread.
const CLONES_AT_ONCE: usize = 1024;

/// What is asked of clones.
#[derive(Debug, Clone)]
pub(crate) struct CloneRequest {
    /// The moment that they begin with.
    pub(crate) moment: Moment,
    pub(crate) names: Names,
    /// What each reserves; `None` for best effort.
    pub(crate) reservation: Option<(Share, Nanos)>,
    /// The space of all that is written to each, where that is said.
    pub(crate) max_bytes: Option<u64>,
}

/// The names of clones: at least one.
#[derive(Debug, Clone)]
pub(crate) enum Names {
    /// The answer is that of one clone.
    One(String),
    /// The answer lists them.
    Several(Vec<String>),
}

impl Names {
    pub(crate) fn as_slice(&self) -> &[String] {
        match self {
            Names::One(name) => std::slice::from_ref(name),
            Names::Several(names) => names,
        }
    }

    fn of(name: Option<String>, names: Vec<String>) -> Result<Names, String> {
        match (name, names) {
            (None, names) if names.is_empty() => {
                Err("`clone` needs the key `name`, or `names` for several clones".to_owned())
            }
            (Some(name), names) if names.is_empty() => Ok(Names::One(name)),
            (Some(_), _) => Err("`clone` takes `name` or `names`: give one of them".to_owned()),
            (None, names) if names.len() > CLONES_AT_ONCE => Err(format!(
                "{} clones are asked for, and at most {CLONES_AT_ONCE} are made at once; ask for \
                 the others when these are made",
                names.len()
            )),
            (None, names) => Ok(Names::Several(names)),
        }
    }
}

impl CloneRequest {
    /// What a line of a client asks for, with the name of the vdisk that is cloned.
    ///
    /// # Errors
    /// A sentence: what is missing or is not what it should be.
    pub(super) fn of(request: ControlRequest) -> Result<(String, CloneRequest), String> {
        let missing = |key: &str| format!("`clone` needs the key `{key}`");
        let vdisk = request.vdisk.ok_or_else(|| missing("vdisk"))?;
        let names = Names::of(request.name, request.names)?;
        let moment = request.moment.ok_or_else(|| missing("moment"))?;
        let moment = Moment::parse(&moment).map_err(|error| error.to_string())?;
        let reservation = match (request.reserve, request.period) {
            (None, None) => None,
            (Some(reserve), Some(period)) => Some(reservation(&reserve, &period)?),
            _ => return Err("a reservation has a share and a period: give both".to_owned()),
        };
        let max = request.max.as_deref().map(parse_size).transpose();
        let wanted = CloneRequest {
            moment,
            names,
            reservation,
            max_bytes: max.map_err(|error| format!("max: {error}"))?,
        };
        Ok((vdisk, wanted))
    }
}

fn reservation(reserve: &str, period: &str) -> Result<(Share, Nanos), String> {
    let share = parse_share(reserve).map_err(|error| format!("reserve: {error}"))?;
    let period = parse_duration(period).map_err(|error| format!("period: {error}"))?;
    Ok((share, period))
}
