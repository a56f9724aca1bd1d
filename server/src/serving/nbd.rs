//! The NBD frontend as the reservation file describes it: addresses that may connect, certificates,
//! limits, and sockets, bound here or handed over. Its errors are found before any disk is opened,
//! by `check` as well as by `serve`.

use crate::failure::{CommandResult, Failure};
use crate::serving::served_vdisks::access_of;
use disktime_nbd::{HandshakeLimits, ListenConfig, NbdListener, TlsConfig};
use disktime_reservations::{Configuration, DocumentErrors, Nbd, Spanned};
use disktime_sockets::{ServerCredentials, SocketAccess, TlsSettings};
use std::collections::HashMap;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The frontend before its sockets are opened.
pub(crate) struct NbdFrontend {
    config: ListenConfig,
    /// Whether the file has an `nbd` section.
    in_file: bool,
    /// Sentences for the user on what is allowed but may not be wanted.
    notices: Vec<String>,
}

/// Reads what the frontend needs: users, groups, certificates.
///
/// # Errors
/// What is missing or does not fit, with its position in the file.
pub(crate) fn prepare(configuration: &Configuration) -> Result<NbdFrontend, DocumentErrors> {
    let mut notices = Vec::new();
    let vdisks = configuration.vdisks.iter();
    let exports = vdisks.map(|vdisk| (vdisk.name.value.clone(), access_of(vdisk)));
    let mut config = ListenConfig {
        exports: exports.collect(),
        ..ListenConfig::default()
    };
    if let Some(nbd) = &configuration.nbd {
        config = ListenConfig {
            socket: Some(nbd.socket.value.clone()),
            socket_access: socket_access(configuration, nbd)?,
            listen: nbd.listen.iter().map(|address| address.value).collect(),
            allow: nbd.allow.clone().into(),
            tls: tls(configuration, nbd, &mut notices)?,
            handshake_time: Duration::from_nanos(nbd.handshake_time.0),
            connections: nbd.connections as usize,
            handshake: HandshakeLimits {
                options: nbd.handshake_options,
                ..HandshakeLimits::default()
            },
            ..config
        };
        notices.extend(unreachable_socket(nbd));
        notices.extend(open_to_everyone(configuration, nbd));
        notices.extend(unreachable_limits(configuration, &config));
    }
    Ok(NbdFrontend {
        config,
        in_file: configuration.nbd.is_some(),
        notices,
    })
}

/// A sentence, if the file has neither frontend: then no client reaches its vdisks.
pub(crate) fn without_frontends(configuration: &Configuration) -> Option<String> {
    let has_none = configuration.nbd.is_none() && configuration.fuse.is_none();
    has_none.then(|| {
        format!(
            "{} has neither \"nbd\" nor \"fuse\", so no client can reach its vdisks; add \
             \"nbd\": {{}} or \"fuse\": {{}}",
            configuration.file().display()
        )
    })
}

impl NbdFrontend {
    /// Sentences for the user on what is allowed but may not be wanted.
    pub(crate) fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Listens on the sockets that were handed over, if there are any, else on those of the file.
    /// `None` without either.
    ///
    /// # Errors
    /// An address that cannot be listened on, and why.
    pub(crate) fn open(
        self,
        configuration: &Configuration,
        sockets: Vec<(String, OwnedFd)>,
    ) -> CommandResult<Option<NbdListener>> {
        // The catalog says what the rules of exports are.
        let mut config = ListenConfig {
            exports: HashMap::new(),
            ..self.config
        };
        let others = OTHER_FILES + FILES_OF_A_DISK * configuration.disks.len() as u64;
        config.connections = raise_file_limit(config.connections, others);
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
) -> Result<Option<TlsConfig>, DocumentErrors> {
    let Some(tls) = &nbd.tls else {
        return Ok(None);
    };
    let settings = TlsSettings {
        dir: before_creation(&tls.dir.value),
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

/// Open files beside those of connections and disks: sockets, certificates while they are read,
/// programs that are started, control connections, and NBD connections that are closed with an
/// error because the limit is reached.
const OTHER_FILES: u64 = 96;
/// Open files of a disk.
const FILES_OF_A_DISK: u64 = 8;

/// Raises this process's limit of open files to what `connections` and `others` need, if that is
/// allowed; returns how many connections fit. Connections beyond that would hang without an error,
/// and everything else that opens a file would fail.
fn raise_file_limit(connections: usize, others: u64) -> usize {
    let needed = connections as u64 + others;
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: fills a structure on this stack.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } == 0;
    if !known || limit.rlim_cur >= needed {
        return connections;
    }
    let hard_limit = limit.rlim_max;
    limit.rlim_cur = needed.min(hard_limit);
    // SAFETY: reads a structure on this stack.
    let raised = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } == 0;
    if raised && hard_limit >= needed {
        return connections;
    }
    let fit = connections.min(connections_within(hard_limit, others));
    tracing::warn!(
        "{connections} connections need {needed} open files and this process may have {hard_limit}, so \
         it accepts {fit} connections: raise LimitNOFILE= or `ulimit -n`"
    );
    fit
}

/// At least an eighth of the limit, so that a process with a very low one serves some clients.
fn connections_within(hard_limit: u64, others: u64) -> usize {
    let left = hard_limit.saturating_sub(others);
    left.max(hard_limit / 8).max(1) as usize
}

/// The path, without `NAME/..` where it does not exist otherwise: a path relative to the state
/// directory can exist before the server has created that directory.
pub(crate) fn before_creation(path: &Path) -> PathBuf {
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

fn socket_access(configuration: &Configuration, nbd: &Nbd) -> Result<SocketAccess, DocumentErrors> {
    let number = |account: &Option<Spanned<String>>, kind: Account| {
        let account = account.as_ref();
        let number = account.map(|account| known_account(configuration, account, kind));
        number.transpose()
    };
    Ok(SocketAccess {
        mode: nbd.socket_mode,
        owner: number(&nbd.socket_owner, Account::User)?,
        group: number(&nbd.socket_group, Account::Group)?,
    })
}

/// The number of a group of this machine.
///
/// # Errors
/// There is none of that name.
pub(crate) fn group_number(
    configuration: &Configuration,
    group: &Spanned<String>,
) -> Result<u32, DocumentErrors> {
    known_account(configuration, group, Account::Group)
}

fn known_account(
    configuration: &Configuration,
    account: &Spanned<String>,
    kind: Account,
) -> Result<u32, DocumentErrors> {
    account_number(&account.value, kind).ok_or_else(|| {
        let (what, file) = match kind {
            Account::User => ("user", "passwd"),
            Account::Group => ("group", "group"),
        };
        let message = format!("this machine has no {what} `{}`", account.value);
        let help = format!("`getent {file}` lists them; a number is taken as it is");
        configuration.error_at(account.span, message, help)
    })
}

/// A notice if other users may use the socket but not enter its directory.
fn unreachable_socket(nbd: &Nbd) -> Option<String> {
    let folder = nbd.socket.value.parent()?;
    let for_others =
        nbd.socket_mode & 0o066 != 0 || nbd.socket_owner.is_some() || nbd.socket_group.is_some();
    // The state directory is created by the server, for its user alone.
    let mode = std::fs::metadata(before_creation(folder))
        .map_or(0o700, |found| found.permissions().mode());
    (for_others && mode & 0o011 == 0).then(|| {
        format!(
            "other users may use the socket {}, but may not enter its directory: put it elsewhere, as in \
             \"socket\": \"/run/disktime/nbd.sock\", or chmod the directory",
            nbd.socket.value.display()
        )
    })
}

/// A notice if every client that reaches a port may use all vdisks. TLS without client certificates
/// keeps out eavesdroppers, not clients.
fn open_to_everyone(configuration: &Configuration, nbd: &Nbd) -> Option<String> {
    let asks_for_certificates = nbd.tls.as_ref().is_some_and(|tls| tls.client_certificates);
    let is_listed = nbd.allow.is_some()
        || configuration
            .vdisks
            .iter()
            .all(|vdisk| vdisk.allow.is_some());
    let mut listen = nbd.listen.iter().map(|address| address.value);
    let address = listen.find(|address| !address.ip().to_canonical().is_loopback())?;
    (!asks_for_certificates && !is_listed).then(|| {
        format!(
            "every client that reaches {address} may read and write every vdisk: name the addresses that \
             may connect in \"allow\", or require \"client_certificates\" in \"tls\""
        )
    })
}

/// A notice for each vdisk whose `connections` are more than it can get.
fn unreachable_limits(configuration: &Configuration, config: &ListenConfig) -> Vec<String> {
    let limit = config.connections;
    let vdisks = configuration.vdisks.iter();
    let limited = vdisks.filter_map(|vdisk| Some((&vdisk.name.value, vdisk.connections.as_ref()?)));
    let notice = |(name, wanted): (&String, &Spanned<u32>)| {
        let most = config.most_connections_of(name);
        (wanted.value as usize > most).then(|| {
            format!(
                "vdisk `{name}` has {} \"connections\" and gets at most {most}: \"nbd\" has \
                 {limit}, of which some are kept for each other vdisk. Raise \"connections\" of \
                 \"nbd\", or lower that of the vdisk",
                wanted.value
            )
        })
    };
    limited.filter_map(notice).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Account {
    User,
    Group,
}

/// The number of a user or group, by the system's name service (not only /etc/passwd).
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
        // The entry of a large group needs a large buffer.
        if error != libc::ERANGE || buffer.len() >= 16 << 20 {
            return number;
        }
        buffer.resize(buffer.len() * 8, 0);
    }
}

#[cfg(test)]
mod tests;
