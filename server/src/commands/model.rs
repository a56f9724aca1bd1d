//! `disktime model`: the presets; and of one drive its figures: seek curve, zones and mean times of
//! a hard disk, beside a measured trace, or prices and bounds of one that overlaps requests.

use crate::failure::{CommandResult, Failure};
use disktime_drive_models::{
    ModelReport, OverlapDrive, OverlapReport, find_drive, list_presets, read_measured_trace,
};
use std::path::Path;

/// Prints the list of presets, or the report on `drive` with the comparison with a measured trace.
pub(crate) fn run(drive: Option<&str>, trace: Option<&Path>, json: bool) -> CommandResult {
    let Some(drive) = drive else {
        print!("{}", list_presets());
        return Ok(());
    };
    if let Some(found) = OverlapDrive::find(drive) {
        return report_overlapping(&found, trace, json);
    }
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

fn report_overlapping(drive: &OverlapDrive, trace: Option<&Path>, json: bool) -> CommandResult {
    if trace.is_some() {
        return Err(Failure::new(format!(
            "`{}` overlaps requests, and a trace says what hard disks take for one request at a \
             time; leave out --trace",
            drive.name
        )));
    }
    let report = OverlapReport::new(drive);
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.render());
    }
    Ok(())
}
