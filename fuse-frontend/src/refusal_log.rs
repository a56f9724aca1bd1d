//! Logs what was refused and why. How many lines of a kind are written is the log's to limit.

/// Logs that the operation `verb` on `name` was refused to a process.
pub(crate) fn log_refusal(verb: &str, name: &str, process: u32) {
    let reason = match verb {
        "truncate" => {
            "the size of a vdisk is fixed; write without truncating (dd: conv=notrunc, shell: 1<>)"
        }
        _ => {
            "the files are the vdisks of the configuration, and only the configuration changes them"
        }
    };
    tracing::warn!("refused to {verb} {name:?} for process {process}: {reason}");
}
