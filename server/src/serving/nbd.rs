//! The NBD door as the reservation file wants it: who may come in, certificates, limits, and the
//! sockets, ours or handed over. What can be wrong with it is found before any disk is touched, by
//! `check` as well as by `serve`.

use crate::failure::{Failure, Outcome};
use disktime_nbd::{ExportAccess, HandshakeLimits, ListenConfig, NbdListener, TlsConfig};
use disktime_reservations::{Configuration, ConfigurationErrors, Nbd, Spanned};
use disktime_sockets::{ServerCredentials, SocketAccess, TlsSettings};
use std::collections::HashMap;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Who lists the exports asks about each of them, more than once (`nbdinfo --list`).
const OPTIONS_OF_A_VDISK: u32 = 4;

/// The door before it is opened.
pub(crate) struct NbdDoor {
    config: ListenConfig,
    /// Whether the file has such a door.
    in_file: bool,
    /// What is not wrong but worth a word.
    pub(crate) notices: Vec<String>,
}

/// Reads what the door needs: users, groups, certificates.
///
/// # Errors
/// What is missing or does not fit, at its place in the file.
pub(crate) fn prepare(configuration: &Configuration) -> Result<NbdDoor, ConfigurationErrors> {
    let mut notices = Vec::new();
    let exports = configuration.vdisks.iter().map(|vdisk| {
        let access = ExportAccess {
            allow: vdisk.allow.clone().into(),
            connections: vdisk.connections.map(|count| count.value as usize),
        };
        (vdisk.name.value.clone(), access)
    });
    let exports: HashMap<String, ExportAccess> = exports.collect();
    let mut config = ListenConfig {
        exports,
        ..ListenConfig::default()
    };
    if let Some(nbd) = &configuration.nbd {
        let for_listing = OPTIONS_OF_A_VDISK * configuration.vdisks.len() as u32;
        config = ListenConfig {
            socket: Some(nbd.socket.value.clone()),
            socket_access: socket_access(configuration, nbd)?,
            listen: nbd.listen.iter().map(|address| address.value).collect(),
            allow: nbd.allow.clone().into(),
            tls: tls(configuration, nbd, &mut notices)?,
            handshake_time: Duration::from_nanos(nbd.handshake_time.0),
            connections: nbd.connections as usize,
            handshake: HandshakeLimits {
                options: nbd.handshake_options.saturating_add(for_listing),
                ..HandshakeLimits::default()
            },
            ..config
        };
        notices.extend(shut_in(nbd));
        notices.extend(wide_open(configuration, nbd));
    }
    Ok(NbdDoor {
        config,
        in_file: configuration.nbd.is_some(),
        notices,
    })
}

impl NbdDoor {
    /// Opens the door: at the sockets that were handed over, if there are any, else where the file
    /// says. `None` if there is to be none.
    ///
    /// # Errors
    /// What cannot be listened on, and why.
    pub(crate) fn open(
        self,
        configuration: &Configuration,
        sockets: Vec<(String, OwnedFd)>,
    ) -> Outcome<Option<NbdListener>> {
        let mut config = self.config;
        let others = OTHER_FILES + FILES_OF_A_DISK * configuration.disks.len() as u64;
        config.connections = allow_files(config.connections, others);
        if !sockets.is_empty() {
            return Ok(Some(NbdListener::adopt(config, sockets)?));
        }
        let Some(nbd) = configuration.nbd.as_ref().filter(|_| self.in_file) else {
            return Ok(None);
        };
        let listener = NbdListener::bind(config).map_err(|error| {
            let message = error.to_string();
            let span = nbd
                .listen
                .iter()
                .find(|address| message.contains(&address.value.to_string()))
                .map_or(nbd.socket.span, |address| address.span);
            Failure::from(configuration.error_at(span, message, ""))
        })?;
        Ok(Some(listener))
    }
}

fn tls(
    configuration: &Configuration,
    nbd: &Nbd,
    notices: &mut Vec<String>,
) -> Result<Option<TlsConfig>, ConfigurationErrors> {
    let Some(tls) = &nbd.tls else {
        return Ok(None);
    };
    let settings = TlsSettings {
        dir: existing(&tls.dir.value),
        client_certificates: tls.client_certificates,
    };
    let credentials = ServerCredentials::load(settings).map_err(|error| {
        let help = "the directory and its files are those that libnbd and QEMU use";
        configuration.error_at(tls.dir.span, error.to_string(), help)
    })?;
    notices.extend_from_slice(credentials.warnings());
    Ok(Some(TlsConfig {
        credentials: Arc::new(credentials),
        require: tls.require,
    }))
}

/// Files that are open beside those of connections and disks: sockets, certificates while they are read,
/// programs that are started, clients of the status and those who are told that there is no room.
const OTHER_FILES: u64 = 96;
/// Files that a disk has open.
const FILES_OF_A_DISK: u64 = 8;

/// Lets this process have as many files open as the connections and others need, if it may; how many
/// connections fit. More than fit would wait without a word, and everything else would fail.
fn allow_files(connections: usize, others: u64) -> usize {
    let needed = connections as u64 + others;
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: fills a structure that is ours.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } == 0;
    if !known || limit.rlim_cur >= needed {
        return connections;
    }
    let may_have = limit.rlim_max;
    limit.rlim_cur = needed.min(may_have);
    // SAFETY: reads a structure that is ours.
    let raised = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } == 0;
    if raised && may_have >= needed {
        return connections;
    }
    let fit = connections.min(fitting(may_have, others));
    tracing::warn!(
        "{connections} connections need {needed} open files and this process may have {may_have}, so it \
         takes {fit} connections: raise LimitNOFILE= or `ulimit -n`"
    );
    fit
}

/// A process that may have hardly any files still serves a few.
fn fitting(may_have: u64, others: u64) -> usize {
    may_have.saturating_sub(others).max(may_have / 8).max(1) as usize
}

/// The path, with `NAME/..` left out where it leads nowhere otherwise: what is relative to a state
/// directory is there before the server has made that directory.
fn existing(path: &Path) -> PathBuf {
    let mut shorter = PathBuf::new();
    for component in path.components() {
        let goes_back = component == Component::ParentDir
            && matches!(shorter.components().next_back(), Some(Component::Normal(_)));
        if goes_back {
            shorter.pop();
        } else {
            shorter.push(component);
        }
    }
    if path.exists() || !shorter.exists() {
        return path.to_owned();
    }
    shorter
}

fn socket_access(
    configuration: &Configuration,
    nbd: &Nbd,
) -> Result<SocketAccess, ConfigurationErrors> {
    let number = |account: &Option<Spanned<String>>, kind: Account| {
        let Some(account) = account else {
            return Ok(None);
        };
        let found = account_number(&account.value, kind);
        found.map(Some).ok_or_else(|| {
            let (what, file) = match kind {
                Account::User => ("user", "passwd"),
                Account::Group => ("group", "group"),
            };
            let message = format!("this machine has no {what} `{}`", account.value);
            let help = format!("`getent {file}` lists them; a number is taken as it is");
            configuration.error_at(account.span, message, help)
        })
    };
    Ok(SocketAccess {
        mode: nbd.socket_mode,
        owner: number(&nbd.socket_owner, Account::User)?,
        group: number(&nbd.socket_group, Account::Group)?,
    })
}

/// A socket that others may use, in a folder that keeps them out, is of no use to them.
fn shut_in(nbd: &Nbd) -> Option<String> {
    let folder = nbd.socket.value.parent()?;
    let for_others =
        nbd.socket_mode & 0o066 != 0 || nbd.socket_owner.is_some() || nbd.socket_group.is_some();
    // The state directory is made by the server, for its user alone.
    let mode =
        std::fs::metadata(existing(folder)).map_or(0o700, |found| found.permissions().mode());
    (for_others && mode & 0o011 == 0).then(|| {
        format!(
            "others may use the socket {}, but may not enter its folder: put it elsewhere, as in \
             \"socket\": \"/run/disktime/nbd.sock\", or chmod the folder",
            nbd.socket.value.display()
        )
    })
}

/// Whom nothing keeps out who reaches the port. TLS alone keeps out listeners, not clients.
fn wide_open(configuration: &Configuration, nbd: &Nbd) -> Option<String> {
    let asks_who = nbd.tls.as_ref().is_some_and(|tls| tls.client_certificates);
    let is_listed = nbd.allow.is_some()
        || configuration
            .vdisks
            .iter()
            .all(|vdisk| vdisk.allow.is_some());
    let mut listen = nbd.listen.iter().map(|address| address.value);
    let address = listen.find(|address| !address.ip().to_canonical().is_loopback())?;
    (!asks_who && !is_listed).then(|| {
        format!(
            "whoever reaches {address} may read and write every vdisk: \"allow\" says who may connect, \
             and \"client_certificates\" of \"tls\" who can show one"
        )
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Account {
    User,
    Group,
}

/// The number of a user or group, from wherever this machine keeps them (not only /etc/passwd).
fn account_number(name: &str, kind: Account) -> Option<u32> {
    if let Ok(number) = name.parse() {
        return Some(number);
    }
    let name = CString::new(name).ok()?;
    let mut buffer = vec![0 as libc::c_char; 1 << 10];
    loop {
        // SAFETY: all pointers are valid for the call; `found` tells whether `entry` was filled, of
        // which only numbers are read, not the pointers into `buffer`.
        let (error, number) = unsafe {
            match kind {
                Account::User => {
                    let mut entry: libc::passwd = std::mem::zeroed();
                    let mut found = std::ptr::null_mut();
                    let (text, len) = (buffer.as_mut_ptr(), buffer.len());
                    let error = libc::getpwnam_r(name.as_ptr(), &mut entry, text, len, &mut found);
                    (error, (!found.is_null()).then_some(entry.pw_uid))
                }
                Account::Group => {
                    let mut entry: libc::group = std::mem::zeroed();
                    let mut found = std::ptr::null_mut();
                    let (text, len) = (buffer.as_mut_ptr(), buffer.len());
                    let error = libc::getgrnam_r(name.as_ptr(), &mut entry, text, len, &mut found);
                    (error, (!found.is_null()).then_some(entry.gr_gid))
                }
            }
        };
        // A large group needs a large buffer.
        if error != libc::ERANGE || buffer.len() >= 16 << 20 {
            return number;
        }
        buffer.resize(buffer.len() * 8, 0);
    }
}

#[cfg(test)]
mod tests;
