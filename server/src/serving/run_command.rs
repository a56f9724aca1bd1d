//! `--run CMD`: a command that finds the server by its environment; when it ends, the server does.
//!
//! Invariant: neither the command nor a program that it started outlives the server. When the
//! server gets a stop signal, all of them get SIGTERM; after ten seconds, or at a second stop
//! signal, those that are left are killed. Programs that still run when the command has ended by
//! itself are left alone: they were put into the background on purpose.

use crate::failure::{CommandResult, Failure};
use crate::serving::descendants;
use crate::serving::signals::StopSignals;
use disktime_nbd_protocol::{NbdUri, Transport};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::process::{Child, Command};

/// How long the command and its programs may take to end after SIGTERM.
const TERMINATE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long killed programs may take to end.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);
/// How often the list of remaining programs is read.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// What the command's environment says of the server.
#[derive(Debug, Default)]
pub(crate) struct CommandEnvironment {
    /// Each vdisk with its URIs, the preferred one first.
    vdisks: Vec<(String, Vec<NbdUri>)>,
    /// The directory of the certificates, if TLS is used.
    certificates: Option<PathBuf>,
    /// The directory of the FUSE frontend.
    mount: Option<PathBuf>,
}

impl CommandEnvironment {
    /// Of a server with these vdisks, TLS certificates in that directory, and files in that one.
    pub(crate) fn new(
        vdisks: Vec<(String, Vec<NbdUri>)>,
        certificates: Option<PathBuf>,
        mount: Option<PathBuf>,
    ) -> CommandEnvironment {
        CommandEnvironment {
            vdisks,
            certificates,
            mount,
        }
    }

    /// The variables, by name. `uri` is that of the only vdisk. With several vdisks it names none,
    /// so that a command that does not choose gets no disk instead of the wrong one; `uri_NAME` are
    /// theirs.
    fn variables(&self) -> Vec<(String, String)> {
        let mut variables = Vec::new();
        let mut set = |name: &str, value: String| variables.push((name.to_owned(), value));
        let names: Vec<&str> = self.vdisks.iter().map(|(name, _)| name.as_str()).collect();
        set("vdisks", names.join(" "));
        let first = self.vdisks.first().and_then(|(_, uris)| uris.first());
        let common = first.cloned().map(|uri| match self.vdisks.len() {
            1 => uri,
            _ => NbdUri {
                export: String::new(),
                ..uri
            },
        });
        set(
            "uri",
            common.map_or_else(String::new, |uri| self.text(&uri)),
        );
        for (name, uris) in &self.vdisks {
            let variable = variable(name);
            if let Some(uri) = uris.first().filter(|_| self.is_unambiguous(&variable)) {
                set(&variable, self.text(uri));
            }
        }
        let all = || self.vdisks.iter().flat_map(|(_, uris)| uris);
        let socket = all().find_map(|uri| match &uri.transport {
            Transport::Unix { path } => Some(path.display().to_string()),
            Transport::Tcp { .. } => None,
        });
        set("unixsocket", socket.unwrap_or_default());
        let port = all().find_map(|uri| match &uri.transport {
            Transport::Tcp { port, .. } => Some(port.to_string()),
            Transport::Unix { .. } => None,
        });
        set("port", port.unwrap_or_default());
        if let Some(mount) = &self.mount {
            set("mount", mount.display().to_string());
        }
        variables
    }

    /// Whether only one vdisk would have that variable: `a-b` and `a.b` share one, and it would
    /// name the wrong disk for one of them.
    fn is_unambiguous(&self, wanted: &str) -> bool {
        let same = self
            .vdisks
            .iter()
            .filter(|(name, _)| variable(name) == wanted);
        same.count() == 1
    }

    /// A sentence for the user if a variable is not set.
    fn notice(&self) -> Option<String> {
        let ambiguous = |(name, _): &&(String, Vec<NbdUri>)| !self.is_unambiguous(&variable(name));
        let (name, _) = self.vdisks.iter().find(ambiguous)?;
        let variable = variable(name);
        Some(format!(
            "--run does not set ${variable}, which would stand for `{name}` and for another vdisk: put the \
             name behind $unixsocket or $port instead"
        ))
    }

    fn text(&self, uri: &NbdUri) -> String {
        match &self.certificates {
            Some(dir) if uri.tls => uri.with_certificates(dir).to_string(),
            _ => uri.to_string(),
        }
    }
}

/// The variable of a vdisk's URI. Names of shell variables have letters, digits and `_`.
fn variable(vdisk: &str) -> String {
    let odd = |c: char| !c.is_ascii_alphanumeric();
    format!("uri_{}", vdisk.replace(odd, "_"))
}

/// The directory as clients on this machine can use it, if it has the certificate of the authority.
pub(crate) fn certificates(dir: &Path) -> Option<PathBuf> {
    let dir = std::path::absolute(dir).ok()?;
    dir.join("ca-cert.pem").is_file().then_some(dir)
}

/// Starts the command by `sh -c`.
///
/// # Errors
/// When `sh` cannot be started.
pub(crate) fn start(command: &str, environment: &CommandEnvironment) -> CommandResult<Child> {
    if let Some(notice) = environment.notice() {
        tracing::warn!("{notice}");
    }
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(command)
        .envs(environment.variables())
        .kill_on_drop(true);
    // SAFETY: between fork and exec there is one system call. The kernel sends the signal when the
    // thread that forked ends: that is the main thread, which lives as long as the process.
    unsafe {
        shell.pre_exec(|| {
            // If the server is killed, the shell gets SIGTERM and starts no further command.
            match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) {
                -1 => Err(std::io::Error::last_os_error()),
                _ => Ok(()),
            }
        });
    }
    shell
        .spawn()
        .map_err(|error| Failure::new(format!("--run cannot start `sh`: {error}")))
}

/// Waits until the command ends, or until a stop signal arrives and the command is ended.
///
/// # Errors
/// When it cannot be waited for.
pub(crate) async fn wait(mut child: Child, signals: &mut StopSignals) -> CommandResult<ExitCode> {
    tokio::select! {
        status = child.wait() => return Ok(exit_code(status?)),
        () = signals.next() => {}
    }
    let Some(process) = child.id() else {
        return Ok(exit_code(child.wait().await?));
    };
    descendants::adopt_orphans();
    descendants::signal(&with_descendants(process), libc::SIGTERM);
    let is_over = tokio::select! {
        () = all_ended(&mut child) => true,
        () = tokio::time::sleep(TERMINATE_TIMEOUT) => {
            let seconds = TERMINATE_TIMEOUT.as_secs();
            tracing::warn!("the command of --run did not end within {seconds} s and is killed");
            false
        }
        () = signals.next() => false,
    };
    if !is_over {
        descendants::signal(&descendants::of(std::process::id()), libc::SIGKILL);
        // A program that may not be signalled (another user's) is not waited for.
        let _ = tokio::time::timeout(KILL_TIMEOUT, all_ended(&mut child)).await;
    }
    Ok(exit_code(child.wait().await?))
}

/// The shell and its descendants.
fn with_descendants(shell: u32) -> Vec<i32> {
    let mut all = descendants::of(shell);
    all.insert(0, shell as i32);
    all
}

/// Returns when the command and its descendants have ended.
async fn all_ended(child: &mut Child) {
    // The caller waits for the status again and reports a failure of that.
    let _ = child.wait().await;
    loop {
        let left = descendants::of(std::process::id());
        if left.is_empty() {
            return;
        }
        descendants::reap(&left);
        tokio::time::sleep(RETRY_INTERVAL).await;
    }
}

/// As shells report it: 128 + the signal for a command that was killed.
fn exit_code(status: std::process::ExitStatus) -> ExitCode {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

#[cfg(test)]
mod tests;
