//! `disktime model`: seek curve, zones and mean times of a modelled disk, beside a measured trace.

use crate::failure::CommandResult;
use disktime_drive_models::{ModelReport, find_drive, read_measured_trace};
use std::path::Path;

/// Prints the report on `drive`, with the comparison with a measured trace.
pub(crate) fn run(drive: &str, trace: Option<&Path>, json: bool) -> CommandResult {
    let drive = find_drive(drive)?;
    let trace = trace.map(read_measured_trace).transpose()?;
    let report = ModelReport::new(&drive, None, trace.as_deref())?;
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.render());
    }
    Ok(())
}
