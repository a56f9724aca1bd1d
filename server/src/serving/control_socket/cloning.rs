//! The request for a clone.

use super::ControlRequest;
use disktime_history::Moment;
use disktime_units::{Nanos, Share, parse_duration, parse_share, parse_size};

/// What is asked of a clone.
#[derive(Debug, Clone)]
pub(crate) struct CloneRequest {
    /// The moment that it begins with.
    pub(crate) moment: Moment,
    pub(crate) name: String,
    /// What it reserves; `None` for best effort.
    pub(crate) reservation: Option<(Share, Nanos)>,
    /// The space of all that is written to it, where that is said.
    pub(crate) max_bytes: Option<u64>,
}

impl CloneRequest {
    /// What a line of a client asks for, with the name of the vdisk that is cloned.
    ///
    /// # Errors
    /// A sentence: what is missing or is not what it should be.
    pub(super) fn of(request: ControlRequest) -> Result<(String, CloneRequest), String> {
        let missing = |key: &str| format!("`clone` needs the key `{key}`");
        let vdisk = request.vdisk.ok_or_else(|| missing("vdisk"))?;
        let name = request.name.ok_or_else(|| missing("name"))?;
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
            name,
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
