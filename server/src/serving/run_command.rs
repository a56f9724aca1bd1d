//! `--run CMD`: a command that finds the server by its environment; when it ends, the server does.
//!
//! Invariant: the command does not outlive the server, nor does what it has started. When the server is
//! asked to end, all of that is asked by SIGTERM, and made to a while later, or at once when the server is
//! asked again. What is still there when the command has ended by itself is left alone: it was put into the
//! background on purpose.

use crate::failure::{Failure, Outcome};
use crate::serving::descendants;
use crate::serving::signals::StopSignals;
use disktime_nbd_protocol::{NbdUri, Transport};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::process::{Child, Command};

/// How long the command may take to end when it is asked to.
const LET_END_TIME: Duration = Duration::from_secs(10);
/// How long what is killed may take to be gone.
const KILLED_TIME: Duration = Duration::from_secs(2);
/// How often what the command left is looked for.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// How the command finds the server.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    /// Each vdisk with its URIs, the first the best.
    pub(crate) vdisks: Vec<(String, Vec<NbdUri>)>,
    /// The directory of the certificates, where TLS is spoken.
    pub(crate) certificates: Option<PathBuf>,
    /// The directory of the FUSE door.
    pub(crate) mount: Option<PathBuf>,
}

impl Surroundings {
    /// The variables, by name. `uri` is the only vdisk's; with several it names none, so that a
    /// command that forgets to choose gets no disk rather than the wrong one, and `uri_NAME` are
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
            if let Some(uri) = uris.first().filter(|_| self.is_one_vdisks(&variable)) {
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

    /// Whether no two vdisks would have that variable (`a-b` and `a.b`): one of them would be the wrong disk.
    fn is_one_vdisks(&self, wanted: &str) -> bool {
        let same = self
            .vdisks
            .iter()
            .filter(|(name, _)| variable(name) == wanted);
        same.count() == 1
    }

    /// What the user should be told about the variables.
    fn notice(&self) -> Option<String> {
        let ambiguous = |(name, _): &&(String, Vec<NbdUri>)| !self.is_one_vdisks(&variable(name));
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

/// The variable of a vdisk's URI. Shells take letters, digits and `_` in a name.
fn variable(vdisk: &str) -> String {
    let odd = |c: char| !c.is_ascii_alphanumeric();
    format!("uri_{}", vdisk.replace(odd, "_"))
}

/// The directory as clients on this machine can use it: it has to have who signed the server.
pub(crate) fn certificates(dir: &Path) -> Option<PathBuf> {
    let dir = std::path::absolute(dir).ok()?;
    dir.join("ca-cert.pem").is_file().then_some(dir)
}

/// Starts the command by the shell.
///
/// # Errors
/// When there is no shell.
pub(crate) fn start(command: &str, surroundings: &Surroundings) -> Outcome<Child> {
    if let Some(notice) = surroundings.notice() {
        tracing::warn!("{notice}");
    }
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(command)
        .envs(surroundings.variables())
        .kill_on_drop(true);
    // SAFETY: between fork and exec there is one system call. This is the main thread, which lives as
    // long as the process, as the kernel sends the signal when the thread that forked ends.
    unsafe {
        shell.pre_exec(|| {
            // If the server is killed, the shell begins nothing new.
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

/// Waits for the command's end, or until a signal asks for it.
///
/// # Errors
/// When it cannot be waited for.
pub(crate) async fn wait(mut child: Child, signals: &mut StopSignals) -> Outcome<ExitCode> {
    tokio::select! {
        status = child.wait() => return Ok(exit_code(status?)),
        () = signals.next() => {}
    }
    let Some(process) = child.id() else {
        return Ok(exit_code(child.wait().await?));
    };
    descendants::adopt_orphans();
    descendants::signal(&everything(process), libc::SIGTERM);
    let is_over = tokio::select! {
        () = all_ended(&mut child) => true,
        () = tokio::time::sleep(LET_END_TIME) => {
            let seconds = LET_END_TIME.as_secs();
            tracing::warn!("the command of --run did not end within {seconds} s and is killed");
            false
        }
        () = signals.next() => false,
    };
    if !is_over {
        descendants::signal(&descendants::of(std::process::id()), libc::SIGKILL);
        // One that may not be signalled (a program of another user's) is not waited for.
        let _ = tokio::time::timeout(KILLED_TIME, all_ended(&mut child)).await;
    }
    Ok(exit_code(child.wait().await?))
}

/// The shell and what it has started.
fn everything(shell: u32) -> Vec<i32> {
    let mut all = descendants::of(shell);
    all.insert(0, shell as i32);
    all
}

/// Returns when the command has ended and what it left, too.
async fn all_ended(child: &mut Child) {
    // It is asked for its status once more, with what could go wrong.
    let _ = child.wait().await;
    loop {
        let left = descendants::of(std::process::id());
        if left.is_empty() {
            return;
        }
        descendants::reap(&left);
        tokio::time::sleep(LOOK_AGAIN_AFTER).await;
    }
}

/// As shells tell it: 128 and the signal for a command that was killed.
fn exit_code(status: std::process::ExitStatus) -> ExitCode {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

#[cfg(test)]
mod tests;
