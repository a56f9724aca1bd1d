//! `disktime load`: runs a workload against the running server over NBD, with a live table. Shares
//! of disk time are differences of the server's counters before and after the run.

use crate::assembly::emulation;
use crate::failure::{CommandResult, Failure};
use crate::serving::control_socket;
use disktime_nbd_protocol::NbdUri;
use disktime_observe::{ServerDifference, ServerStatus};
use disktime_reservations::Configuration;
use disktime_units::format_size;
use disktime_workloads::{LoadReport, Progress, Workload, run_real};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// Runs the command.
pub(crate) fn run(
    file: &Path,
    workload: &Workload,
    control: Option<&Path>,
    overwrite: bool,
    json: bool,
) -> CommandResult {
    let configuration = emulation::load(file)?;
    let socket = control.unwrap_or(configuration.control.socket.value.as_path());
    let before = control_socket::ask_status(socket)?;
    refuse_read_only(workload, &before)?;
    if !overwrite {
        refuse_overwriting(workload, &before)?;
    }
    let live = std::io::stderr().is_terminal();
    let mut show = |progress: &Progress| print_progress(progress, live);
    let report = run_real(
        &uris(&configuration)?,
        workload,
        &AtomicBool::new(false),
        &mut show,
    )?;
    let counted = control_socket::ask_status(socket)?.since(&before);
    if json {
        println!("{:#}", to_json(&report, &counted)?);
    } else {
        print!("{report}\n{counted}");
    }
    require_success(&report)
}

/// Fails if a client had requests and none succeeded: its figures say nothing.
fn require_success(report: &LoadReport) -> CommandResult {
    let mut clients = report.clients.iter();
    match clients.find(|client| client.errors > 0 && client.requests == 0) {
        Some(client) => Err(Failure::new(format!(
            "all {} requests of client `{}` to vdisk `{}` failed; the server's log or `disktime \
             status` says why",
            client.errors, client.name, client.vdisk
        ))),
        None => Ok(()),
    }
}

/// Refuses a workload that writes to a vdisk that no client may write to.
fn refuse_read_only(workload: &Workload, status: &ServerStatus) -> CommandResult {
    for client in workload.clients.iter().filter(|client| client.may_write()) {
        let vdisk = status.vdisks.get(&client.vdisk);
        if vdisk.is_some_and(|vdisk| vdisk.read_only) {
            return Err(Failure::new(format!(
                "client `{}` writes to vdisk `{}`, which is served read-only; use a client that \
                 only reads (read=100%), or another vdisk",
                client.name, client.vdisk
            )));
        }
    }
    Ok(())
}

/// Refuses a workload that would destroy what a vdisk holds, or what its clients rely on.
fn refuse_overwriting(workload: &Workload, status: &ServerStatus) -> CommandResult {
    let used = workload.clients.iter().filter(|client| client.may_write());
    for client in used {
        let Some(vdisk) = status.vdisks.get(&client.vdisk) else {
            continue;
        };
        let holds = format!("holds {} of data", format_size(vdisk.stored_bytes));
        let has = match vdisk.clients {
            1 => "has 1 client".to_owned(),
            count => format!("has {count} clients"),
        };
        let state = match (vdisk.stored_bytes > 0, vdisk.clients > 0) {
            (false, false) => continue,
            (true, false) => holds,
            (false, true) => has,
            (true, true) => format!("{holds} and {has}"),
        };
        return Err(Failure::new(format!(
            "client `{}` writes to vdisk `{}`, which {state}; nothing was written. To lose what it \
             holds: --overwrite. Otherwise use a vdisk that is empty, or a client that only reads \
             (read=100%)",
            client.name, client.vdisk
        )));
    }
    Ok(())
}

/// What the clients got, with what the server counted meanwhile, in one object.
pub(crate) fn to_json(report: &LoadReport, counted: &ServerDifference) -> CommandResult<Value> {
    let mut whole = report.to_json();
    let counted = serde_json::to_value(counted)?;
    if let (Value::Object(whole), Value::Object(counted)) = (&mut whole, counted) {
        whole.extend(counted);
    }
    Ok(whole)
}

/// The URI of each vdisk.
fn uris(configuration: &Configuration) -> CommandResult<BTreeMap<String, NbdUri>> {
    let Some(nbd) = &configuration.nbd else {
        return Err(Failure::new(format!(
            "{} has no \"nbd\" section, and `load` uses NBD; add one and restart the server",
            configuration.file().display()
        )));
    };
    let socket = disktime_sockets::client_path(&nbd.socket.value);
    let tls = nbd.tls.as_ref().filter(|tls| tls.require);
    Ok(configuration
        .vdisks
        .iter()
        .map(|vdisk| {
            let name = vdisk.name.value.clone();
            let uri = NbdUri::unix(socket.clone(), &name);
            let uri = match tls {
                Some(tls) => uri.with_certificates(&tls.dir.value),
                None => uri,
            };
            (name, uri)
        })
        .collect())
}

/// Prints a line per client and second; on a terminal the next second overwrites them.
fn print_progress(progress: &Progress, live: bool) {
    for client in &progress.clients {
        let p99 = client
            .p99
            .map_or_else(|| "-".to_owned(), |p99| p99.to_string());
        eprintln!(
            "{:>7}  {:<16} {:>9.0} IOPS {:>9.2} MB/s  p99 {p99}",
            progress.at.to_string(),
            client.name,
            client.iops,
            client.bytes_per_second / 1e6,
        );
    }
    if live {
        // Moves the cursor up, so that the next second overwrites these lines.
        eprint!("\x1b[{}A", progress.clients.len());
    }
}
